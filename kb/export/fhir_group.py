"""FHIR R4B (and R4) Group: the part of the criteria that is a plain list of demands, joined by "and".

A Group has no "or", no nesting and no relative time. A criterion goes in where its expression is a conjunction of
leaves, plain or excluded; the rest is in the loss report.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from kb.export.fhir_parts import fhir_id, say, tagged
from kb.export.model import Context, Loss, Reason, Rendered, TrialRecord, judge
from kb.export.notices import notices
from nlp.model import All, AnyOf, Criterion, Expression, Fact, If, Item, Leaf, Not, Unread


class _NotFlat(Exception):
    """The expression is no conjunction of leaves."""


def conjunction(expression: Expression, excluded: bool = False) -> list[tuple[Leaf | Fact | Unread, bool]]:
    """The leaves that must all hold (or, with True, must not). Raises _NotFlat for any other logic."""
    match expression:
        case Not(part):
            return conjunction(part, not excluded)
        case All(parts) | AnyOf(parts) if len(parts) == 1:
            return conjunction(parts[0], excluded)
        case All(parts) if not excluded:
            return [leaf for part in parts for leaf in conjunction(part, excluded)]
        case AnyOf(parts) if excluded:
            return [leaf for part in parts for leaf in conjunction(part, excluded)]
        case Leaf() | Fact() | Unread():
            return [(expression, excluded)]
        case All() | AnyOf() | If():
            raise _NotFlat


class FhirGroup:
    """The FHIR R4B Group format."""

    name = "fhir-group"
    version = "1.0"
    title = "FHIR R4B / R4 Group: the criteria that are joined by and only"
    reader = "FHIR R4 and R4B servers"
    suffix = ".group.json"
    joins = False
    extra = None

    def head(self, context: Context) -> str:
        """Nothing stands before the one resource."""
        return ""

    def render(self, record: TrialRecord, context: Context) -> Rendered:
        """One Group with a characteristic for each leaf."""
        items = record.item_by_id()
        characteristics: list[dict[str, Any]] = []
        losses: list[Loss] = []
        for criterion in record.criteria:
            made, reasons = _characteristics(criterion, items, record, context)
            characteristics.extend(made)
            nothing = not made and criterion.expression != All(())
            outcome = "whole" if not reasons else "dropped" if nothing else "degraded"
            losses.append(judge(record, criterion, outcome, *reasons))  # type: ignore[arg-type]
        found = notices([record.trial.source], record.data_timestamp, synthetic=record.trial.synthetic)
        decided = [
            f"Reviewed: {each.section} {each.path}: {said}"
            for each in record.criteria
            if (said := record.said_of(each))
        ]
        body = "".join(f"<p>{escape(each)}</p>" for each in (*found, *decided))
        group: dict[str, Any] = {
            "resourceType": "Group",
            "id": fhir_id(record.id, "group"),
            "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'},
            "identifier": [{"system": "http://clinicaltrials.gov", "value": record.id}],
            "type": "person",
            "actual": False,
            "name": f"Eligibility of {record.id}: the criteria joined by and only",
        }
        if characteristics:
            group["characteristic"] = characteristics
        text = json.dumps(tagged(group, record), ensure_ascii=False, indent=1) + "\n"
        return Rendered(text, tuple(losses))

    def validate(self, text: str) -> list[str]:
        """What ``fhir.resources`` (R4B) and the strict walk find. Raises MissingExtra where it is not installed."""
        from kb.export.fhir_check import check_text

        return check_text(text, "R4B")


def _characteristics(
    criterion: Criterion, items: dict[str, Item], record: TrialRecord, context: Context
) -> tuple[list[dict[str, Any]], list[Reason]]:
    try:
        leaves = conjunction(criterion.expression)
    except _NotFlat:
        return [], [Reason("logic", "a Group has no or, no if and no nesting")]
    if criterion.population:
        return [], [
            Reason("population", f"it is restricted to '{criterion.population}', and a Group is for everyone")
        ]
    made: list[dict[str, Any]] = []
    reasons: list[Reason] = []
    for leaf, excluded in leaves:
        match leaf:
            case Unread((start, end), why):
                words = " ".join(record.trial.eligibility_text[start:end].split())
                reasons.append(Reason("unread", f"not understood ({why}): {words[:120]}"))
            case Fact(text, _, _):
                words = " ".join(text.split())
                reasons.append(Reason("text_only", f"'{words[:120]}' has no code: text only"))
                made.append({"code": {"text": words}, "valueBoolean": True, "exclude": excluded})
            case Leaf(name):
                found, why_not = _item(items[name], excluded, context)
                made.extend(found)
                reasons.extend(why_not)
    return made, reasons


def _item(item: Item, excluded: bool, context: Context) -> tuple[list[dict[str, Any]], list[Reason]]:
    name = item.concept_name or item.concept_text or item.value_text
    if item.population:
        return [], [
            Reason("population", f"{name} is restricted to '{item.population}', and a Group is for everyone")
        ]
    if item.comparator == "within" and item.kind == "temporal":
        return [], [
            Reason("window", f"'{item.value_text}' is a time before an event, and a Group has dates only")
        ]
    said = say(item, context)
    reasons = list(said.reasons)
    if item.window is not None:
        reasons.append(
            Reason("window", f"{name}: a Group's period has dates only, so the window is left out")
        )
    # "not (a and b)" and "a or b" are no lists of demands; "not (a or b)" and "a and b" are.
    if len(said.values) > 1 and (said.joined == "any") != excluded:
        return [], [
            *reasons,
            Reason("logic", f"{name}: a Group cannot say '{item.value_text}' as one demand"),
        ]
    return [{"code": said.code, **value, "exclude": excluded} for value in said.values], reasons
