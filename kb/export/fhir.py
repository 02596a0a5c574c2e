"""FHIR R5: a transaction Bundle of ResearchStudy and EvidenceVariable, made from the criterion expressions.

``all``, ``any`` and ``not`` become all-of, any-of and ``exclude``; ``if`` becomes the any-of of its three ways to be
true. What is only understood as a yes or no, or not at all, stands as text: nothing of the criteria is missing, and the
loss report says which of them a machine cannot compute. A server takes the Bundle by one POST to its base address.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from kb.export.fhir_parts import MESH, TEST_DATA, fhir_id, number, say, tagged, time_from_event
from kb.export.model import Context, Loss, Reason, Rendered, TrialRecord, judge
from kb.export.notices import notices
from nlp.model import All, AnyOf, Criterion, Expression, Fact, If, Item, Leaf, Not, Unread

_REGISTRY_SYSTEM = {"ctgov": "http://clinicaltrials.gov", "clinconnect": "http://clinicaltrials.gov"}
_ROLE = "http://hl7.org/fhir/research-study-party-role"


class _Characteristics:
    """Turns the expressions of one trial into characteristics, with their link ids and losses."""

    def __init__(self, record: TrialRecord, context: Context) -> None:
        self._record = record
        self._items = record.item_by_id()
        self._text = record.trial.eligibility_text
        self._context = context
        self._reasons: list[Reason] = []

    def of(self, criterion: Criterion) -> tuple[dict[str, Any] | None, tuple[Reason, ...]]:
        """The criterion's characteristic (None: it demands nothing) and what is lost in it."""
        self._reasons = []
        made = self._of(criterion.expression)
        if made is not None:
            link = f"{criterion.section}-{criterion.path}"
            made = {"linkId": link, "description": " ".join(criterion.text.split()), **made}
            _number(made, link)
            made.setdefault("exclude", False)
        if criterion.population:
            self._reasons.append(
                Reason("population", f"restricted to '{criterion.population}', which is said in words only")
            )
            if made is not None:
                made["note"] = [{"text": f"Applies to: {criterion.population}"}]
        if made is not None and (said := self._record.said_of(criterion)):
            made["note"] = [*made.get("note", ()), {"text": f"Reviewed: {said}"}]
        return made, tuple(self._reasons)

    def _of(self, expression: Expression) -> dict[str, Any] | None:
        match expression:
            case All(parts):
                return _combined("all-of", [self._of(part) for part in parts])
            case AnyOf(parts):
                return _combined("any-of", [self._of(part) for part in parts])
            case Not(part):
                return _excluded(self._of(part))
            case If(condition, then, otherwise):
                first, second = self._of(then), self._of(otherwise)
                ways = [
                    _combined("all-of", [self._of(condition), first]),
                    _combined("all-of", [_excluded(self._of(condition)), second]),
                    _combined("all-of", [first, second]),
                ]
                return json.loads(json.dumps(_combined("any-of", ways)))  # type: ignore[no-any-return]
            case Leaf(name):
                return self._item(self._items[name])
            case Fact(text, _, _):
                words = " ".join(text.split())
                self._reasons.append(Reason("text_only", f"'{words[:120]}' has no code: text only"))
                return {"definitionCodeableConcept": {"text": words}}
            case Unread((start, end), why):
                words = " ".join(self._text[start:end].split())
                self._reasons.append(Reason("unread", f"not understood ({why}): {words[:120]}"))
                return {
                    "definitionCodeableConcept": {"text": words or "(no text)"},
                    "note": [{"text": f"Not understood: {why}"}],
                }

    def _item(self, item: Item) -> dict[str, Any]:
        said = say(item, self._context)
        self._reasons.extend(said.reasons)
        when = time_from_event(item.window)
        if item.comparator == "within" and item.kind == "temporal":
            return self._recent(item)
        made = [
            {"definitionByTypeAndValue": {"type": said.code, **value}}
            | ({"timeFromEvent": when} if when else {})
            for value in said.values
        ]
        combined = _combined("all-of" if said.joined == "all" else "any-of", list(made))
        assert combined is not None
        return combined

    def _recent(self, item: Item) -> dict[str, Any]:
        """ "Within the past 6 months": an event in words, and its time as a range before the anchor."""
        words = " ".join((item.concept_text or item.value_text).split())
        self._reasons.append(Reason("text_only", f"'{words[:120]}' has no code: text only"))
        made: dict[str, Any] = {"definitionCodeableConcept": {"text": words}}
        if item.high is not None and item.unit and not item.unit.startswith("{"):
            anchor = item.window.anchor if item.window and item.window.anchor else "screening"
            unit = {"unit": item.unit, "system": "http://unitsofmeasure.org", "code": item.unit}
            low, high = ({"value": number(end), **unit} for end in (-item.high, 0.0))
            made["timeFromEvent"] = [
                {"eventCodeableConcept": {"text": anchor}, "range": {"low": low, "high": high}}
            ]
        else:
            made["timeFromEvent"] = [{"description": " ".join(item.value_text.split())}]
        return made


