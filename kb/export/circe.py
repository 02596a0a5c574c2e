"""OHDSI Circe cohort JSON in a WebAPI envelope: one cohort definition a trial, from the criterion expressions.

Who is in the cohort is decided in :mod:`kb.export.cohort`; here it is written down. The shape follows circe-be
(Apache-2.0): inclusion rules of criteria groups, ``RangeHighRatio`` for a multiple of the upper limit of normal. The envelope's
description carries the label and ``[acronym=...]`` by which MIRACUM recruIT picks a cohort up.
"""

from __future__ import annotations

import json
import re
from typing import Any

from kb.export import omop
from kb.export.circe_check import check_cohort
from kb.export.cohort import CohortReader, Reading, registry_age
from kb.export.model import Context, Loss, Reason, Rendered, TrialRecord, judge
from kb.export.notices import notices
from kb.export.predicate import AgeTest, Both, Constant, Either, Event, Node, SexTest, Test, both
from nlp.model import Criterion

MAX_RULES = 60
"""circe-be adds up powers of two of the rules in a 64-bit number; what is beyond goes into one last rule."""
NAME_LENGTH = 255
"""WebAPI's cohort_definition.name column."""

_AGE = re.compile(r"(\d+)\s+Years?", re.IGNORECASE)
_SCALES = {"value": "ValueAsNumber", "range_high": "RangeHighRatio", "range_low": "RangeLowRatio"}


class _ConceptSets:
    """The concept sets that a cohort refers to, numbered in the order in which they are first used."""

    def __init__(self, table: omop.OmopTable) -> None:
        self._table = table
        self._numbers: dict[tuple[str, str], int] = {}
        self._entries: list[dict[str, Any]] = []

    def number(self, domain: str, key: str, ids: tuple[omop.OmopConcept, ...] | None = None) -> int:
        """The number of a set, added where it is new."""
        if (domain, key) not in self._numbers:
            table = self._table.measurements if domain == "measurement" else self._table.conditions
            concepts = ids or table[key].ids
            self._numbers[domain, key] = len(self._entries)
            self._entries.append(
                {
                    "id": len(self._entries),
                    "name": key,
                    "expression": {"items": [_concept(c) for c in concepts]},
                }
            )
        return self._numbers[domain, key]

    def to_json(self) -> list[dict[str, Any]]:
        return self._entries


def _concept(concept: omop.OmopConcept) -> dict[str, Any]:
    """An id; with the LOINC code and name where there is one (no SNOMED text may travel)."""
    body: dict[str, Any] = {"CONCEPT_ID": concept.id}
    if concept.loinc and concept.name:
        body |= {"CONCEPT_NAME": concept.name, "CONCEPT_CODE": concept.loinc, "VOCABULARY_ID": "LOINC"}
    return {"concept": body, "isExcluded": False, "includeDescendants": True, "includeMapped": False}


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _range(test: Test) -> dict[str, Any]:
    body: dict[str, Any] = {"Value": _plain(test.value), "Op": test.op}
    if test.extent is not None:
        body["Extent"] = _plain(test.extent)
    return body


def _event(event: Event, sets: _ConceptSets) -> dict[str, Any]:
    """One line of a CriteriaList: at least one such event before the entry event, or none."""
    body: dict[str, Any] = {"CodesetId": sets.number(event.domain, event.concepts)}
    if event.test is not None:
        body[_SCALES[event.scale]] = _range(event.test)
    if event.units:
        body["Unit"] = [{"CONCEPT_ID": unit} for unit in event.units]
    if event.results:
        body["ValueAsConcept"] = [{"CONCEPT_ID": result} for result in event.results]
    start: dict[str, Any] = {"Coeff": -1}
    if event.before_days is not None:
        start["Days"] = event.before_days
    count = {"Type": 0, "Count": 0} if event.absent else {"Type": 2, "Count": 1}
    return {
        "Criteria": {"Measurement" if event.domain == "measurement" else "ConditionOccurrence": body},
        "StartWindow": {
            "Start": start,
            "End": {"Days": 0, "Coeff": 1},
            "UseIndexEnd": False,
            "UseEventEnd": False,
        },
        "Occurrence": {**count, "IsDistinct": False},
    }


def _group(node: Node, sets: _ConceptSets) -> dict[str, Any]:
    """A node as a criteria group."""
    kind, parts = ("ANY", node.parts) if isinstance(node, Either) else ("ALL", (node,))
    if isinstance(node, Both):
        parts = node.parts
    group: dict[str, Any] = {"Type": kind, "CriteriaList": [], "DemographicCriteriaList": [], "Groups": []}
    for part in parts:
        match part:
            case Event():
                group["CriteriaList"].append(_event(part, sets))
            case AgeTest(test):
                group["DemographicCriteriaList"].append({"Age": _range(test)})
            case SexTest(ids):
                group["DemographicCriteriaList"].append({"Gender": [{"CONCEPT_ID": each} for each in ids]})
            case Both() | Either():
                group["Groups"].append(_group(part, sets))
            case Constant():
                raise ValueError("a constant is no criterion: it is taken out before")
    return group


def _rules(readings: list[tuple[str, str, Node]], sets: _ConceptSets) -> list[dict[str, Any]]:
    """Inclusion rules ``(name, description, node)``, the ones beyond the engine's limit joined into the last."""
    if len(readings) > MAX_RULES:
        rest = readings[MAX_RULES - 1 :]
        name = f"{rest[0][0]} to {rest[-1][0]}"
        readings = [*readings[: MAX_RULES - 1], (name, "", both(*(node for _, _, node in rest)))]
    return [
        {"name": name, "description": text, "expression": _group(node, sets)} for name, text, node in readings
    ]


