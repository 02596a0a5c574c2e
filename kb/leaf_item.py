"""Does a patient's value lie in the set that an item names? True, False, or None with the reason.

Nothing is guessed: another unit without a sure conversion, a multiple of ULN without the laboratory's
own ULN, a value outside the window, of another specimen, or of an unread threshold gives None.
"""

from __future__ import annotations

import calendar
import math
from dataclasses import replace
from datetime import date, timedelta

from kb.eligible import QUARANTINED
from kb.judging import Knowledge, Range, Verdict, distance, item_range, lies_within, needed, unitless
from kb.leaf_age import judge_age
from kb.patient import Measurement, Patient, event_key
from nlp.model import Item

_TIME_DAYS = {"min": 1 / 1440, "h": 1 / 24, "d": 1.0, "wk": 7.0}
_QUALITATIVE = {"positive": True, "detectable": True, "negative": False, "undetectable": False}
# Specimens that a value of another one does not stand for; serum and plasma are parts of blood.
_SPECIMENS = {
    "blood": "blood", "serum": "blood", "plasma": "blood", "urine": "urine", "csf": "csf", "cerebrospinal": "csf",
    "marrow": "marrow", "saliva": "saliva", "stool": "stool", "faeces": "stool", "feces": "stool",
}  # fmt: skip


def _value_range(measurement: Measurement, value: float) -> Range:
    match measurement.comparator:
        case "<" | "<=":
            return Range(high=value, high_inclusive=measurement.comparator == "<=")
        case ">" | ">=":
            return Range(low=value, low_inclusive=measurement.comparator == ">=")
    return Range(value, value, True, True)


def shift(day: date, value: float, unit: str) -> date | None:
    """The day ``value`` UCUM time units after ``day`` (before it, where negative).

    Months and years are calendar ones, the end of a shorter month standing for its missing days; None
    for a unit that is no fixed time ("{half-life}") or a day out of the calendar.
    """
    try:
        if unit in _TIME_DAYS:
            return day + timedelta(days=value * _TIME_DAYS[unit])
        if unit in ("mo", "a"):
            months = value * (12 if unit == "a" else 1)
            whole = math.floor(months)
            index = day.year * 12 + day.month - 1 + whole
            year, month = divmod(index, 12)
            moved = date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
            return moved + timedelta(days=(months - whole) * 30.4375)
    except (OverflowError, ValueError):
        return None
    return None


def _counts(measurement: Measurement, item: Item, patient: Patient, knowledge: Knowledge) -> str | None:
    """Why this measurement does not count for the item, or None where it does."""
    if item.concept in knowledge.of_something:
        asked = event_key(item.concept_text or "")
        if not asked or not measurement.about or event_key(measurement.about) != asked:
            return f"known of {measurement.about or 'what is not said'}, asked for '{item.concept_text}'"
    own = knowledge.specimens.get(item.concept or "")
    if own and measurement.specimen:
        expected, given = _specimens(own), _specimens(measurement.specimen)
        if expected and given and not expected & given:
            return f"measured in {measurement.specimen}, not in {own}"
    if measurement.day is None:
        return None
    if measurement.day > patient.as_of:
        return f"dated {measurement.day}, after the day of screening {patient.as_of}"
    window = item.window
    if window is None or window.value is None or window.unit is None:
        return None
    if window.direction == "after":
        return f"the text asks for a value after {window.anchor or 'a later event'}"
    start = shift(patient.as_of, -window.value, window.unit)
    if start is None:
        return f"whether {measurement.day} lies within {window.value:g} {window.unit} cannot be computed"
    if measurement.day < start:
        return f"dated {measurement.day}, outside the {window.value:g} {window.unit} that the text asks for"
    return None


def _specimens(text: str) -> set[str]:
    words = "".join(sign if sign.isalpha() else " " for sign in text.casefold()).split()
    return {_SPECIMENS[word] for word in words if word in _SPECIMENS}


