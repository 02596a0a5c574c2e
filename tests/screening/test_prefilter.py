"""The index answers every trial as the whole evaluation does, and evaluates only few of them whole."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from commands.knowledge_feed import concept_row
from harvest.sources import ctgov_record
from kb.judging import Knowledge, needed
from kb.patient import Event, Measurement, Patient
from kb.prefilter import Overview, statuses
from kb.review import make_review, put_review
from kb.screen import read_trial, screen_trial
from kb.screen_index import clauses, criterion_clauses
from kb.store import Store
from nlp.model import AnyOf, Criterion, Fact, If, Leaf, Not, expression_from_json
from nlp.pipeline import Extractor
from tests.screening.making import item, patient

TRIALS, PATIENTS = 150, 40


@pytest.fixture(scope="module")
def store(shared: Path, extractor: Extractor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("prefilter") / "kb.sqlite", "write") as opened:
        vocabulary = extractor.vocabulary
        opened.set_vocabulary(vocabulary.digest, [concept_row(one) for one in vocabulary.concepts.values()])
        with gzip.open(shared / "data/registry/ctgov-v2-studies.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in islice(lines, 0, TRIALS * 7, 7):
                trial = ctgov_record.prepare(json.loads(line), where="shared").trial
                opened.put(trial, extractor.extract(trial.eligibility_text))
        yield opened


def overview(store: Store, who: Patient, knowledge: Knowledge) -> Overview:
    units = dict(store.connection.execute("SELECT id, canonical_unit FROM concept"))
    versions = [version for version, _ in store.current_versions()]
    return statuses(store.connection, versions, who, knowledge, units)


def whole(store: Store, who: Patient, knowledge: Knowledge) -> dict[int, str]:
    return {
        version: screen_trial(read_trial(store.connection, version), who, knowledge).status
        for version, _ in store.current_versions()
    }


def people(store: Store) -> list[Patient]:
    """Patients with values round the stored limits, some dated, some twice, events out of the trials' facts."""
    chance = random.Random(5)
    limits = store.connection.execute(
        "SELECT concept_id, canonical_unit, coalesce(canonical_low, canonical_high) FROM threshold"
        " WHERE concept_id IS NOT NULL AND coalesce(canonical_low, canonical_high) IS NOT NULL ORDER BY 1, 2, 3"
    ).fetchall()
    facts = [row[0] for row in store.connection.execute("SELECT DISTINCT key FROM screen_fact ORDER BY 1")]
    found = []
    for number in range(PATIENTS):
        measured = []
        for concept, unit, limit in chance.sample(limits, 25):
            value = limit + chance.choice((0, 0, 1, -1, 0.5, 30, -30))
            day = chance.choice((None, None, None, date(2025, 7, 20), date(2020, 1, 1)))
            uln = chance.choice((None, 1.0, 20.0))
            measured.append(Measurement(concept, value, unit, uln=uln, day=day))
        for concept in ("hbsag", "hcv_ab", "hiv", "pregnancy_test", "cmv_dna"):
            measured.append(Measurement(concept, result=chance.choice(("positive", "negative"))))
        if number % 3 == 0:
            # the members of a collective concept (transaminases), on either side of its limits
            measured = [one for one in measured if one.concept not in ("alt", "ast")]
            measured += [
                Measurement(c, 40 * chance.choice((0.9, 2.9, 5.5)), "U/L", uln=40) for c in ("alt", "ast")
            ]
        events = tuple(
            Event(name, chance.random() < 0.5) for name in chance.sample(facts, 8 if number % 2 else 0)
        )
        age = None if number % 7 == 0 else (float(chance.choice((10, 17, 18, 30, 65, 66, 80))), "a")
        sex = chance.choice(("female", "male", None))
        found.append(patient(*measured, events=events, age=age, sex=sex, id=f"p{number}"))
    return found


