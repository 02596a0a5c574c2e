"""Circe on real criteria: for the headline trial and fifty others, persons selected are those screening calls true."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.patient_files import knowledge
from harvest.model import Trial
from harvest.sources.ctgov_record import trial_of
from kb.export.circe import Circe
from kb.export.model import ConceptFacts, Context, TrialRecord
from kb.export.omop import shipped
from kb.judging import Knowledge
from kb.screen import TrialCriteria, screen_trial
from nlp import vocab
from nlp.model import Extraction, Leaf, leaves
from nlp.pipeline import Extractor, build
from tests.export.omop_database import Database, as_patient, persons_round_the_bounds

ROOT = Path(__file__).resolve().parents[2]
PERSONS = 100
TRIALS = 50


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return build()


@pytest.fixture(scope="module")
def judging() -> Knowledge:
    return knowledge()


@pytest.fixture(scope="module")
def real_context() -> Context:
    known = vocab.load()
    concepts = {
        one.id: ConceptFacts(
            one.id, one.name, one.category, one.unit, tuple(each["code"] for each in one.loinc), one.members
        )
        for one in known.concepts.values()
    }
    return Context(concepts, known.units.convert, "0", None, ("ctgov",))


def record_of(trial: Trial, extractor: Extractor) -> TrialRecord:
    extraction = extractor.extract(trial.eligibility_text)
    return TrialRecord(trial, extraction.items, extraction.criteria, extraction.vocabulary)


def compare(record: TrialRecord, context: Context, judging: Knowledge) -> int:
    """Run the cohort; hold every rule to screening; return how many rules were exported whole."""
    rendered = Circe().render(record, context)
    assert Circe().validate(rendered.text) == []
    people = persons_round_the_bounds(record.items, PERSONS, context.convert, seed=len(record.items))
    members, passed = Database(people).run(rendered.text)
    outcome = {f"{loss.section} {loss.path}": loss.outcome for loss in rendered.losses}
    trial = record.trial
    asked = tuple(each for each in record.criteria if f"{each.section} {each.path}" in passed)
    criteria = TrialCriteria(
        record.id, trial.source, trial.title, trial.url, trial.eligibility_text,
        Extraction(record.items, asked, record.vocabulary), trial.minimum_age, trial.maximum_age, trial.sex,
    )  # fmt: skip
    answers = {person.id: screen_trial(criteria, as_patient(person), judging) for person in people}
    true_for: dict[str, set[int]] = {}
    for person, answer in answers.items():
        for one in answer.criteria:
            true_for.setdefault(f"{one.section} {one.path}", set()).update({person} if one.value else ())
    whole = [name for name in passed if outcome[name] == "whole"]
    for name, persons in passed.items():
        if outcome[name] == "whole":
            assert persons == true_for[name], f"{record.id} {name}"
        else:
            assert persons >= true_for[name], f"{record.id} {name}"
    everyone = {person.id for person in people}
    assert members == everyone.intersection(*passed.values())
    return len(whole)


def test_the_headline_trial(extractor: Extractor, real_context: Context, judging: Knowledge) -> None:
    text = (ROOT / "fixtures/ctgov/NCT06886919.json").read_text("utf-8")
    trial = trial_of(json.loads(text), "fixture", "NCT06886919")
    assert compare(record_of(trial, extractor), real_context, judging) >= 4


def _measured(record: TrialRecord, context: Context) -> int:
    """How many criteria with a laboratory value are exported whole."""
    whole = {
        (loss.section, loss.path)
        for loss in Circe().render(record, context).losses
        if loss.outcome == "whole"
    }
    items, table = record.item_by_id(), shipped().measurements
    return sum(
        any(isinstance(leaf, Leaf) and items[leaf.item].concept in table for leaf in leaves(each.expression))
        for each in record.criteria
        if (each.section, each.path) in whole
    )


def _real_trials(shared: Path) -> Iterator[Trial]:
    with gzip.open(shared / "data/registry/ctgov-v2-studies.jsonl.gz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            yield trial_of(json.loads(line), f"line {number}", f"line {number}")


def test_fifty_real_trials(
    shared: Path, extractor: Extractor, real_context: Context, judging: Knowledge
) -> None:
    rules = compared = 0
    for trial in _real_trials(shared):
        record = record_of(trial, extractor)
        if _measured(record, real_context):
            rules += compare(record, real_context, judging)
            compared += 1
        if compared == TRIALS:
            break
    assert compared == TRIALS
    assert rules > 2 * TRIALS