class Circe:
    """The OHDSI Circe cohort format."""

    name = "circe"
    version = "1.0"
    title = "OHDSI Circe cohort definition in a WebAPI envelope"
    reader = "ATLAS / WebAPI, MIRACUM recruIT, CirceR, DuckCDM"
    suffix = ".circe.json"
    joins = False
    extra = None

    def head(self, context: Context) -> str:
        """Nothing stands before the one JSON object."""
        return ""

    def render(self, record: TrialRecord, context: Context) -> Rendered:
        """One cohort definition; each criterion that can be asked is an inclusion rule."""
        table = omop.table(context.options.omop)
        reader = CohortReader(record, context, table)
        rules: list[tuple[str, str, Node]] = []
        losses: list[Loss] = []
        for name, node, loss in _registry_fields(record, table):
            losses.append(loss)
            if node is not None:
                rules.append((name, "", node))
        for criterion in record.criteria:
            reading = reader.read(criterion)
            losses.append(_loss(record, criterion, reading))
            if reading.node != Constant(True):
                text = " ".join(criterion.text.split())
                if said := record.said_of(criterion):
                    text += f" (reviewed: {said})"
                rules.append((f"{criterion.section} {criterion.path}", text, reading.node))
        sets = _ConceptSets(table)
        cohort = _cohort(rules, sets, context)
        envelope = {
            "name": f"{record.id} {record.trial.title}"[:NAME_LENGTH],
            "description": _description(record, context, losses),
            "expressionType": "SIMPLE_EXPRESSION",
            "expression": cohort,
        }
        text = json.dumps(envelope, ensure_ascii=False, indent=1) + "\n"
        return Rendered(text, tuple(losses))

    def validate(self, text: str) -> list[str]:
        """Unknown keys, unknown concept sets, operators and types: what importers silently drop."""
        try:
            envelope = json.loads(text)
        except ValueError as error:
            return [f"not JSON: {error}"]
        return check_cohort(envelope)


def _cohort(rules: list[tuple[str, str, Node]], sets: _ConceptSets, context: Context) -> dict[str, Any]:
    """The cohort expression: the latest entry event of each person, then every rule."""
    chosen = context.options.entry_concepts
    if chosen:
        entry_set = sets.number("condition", "entry event", tuple(omop.OmopConcept(each) for each in chosen))
        entry: dict[str, Any] = {"ConditionOccurrence": {"CodesetId": entry_set}}
    else:
        entry = {"VisitOccurrence": {"VisitTypeExclude": False}}
    inclusion = _rules(rules, sets)
    return {
        "cdmVersionRange": ">=5.0.0",
        "PrimaryCriteria": {
            "CriteriaList": [entry],
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
            "PrimaryCriteriaLimit": {"Type": "Last"},
        },
        "ConceptSets": sets.to_json(),
        "QualifiedLimit": {"Type": "First"},
        "ExpressionLimit": {"Type": "First"},
        "InclusionRules": inclusion,
        "CensoringCriteria": [],
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0},
        "CensorWindow": {},
    }


def _registry_fields(record: TrialRecord, table: omop.OmopTable) -> list[tuple[str, Node | None, Loss]]:
    """The registry's own minimum age, maximum age and sex, as screening reads them."""
    found: list[tuple[str, Node | None, Loss]] = []
    trial = record.trial
    for side, stated in (("minimum", trial.minimum_age), ("maximum", trial.maximum_age)):
        if not stated or stated.strip().upper() == "N/A":
            continue
        match = _AGE.fullmatch(stated.strip())
        node = registry_age(float(match[1]), "minimum" if side == "minimum" else "maximum") if match else None
        reason = Reason(
            "age_unit", f"the registry's {side} age '{stated}' is not in years, and a cohort's age is"
        )
        found.append(
            (f"registry {side} age", node, _field_loss(record, f"{side} age", None if match else reason))
        )
    if trial.sex in ("FEMALE", "MALE"):
        ids = table.sexes.get(trial.sex.casefold())
        node = SexTest(ids) if ids else None
        missing = None if ids else Reason("no_omop_sex", f"no OMOP concept id is known for {trial.sex}")
        found.append(("registry sex", node, _field_loss(record, "sex", missing)))
    return found


def _field_loss(record: TrialRecord, path: str, reason: Reason | None) -> Loss:
    return Loss(
        record.id, "registry", path, (0, 0), "dropped" if reason else "whole", (reason,) if reason else ()
    )


def _loss(record: TrialRecord, criterion: Criterion, reading: Reading) -> Loss:
    if reading.exact:
        return judge(record, criterion, "whole")
    dropped = reading.node == Constant(True)
    return judge(record, criterion, "dropped" if dropped else "degraded", *reading.reasons)


_POLICY = {
    "exclude": "A patient without a recorded value that a rule needs is not selected",
    "keep": "A patient without a recorded value that a rule needs is kept",
}


def _description(record: TrialRecord, context: Context, losses: list[Loss]) -> str:
    options = context.options
    count = {name: sum(loss.outcome == name for loss in losses) for name in ("whole", "degraded", "dropped")}
    tag, acronym = (text.translate({91: None, 93: None}) for text in (options.tag, record.id))  # no [ ]
    parts = [
        f"[{tag}] [acronym={acronym}]" if tag else f"[acronym={acronym}]",
        f"Criteria: {count['whole']} exported whole, {count['degraded']} degraded, {count['dropped']} dropped "
        "(see the loss report): the cohort is a superset of those who meet the trial's criteria as read.",
        f"{_POLICY[options.missing]} (xULN: without its recorded upper limit). No record of a condition counts as not having it.",
        f"Trial {record.id}, version {record.trial.version}, {record.trial.url}.",
        *notices([record.trial.source], record.data_timestamp, synthetic=record.trial.synthetic),
    ]
    return " ".join(parts)
