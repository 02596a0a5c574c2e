"""100 real trials, 200 random patients round their bounds: an independent, slow evaluator agrees everywhere.

It shares no code with kb: it works on the JSON of the machine interface (the items' canonical numbers
where the evaluator under test converts the patient's own), compares exact fractions, and takes truth
values apart by trying both values of every unknown branch the way a person with a pencil would.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from commands import patient_files
from kb.judging import Knowledge
from kb.patient_formats import from_json
from kb.screen import TrialCriteria, screen_trial
from nlp import vocab
from nlp.model import Extraction, expression_to_json
from nlp.pipeline import Extractor

TRIALS, PATIENTS = 100, 200
SUSPECT = {"lost_comparator", "implausible_value", "contradiction"}
T, F, U = "true", "false", "unknown"
CONCEPTS = {
    row["id"]: row
    for row in map(
        json.loads, (Path(vocab.__file__).parent / "data/concepts.jsonl").read_text("utf-8").splitlines()
    )
}
UNITS = {key: row.get("unit") for key, row in CONCEPTS.items()}
MEMBERS = {key: row["members"] for key, row in CONCEPTS.items() if row.get("members")}
OF_SOMETHING = {"ctcae_grade"} | {key for key, row in CONCEPTS.items() if row["category"] == "temporal"}
KINDS: dict[str, list[str]] = {}
for _key, _row in CONCEPTS.items():
    while _row.get("broader"):
        KINDS.setdefault(_row["broader"], []).append(_key)
        _row = CONCEPTS[_row["broader"]]
OPPOSITE = {T: F, F: T, U: U}


@pytest.fixture(scope="module")
def trials(shared: Path, extractor: Extractor) -> list[tuple[str, str, Extraction]]:
    """Every seventh record that states a number, so that many conditions come up."""
    found = []
    with gzip.open(shared / "data/registry/ctgov-v2-studies.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in islice(lines, 0, None, 7):
            module = json.loads(line)["protocolSection"]
            text = module.get("eligibilityModule", {}).get("eligibilityCriteria", "")
            extraction = extractor.extract(text)
            if extraction.items:
                found.append((module["identificationModule"]["nctId"], text, extraction))
            if len(found) == TRIALS:
                break
    assert len(found) == TRIALS
    return found


def exact(number: float) -> Fraction:
    return Fraction(repr(number))


class Pencil:
    """One patient, one trial, the slow way."""

    def __init__(self, person: Mapping[str, Any], items: Mapping[str, Mapping[str, Any]]) -> None:
        self.person, self.items = person, items

    def truth(self, expression: Mapping[str, Any]) -> str:
        if "all" in expression:
            parts = [self.truth(part) for part in expression["all"]]
            return F if F in parts else U if U in parts else T
        if "any" in expression:
            parts = [self.truth(part) for part in expression["any"]]
            return T if T in parts else U if U in parts else F
        if "not" in expression:
            return OPPOSITE[self.truth(expression["not"])]
        if "if" in expression:
            outcomes = {
                T: self.truth(expression["then"]),
                F: self.truth(expression["else"]),
            }
            condition = self.truth(expression["if"])
            if condition != U:
                return outcomes[condition]
            return outcomes[T] if outcomes[T] == outcomes[F] else U
        if "item" in expression:
            return self.item(self.items[expression["item"]])
        return U  # facts and unread demands: this patient's record names no event

    def item(self, item: Mapping[str, Any]) -> str:
        if item["comparator"] == "positive_or_negative" and not SUSPECT & set(item["flags"]):
            return U if item["population"] else T
        if SUSPECT & set(item["flags"]) or item["population"] or item["concept"] is None:
            return U
        if item["concept"] == "age":
            return (
                self.number(item, self.person["age"]["value"], item["low"], item["high"])
                if item["unit"] == "a"
                else U
            )
        if item["concept"] in OF_SOMETHING:
            return U  # these patients' files do not say of what
        each = [self.one(item, name) for name in KINDS.get(item["concept"], ()) if self.known(name)]
        if self.known(item["concept"]):
            each.append(self.one(item, item["concept"]))
        if each:
            return each[0] if len(set(each)) == 1 else U
        members = MEMBERS.get(item["concept"])
        if not members:
            return U
        each = [self.item({**item, "concept": name}) for name in members]
        if item["comparator"] in ("<", "<=") and F in each:
            return F
        return each[0] if len(set(each)) == 1 else U

    def known(self, concept: str) -> bool:
        return concept in self.person["labs"] or concept in self.person["results"]

    def one(self, item: Mapping[str, Any], concept: str) -> str:
        """The item against what the patient's file has under this one concept."""
        unit = UNITS.get(item["concept"])
        if self.person["labs"].get(concept, {}).get("unit", unit) != unit and item["relative_to"] is None:
            return U
        lab = self.person["labs"].get(concept)
        result = self.person["results"].get(concept)
        if item["comparator"] in ("positive", "negative", "detectable", "undetectable"):
            if result is None:
                return U
            present = item["comparator"] in ("positive", "detectable")
            return T if (result in ("positive", "detectable")) == present else F
        if item["relative_to"] == "LLOD":
            if (
                result is None
                or item["comparator"] not in (">", ">=", "<", "<=")
                or item["low"]
                or item["high"]
            ):
                return U
            return T if (result in ("positive", "detectable")) == item["comparator"].startswith(">") else F
        if lab is None:
            return U
        if item["relative_to"] == "ULN":
            low, high = item["low"], item["high"]
            if low is None and high is None:
                low, high = (1.0, None) if item["comparator"].startswith(">") else (None, 1.0)
            return self.number(item, exact(lab["value"]) / exact(lab["uln"]), low, high)
        if item["relative_to"] is not None:
            return U
        if item["comparator"] == "set":
            return T if lab["value"] in (item["values"] or ()) else F
        if item["canonical_low"] is None and item["canonical_high"] is None:
            return U
        return self.number(item, lab["value"], item["canonical_low"], item["canonical_high"])

    def number(
        self, item: Mapping[str, Any], value: float | Fraction, low: float | None, high: float | None
    ) -> str:
        if low is None and high is None:
            return U
        found = value if isinstance(value, Fraction) else exact(value)
        if low is not None and (found < exact(low) or (found == exact(low) and item["comparator"] == ">")):
            return F
        if low is not None and found == exact(low) and item["low_inclusive"] is False:
            return F
        if high is not None and (
            found > exact(high) or (found == exact(high) and item["high_inclusive"] is False)
        ):
            return F
        return T


