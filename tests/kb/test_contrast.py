"""The threshold axis has tests of its own: labels of drug and disease cannot judge it."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.axes import axis_index, build_axis_index
from kb.comparable import limits_of, nearest_by_thresholds, stored_subject
from kb.contrast import Contrast, contrast
from kb.limits import Limit
from kb.store import Store, create_schema
from nlp.model import Extraction, Leaf
from tests.kb.samples import CONCEPTS, VOCABULARY, criterion, item, platelets_trial, trial


def limits(**stated: float) -> tuple[Limit, ...]:
    """The limits of a trial that states these minimums; ``alt`` is a maximum in multiples of ULN."""
    return written({concept: (value, 1.0) for concept, value in stated.items()})


def written(stated: dict[str, tuple[float, float]]) -> tuple[Limit, ...]:
    """As :func:`limits`, for (number as written, factor to the canonical unit)."""
    units = {row.id: row.canonical_unit for row in CONCEPTS}
    items, lines, text = [], [], ""
    for number, (concept, (value, factor)) in enumerate(stated.items()):
        line = f"{concept} limit {value!r} number {number}"
        text += line + "\n"
        relative = "ULN" if concept == "alt" else None
        items.append(
            item(text, f"{value!r} number {number}", concept, "<=" if relative else ">=", value, units[concept],
                 identifier=f"i{number}", path=str(number), factor=factor, relative_to=relative)
        )  # fmt: skip
        lines.append(criterion(text, line, Leaf(f"i{number}"), path=str(number)))
    return limits_of(trial(1, text), Extraction(tuple(items), tuple(lines), VOCABULARY), CONCEPTS)


@pytest.fixture
def some(store: Store) -> Store:
    for number, value in enumerate((30, 50, 50, 75, 100), start=1):
        store.put(*platelets_trial(number, value=value))
    return store


def told(store: Store, here: tuple[Limit, ...], there: tuple[Limit, ...]) -> Contrast:
    return contrast(here, there, axis_index(store))


def test_the_same_limit_in_another_unit_is_at_distance_zero(some: Store) -> None:
    here, there = written({"plt": (50, 1.0)}), written({"plt": (50_000, 0.001)})
    (row,) = told(some, here, there).rows
    assert (row.verdict, row.distance, row.amount) == ("same", 0.0, 0.0)


def test_what_conversion_rounds_is_no_difference(some: Store) -> None:
    (row,) = told(some, written({"crea": (132.6, 1.0)}), written({"crea": (1.5, 88.42)})).rows
    assert row.verdict == "same"


def test_moving_one_threshold_moves_one_row(some: Store) -> None:
    here = limits(plt=50, anc=1, alt=3)
    before = {row.concept: row for row in told(some, here, limits(plt=50, anc=1, alt=3)).rows}
    after = {row.concept: row for row in told(some, here, limits(plt=75, anc=1, alt=3)).rows}
    moved = [concept for concept in before if before[concept].contribution != after[concept].contribution]
    assert moved == ["plt"]
    assert (after["plt"].verdict, after["plt"].amount, after["plt"].unit) == ("stricter", 25, "10*9/L")


def test_a_contrast_is_symmetric(some: Store) -> None:
    one, other = limits(plt=50, anc=1, alt=3), limits(plt=75, lvef=50, alt=5)
    there, back = told(some, one, other), told(some, other, one)
    assert there.similarity == pytest.approx(back.similarity)
    turned = {
        "stricter": "looser",
        "looser": "stricter",
        "same": "same",
        "only here": "only there",
        "only there": "only here",
    }
    assert {(row.concept, turned[row.verdict]) for row in there.rows} == {
        (row.concept, row.verdict) for row in back.rows
    }


def test_farther_is_less_similar(some: Store) -> None:
    here = limits(plt=50)
    near = [told(some, here, limits(plt=value)).similarity for value in (50, 60, 75, 100)]
    assert near == sorted(near, reverse=True)
    assert len(set(near)) == 4


def test_not_stated_is_not_different(some: Store) -> None:
    found = told(some, limits(plt=50, anc=1), limits(plt=50))
    assert {row.concept: row.verdict for row in found.rows} == {"plt": "same", "anc": "only here"}
    assert found.count("stricter") == found.count("looser") == 0


def test_absolute_limits_are_never_matched_with_multiples(some: Store) -> None:
    text = "ALT <= 3 U/L"
    absolute = limits_of(
        trial(1, text),
        Extraction(
            (item(text, "<= 3 U/L", "alt", "<=", 3, "U/L"),), (criterion(text, text, Leaf("i1")),), VOCABULARY
        ),
        CONCEPTS,
    )
    assert {row.verdict for row in told(some, limits(alt=3), absolute).rows} == {"only here", "only there"}


def test_a_looser_maximum_is_said_so(some: Store) -> None:
    (row,) = told(some, limits(alt=3), limits(alt=5)).rows
    assert (row.verdict, row.amount, row.unit) == ("looser", 2, "× ULN")


def test_an_exclusive_bound_at_the_same_number_is_stricter(some: Store) -> None:
    text = "plt > 50"
    exclusive = limits_of(
        trial(1, text),
        Extraction(
            (item(text, "> 50", "plt", ">", 50, "10*9/L"),), (criterion(text, text, Leaf("i1")),), VOCABULARY
        ),
        CONCEPTS,
    )
    (row,) = told(some, limits(plt=50), exclusive).rows
    assert (row.verdict, row.distance) == ("stricter", 0.0)


def test_the_rows_add_up_to_the_similarity(some: Store) -> None:
    found = told(some, limits(plt=50, anc=1, alt=3), limits(plt=75, anc=1.5, lvef=50))
    assert found.similarity == pytest.approx(sum(row.contribution for row in found.rows))
    assert 0 <= found.similarity < 1


@settings(deadline=None, max_examples=40)  # each example writes two knowledge bases in memory
@given(st.floats(1, 1000), st.floats(1, 1000))
def test_similarity_is_bounded_and_symmetric(one: float, other: float) -> None:
    index = build_axis_index(_memory())
    there = contrast(limits(plt=one), limits(plt=other), index).similarity
    back = contrast(limits(plt=other), limits(plt=one), index).similarity
    assert 0 <= there < 1
    assert there == pytest.approx(back)


def _memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_schema(connection)
    return connection


def test_the_index_and_the_rows_give_the_same_similarity(some: Store) -> None:
    subject = stored_subject(some, "NCT99000001")
    by_index = dict(nearest_by_thresholds(some, subject))
    for version, _ in some.current_versions():
        if version != subject.version_id:
            there = stored_subject(some, some.trial(version).source_id).limits
            assert by_index[version] == pytest.approx(told(some, subject.limits, there).similarity, rel=1e-5)


def test_nearest_by_thresholds_ranks_the_nearest_first(some: Store) -> None:
    ranked = nearest_by_thresholds(some, stored_subject(some, "NCT99000002"))
    values = [some.trial(version).eligibility_text.split(">= ")[1].split()[0] for version, _ in ranked]
    assert values == ["50", "75", "30", "100"]


def test_the_kept_index_is_never_stale(some: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.kept_index.KEPT_FROM", 1)
    first = axis_index(some)
    assert some.path.with_name(some.path.name + ".axes.npz").is_file()
    with Store.open(some.path) as other:
        again = axis_index(other)
    assert again.axes.keys() == first.axes.keys()
    some.put(*platelets_trial(9, value=20))
    assert len(axis_index(some).versions) == len(first.versions) + 1


def test_an_axis_has_one_kind_of_distance(store: Store) -> None:
    """Grades written as a set come without a unit; the concept's own decides, for every trial alike."""
    for number, (words, unit) in enumerate(
        (("0-1", None), ("<= 2", "{score}"), ("<= 3", "{score}")), start=1
    ):
        text = f"ECOG {words}"
        if unit is None:
            read = item(text, words, "ecog", "set", values=(0.0, 1.0), kind="ordinal", canonical_unit=None)
        else:
            read = item(text, words, "ecog", "<=", float(words[-1]), unit)
        store.put(trial(number, text), Extraction((read,), (criterion(text, text, Leaf("i1")),), VOCABULARY))
    assert axis_index(store).axes["ecog", "max", "absolute"].linear
    for asked in ("NCT99000001", "NCT99000002"):
        subject = stored_subject(store, asked)
        for version, score in nearest_by_thresholds(store, subject):
            there = stored_subject(store, store.trial(version).source_id).limits
            assert score == pytest.approx(told(store, subject.limits, there).similarity, rel=1e-5)