def candidates(item: Item, patient: Patient, knowledge: Knowledge) -> tuple[tuple[Measurement, ...], str]:
    """The patient's measurements that count for the item, only the newest day's, and why there are
    none where there are none. Undated ones count as of the day of screening."""
    assert item.concept is not None
    found = list(patient.measurements.get(item.concept, ()))
    for concept, broader in knowledge.broader.items():
        if item.concept in broader:
            found.extend(patient.measurements.get(concept, ()))
    if not found:
        return (), "not known of the patient"
    reasons = {id(one): _counts(one, item, patient, knowledge) for one in found}
    counting = [one for one in found if reasons[id(one)] is None]
    if not counting:
        return (), str(next(reason for reason in reasons.values() if reason))
    newest = max(one.day or patient.as_of for one in counting)
    return tuple(one for one in counting if (one.day or patient.as_of) == newest), ""


def _qualitative(item: Item, one: Measurement) -> Verdict:
    wanted = item.comparator
    if one.result is not None:
        holds = _QUALITATIVE[one.result] == _QUALITATIVE[wanted]
        return Verdict(holds, f"{one.result}, asked for {wanted}")
    if wanted in ("detectable", "undetectable") and one.lod is not None and one.value is not None:
        return _against_lod(one, wanted == "detectable")
    return Verdict(None, f"a number without a result, asked for {wanted}", "result")


def _against_lod(one: Measurement, wanted: bool) -> Verdict:
    assert one.value is not None
    assert one.lod is not None
    above = lies_within(_value_range(one, one.value), Range(low=one.lod, low_inclusive=True))
    value = None if above is None else above == wanted
    return Verdict(value, f"{one.value:g} against a limit of detection of {one.lod:g}")


def _as_written(item: Item, one: Measurement, knowledge: Knowledge) -> tuple[Range | None, str]:
    """The measurement in the item's own scale, or None and why not."""
    relative = item.relative_to
    if one.value is None:
        return None, f"only a result ({one.result}), no number"
    if relative is None:
        if one.multiple_of is not None:
            return None, f"given only as a multiple of {one.multiple_of}"
        return _in_unit(item, one, knowledge)
    if one.multiple_of == relative:
        scale = 100.0 if item.unit == "%" else 1.0
        return _value_range(one, one.value * scale), ""
    reference = {
        "ULN": one.uln,
        "LLN": one.lln,
        "LLOD": one.lod,
        "baseline": one.baseline,
        "predicted": one.predicted,
    }.get(relative)
    if relative == "predicted" and one.unit == "%{predicted}":
        return _value_range(one, one.value), ""
    if reference is None or reference <= 0:
        return None, f"no {relative} given with the value"
    share = one.value / reference * (100.0 if item.unit == "%" else 1.0)
    return _value_range(one, share), ""


def _in_unit(item: Item, one: Measurement, knowledge: Knowledge) -> tuple[Range | None, str]:
    assert one.value is not None
    if item.unit == one.unit or (unitless(item.unit) and unitless(one.unit)):
        return _value_range(one, one.value), ""
    # a score has no unit but its points: a Karnofsky "> 60" is met by 70 %
    wanted = item.unit or (item.canonical_unit if unitless(item.canonical_unit) else None)
    if wanted is None:
        return None, f"the text names no unit, the value is in {one.unit}"
    if one.unit is None:
        return None, f"the value has no unit, the text asks in {item.unit}"
    converted = knowledge.units.convert(one.value, one.unit, wanted, item.concept)
    if converted is None:
        return None, f"no sure conversion from {one.unit} to {wanted}"
    return _value_range(one, converted), ""


def _shown(one: Measurement) -> str:
    if one.value is None:
        return str(one.result)
    unit = "" if one.unit is None or unitless(one.unit) else f" {one.unit}"
    if one.multiple_of:
        unit = f" x {one.multiple_of}"
    reference = "".join(
        f", {name} {value:g}"
        for name, value in (("ULN", one.uln), ("LLN", one.lln), ("LLOD", one.lod))
        if value is not None
    )
    dated = f", {one.day}" if one.day else ""
    return f"{one.comparator or ''}{one.value:g}{unit}{reference}{dated}"