def _combined(code: str, parts: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    kept = [part for part in parts if part is not None]
    if len(kept) < 2:
        return kept[0] if kept else None
    return {"definitionByCombination": {"code": code, "characteristic": kept}}


def _excluded(part: dict[str, Any] | None) -> dict[str, Any] | None:
    """The opposite of a characteristic."""
    if part is None:
        return None
    if part.get("exclude"):
        return {key: value for key, value in part.items() if key != "exclude"}
    return {**part, "exclude": True}


def _number(made: dict[str, Any], link: str) -> None:
    """Give every nested characteristic a link id of its own."""
    parts = made.get("definitionByCombination", {}).get("characteristic", [])
    for position, part in enumerate(parts, 1):
        part["linkId"] = f"{link}.{position}"
        _number(part, part["linkId"])


class Fhir:
    """The FHIR R5 format."""

    name = "fhir"
    version = "1.0"
    title = "FHIR R5 transaction Bundle: ResearchStudy and EvidenceVariable"
    reader = "FHIR R5 servers and repositories, FEvIR / EBMonFHIR"
    suffix = ".fhir.json"
    joins = False
    extra = None

    def head(self, context: Context) -> str:
        """Nothing stands before the one Bundle."""
        return ""

    def render(self, record: TrialRecord, context: Context) -> Rendered:
        """One Bundle; each criterion is one characteristic under the root's all-of."""
        reader = _Characteristics(record, context)
        made: list[dict[str, Any]] = _registry_fields(record)
        losses: list[Loss] = []
        for criterion in record.criteria:
            characteristic, reasons = reader.of(criterion)
            losses.append(judge(record, criterion, "degraded" if reasons else "whole", *reasons))
            if characteristic is not None:
                made.append(characteristic)
        variable = _evidence_variable(record, made)
        target = _urn(record, "eligibility")
        entries = [(target, variable), (_urn(record, "study"), _study(record, target))]
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": url,
                    "resource": resource,
                    "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
                }
                for url, resource in entries
            ],
        }
        if record.trial.synthetic:
            bundle["meta"] = {"tag": [dict(TEST_DATA)]}
        return Rendered(json.dumps(bundle, ensure_ascii=False, indent=1) + "\n", tuple(losses))

    def validate(self, text: str) -> list[str]:
        """What ``fhir.resources`` and the strict walk find. Raises MissingExtra where it is not installed."""
        from kb.export.fhir_check import check_text

        return check_text(text, "R5")


def _urn(record: TrialRecord, what: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{record.trial.url}#{record.trial.source}-{what}')}"


def _registry_fields(record: TrialRecord) -> list[dict[str, Any]]:
    """The registry's own age and sex fields, in its words."""
    trial = record.trial
    stated = (("minimum age", trial.minimum_age), ("maximum age", trial.maximum_age), ("sex", trial.sex))
    return [
        {
            "linkId": f"registry-{name.replace(' ', '-')}",
            "description": f"Registry field: {name} {value}",
            "definitionCodeableConcept": {"text": f"{name}: {value}"},
            "exclude": False,
        }
        for name, value in stated
        if value and value.strip().upper() not in ("N/A", "ALL")
    ]


def _evidence_variable(record: TrialRecord, characteristics: list[dict[str, Any]]) -> dict[str, Any]:
    trial = record.trial
    found = notices([trial.source], record.data_timestamp, synthetic=trial.synthetic)
    resource: dict[str, Any] = {
        "resourceType": "EvidenceVariable",
        "id": fhir_id(record.id, "eligibility"),
        "url": f"{trial.url}#eligibility",
        "version": trial.version,
        "status": "active",
        "title": f"Eligibility criteria of {record.id}",
        "description": "Read from the registry's text by software; every criterion carries its words.",
        "copyright": "\n\n".join(found),
        "actual": False,
    }
    if characteristics:
        root = {"code": "all-of", "characteristic": characteristics}
        resource["characteristic"] = [{"linkId": "root", "exclude": False, "definitionByCombination": root}]
    return tagged(resource, record)


def _study(record: TrialRecord, eligibility: str) -> dict[str, Any]:
    trial = record.trial
    system = _REGISTRY_SYSTEM.get(trial.source, f"urn:registry:{trial.source}")
    resource: dict[str, Any] = {
        "resourceType": "ResearchStudy",
        "id": fhir_id(record.id),
        "url": trial.url,
        "version": trial.version,
        "identifier": [{"system": system, "value": record.id}],
        "title": trial.title,
        "status": "active",
    }
    if trial.status:
        resource["progressStatus"] = [{"state": {"text": trial.status}}]
    if trial.phases:
        resource["phase"] = {"text": ", ".join(trial.phases)}
    conditions: list[dict[str, Any]] = [{"text": name} for name in trial.conditions]
    conditions += [
        {"coding": [{"system": MESH, "code": mesh.id, "display": mesh.term}], "text": mesh.term}
        for mesh in trial.condition_mesh
    ]
    if conditions:
        resource["condition"] = conditions
    parties = [
        {
            "name": sponsor.name,
            "role": {
                "coding": [
                    {"system": _ROLE, "code": "lead-sponsor" if sponsor.role == "lead" else "collaborator"}
                ]
            },
        }
        for sponsor in trial.sponsors
    ]
    if parties:
        resource["associatedParty"] = parties
    recruitment: dict[str, Any] = {"eligibility": {"reference": eligibility}}
    if trial.enrollment is not None:
        recruitment["targetNumber"] = trial.enrollment
    resource["recruitment"] = recruitment
    return tagged(resource, record)
