"""A line is stored and read once, wherever it stands, and a trial comes back as it was put."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.line_store import occurrences
from kb.placing import item_names, placed_expression, relative_json
from kb.rows import compact
from kb.search import FEW, search
from kb.store import Store
from kb.writer import between_lines
from nlp.model import All, AnyOf, Expression, Extraction, Fact, If, Leaf, Not, Unread
from tests.kb.samples import VOCABULARY, criterion, item, platelets_trial, trial

TEXT = (
    "Inclusion Criteria:\n\n* platelets >= 50 10*9/L\n* at least one of: ALT <= 40 U/L or LVEF >= 50 %\n\nEnd"
)
LINES = ("platelets >= 50 10*9/L", "at least one of: ALT <= 40 U/L or LVEF >= 50 %")


def two_lines(text: str = TEXT, names: tuple[str, str, str] = ("i1", "i2", "i3")) -> Extraction:
    """One line with one item, one with two alternatives."""
    items = (
        item(text, ">= 50 10*9/L", "plt", ">=", 50, "10*9/L", identifier=names[0]),
        item(text, "<= 40 U/L", "alt", "<=", 40, "U/L", identifier=names[1], path="2"),
        item(text, ">= 50 %", "lvef", ">=", 50, "%", identifier=names[2], path="2"),
    )
    criteria = (
        criterion(text, LINES[0], Leaf(names[0])),
        criterion(text, LINES[1], AnyOf((Leaf(names[1]), Leaf(names[2]))), path="2"),
    )
    return Extraction(items, criteria, VOCABULARY)


def count(store: Store, table: str) -> int:
    """Rows of a table."""
    return int(store.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_two_trials_that_say_the_same_share_lines_and_readings(store: Store) -> None:
    store.put(trial(1, TEXT), two_lines())
    before = [count(store, table) for table in ("line", "line_reading", "line_threshold")]
    moved = "Some words before.\n" + TEXT
    store.put(trial(2, moved), two_lines(moved))
    assert [count(store, table) for table in ("line", "line_reading", "line_threshold")] == before
    assert store.extraction(store.version_id("NCT99000002")) == two_lines(moved)
    assert store.trial(store.version_id("NCT99000002")).eligibility_text == moved


def test_the_same_words_read_otherwise_are_another_reading(store: Store) -> None:
    store.put(trial(1, TEXT), two_lines())
    other = two_lines()
    other = replace(other, items=(replace(other.items[0], rule="another"), *other.items[1:]))
    store.put(trial(2, TEXT), other)
    assert count(store, "line") == 2
    assert count(store, "line_reading WHERE line_id IS NOT NULL") == 3
    assert store.extraction(store.version_id("NCT99000001")) == two_lines()
    assert store.extraction(store.version_id("NCT99000002")) == other


def test_names_of_items_that_are_not_their_number_are_kept(store: Store) -> None:
    named = two_lines(names=("first", "i2", "third"))
    store.put(trial(1, TEXT), named)
    version = store.version_id("NCT99000001")
    assert store.extraction(version) == named
    rows = store.connection.execute(
        "SELECT item_id FROM threshold WHERE version_id = ? ORDER BY ordinal", (version,)
    )
    assert [row[0] for row in rows] == ["first", "i2", "third"]


def test_an_expression_with_the_items_of_another_line(store: Store) -> None:
    read = two_lines()
    both = replace(read.criteria[0], expression=AnyOf((Leaf("i1"), Leaf("i3"))))
    entangled = replace(read, criteria=(both, read.criteria[1]))
    assert occurrences(entangled)[2] == {0, 1}
    store.put(trial(1, TEXT), entangled)
    version = store.version_id("NCT99000001")
    assert store.extraction(version) == entangled
    rows = store.connection.execute(
        "SELECT alternative FROM threshold WHERE version_id = ? ORDER BY ordinal", (version,)
    )
    assert [row[0] for row in rows] == ["in1", "in2", "in1"]


def test_an_item_in_no_criterion_is_kept_beside_them(store: Store) -> None:
    read = two_lines()
    loose = replace(read, items=(*read.items, replace(read.items[0], id="i4", criterion="9")))
    store.put(trial(1, TEXT), loose)
    back = store.extraction(store.version_id("NCT99000001"))
    assert back.items[3] == replace(loose.items[3], criterion="")
    assert back.criteria == loose.criteria


def test_a_text_that_its_lines_do_not_make_up_is_stored_whole(store: Store) -> None:
    read = two_lines()
    crossed = replace(read, criteria=(read.criteria[1], read.criteria[0]))  # not in the order of the text
    assert between_lines(TEXT, crossed.criteria) is None
    store.put(trial(1, TEXT), crossed)
    assert store.trial(store.version_id("NCT99000001")).eligibility_text == TEXT


def test_a_trial_without_criteria_keeps_its_text(store: Store) -> None:
    store.put(trial(1, "nothing to read"), Extraction(vocabulary=VOCABULARY))
    assert store.trial(store.version_id("NCT99000001")).eligibility_text == "nothing to read"


def test_what_was_rolled_back_is_not_remembered(store: Store) -> None:
    broken = two_lines()
    broken = replace(broken, items=(*broken.items[:2], replace(broken.items[2], rule=None)))  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        store.put(trial(1, TEXT), broken)
    store.put(trial(2, TEXT), two_lines())
    assert store.extraction(store.version_id("NCT99000002")) == two_lines()
    assert store.connection.execute("PRAGMA foreign_key_check").fetchall() == []


_SPAN = st.tuples(st.integers(100, 200), st.integers(200, 300))
_LEAVES: st.SearchStrategy[Expression] = st.one_of(
    st.integers(1, 9).map(lambda number: Leaf(f"i{number}")),
    st.just(Leaf("unknown")),
    st.builds(Fact, st.text(max_size=5), _SPAN, st.none() | st.text(max_size=3)),
    st.builds(Unread, _SPAN, st.text(max_size=5)),
)
_EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        inner.map(Not),
        st.builds(If, inner, inner, inner),
    ),
    max_leaves=8,
)


@given(_EXPRESSIONS, st.integers(0, 100), st.integers(0, 12))
def test_an_expression_comes_back_where_it_stood(expression: Expression, start: int, first: int) -> None:
    numbers = {f"i{number}": number - 1 for number in range(1, 10)}

    def number_of(name: str) -> int | str:
        return numbers[name] - first if name in numbers else name

    stored = compact(relative_json(expression, start, number_of))
    assert placed_expression(stored, start, first, item_names([])) == expression


def test_few_trials_and_many_are_searched_to_the_same_hits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 7):
        store.put(*platelets_trial(number, value=40 + 10 * (number % 3)))
    versions = [version for version, _ in store.current_versions()]
    few = search(store, "platelet*", versions=versions)
    assert len(versions) <= FEW
    monkeypatch.setattr("kb.search.FEW", 0)
    many = search(store, "platelet*", versions=versions)
    key = [(hit.trial.trial, hit.path, hit.marked) for hit in few]
    assert sorted(key) == sorted((hit.trial.trial, hit.path, hit.marked) for hit in many)
    assert few


PLANS = {
    "the index on bounds, then where the lines stand": (
        "SELECT h.version_id FROM current_threshold h WHERE h.concept_id = 'plt' AND h.scale = 'absolute'"
        " AND h.min_value IS NOT NULL AND h.min_value <= 50 AND h.applies_if IS NULL AND h.holds_for IS NULL",
        ("line_threshold_min (concept_id=? AND scale=? AND min_value", "COVERING INDEX trial_criterion_reading (reading_id=?)"),
    ),
    "a version's thresholds by its criteria": (
        "SELECT value_text FROM threshold WHERE version_id = 1",
        ("SEARCH k USING PRIMARY KEY (version_id=?)", "SEARCH h USING INDEX line_threshold_reading (reading_id=?)"),
    ),
    "the narrow table of a survey": (
        "SELECT version_id, threshold_id FROM trial_bound WHERE version_id IN (SELECT value FROM json_each('[1]'))",
        ("SEARCH trial_bound USING PRIMARY KEY (version_id=?)",),
    ),
    "concepts without a look at the lines": (
        "SELECT version_id FROM current_threshold WHERE concept_id = 'plt' AND section = 'inclusion'",
        ("COVERING INDEX line_threshold_concept", "COVERING INDEX trial_criterion_reading"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "steps"), PLANS.values(), ids=PLANS)
def test_questions_use_their_indexes(store: Store, sql: str, steps: tuple[str, ...]) -> None:
    plan = "\n".join(row[3] for row in store.connection.execute(f"EXPLAIN QUERY PLAN {sql}"))
    assert "SCAN" not in plan.replace("SCAN json_each", "")
    for step in steps:
        assert step in plan
