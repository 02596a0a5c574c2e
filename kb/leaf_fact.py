"""Facts, populations and "within the last 6 months": what a patient's record says with yes or no.

A fact is answered only where the record names the very same thing, or where logic forces the answer:
who does not have asthma does not have severe asthma. Everything else is unknown.
"""

from __future__ import annotations

import re

from kb.judging import Knowledge, Verdict, needed
from kb.leaf_item import shift
from kb.patient import RESTRICTIVE, Event, Patient, answer_key, event_key, event_query
from nlp.model import Fact, Item

_FEMALE = {
    "female", "females", "woman", "women", "girl", "girls",
}  # fmt: skip
_MALE = {
    "male", "males", "man", "men", "boy", "boys",
}  # fmt: skip
# What nobody of the other sex can be; normalised as event_key does.
_ONLY_FEMALE = frozenset(
    event_key(text)
    for text in (
        "pregnant", "pregnancy", "lactating", "lactation", "breastfeeding", "breast-feeding", "nursing",
        "pregnant or lactating", "pregnant or breastfeeding", "pregnant or breast-feeding", "pregnant or nursing",
        "pregnant or lactating women", "pregnant or breastfeeding women", "pregnant women", "lactating women",
        "women of childbearing potential", "women of childbearing age", "females of childbearing potential",
        "female of childbearing potential", "postmenopausal women", "childbearing potential",
    )
)  # fmt: skip
_SEX_FILLERS = {
    "subject", "patient", "participant", "adult", "gender", "sex", "only", "is", "are", "the", "a",
    "an", "and", "or",
}  # fmt: skip
_AGE_GROUP = re.compile(
    r"(?P<sign>>=|<=|≥|≤|>|<|from|under|over|at least)?\s*(?P<age>\d+)\s*(?:years?|yrs?|a)\b(?P<tail>.*)"
)
_NOT_THE_PATIENT = {
    "donor", "donors", "caregiver", "caregivers", "partner", "partners", "sibling", "siblings",
}  # fmt: skip
_THE_PATIENT = {
    "patient", "patients", "subject", "subjects", "recipient", "recipients", "participant",
    "participants", "all",
}  # fmt: skip


def _sex_answer(key: str, patient: Patient) -> bool | None:
    """Answer what is a matter of sex alone; None where the key is anything else or the sex is not known."""
    if patient.sex is None:
        return None
    if key in _ONLY_FEMALE:
        return False if patient.sex == "male" else None
    words = set(key.split()) - _SEX_FILLERS
    female, male = words & _FEMALE, words & _MALE
    if not words or words - _FEMALE - _MALE or (female and male):
        return True if female and male and words == female | male else None
    return (patient.sex == "female") == bool(female)


def _event_answer(
    events: tuple[Event, ...], window: tuple[float, str] | None, past_counts: bool, patient: Patient
) -> bool | None:
    """Whether one of the events is meant: True needs a time where the text sets one."""
    if not events:
        return None
    answers = {_one_event(event, window, past_counts, patient) for event in events}
    return True if True in answers else None if None in answers else False


def _one_event(
    event: Event, window: tuple[float, str] | None, past_counts: bool, patient: Patient
) -> bool | None:
    if not event.present:
        return False
    if window is not None:
        start = shift(patient.as_of, -window[0], window[1])
        if start is None:
            return None
        if event.end is not None:
            return event.end >= start
        # One that began before the window and has no end may go on, or may be over.
        return True if event.start is not None and event.start >= start else None
    over = event.over or (event.end is not None and event.end <= patient.as_of)
    return None if over and not past_counts else True


def judge_fact(fact: Fact, patient: Patient, knowledge: Knowledge, dated: bool = False) -> Verdict:
    """Whether what the fact's text says holds for the patient; ``dated``: the text says beside it how long ago,
    so that what is over counts.

    Asked in this order: the caller's answers, the record under the fact's concept, the record under its
    words, the patient's sex where nothing else decides.
    """
    answer = patient.answers_by_key.get(answer_key(fact.text)) if patient.answers else None
    shown = " ".join(fact.text.split())
    if answer is not None:
        return Verdict(answer, f"'{shown}': answered {'yes' if answer else 'no'} by the caller", shown)
    value = _recorded(fact.text, fact.concept, patient, dated)
    if value is None:
        value = _sex_answer(event_key(fact.concept or fact.text), patient)
    if value is None:
        return Verdict(None, f"'{shown}' is not known of the patient", shown)
    return Verdict(value, f"'{shown}': {'yes' if value else 'no'} by the patient's record", shown)