def random_people(
    trials: list[tuple[str, str, Extraction]], units: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Patients with values at, just under, just over and far from the bounds that these trials state."""
    chance = random.Random(19)
    bounds: dict[str, list[tuple[float, bool]]] = {}
    qualitative: set[str] = set()
    for _, _, extraction in trials:
        for item in extraction.items:
            if item.concept is None or item.concept == "age":
                continue
            if item.comparator in ("positive", "negative", "detectable", "undetectable"):
                qualitative.add(item.concept)
            relative = item.relative_to == "ULN"
            for bound in (item.low, item.high) if relative else (item.canonical_low, item.canonical_high):
                if bound is not None and (relative or item.relative_to is None) and item.concept in units:
                    bounds.setdefault(item.concept, []).append((bound, relative))
            for value in item.values or ():
                bounds.setdefault(item.concept, []).append((value, False))
    people = []
    for number in range(PATIENTS):
        labs = {}
        for concept in chance.sample(sorted(bounds), len(bounds) // 2):
            bound, relative = chance.choice(bounds[concept])
            uln = chance.choice((1.0, 20.0, 40.0))
            base = bound * uln if relative else bound
            away = chance.choice((0, 0, 1, -1, 0.5, -0.5)) * chance.choice((1, 0.25, 100))
            labs[concept] = {
                "value": round(base + away, 3) if away else base,
                "unit": units.get(concept, "1"),
                "uln": uln,
            }
        results = {
            concept: chance.choice(("positive", "negative"))
            for concept in sorted(qualitative - set(labs))
            if chance.random() < 0.5
        }
        age = {"value": chance.choice((6, 17, 18, 35, 50, 64, 65, 70, 75, 80, 90)), "unit": "a"}
        people.append({"id": f"r{number}", "age": age, "labs": labs, "results": results})
    return people


def test_every_criterion_of_every_pair(
    trials: list[tuple[str, str, Extraction]], knowledge: Knowledge
) -> None:
    concepts = patient_files.vocabulary().concepts
    units = {key: concept.unit for key, concept in concepts.items() if concept.unit}
    people = random_people(trials, units)
    catalogue = patient_files.catalogue()
    patients = [from_json(person, "random", catalogue, date(2026, 1, 1))[0] for person in people]
    names = {True: T, False: F, None: U}
    seen = dict.fromkeys((T, F, U), 0)
    for nct, text, extraction in trials:
        # whom a population means is a matter of words: test_leaf_fact.py holds that
        extraction = without_populations(extraction)
        whole = TrialCriteria(nct, "ctgov", "", "", text, extraction)
        items = {item.id: item.to_json() for item in extraction.items}
        criteria = [expression_to_json(criterion.expression) for criterion in extraction.criteria]
        for person, who in zip(people, patients, strict=True):
            pencil = Pencil(person, items)
            slow = [pencil.truth(expression) for expression in criteria]
            found = screen_trial(whole, who, knowledge)
            assert [names[one.value] for one in found.criteria] == slow, (nct, person["id"])
            whole_read = '"unread"' not in json.dumps(criteria)
            enters = set(slow) == {T} and whole_read
            expected = "not eligible" if F in slow else "eligible" if enters else "undetermined"
            assert found.status == expected
            for value in slow:
                seen[value] += 1
    assert min(seen.values()) > 1000, seen


def without_populations(extraction: Extraction) -> Extraction:
    return replace(
        extraction,
        items=tuple(replace(item, population=None) for item in extraction.items),
        criteria=tuple(replace(criterion, population=None) for criterion in extraction.criteria),
    )
