from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kb.diff import State, diff, diff_versions, stored_state
from kb.errors import BadQuestion
from kb.review import make_review, put_review
from kb.store import Store
from nlp.model import Extraction, Leaf
from tests.kb.samples import VOCABULARY, criterion, item, platelets_trial, trial

ID = "NCT99000001"
LATER: dict[str, Any] = {"version": "b" * 64, "last_update_posted": "2026-03-01"}


def amended(store: Store, before: float = 75, after: float = 50) -> Store:
    store.put(*platelets_trial(value=before))
    store.put(*platelets_trial(value=after, **LATER))
    return store


def test_an_amended_threshold_is_told_in_words(store: Store) -> None:
    (change,) = diff_versions(amended(store), ID).thresholds
    assert change.words == "Platelet count ≥ 75 10*9/L → ≥ 50 10*9/L"
    assert (change.cause, change.direction) == ("amended", "looser")


def test_a_stricter_one_is_said_so(store: Store) -> None:
    (change,) = diff_versions(amended(store, 50, 75), ID).thresholds
    assert change.direction == "stricter"


def test_a_changed_number_makes_a_reworded_line(store: Store) -> None:
    (line,) = diff_versions(amended(store), ID).lines
    assert (line.what, line.before, line.after) == (
        "reworded",
        "Platelets >= 75 x 10^9/L",
        "Platelets >= 50 x 10^9/L",
    )


def test_a_repunctuated_line_is_only_moved(store: Store) -> None:
    store.put(*platelets_trial(value=50))
    text = "PLATELETS: >= 50 x 10^9/L."
    read = item(text, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L")
    store.put(trial(1, text, **LATER), Extraction((read,), (criterion(text, text, Leaf("i1")),), VOCABULARY))
    difference = diff_versions(store, ID)
    platelets = [change for change in difference.thresholds if change.concept == "plt"]
    assert [change.cause for change in platelets] == ["moved"]
    assert {line.what for line in difference.lines if line.section == "inclusion"} == {"moved"}


def test_a_moved_line_is_no_change(store: Store) -> None:
    made, extraction = platelets_trial()
    first, second = extraction.criteria
    store.put(made, extraction)
    store.put(replace(made, **LATER), replace(extraction, criteria=(replace(first, path="7"), second), items=tuple(
        replace(one, criterion="7") if one.section == "inclusion" else one for one in extraction.items
    )))  # fmt: skip
    difference = diff_versions(store, ID)
    assert difference.thresholds == ()
    assert not difference.demands_changed


def test_the_same_words_read_by_other_rules_are_told_apart(store: Store) -> None:
    made, extraction = platelets_trial()
    store.put(made, extraction)
    old = stored_state(store, store.version_id(ID))
    read = replace(extraction.items[0], low=5.0, canonical_low=5.0)
    store.put(made, replace(extraction, items=(read, extraction.items[1]), vocabulary="w" * 64))
    new = stored_state(store, store.version_id(ID))
    (change,) = diff(old, new).thresholds
    assert change.cause == "read differently"
    assert diff(old, new).lines == ()


def test_a_threshold_that_another_vocabulary_misses_is_read_differently(store: Store) -> None:
    made, extraction = platelets_trial()
    store.put(made, extraction)
    old = stored_state(store, store.version_id(ID))
    new = State("new", old.trial, "w", old.lines, old.limits[1:])
    assert [(one.cause, one.after) for one in diff(old, new).thresholds] == [("read differently", None)]


def test_an_added_and_a_removed_criterion(store: Store) -> None:
    made, extraction = platelets_trial()
    store.put(made, extraction)
    shorter = Extraction(extraction.items[:1], extraction.criteria[:1], VOCABULARY)
    store.put(replace(made, **LATER), shorter)
    there, back = diff_versions(store, ID), None
    assert [(one.what, one.before) for one in there.lines] == [("removed", "QTc > 480 ms")]
    assert [(one.words, one.cause) for one in there.thresholds] == [
        ("QTc interval ≤ 480 ms → not stated", "amended")
    ]
    first, last = store.versions(ID)
    back = diff(stored_state(store, last[0]), stored_state(store, first[0]))
    assert [one.what for one in back.lines] == ["added"]


def test_registry_fields_are_compared(store: Store) -> None:
    store.put(*platelets_trial())
    store.put(*platelets_trial(status="COMPLETED", enrollment=12, **LATER))
    assert [(one.field, one.before, one.after) for one in diff_versions(store, ID).fields] == [
        ("status", "RECRUITING", "COMPLETED"), ("enrollment", "not stated", "12"),
    ]  # fmt: skip


def test_versions_are_named_by_date_or_hash(store: Store) -> None:
    amended(store)
    for start, end in (("2026-01-31", None), ("2026-01", "2026-12-31"), (f"{1:064x}"[:20], "bbbb")):
        assert diff_versions(store, ID, start, end).thresholds


def test_a_version_that_is_not_there_names_those_that_are(store: Store) -> None:
    with pytest.raises(BadQuestion, match="2026-01-10"):
        diff_versions(amended(store), ID, "2001-01-01")


def test_one_version_cannot_be_compared(store: Store) -> None:
    store.put(*platelets_trial())
    with pytest.raises(BadQuestion, match="one stored version only"):
        diff_versions(store, ID)


def test_the_same_words_under_another_heading_are_amended_where_nothing_else_read_them(store: Store) -> None:
    made, extraction = platelets_trial()
    store.put(made, extraction)
    read = replace(extraction.items[0], low=5.0, canonical_low=5.0)
    store.put(replace(made, **LATER), replace(extraction, items=(read, extraction.items[1])))
    (change,) = diff_versions(store, ID).thresholds
    assert change.cause == "amended"


def test_the_same_number_for_others_says_for_whom(store: Store) -> None:
    made, extraction = platelets_trial()
    store.put(made, extraction)
    read = replace(extraction.items[0], population="arm A")
    store.put(replace(made, **LATER), replace(extraction, items=(read, extraction.items[1])))
    (change,) = diff_versions(store, ID).thresholds
    assert change.words == "Platelet count ≥ 50 10*9/L: population all → arm A"


@pytest.mark.parametrize(
    ("verdict", "corrected", "words"),
    [
        ("corrected", {"low": 60.0}, "Platelet count ≥ 60 10*9/L → ≥ 50 10*9/L"),
        ("wrong", None, "Platelet count not stated → ≥ 50 10*9/L"),
    ],
)
def test_what_a_reviewer_decided_on_a_line_holds_in_a_comparison(
    store: Store, verdict: Any, corrected: dict[str, Any] | None, words: str
) -> None:
    before = platelets_trial(value=75)[1]
    amended(store)
    review = make_review(before.criteria[0], before.items[0], verdict, "ann", "because", corrected)
    with store.transaction() as connection:
        put_review(connection, review)
    assert [change.words for change in diff_versions(store, ID).thresholds] == [words]
