"""OMOP concept ids of concepts, units, results and conditions: data, not code (``data/omop.jsonl``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from kb.export.errors import BadOption
from kb.patient import event_key


@dataclass(frozen=True, slots=True)
class OmopConcept:
    """One OMOP concept id; LOINC code and official name where it stands for one LOINC term."""

    id: int
    loinc: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """The OMOP concepts that stand for one concept here; ``caution`` says why they are not sure."""

    ids: tuple[OmopConcept, ...]
    caution: str | None = None


@dataclass(frozen=True, slots=True)
class OmopTable:
    """All known ids. Conditions are found under the key of their name (:func:`kb.patient.event_key`)."""

    measurements: Mapping[str, ConceptSet] = field(default_factory=dict)
    units: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    results: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    conditions: Mapping[str, ConceptSet] = field(default_factory=dict)
    sexes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def _ids(row: Mapping[str, Any]) -> tuple[OmopConcept, ...]:
    found = []
    for each in row["ids"]:
        given: dict[str, Any] = {"id": each} if isinstance(each, int) else dict(each)
        if not isinstance(given["id"], int) or isinstance(given["id"], bool) or given["id"] <= 0:
            raise ValueError(f"{given['id']!r} is no OMOP concept id")
        found.append(OmopConcept(given["id"], given.get("loinc"), given.get("name")))
    if not found:
        raise ValueError("no ids")
    return tuple(found)


def parse(lines: Iterable[str], name: str) -> OmopTable:
    """The rows of a table. Raises BadOption with the line that cannot be read."""
    measurements: dict[str, ConceptSet] = {}
    units: dict[str, tuple[int, ...]] = {}
    results: dict[str, tuple[int, ...]] = {}
    conditions: dict[str, ConceptSet] = {}
    sexes: dict[str, tuple[int, ...]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            ids = _ids(row)
            found = ConceptSet(ids, row.get("caution"))
            match row["kind"]:
                case "measurement":
                    measurements[row["concept"]] = found
                case "unit":
                    units[row["ucum"]] = tuple(each.id for each in ids)
                case "result":
                    results[row["result"]] = tuple(each.id for each in ids)
                case "sex":
                    sexes[row["sex"]] = tuple(each.id for each in ids)
                case "condition":
                    conditions.update({event_key(each): found for each in row["names"]})
                case other:
                    raise ValueError(f"unknown kind {other!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadOption(
                f"{name} line {number} is no OMOP row ({error}); kb/export/data/README.md says the form"
            ) from error
    return OmopTable(measurements, units, results, conditions, sexes)


@cache
def shipped_digest() -> str:
    """The sha256 of the shipped table: an export made with another one is another export."""
    return hashlib.sha256(files("kb.export").joinpath("data/omop.jsonl").read_bytes()).hexdigest()


@cache
def shipped() -> OmopTable:
    """The table that comes with trialkb."""
    text = files("kb.export").joinpath("data/omop.jsonl").read_text("utf-8")
    return parse(text.splitlines(), "omop.jsonl")


@cache
def table(rows: tuple[str, ...]) -> OmopTable:
    """The shipped table with a site's rows on top. Raises BadOption."""
    ours, theirs = shipped(), parse(rows, "--omop")
    return OmopTable(
        {**ours.measurements, **theirs.measurements},
        {**ours.units, **theirs.units},
        {**ours.results, **theirs.results},
        {**ours.conditions, **theirs.conditions},
        {**ours.sexes, **theirs.sexes},
    )