def _judge(item: Item, one: Measurement, knowledge: Knowledge) -> Verdict:
    name = knowledge.names.get(item.concept or "", item.concept_text or item.concept or "")
    if item.comparator in _QUALITATIVE:
        verdict = _qualitative(item, one)
        return replace(verdict, why=f"{name} {verdict.why}")
    if item.relative_to == "LLOD" and one.result is not None and one.value is None:
        return _against_llod_by_result(item, one, name)
    wanted = item_range(item)
    value, problem = _as_written(item, one, knowledge)
    asked = f"{name} {_shown(one)}; the text says {needed(item)}"
    if value is None:
        return Verdict(None, f"{asked}: {problem}", item.concept)
    if item.comparator == "set" and item.values is not None:
        holds = [lies_within(value, Range(one, one, True, True)) for one in item.values]
        answer = True if True in holds else (None if None in holds else False)
        nearest = [distance(value, Range(one, one, True, True)) for one in item.values]
        return Verdict(answer, asked, item.concept, min((m for m in nearest if m is not None), default=None))
    if wanted is None:
        return Verdict(None, f"{asked}: the threshold's numbers make no range")
    return Verdict(lies_within(value, wanted), asked, item.concept, distance(value, wanted))


def _against_llod_by_result(item: Item, one: Measurement, name: str) -> Verdict:
    """ "A demand "> LLOD" is answered by a test that says detectable, "< LLOD" by one that says undetectable."""
    assert one.result is not None
    detected = _QUALITATIVE[one.result]
    wanted = item_range(item)
    why = f"{name} {one.result}; the text says {needed(item)}"
    if wanted == Range(low=1, low_inclusive=wanted.low_inclusive if wanted else False):
        return Verdict(detected, why, item.concept)
    if wanted == Range(high=1, high_inclusive=wanted.high_inclusive if wanted else False):
        return Verdict(not detected, why, item.concept)
    return Verdict(None, f"{why}: no number", item.concept)


def judge_item(item: Item, patient: Patient, knowledge: Knowledge) -> Verdict:
    """Whether what the item's text names holds for the patient (whom it applies to).

    An exclusion's item names the excluded set: True then says that the patient is in it.
    """
    suspect = QUARANTINED.intersection(item.flags)
    if suspect:
        return Verdict(None, f"the reading is suspect ({', '.join(sorted(suspect))})")
    if item.comparator == "positive_or_negative":
        return Verdict(True, "either result will do")
    if item.concept == "age":
        return judge_age(item, patient, knowledge)
    if item.concept is None:
        return Verdict(None, f"'{item.concept_text or item.value_text}' is no concept of the vocabulary")
    found, problem = candidates(item, patient, knowledge)
    if not found and item.concept in knowledge.members:
        return _members(item, patient, knowledge)
    if not found:
        name = knowledge.names.get(item.concept, item.concept_text or item.concept)
        return Verdict(None, f"{name} {problem}; the text says {needed(item)}", item.concept)
    verdicts = [_judge(item, one, knowledge) for one in found]
    if len({verdict.value for verdict in verdicts}) > 1:
        return Verdict(
            None, "values of one day disagree: " + "; ".join(v.why for v in verdicts), item.concept
        )
    return verdicts[0]


def _members(item: Item, patient: Patient, knowledge: Knowledge) -> Verdict:
    """A demand on a collective concept: what its members agree on; an upper limit binds each of them."""
    assert item.concept is not None
    names = knowledge.members[item.concept]
    verdicts = [
        judge_item(replace(item, concept=name, concept_text=name), patient, knowledge) for name in names
    ]
    why = "; ".join(verdict.why for verdict in verdicts)
    values = {verdict.value for verdict in verdicts}
    if len(values) == 1:
        return replace(verdicts[0], why=why)
    if item.comparator in ("<", "<=") and False in values:
        return replace(next(verdict for verdict in verdicts if verdict.value is False), why=why)
    needs = next((verdict.needs for verdict in verdicts if verdict.value is None), None)
    return Verdict(None, why, needs)