def test_every_trial_of_every_patient(store: Store, knowledge: Knowledge) -> None:
    spared = 0
    seen = {"eligible": 0, "undetermined": 0, "not eligible": 0}
    for who in people(store):
        fast = overview(store, who, knowledge)
        assert dict(fast.statuses) == whole(store, who, knowledge), who.id
        spared += len(fast.statuses) - len(fast.evaluated)
        for status, count in fast.counts().items():
            seen[status] += count
    assert spared > 0.6 * TRIALS * PATIENTS
    assert min(seen["undetermined"], seen["not eligible"]) > 1000, seen


def test_answers_and_reviews_are_not_missed(store: Store, knowledge: Knowledge) -> None:
    who = patient(Measurement("hgb", 1.0, "g/L"), age=(40.0, "a"))
    version = next(
        v for v, status in overview(store, who, knowledge).statuses.items() if status == "not eligible"
    )
    extraction = store.extraction(version)
    with store.transaction() as connection:
        for item in extraction.items:
            criterion = next(
                c for c in extraction.criteria if (c.section, c.path) == (item.section, item.criterion)
            )
            put_review(connection, make_review(criterion, item, "wrong", "ann"))
    assert overview(store, who, knowledge).statuses[version] == whole(store, who, knowledge)[version]
    named = store.trial(version).source_id
    answered = replace(who, answers={f"{named} inclusion {extraction.criteria[0].path}": False})
    assert (
        overview(store, answered, knowledge).statuses[version] == whole(store, answered, knowledge)[version]
    )
    with store.transaction() as connection:
        connection.execute("DELETE FROM review")


def test_percent_of_uln_is_held_as_multiples() -> None:
    said = item("scr", "<=", 150.0, relative_to="ULN", unit="%")
    criterion = Criterion("1", "inclusion", "", (0, 0), Leaf("i1"), 1.0)
    ((literal,),) = criterion_clauses(criterion, {"i1": said})
    assert (literal.scale, literal.low) == ("ULN", None)
    assert literal.high == pytest.approx(1.5)
    assert needed(said) == "<= 150 % of ULN"


def test_clauses_of_a_condition_keep_the_common_answer() -> None:
    one, two, three = (Fact(name, (0, 1)) for name in "abc")
    found = clauses(If(one, two, three))
    assert found == [
        frozenset({(one, False), (two, True)}), frozenset({(one, True), (three, True)}), frozenset({(two, True), (three, True)}),
    ]  # fmt: skip
    assert clauses(Not(AnyOf((one, two)))) == [frozenset({(one, False)}), frozenset({(two, False)})]
    assert clauses(expression_from_json({"all": []})) == []
    assert clauses(expression_from_json({"any": []})) == [frozenset()]


def test_nothing_of_an_old_version_is_left(db: Path) -> None:
    with Store.open(db, "write") as store:
        placed = "trial_criterion JOIN screen_literal USING (reading_id)"
        counts = [store.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                  for table in (placed, "screen_open")]  # fmt: skip
        assert counts == [6, 3]
        store.connection.execute("DELETE FROM trial_version")
        for table in (placed, "screen_open"):
            assert store.connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_collective_limit_that_every_member_breaks(store: Store, knowledge: Knowledge) -> None:
    rows = store.connection.execute(
        "SELECT DISTINCT version_id FROM threshold WHERE concept_id = 'transaminases'"
    )
    asked = {row[0] for row in rows}
    assert len(asked) >= 3
    broken = [
        Measurement(concept, 40 * times, "U/L", uln=40) for concept, times in (("alt", 40), ("ast", 30))
    ]
    who = patient(*broken, age=(40.0, "a"))
    fast = overview(store, who, knowledge)
    assert dict(fast.statuses) == whole(store, who, knowledge)
    out = {version for version in asked if fast.statuses[version] == "not eligible"}
    assert out - fast.evaluated, "the index alone rules some out"
    assert set(fast.distance()) >= out - fast.evaluated
