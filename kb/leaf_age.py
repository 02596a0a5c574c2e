"""Ages: those of the patient in completed units, and the demands on them."""

from __future__ import annotations

import math
import re
from datetime import date

from kb.judging import Knowledge, Range, Verdict, distance, item_range, lies_within, needed
from kb.patient import Patient
from nlp.model import Item

# An age as the registry states it: "18 Years".
REGISTRY_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(year|month|week|day)s?", re.IGNORECASE)
REGISTRY_AGE_UNITS = {"year": "a", "month": "mo", "week": "wk", "day": "d"}


def judge_age(item: Item, patient: Patient, knowledge: Knowledge) -> Verdict:
    """Ages compare in completed units: 70 years and 6 months is 70 years old."""
    wanted = item_range(item)
    unit = item.unit or "a"
    if wanted is None or item.relative_to is not None:
        return Verdict(None, f"the age demand '{item.value_text}' makes no range")
    found = age_range(patient, unit, knowledge)
    if found is None:
        return Verdict(None, f"age not known in {unit}; the text says {needed(item)}", "age")
    value, shown = found
    return Verdict(
        lies_within(value, wanted),
        f"age {shown}; the text says {needed(item)}",
        "age",
        distance(value, wanted),
    )


def age_range(patient: Patient, unit: str, knowledge: Knowledge) -> tuple[Range, str] | None:
    """The patient's age in completed ``unit`` (UCUM), and how it reads; None where it is not known so."""
    if patient.birth_date is not None:
        count = completed(patient.birth_date, patient.as_of, unit)
        return None if count is None else (Range(count, count, True, True), f"{count:g} {unit}")
    if patient.age is None:
        return None
    number, own = patient.age
    shown = f"{number:g} {own}"
    if own == unit:
        whole = float(math.floor(number))
        return Range(whole, whole, True, True), shown
    ends = [
        knowledge.units.convert(end, own, unit, None) for end in (math.floor(number), math.floor(number) + 1)
    ]
    if ends[0] is None or ends[1] is None:
        return None
    low = float(math.floor(ends[0]))
    # "35 a" is anything from 35 to under 36 years; in the wanted unit that may be several whole numbers.
    high = float(max(low, math.ceil(ends[1]) - 1))
    return Range(low, high, True, True), shown


def completed(birth: date, today: date, unit: str) -> float | None:
    """Completed UCUM time units (a, mo, wk, d) between two days; None for another unit."""
    if unit in ("a", "mo"):
        months = (today.year - birth.year) * 12 + today.month - birth.month
        months -= today.day < birth.day
        return float(months // 12 if unit == "a" else months)
    days = {"wk": 7, "d": 1}.get(unit)
    return None if days is None else float((today - birth).days // days)
