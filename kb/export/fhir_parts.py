"""How one leaf is said in FHIR: codes, quantities, ranges, times; shared by the R5 and the R4B form.

A multiple of a limit of normal is a Quantity whose system is HL7's characteristic-offset code system (``UNL``,
``LNL``), as HL7's own EBM examples have it; it is never ``offset``, which adds to the limit instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kb.eligible import QUARANTINED
from kb.export import omop
from kb.export.model import Context, Reason, TrialRecord
from kb.judging import Range, item_range
from nlp.model import Item, Window

UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"
MESH = "https://www.nlm.nih.gov/mesh"
OFFSET = "http://hl7.org/fhir/characteristic-offset"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
TEST_DATA = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
"""HL7's own tag for data that are not real."""

AGE = {"coding": [{"system": LOINC, "code": "30525-0", "display": "Age"}], "text": "Age"}
_RESULTS = {
    "positive": ("POS", "Positive"),
    "negative": ("NEG", "Negative"),
    "detectable": ("DET", "Detected"),
    "undetectable": ("ND", "Not detected"),
}
_REFERENCES = {"ULN": ("UNL", "x upper limit of normal"), "LLN": ("LNL", "x lower limit of normal")}
_COMPARATOR = {("low", True): ">=", ("low", False): ">", ("high", True): "<=", ("high", False): "<"}


@dataclass(frozen=True, slots=True)
class Said:
    """The values a leaf was turned into. ``joined`` says how several belong together: ``all`` or ``any``."""

    code: dict[str, Any]
    values: tuple[dict[str, Any], ...]
    joined: str
    reasons: tuple[Reason, ...]


def fhir_id(*parts: str) -> str:
    """A resource id: letters, digits, dash and dot, at most 64."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(parts))[-64:].strip("-").lower()


def number(value: float) -> int | float:
    """A JSON number without a needless fraction."""
    return int(value) if value == int(value) else value


def concept_code(item: Item, context: Context) -> tuple[dict[str, Any], list[Reason]]:
    """What is measured: its LOINC codes with their official names where known, and our name as text."""
    facts = context.concept(item.concept)
    name = item.concept_name or (facts.name if facts else None) or item.concept_text or item.value_text
    text = " ".join(name.split())
    if item.concept == "age":
        return dict(AGE), []
    if item.concept is None:
        return {"text": text}, [Reason("no_concept", f"'{text}' is no concept of the vocabulary: text only")]
    if facts is None or not facts.loinc:
        return {"text": text}, [Reason("no_loinc", f"no LOINC code is known for {text}: text only")]
    displays = _loinc_names()
    coding = [
        {"system": LOINC, "code": code} | ({"display": displays[code]} if code in displays else {})
        for code in facts.loinc
    ]
    return {"coding": coding, "text": text}, []


def _loinc_names() -> dict[str, str]:
    """Official LOINC names of the codes that the OMOP table names: no other display may be written."""
    sets = omop.shipped().measurements.values()
    return {each.loinc: each.name for found in sets for each in found.ids if each.loinc and each.name}


def unit_parts(item: Item) -> tuple[dict[str, Any], list[Reason]]:
    """``unit``, ``system``, ``code`` of an item's quantities."""
    if item.relative_to in _REFERENCES:
        code, text = _REFERENCES[item.relative_to]
        return {"unit": text, "system": OFFSET, "code": code}, []
    unit = item.unit or "1"
    reasons = []
    if item.relative_to is not None:
        text = f"{unit} {item.relative_to}" if unit != "1" else f"x {item.relative_to}"
        reasons.append(Reason("reference", f"a share of {item.relative_to} is said in the unit's text only"))
        return {"unit": text, "system": UCUM, "code": unit}, reasons
    if unit.startswith("{") and unit.endswith("}"):  # HL7: no code that is an annotation alone
        return {"unit": unit.strip("{}"), "system": UCUM, "code": "1"}, []
    return {"unit": unit, "system": UCUM, "code": unit}, []


def say(item: Item, context: Context) -> Said:
    """A leaf's code and values (each with one ``value[x]`` key), and what is lost in them."""
    code, reasons = concept_code(item, context)
    suspect = QUARANTINED.intersection(item.flags)
    if suspect:
        reasons.append(Reason("suspect", f"the reading is suspect ({', '.join(sorted(suspect))})"))
    if item.population:
        reasons.append(
            Reason("population", f"restricted to '{item.population}', which is said in words only")
        )
    unit, more = unit_parts(item)
    reasons.extend(more)
    joined = "all"
    wanted = item_range(item)
    if item.comparator in _RESULTS:
        result, display = _RESULTS[item.comparator]
        coding = {"system": INTERPRETATION, "code": result, "display": display}
        values: list[dict[str, Any]] = [
            {"valueCodeableConcept": {"coding": [coding], "text": item.comparator}}
        ]
    elif item.comparator == "set" and item.values:
        joined = "any"
        values = [{"valueQuantity": {"value": number(value), **unit}} for value in item.values]
    elif wanted is not None:
        values = list(_range_values(wanted, unit))
    else:
        values = [{"valueCodeableConcept": {"text": " ".join(item.value_text.split())}}]
        if item.comparator != "positive_or_negative":
            reasons.append(Reason("no_range", f"'{item.value_text}' makes no range: text only"))
    return Said(code, tuple(values), joined, tuple(reasons))


def _range_values(wanted: Range, unit: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A Range has inclusive ends only: any other interval of two ends is two quantities."""
    if wanted.low == wanted.high:
        yield {"valueQuantity": {"value": number(wanted.low), **unit}}
        return
    bounded = abs(wanted.low) < math.inf and abs(wanted.high) < math.inf
    if bounded and wanted.low_inclusive and wanted.high_inclusive:
        low, high = ({"value": number(end), **unit} for end in (wanted.low, wanted.high))
        yield {"valueRange": {"low": low, "high": high}}
        return
    for side, end, inclusive in (
        ("low", wanted.low, wanted.low_inclusive),
        ("high", wanted.high, wanted.high_inclusive),
    ):
        if abs(end) < math.inf:
            yield {
                "valueQuantity": {"value": number(end), "comparator": _COMPARATOR[side, inclusive], **unit}
            }


def time_from_event(window: Window | None) -> list[dict[str, Any]]:
    """R5 ``timeFromEvent`` of a window, empty where it is none."""
    if window is None or window.value is None or window.unit is None:
        return []
    unit = {"unit": window.unit, "system": UCUM, "code": window.unit}
    ends = (0.0, window.value) if window.direction == "after" else (-window.value, 0.0)
    if window.unit.startswith("{"):
        unit = {"unit": window.unit.strip("{}")}
    low, high = ({"value": number(end), **unit} for end in ends)
    return [
        {"eventCodeableConcept": {"text": window.anchor or "screening"}, "range": {"low": low, "high": high}}
    ]


def tagged(resource: dict[str, Any], record: TrialRecord) -> dict[str, Any]:
    """The resource, tagged as test data where the trial is synthetic."""
    if record.trial.synthetic:
        resource["meta"] = {"tag": [dict(TEST_DATA)]}
    return resource
