"""The invented patients of the headline trial get the answers that their file says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from commands import patient_files
from kb.evaluate import evaluate
from kb.judging import Knowledge
from kb.patient import Patient
from kb.patient_formats import from_json
from kb.screen import TrialCriteria, screen_trial
from nlp.model import All, Criterion, Expression, Item, Leaf, leaves
from nlp.pipeline import Extractor

NAMES = {True: "true", False: "false", None: "unknown"}
# The word by which an expectation narrows a criterion: the part that holds an item on one of these.
PARTS = {"QTc": {"qtc"}, "hepatitis B": {"hbsag", "hbcab", "hbv_dna"}, "age": {"age"}}


@pytest.fixture(scope="module")
def trial(extractor: Extractor, shared: Path) -> TrialCriteria:
    page = (shared / "seed/clinconnect-NCT06886919.txt").read_text("utf-8")
    start, end = json.loads((shared / "seed/NCT06886919.gold.json").read_text("utf-8"))["eligibility_span"]
    text = page[start:end]
    return TrialCriteria(
        "NCT06886919", "clinconnect", "", "", text, extractor.extract(text), "18 Years", "70 Years"
    )


def rows(shared: Path) -> list[dict[str, Any]]:
    loaded: dict[str, Any] = json.loads((shared / "seed/NCT06886919.patients.json").read_text("utf-8"))
    return list(loaded["patients"])


def patient_of(row: dict[str, Any]) -> Patient:
    body = {"id": row["id"], **row["patient"]}
    return from_json(body, "patients", patient_files.catalogue(), date(2025, 7, 27))[0]


def part_about(expression: Expression, wanted: Callable[[Leaf], bool]) -> Expression | None:
    """The parts of the outer conjunction that hold a wanted leaf, as one expression."""
    parts = expression.parts if isinstance(expression, All) else (expression,)
    found = [one for one in parts if any(isinstance(leaf, Leaf) and wanted(leaf) for leaf in leaves(one))]
    return All(tuple(found)) if found else None


def answered(trial: TrialCriteria, name: str, patient: Patient, knowledge: Knowledge) -> str:
    section, path, word = re.fullmatch(r"(\w+) ([\d.]+)(?: (.+))?", name).groups()  # type: ignore[union-attr]
    items: dict[str, Item] = {item.id: item for item in trial.extraction.items}
    chosen: list[Criterion] = [
        one
        for one in trial.extraction.criteria
        if one.section == section and (one.path == path or one.path.startswith(f"{path}."))
    ]
    assert chosen, f"no criterion {section} {path}"
    expressions = [criterion.expression for criterion in chosen]
    if word is not None:
        about = [part_about(one, lambda leaf: items[leaf.item].concept in PARTS[word]) for one in expressions]
        expressions = [one for one in about if one is not None]
        assert expressions, f"nothing about {word} in {section} {path}"
    return NAMES[evaluate(All(tuple(expressions)), items, patient, knowledge, trial.text).value]


@pytest.mark.parametrize("number", range(10))
def test_every_expectation(number: int, trial: TrialCriteria, shared: Path, knowledge: Knowledge) -> None:
    row = rows(shared)[number]
    patient = patient_of(row)
    got: dict[str, str] = {}
    for name in row["expect"]:
        if name == "trial":
            got[name] = screen_trial(trial, patient, knowledge).status
        else:
            got[name] = answered(trial, name, patient, knowledge)
    assert got == row["expect"]


def test_all_ten_are_there(shared: Path) -> None:
    assert len(rows(shared)) == 10
