"""The quality report counts what is stored, keeps its trend, and survives a rebuild."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harvest.model import Trial
from kb.build import Reading, TrialRecord, rebuild
from kb.quality import LABELS, quality, remember, trend
from kb.review import make_review, put_review
from kb.store import Store
from nlp.model import All, Extraction, Leaf, Unread
from tests.kb.samples import CONCEPTS, item, platelets_trial


def doubtful(number: int) -> tuple[Trial, Extraction]:
    """A trial with an unread demand, a flag, a concept outside the vocabulary and an age conflict."""
    trial, extraction = platelets_trial(number, 60, minimum_age="21 Years")
    text = trial.eligibility_text
    first, second = extraction.criteria
    items = (
        replace(extraction.items[0], concept=None, concept_text="Plates", flags=("contradiction",)),
        *extraction.items[1:],
        item(text, "60", "age", ">=", 18, "a", identifier="i3"),
    )
    expression = All((first.expression, Leaf("i3"), Unread(first.span, "no rule for it")))
    return trial, replace(
        extraction, items=items, criteria=(replace(first, expression=expression, coverage=0.5), second)
    )


def test_figures(db: Path) -> None:
    with Store.open(db, "write") as store:
        trial, extraction = doubtful(4)
        store.put(trial, extraction)
        found = quality(store.connection)
        assert set(found.figures) == set(LABELS)
        expected = {
            "trials": 4, "criteria": 8, "lines": 4, "coverage": 7.5 / 8, "whole": 7 / 8, "unread": 1,
            "unread_trials": 1 / 4, "requirements": 9, "linked": 8 / 9, "flagged": 1, "contradictions": 1, "reviewed": 0,
        }  # fmt: skip
        assert {name: found.figures[name] for name in expected} == expected
        assert found.unread == {"no rule for it": 1}
        assert found.unknown_concepts == (("plates", 1),)
        assert found.contradictions == (("NCT99000004", "Plates >= 60 x 10^9/L"),)
        assert found.age_conflicts == (("NCT99000004", "minimum age 21 Years", "60"),)
        one = quality(store.connection, [store.version_id("NCT99000001")], "small")
        assert (one.figures["trials"], one.figures["unread"], one.unread) == (1, 0, {})


def test_reviewed_share_counts_every_trial_with_the_line(db: Path) -> None:
    with Store.open(db, "write") as store:
        extraction = store.extraction(store.version_id("NCT99000001"))
        put_review(
            store.connection, make_review(extraction.criteria[0], extraction.items[0], "correct", "ann")
        )
        assert quality(store.connection).figures["reviewed"] == 2 / 6


def test_empty_knowledge_base(tmp_path: Path) -> None:
    with Store.open(tmp_path / "empty.sqlite", "write") as store:
        assert set(quality(store.connection).figures.values()) == {0}


def test_trend_is_kept_once_for_each_state_and_over_a_rebuild(db: Path) -> None:
    with Store.open(db, "write") as store:
        first = quality(store.connection)
        assert remember(store.connection, first, "2026-01-01T00:00:00+00:00")
        assert not remember(store.connection, first, "2026-01-02T00:00:00+00:00")
        trial, extraction = doubtful(4)
        store.put(trial, extraction)
        assert remember(store.connection, quality(store.connection), "2026-01-03T00:00:00+00:00")
        assert remember(store.connection, replace(first, scope="s"), "2026-01-03T00:00:00+00:00")
    trial, extraction = platelets_trial(1)
    rebuild(db, [TrialRecord(trial)], Reading(lambda _: extraction, extraction.vocabulary, CONCEPTS))
    with Store.open(db) as store:
        found = trend(store.connection)
        assert [(when[:10], figures["trials"]) for when, figures in found] == [
            ("2026-01-01", 3),
            ("2026-01-03", 4),
        ]
        assert len(trend(store.connection, "s")) == 1
        assert quality(store.connection).trend == found
