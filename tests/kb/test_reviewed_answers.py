"""What reviewers decided holds in every answer: find, comparable, compare, landscape, limits."""

from __future__ import annotations

from typing import Any

import pytest

from kb.api import KnowledgeBase
from kb.comparable import comparable, stored_subject
from kb.find import find
from kb.landscape import landscape
from kb.review import Verdict, make_review, put_review, undo_review
from kb.reviewed_rows import threshold_source
from kb.store import Store
from tests.kb.samples import platelets_trial


class SameUnit:
    def convert(self, value: float, from_unit: str, to_unit: str, concept: str | None = None) -> float | None:
        return value if from_unit == to_unit else None


@pytest.fixture
def three(store: Store) -> Store:
    for number, value in ((1, 50), (2, 75), (3, 100)):
        store.put(*platelets_trial(number, value=value))
    return store


def decide(store: Store, verdict: Verdict, corrected: dict[str, Any] | None = None) -> None:
    """A review of the platelets of trial 3."""
    extraction = store.extraction(store.version_id("NCT99000003"))
    place = next(one for one in extraction.items if one.concept == "plt")
    criterion = next(one for one in extraction.criteria if one.path == place.criterion)
    with store.transaction() as connection:
        put_review(connection, make_review(criterion, place, verdict, "ann", "because", corrected))


def found(store: Store, query: str) -> list[str]:
    return [one.trial.trial[-1] for one in find(store, query, SameUnit()).found]


LOWER: dict[str, Any] = {"low": 20.0}


def test_find_looks_into_what_reviewers_decided(three: Store) -> None:
    assert found(three, "platelets min <= 50 10*9/L") == ["1"]
    decide(three, "corrected", LOWER)
    assert found(three, "platelets min <= 50 10*9/L") == ["1", "3"]
    assert found(three, "platelets min >= 100 10*9/L") == []
    (limit,) = find(three, "platelets min < 30 10*9/L", SameUnit()).found[0].limits
    assert str(limit.evidence.review).startswith("corrected by ann")


def test_a_rejected_limit_is_not_found_and_comes_back_when_the_review_is_undone(three: Store) -> None:
    decide(three, "wrong")
    assert found(three, "platelets min >= 20 10*9/L") == ["1", "2"]
    assert found(three, "not platelets min >= 20 10*9/L") == ["3"]
    line, key = three.connection.execute("SELECT line_hash, item_key FROM review").fetchone()
    with three.transaction() as connection:
        undo_review(connection, line, key, "2026-01-01")
    assert found(three, "platelets min >= 20 10*9/L") == ["1", "2", "3"]


def test_a_store_that_only_reads_finds_them_too(three: Store) -> None:
    decide(three, "corrected", LOWER)
    with Store.open(three.path) as reading:
        assert found(reading, "platelets min <= 50 10*9/L") == ["1", "3"]
        assert reading.connection.execute("PRAGMA query_only").fetchone() == (1,)


def test_a_contrast_takes_the_reviewers_limit_on_both_sides(three: Store) -> None:
    decide(three, "corrected", LOWER)

    def row(asked: str, other: str) -> object:
        matches = comparable(three, stored_subject(three, asked))
        contrast = next(match.contrast for match in matches if match.trial.trial == other)
        return next((one.verdict, one.amount) for one in contrast.rows if one.concept == "plt")

    assert row("NCT99000001", "NCT99000003") == ("looser", -30)
    assert row("NCT99000003", "NCT99000001") == ("stricter", 30)


def test_a_landscape_counts_them_as_decided(three: Store) -> None:
    before = landscape(three, conditions=["lupus"], concepts=["plt"])
    assert (before.rows[0].lowest, before.rows[0].highest, before.reviewed) == (50, 100, 0)
    decide(three, "corrected", LOWER)
    after = landscape(three, conditions=["lupus"], concepts=["plt"], trial_id="NCT99000003")
    assert (after.rows[0].lowest, after.rows[0].highest, after.reviewed) == (20, 75, 1)
    assert after.rows[0].standing is not None
    assert (after.rows[0].standing.stricter, after.rows[0].stating) == (2, 3)


def test_a_rejected_limit_leaves_the_landscape(three: Store) -> None:
    decide(three, "wrong")
    (row,) = landscape(three, conditions=["lupus"], concepts=["plt"]).rows
    assert (row.stating, row.trials, row.highest) == (2, 3, 75)


def test_a_limit_corrected_to_another_concept_moves(three: Store) -> None:
    decide(three, "corrected", {"concept": "anc"})
    kb = KnowledgeBase(three)
    assert kb.limits(["NCT99000003"], "platelets") == ()
    assert found(three, "platelets") == ["1", "2"]


def test_without_reviews_the_view_itself_is_asked(three: Store) -> None:
    assert threshold_source(three) == "current_threshold"
    decide(three, "correct")
    assert "reviewed_threshold" in threshold_source(three)