def _recorded(text: str, concept: str | None, patient: Patient, dated: bool = False) -> bool | None:
    if not patient.events:
        return None
    query = event_query(text)
    past = query.past_counts or dated
    keys = [query.key] if concept is None else [event_key(concept), query.key]
    for key in keys:
        value = _event_answer(patient.events_by_key.get(key, ()), query.window, past, patient)
        if value is not None:
            return value
    # A narrowed demand is answered by the wider thing only with no; a narrower record of a wider demand,
    # or one of the text's own examples, only with yes.
    for key in query.wider:
        if _event_answer(patient.events_by_key.get(key, ()), query.window, past, patient) is False:
            return False
    for key, events in patient.events_by_key.items():
        words = key.split()
        while len(words) > 1 and words[0] in RESTRICTIVE:
            words = words[1:]
        narrower = " ".join(words) == query.key and key != query.key
        if (narrower or key in query.examples) and _event_answer(events, query.window, past, patient):
            return True
    return None


def judge_recency(item: Item, patient: Patient, knowledge: Knowledge) -> Verdict | None:
    """Answer an item "within the past 6 months" from the dated events; None where it is no such item."""
    span = item.high if item.high is not None else item.low
    if item.comparator != "within" or span is None or item.unit is None:
        return None
    text = item.concept_text or item.concept or ""
    shown = f"{' '.join(text.split())} within {span:g} {item.unit}"
    window = (span, item.unit)
    for key in (text, item.concept or text):
        events = patient.events_by_key.get(event_key(key), ())
        value = _event_answer(events, window, True, patient)
        if value is not None:
            return Verdict(value, f"{shown}: {'yes' if value else 'no'} by the patient's record", text)
    if _recorded(text, item.concept, patient) is False:
        return Verdict(False, f"{shown}: no by the patient's record", text)
    return Verdict(None, f"{shown} is not known of the patient; the text says {needed(item)}", text)


def applies(population: str | None, patient: Patient) -> bool | None:
    """Whether a restriction ("women", "arm A", "donor") is about this patient; None where not known.

    What is demanded of a donor cannot be answered by the patient's values: None, never False, so that
    nobody is called eligible while the donor's demands stand.
    """
    if population is None:
        return True
    key = answer_key(population)
    for name, member in patient.populations.items():
        if answer_key(name) == key:
            return member
    words = set(key.split())
    if words & _NOT_THE_PATIENT:
        return None
    by_sex = _sex_answer(event_key(population), patient)
    if by_sex is not None:
        return by_sex
    if words and words <= _THE_PATIENT:
        return True
    return _age_group(population, patient)


def _age_group(population: str, patient: Patient) -> bool | None:
    age = _years(patient)
    folded = population.casefold()
    if age is None:
        return None
    if re.fullmatch(r"\s*adults?( patients| subjects)?\s*", folded):
        return age >= 18
    match = _AGE_GROUP.fullmatch(folded.removeprefix("age").removeprefix("d").strip())
    if match is None:
        return None
    limit, tail = float(match["age"]), match["tail"].strip()
    signs = {">=": "ge", "≥": "ge", "from": "ge", "at least": "ge", ">": "gt", "over": "gt"}
    signs |= {"<=": "le", "≤": "le", "<": "lt", "under": "lt"}
    tails = {"or older": "ge", "and older": "ge", "and over": "ge", "or younger": "le", "and younger": "le"}
    kind = signs.get(match["sign"] or "") if not tail else tails.get(tail) if not match["sign"] else None
    outcomes = {"ge": age >= limit, "gt": age > limit, "le": age <= limit, "lt": age < limit}
    return None if kind is None else outcomes[kind]


def _years(patient: Patient) -> int | None:
    """Completed years, where the record gives them."""
    if patient.birth_date is not None:
        born, today = patient.birth_date, patient.as_of
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if patient.age is not None and patient.age[1] == "a":
        return int(patient.age[0])
    return None
