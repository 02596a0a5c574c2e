"""Reviews: kept by line, applied to every trial with it, re-opened by another reading, in and out as files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kb.build import Reading, TrialRecord, rebuild
from kb.compare import compare
from kb.patient import Measurement
from kb.review import Verdict, all_reviews, make_review, put_review, reviewed, undo_review
from kb.review_correction import ReviewInvalid, corrected_reading
from kb.review_files import export_rows, gold_failures, gold_rows, gold_rows_of, import_rows
from kb.review_queue import queue, trials_with
from kb.review_reopened import reopened
from kb.screen import read_trial, screen_trial
from kb.show import show
from kb.store import Store
from nlp.model import Extraction, Item
from tests.kb.samples import CONCEPTS, platelets_trial
from tests.screening.making import KNOWLEDGE, patient


def decide(
    store: Store, verdict: Verdict, corrected: dict[str, Any] | None = None, reviewer: str = "ann"
) -> None:
    """A review of the platelet reading of trial 1."""
    extraction = store.extraction(store.version_id("NCT99000001"))
    made = make_review(extraction.criteria[0], extraction.items[0], verdict, reviewer, "because", corrected)
    with store.transaction() as connection:
        put_review(connection, made)


def read(store: Store, number: int) -> tuple[Extraction, dict[str, str]]:
    return reviewed(store.connection, store.extraction(store.version_id(f"NCT9900{number:04d}")))


def status(store: Store, number: int, platelets: float) -> str:
    trial = read_trial(store.connection, store.version_id(f"NCT9900{number:04d}"))
    who = patient(Measurement("plt", platelets, "10*9/L"), Measurement("qtc", 400, "ms"))
    return screen_trial(trial, who, KNOWLEDGE).status


@pytest.fixture
def store(db: Path) -> Any:
    with Store.open(db, "write") as opened:
        yield opened


def test_without_reviews_nothing_is_touched(store: Store) -> None:
    extraction = store.extraction(store.version_id("NCT99000001"))
    assert reviewed(store.connection, extraction) == (extraction, {})


def test_a_review_serves_every_trial_with_the_line(store: Store) -> None:
    decide(store, "corrected", {"low": 80})
    for number in (1, 2):
        extraction, said = read(store, number)
        assert extraction.items[0].low == 80
        assert said["i1"].startswith("corrected by ann, 20")
    assert read(store, 3)[1] == {}
    assert (status(store, 2, 60), status(store, 3, 60)) == ("not eligible", "not eligible")
    assert (status(store, 2, 80), status(store, 3, 80)) == ("eligible", "eligible")
    digest = all_reviews(store.connection)[0].line_hash
    assert trials_with(store.connection, digest) == ["NCT99000001", "NCT99000002"]


def test_a_rejected_reading_is_unread_and_an_accepted_one_stays(store: Store) -> None:
    decide(store, "wrong")
    assert status(store, 1, 60) == "undetermined"
    decide(store, "correct")
    assert status(store, 1, 60) == "eligible"
    assert read(store, 1)[1]["i1"].startswith("accepted")


def test_something_missed_keeps_a_trial_undetermined(store: Store) -> None:
    extraction = store.extraction(store.version_id("NCT99000001"))
    with store.transaction() as connection:
        put_review(connection, make_review(extraction.criteria[0], None, "missed", "ann", "the age"))
    assert status(store, 2, 60) == "undetermined"
    assert status(store, 2, 10) == "not eligible"


def test_taken_back_and_replaced_reviews_stay_on_record(store: Store) -> None:
    decide(store, "wrong")
    decide(store, "correct", reviewer="bob")
    review = all_reviews(store.connection)[0]
    assert review.reviewer == "bob"
    with store.transaction() as connection:
        assert undo_review(connection, review.line_hash, review.item_key, "2026-01-01") == 1
    assert all_reviews(store.connection) == []
    assert len(all_reviews(store.connection, undone=True)) == 2


def upgraded(**changes: Any) -> tuple[Any, Extraction]:
    trial, extraction = platelets_trial(1)
    items = (replace(extraction.items[0], **changes), *extraction.items[1:])
    return trial, replace(extraction, items=items, vocabulary="w" * 64)


def test_it_survives_a_rebuild_with_another_vocabulary(db: Path) -> None:
    with Store.open(db, "write") as store:
        decide(store, "corrected", {"low": 80})
    trial, extraction = upgraded()
    rebuild(db, [TrialRecord(trial)], Reading(lambda _: extraction, "w" * 64, CONCEPTS))
    with Store.open(db) as store:
        assert read(store, 1)[0].items[0].low == 80


def test_another_reading_re_opens_it(db: Path) -> None:
    with Store.open(db, "write") as store:
        decide(store, "corrected", {"low": 80})
        store.put(*upgraded(low=55.0))
        extraction, said = read(store, 1)
    assert said["i1"].startswith("re-opened")
    assert extraction.items[0].low == 55


def test_another_concept_at_the_same_words_re_opens_it(db: Path) -> None:
    with Store.open(db, "write") as store:
        decide(store, "wrong")
        store.put(*upgraded(concept="qtc"))
        assert read(store, 1)[1]["i1"].startswith("re-opened by ann")
        assert [(one.why, one.trials) for one in reopened(store.connection)] == [
            ("read no more", ("NCT99000001",))
        ]
        (found,) = queue(store.connection, [store.version_id("NCT99000001")])
        assert found.reasons[0].startswith("re-opened, read no more: rejected by ann, 20")


def test_another_reading_is_in_the_queue_again(db: Path) -> None:
    with Store.open(db, "write") as store:
        decide(store, "correct")
        assert reopened(store.connection) == []
        store.put(*upgraded(low=55.0))
        (one,) = reopened(store.connection)
        assert (one.why, one.trials) == ("read otherwise", ("NCT99000001",))
        assert queue(store.connection)[0].reasons[0].startswith("re-opened, read otherwise: accepted by ann")


def test_another_text_re_opens_it_for_that_trial(db: Path) -> None:
    with Store.open(db, "write") as store:
        decide(store, "corrected", {"low": 80})
        store.put(*platelets_trial(1, 51, version="c" * 64, last_update_posted="2026-02-02"))
        assert read(store, 1)[1] == {}
        assert read(store, 2)[0].items[0].low == 80
        (one,) = reopened(store.connection)
        assert (one.why, one.trials) == ("the text changed", ("NCT99000001",))
        assert reopened(store.connection, [store.version_id("NCT99000002")]) == []
        assert queue(store.connection)[0].text == "Platelets >= 50 x 10^9/L"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"comparator": ">"}, {"comparator": ">", "low": 50, "low_inclusive": False}),
        ({"comparator": "<"}, {"comparator": "<", "low": None, "high": 50, "high_inclusive": False}),
        ({"low": None, "high": 60}, {"comparator": "<=", "low": None, "high": 60, "high_inclusive": True}),
        ({"high": 60, "high_inclusive": True}, {"comparator": "range", "low": 50, "high": 60}),
        ({"low_inclusive": False}, {"comparator": ">", "low": 50}),
        ({"comparator": "set", "values": [1, 2]}, {"low": None, "values": [1, 2]}),
        ({"comparator": "positive"}, {"low": None, "low_inclusive": None}),
        ({"unit": "/uL"}, {"comparator": ">=", "low": 50}),
    ],
)
def test_fields_that_hang_on_one_another_go_along(given: dict[str, Any], expected: dict[str, Any]) -> None:
    reading = {"comparator": ">=", "low": 50, "low_inclusive": True, "high": None, "high_inclusive": None,
               "values": None, "relative_to": None, "unit": "10*9/L"}  # fmt: skip
    made = corrected_reading(reading, given)
    assert {name: made[name] for name in expected} == expected


@pytest.mark.parametrize(
    "given",
    [{"comparator": "set"}, {"comparator": "<", "low": 3}, {"comparator": ">=", "low_inclusive": False}],
)
def test_fields_that_contradict_each_other(given: dict[str, Any]) -> None:
    reading = {"comparator": ">=", "low": 50, "low_inclusive": True, "high": None, "high_inclusive": None,
               "values": None, "relative_to": None}  # fmt: skip
    with pytest.raises(ReviewInvalid):
        corrected_reading(reading, given)


def test_a_population_from_a_heading_is_no_part_of_a_test_case(store: Store) -> None:
    decide(store, "corrected", {"population": "cohort B"})
    (row,) = gold_rows(all_reviews(store.connection))
    assert "population" not in row["expect"][0]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"color": 1}, "'color'"),
        ({"comparator": "=>"}, "comparator"),
        ({"low": "much"}, "low must be a number"),
        ({"low": True}, "low must be a number"),
        ({"low_inclusive": 1}, "low_inclusive"),
        ({"values": [1, "a"]}, "values"),
        ({"window": {"value": 1}}, "window"),
        ({"unit": 7}, "unit"),
        ({"relative_to": "UNL"}, "relative_to"),
        ({"low": 9, "high": 3}, "above high"),
    ],
)
def test_a_correction_is_checked(store: Store, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ReviewInvalid, match=named):
        decide(store, "corrected", fields)
    assert all_reviews(store.connection, undone=True) == []


def test_export_and_import_give_the_same_reviews(db: Path, tmp_path: Path) -> None:
    with Store.open(db, "write") as store:
        decide(store, "wrong")
        decide(store, "corrected", {"low": 80, "unit": "10*9/L"})
        lines = [json.dumps(row) for row in export_rows(store.connection)]
    with Store.open(tmp_path / "other.sqlite", "write") as other, other.transaction() as connection:
        assert import_rows(connection, lines, "r.jsonl") == (2, 0)
        assert import_rows(connection, lines, "r.jsonl") == (0, 2)
        assert [json.dumps(row) for row in export_rows(connection)] == lines


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"verdict": "maybe"}, "'maybe'"),
        ({"line_text": "other words"}, "line_hash is not that"),
        ({"reviewer": " "}, "reviewer"),
        ({"colour": 1}, "not a review"),
        ({"corrected": None}, "corrected goes with"),
        ({"corrected": {"low": "x"}}, "low must be a number"),
    ],
)
def test_one_bad_row_imports_nothing(db: Path, change: dict[str, Any], named: str) -> None:
    with Store.open(db, "write") as store:
        decide(store, "corrected", {"low": 80})
        row = next(export_rows(store.connection))
        good = row | {"reviewed_at": "2027"}
        with (
            pytest.raises(ReviewInvalid, match=f"r.jsonl: line 2: .*{named}"),
            store.transaction() as connection,
        ):
            import_rows(connection, [json.dumps(good), json.dumps(row | change)], "r.jsonl")
        assert len(all_reviews(store.connection)) == 1


def test_a_review_becomes_a_test_case_that_can_fail(store: Store) -> None:
    decide(store, "correct")
    rows = list(gold_rows(all_reviews(store.connection)))
    assert gold_rows_of([json.dumps(row) for row in rows], "g") == rows
    trial = store.extraction(store.version_id("NCT99000001"))
    offset = trial.criteria[0].span[0]

    def alone(item: Item) -> Item:
        return replace(item, value_span=(item.value_span[0] - offset, item.value_span[1] - offset))

    def extract(text: str, section: str) -> Extraction:
        assert (text, section) == (trial.criteria[0].text, "unknown")
        return Extraction((alone(trial.items[0]),))

    assert gold_failures(rows[0], extract) == []
    decide(store, "corrected", {"low": 80})
    corrected = next(gold_rows(all_reviews(store.connection)))
    assert len(gold_failures(corrected, extract)) == 1
    decide(store, "wrong")
    rejected = next(gold_rows(all_reviews(store.connection)))
    assert len(gold_failures(rejected, extract)) == 1


def test_queue_counts_a_line_once_and_leaves_out_what_is_reviewed(db: Path) -> None:
    with Store.open(db, "write") as store:
        assert queue(store.connection) == []
        for number in (1, 2):
            trial, extraction = platelets_trial(number)
            items = (replace(extraction.items[0], flags=("implausible_value",)), extraction.items[1])
            store.put(trial, replace(extraction, items=items, vocabulary="w" * 64))
        (found,) = queue(store.connection)
        assert (found.trials, found.reasons, found.text) == (
            2,
            ("implausible_value",),
            "Platelets >= 50 x 10^9/L",
        )
        assert queue(store.connection, versions=[store.version_id("NCT99000003")]) == []
        decide(store, "correct")
        assert queue(store.connection) == []


def test_show_and_compare_answer_as_the_reviewer_decided(store: Store) -> None:
    before = show(store, "NCT99000002").criteria[0].limits[0]
    assert (before.min_value, before.evidence.review) == (50, None)
    decide(store, "corrected", {"low": 80})
    after = show(store, "NCT99000002").criteria[0].limits[0]
    assert (after.min_value, after.scale, after.words()) == (80, "absolute", "≥ 80 10*9/L")
    assert str(after.evidence.review).startswith("corrected by ann, 20")
    rows = compare(store, ["NCT99000002", "NCT99000003"], ["plt"]).rows
    assert [limit.min_value for cell in rows[0].cells for limit in cell] == [80, 75]
    decide(store, "wrong")
    gone = show(store, "NCT99000002").criteria[0].limits[0]
    assert not gone.comparable
    assert str(gone.evidence.review).startswith("rejected by ann")
    decide(store, "correct")
    kept = show(store, "NCT99000002").criteria[0].limits[0]
    assert (kept.min_value, str(kept.evidence.review)[:15]) == (50, "accepted by ann")
