"""Canonical JSON Lines: the loss-free form. First line the header, then one line a trial.

The contract is ``data/canonical.schema.json`` (JSON Schema 2020-12, no unknown keys). ``SCHEMA_VERSION`` is
``major.minor``: a minor one only adds optional keys, a major one may change meaning; a reader takes its own
major. :func:`read_records` gives back exactly the records that were written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema

from harvest.model import Arm, Intervention, MeshTerm, Sponsor, Trial
from kb.export.errors import NotCanonical
from kb.export.model import Context, Rendered, TrialRecord, judge, unread_reasons
from kb.export.notices import notices
from kb.review import Review
from nlp.model import Criterion, Item, expression_from_json

SCHEMA_VERSION = "1.0"

_PARTS: dict[str, type] = {
    "condition_mesh": MeshTerm,
    "condition_ancestors": MeshTerm,
    "interventions": Intervention,
    "intervention_mesh": MeshTerm,
    "intervention_ancestors": MeshTerm,
    "arms": Arm,
    "sponsors": Sponsor,
}
"""The fields of a Trial that are tuples of parts, and the type of the part."""


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of one line of a canonical export."""
    text = files("kb.export").joinpath("data/canonical.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def dump(value: Mapping[str, Any]) -> str:
    """One JSON line: keys in the order given, no spaces, text as it is (UTF-8), newline at the end."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def record_to_json(record: TrialRecord) -> dict[str, Any]:
    """One trial line."""
    criteria = []
    for criterion in record.criteria:
        row = criterion.to_json()
        row |= {"parent": criterion.parent, "heading": criterion.heading, "population": criterion.population}
        criteria.append(row)
    return {
        "type": "trial",
        "trial": asdict(record.trial),
        "provenance": {
            "vocabulary": record.vocabulary,
            "data_timestamp": record.data_timestamp,
        },
        "criteria": criteria,
        "items": [item.to_json() for item in record.items],
        "reviews": [asdict(review) for review in record.reviews],
    }


def record_from_json(row: Mapping[str, Any]) -> TrialRecord:
    """The inverse of :func:`record_to_json`; ``row`` must be valid by the schema."""
    trial = dict(row["trial"])
    for name, value in trial.items():
        if isinstance(value, list):
            part = _PARTS.get(name)
            trial[name] = tuple(_part(part, each) if part else each for each in value)
    provenance = row["provenance"]
    return TrialRecord(
        trial=Trial(**trial),
        items=tuple(Item.from_json(item) for item in row["items"]),
        criteria=tuple(_criterion(criterion) for criterion in row["criteria"]),
        vocabulary=provenance["vocabulary"],
        data_timestamp=provenance["data_timestamp"],
        reviews=tuple(Review(**review) for review in row["reviews"]),
    )


def _part(part: type, value: Mapping[str, Any]) -> Any:
    names = {each.name for each in fields(part)}
    return part(**{k: tuple(v) if isinstance(v, list) else v for k, v in value.items() if k in names})


def _criterion(row: Mapping[str, Any]) -> Criterion:
    values = dict(row)
    values["span"] = tuple(row["span"])
    values["expression"] = expression_from_json(row["expression"])
    return Criterion(**values)


def check(row: Any, where: str) -> None:
    """Check one line against the schema. Raises NotCanonical with the place and the first fault."""
    if isinstance(row, dict) and row.get("type") == "header":
        version = str(row.get("schema_version"))
        if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            raise NotCanonical(
                f"{where}: schema version {version} is not one this trialkb reads ({SCHEMA_VERSION}); "
                "export it again or use the trialkb that wrote it"
            )
    error = next(iter(_validator().iter_errors(row)), None)
    if error is not None:
        best = jsonschema.exceptions.best_match([error])
        raise NotCanonical(f"{where}: not a canonical trialkb line: {best.json_path}: {best.message[:200]}")


def read_records(lines: Iterable[str], name: str = "input") -> Iterator[TrialRecord]:
    """The records of a canonical export, one a line, checked. Raises NotCanonical with the line number."""
    seen_header = False
    for number, line in enumerate(lines, 1):
        where = f"{name} line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise NotCanonical(f"{where}: not JSON ({error})") from error
        check(row, where)
        if row["type"] == "header":
            seen_header = True
            continue
        if not seen_header:
            raise NotCanonical(f"{where}: a trial before the header line; the file is not whole")
        yield record_from_json(row)
    if not seen_header:
        raise NotCanonical(f"{name}: no header line; the file is empty or not a canonical export")


class Canonical:
    """The canonical JSON Lines format."""

    name = "jsonl"
    version = SCHEMA_VERSION
    title = "canonical JSON Lines, loss-free, versioned"
    reader = "scripts, R, pandas; the source of every other form"
    suffix = ".jsonl"
    joins = True
    extra = None

    def head(self, context: Context) -> str:
        """The header line: version, notices, data timestamp."""
        return dump(
            {
                "type": "header",
                "format": "trialkb",
                "schema_version": SCHEMA_VERSION,
                "tool_version": context.tool_version,
                "data_timestamp": context.data_timestamp,
                "notices": notices(context.sources, context.data_timestamp, synthetic=context.synthetic),
            }
        )

    def render(self, record: TrialRecord, context: Context) -> Rendered:
        """One line; every criterion is whole, and what is unread in it is said."""
        text = record.trial.eligibility_text
        losses = tuple(
            judge(record, each, "whole", *unread_reasons(text, each.expression)) for each in record.criteria
        )
        return Rendered(dump(record_to_json(record)), losses)

    def validate(self, text: str) -> list[str]:
        """What is wrong with an exported text; empty where nothing is."""
        try:
            for _ in read_records(text.split("\n"), "export"):
                pass
        except NotCanonical as error:
            return [str(error)]
        return []
