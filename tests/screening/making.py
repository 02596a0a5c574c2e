"""Items, patients and a small table of units, made by hand for the tests of this folder."""

from __future__ import annotations

from datetime import date
from typing import Any

from kb.judging import Knowledge
from kb.patient import Event, Measurement, Patient, by_concept
from nlp.model import Item

TODAY = date(2025, 7, 27)

# (from, to): factor
_FACTORS = {
    ("/uL", "10*9/L"): 1e-3,
    ("10*9/L", "/uL"): 1e3,
    ("g/dL", "g/L"): 10.0,
    ("a", "mo"): 12.0,
    ("mo", "a"): 1 / 12,
}


class Units:
    """The conversions above, and creatinine's, which is sure only where the concept is known."""

    def convert(self, value: float, from_unit: str, to_unit: str, concept: str | None = None) -> float | None:
        if from_unit == to_unit:
            return value
        if (from_unit, to_unit, concept) == ("%", "{score}", "karnofsky"):
            return value
        if (from_unit, to_unit, concept) == ("mg/dL", "umol/L", "scr"):
            return value * 88.42
        factor = _FACTORS.get((from_unit, to_unit))
        return None if factor is None else value * factor


KNOWLEDGE = Knowledge(
    Units(),
    broader={"sledai_2k": frozenset({"sledai"})},
    specimens={"scr": "serum/plasma", "upcr": "urine"},
    of_something=frozenset({"ctcae_grade"}),
)

_EMPTY: dict[str, Any] = {
    "id": "i1", "section": "inclusion", "criterion": "1", "concept": None, "concept_name": None,
    "concept_text": None, "concept_span": None, "role": "requirement", "entity_type": "Measurement",
    "kind": "numeric", "comparator": ">=", "low": None, "high": None, "low_inclusive": None,
    "high_inclusive": None, "values": None, "unit": None, "unit_text": None, "canonical_low": None,
    "canonical_high": None, "canonical_unit": None, "relative_to": None, "value_text": "", "value_span": (0, 0),
    "condition": None, "exception": None, "population": None, "window": None, "rule": "test", "flags": (),
}  # fmt: skip


def item(concept: str | None, comparator: str = ">=", number: float | None = None, **fields: Any) -> Item:
    """An item; ``number`` goes to the side that the comparator asks for."""
    values = {**_EMPTY, "concept": concept, "concept_text": concept, "comparator": comparator}
    if number is not None and comparator in (">", ">=", "="):
        values["low"] = number
        values["low_inclusive"] = comparator != ">"
    if number is not None and comparator in ("<", "<=", "=", "within"):
        values["high"] = number
        values["high_inclusive"] = comparator != "<"
    return Item(**{**values, **fields})


def patient(
    *measurements: Measurement, events: dict[str, bool] | tuple[Event, ...] = (), **fields: Any
) -> Patient:
    """A patient of the day TODAY with these measurements; ``events`` as names, or whole."""
    if isinstance(events, dict):
        events = tuple(Event(name, present) for name, present in events.items())
    return Patient(
        **{"id": "p", "as_of": TODAY, **fields}, measurements=by_concept(measurements), events=events
    )
