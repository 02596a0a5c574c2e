"""A patient as screening sees one: what was measured, what is known to be so, and as of which day.

A patient is silent about whatever is not listed: silence is never read as "no". The formats that a
patient is read from are in :mod:`kb.patient_formats`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from typing import Literal

Result = Literal["positive", "negative", "detectable", "undetectable"]
RESULTS: tuple[Result, ...] = ("positive", "negative", "detectable", "undetectable")

# Words before the name of a disease or a treatment that say whose it is or how it is known, not which it is.
_LEAD_INS = {
    "a", "an", "the", "any", "subject", "subjects", "patient", "patients", "participant",
    "participants", "individual", "individuals", "person", "persons", "people", "those", "who",
    "whom", "that", "with", "has", "have", "had", "having", "is", "are", "was", "were", "be",
    "been", "known", "documented", "confirmed", "diagnosed", "medical", "of", "previous",
    "previously", "prior", "past", "received", "receiving", "using", "taking", "treated", "on", "by",
}  # fmt: skip
# Those that do so only where "of" or "with" follows: "history of stroke", but "treatment failure".
_LEAD_NOUNS = {
    "history", "diagnosis", "evidence", "presence", "receipt", "use", "treatment", "therapy",
}  # fmt: skip
# Words after it that add nothing to which it is: "Gilbert syndrome" is recorded as "gilbert".
_TAILS = {
    "syndrome", "disease", "disorder", "therapy", "treatment",
}  # fmt: skip
# Words that narrow a disease down: who does not have it, does not have it in that form either.
RESTRICTIVE = {
    "active", "acute", "chronic", "severe", "moderate", "mild", "uncontrolled", "controlled",
    "untreated", "symptomatic", "clinically", "significant", "serious", "recurrent", "refractory",
    "relapsed", "recent", "current", "currently", "ongoing", "unstable", "stable", "decompensated",
    "concurrent", "concomitant", "systemic", "poorly", "other",
}  # fmt: skip
_WINDOW = re.compile(
    r"\b(?:with)?in\s+(?:the\s+)?(?:past\s+|last\s+|previous\s+|prior\s+|preceding\s+)?"
    r"(?P<value>\d+(?:\.\d+)?)\s*-?(?P<unit>day|week|month|year)s?\b.*$"
)
# The same texts come up for patient after patient.
_REMEMBERED = 65_536
_UNITS = {"day": "d", "week": "wk", "month": "mo", "year": "a"}
# What follows these words narrows down what stands before them.
_NARROWER = re.compile(
    r"\s*[,(]?\s+(?:who|whom|whose|that|which|requiring|meeting|fulfilling|as defined|defined|according to|based on"
    r"|despite|due to|caused by|with)\s"
)
_SUCH_AS = re.compile(
    r"(?P<head>.+?)[,;]?\s*[(（]?\s*(?:such as|e\.g\.,?|for example,?|including)\s+(?P<list>[^()]+?)[\s,;.]*(?:etc\.?)?\s*[)）]?"
)
_PAST = re.compile(r"\b(?:history of|previous|previously|prior|past|received)\b")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value or result of one concept.

    ``value`` is in ``unit`` (UCUM; None where none was given), and so are the references: ``uln`` and
    ``lln`` (the laboratory's own limits of normal), ``lod`` (limit of detection), ``baseline`` and
    ``predicted``. ``comparator`` is set for a censored value ("<20": ``<``). ``result`` is the
    qualitative answer. ``day`` is when it was taken; None counts as current. ``multiple_of`` names the
    reference that ``value`` is already a multiple of ("2.1 x ULN"). ``about`` names what a grade or a
    duration is of ("bleeding"), for concepts that say nothing without it.
    """

    concept: str
    value: float | None = None
    unit: str | None = None
    comparator: str | None = None
    uln: float | None = None
    lln: float | None = None
    lod: float | None = None
    baseline: float | None = None
    predicted: float | None = None
    multiple_of: str | None = None
    result: Result | None = None
    day: date | None = None
    specimen: str | None = None
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A disease, a treatment or any other yes-or-no: does, or did, the patient have it?

    ``present`` False says: not now and not before. ``start`` and ``end`` bound it in time where known;
    one with an ``end`` is over, and so is one that is said to be ``over``.
    """

    name: str
    present: bool
    start: date | None = None
    end: date | None = None
    over: bool = False


@dataclass(frozen=True)
class Patient:
    """What is known of one patient on the day ``as_of`` (the day of screening).

    ``age`` is (value, UCUM unit); ``events`` are conditions and treatments by the name they were
    recorded under; ``populations`` says to which arms, cohorts or groups the patient belongs;
    ``answers`` are the caller's own, by the text (or the "TRIAL section path") they answer.
    ``unmatched`` lists what the file held that no concept of the vocabulary is known for.
    """

    id: str
    as_of: date
    age: tuple[float, str] | None = None
    birth_date: date | None = None
    sex: Literal["female", "male"] | None = None
    measurements: Mapping[str, tuple[Measurement, ...]] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    populations: Mapping[str, bool] = field(default_factory=dict)
    answers: Mapping[str, bool] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()

    @cached_property
    def events_by_key(self) -> Mapping[str, tuple[Event, ...]]:
        """The events under :func:`event_key` of their names."""
        found: dict[str, tuple[Event, ...]] = {}
        for event in self.events:
            key = event_key(event.name)
            found[key] = (*found.get(key, ()), event)
        return found

    @cached_property
    def answers_by_key(self) -> Mapping[str, bool]:
        """The caller's answers under :func:`answer_key` of what they answer."""
        return {answer_key(text): answer for text, answer in self.answers.items()}


def by_concept(measurements: Iterable[Measurement]) -> dict[str, tuple[Measurement, ...]]:
    """The measurements grouped by concept, in the order they came in."""
    grouped: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        grouped.setdefault(measurement.concept, []).append(measurement)
    return {concept: tuple(found) for concept, found in grouped.items()}


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    folded = re.sub(r"'s\b|s'(?=\s|$)", "", folded)
    return re.findall(r"[^\W_]+", folded)


def _singular(word: str) -> str:
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word


@lru_cache(maxsize=_REMEMBERED)
def answer_key(text: str) -> str:
    """The text without case, punctuation and spacing: under this an answer finds its question."""
    return " ".join(_words(text))


@lru_cache(maxsize=_REMEMBERED)
def event_key(text: str) -> str:
    """The name of a disease or treatment reduced to what identifies it.

    "Subjects with Gilbert's syndrome", "Gilbert syndrome" and "gilbert" have one key. A negated text
    ("no history of stroke") keeps its negation and so never meets the key of the thing itself.
    """
    words = _words(text)
    while len(words) > 1 and (
        words[0] in _LEAD_INS or (words[0] in _LEAD_NOUNS and words[1] in ("of", "with", "by"))
    ):
        words = words[1:]
    while len(words) > 1 and words[-1] in _TAILS:
        words = words[:-1]
    return " ".join(_singular(word) for word in words)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What a text asks about an event.

    ``key`` is the event as worded; ``wider`` are the keys of what it is a form of ("severe asthma that
    requires oxygen": "severe asthma", "asthma"); ``examples`` those of what the text itself counts among it
    ("gene therapy, such as CAR-T therapy"); ``window`` (value, UCUM unit) is how far back the text looks;
    ``past_counts`` whether an event that is over still counts.
    """

    key: str
    wider: tuple[str, ...]
    window: tuple[float, str] | None
    past_counts: bool
    examples: tuple[str, ...] = ()


@lru_cache(maxsize=_REMEMBERED)
def event_query(text: str) -> EventQuery:
    """Take a fact's text apart: "severe asthma within the past 6 months"."""
    window = None
    folded = unicodedata.normalize("NFKC", text).casefold()
    match = _WINDOW.search(folded)
    if match:
        window = (float(match["value"]), _UNITS[match["unit"]])
        folded = folded[: match.start()]
    key = event_key(folded)
    wider: list[str] = []
    for text in (folded, _NARROWER.split(folded, maxsplit=1)[0]):
        words = event_key(text).split()
        wider.append(" ".join(words))
        while len(words) > 1 and words[0] in RESTRICTIVE:
            words = words[1:]
            wider.append(event_key(" ".join(words)))
    past = bool(_PAST.search(folded)) or window is not None
    others = tuple(dict.fromkeys(one for one in wider if one != key))
    return EventQuery(key, others, window, past, _examples(folded))


def _examples(folded: str) -> tuple[str, ...]:
    """The keys of what a text lists as examples at its end, where nothing narrows what they are examples of:
    an "uncontrolled infection, such as pneumonia" is not any pneumonia."""
    match = _SUCH_AS.fullmatch(folded.strip())
    if match is None or _NARROWER.search(match["head"]) or RESTRICTIVE & set(_words(match["head"])):
        return ()
    listed = re.split(r"\s*[,;/]\s*(?:(?:and|or)\s+)?|\s+(?:and/or|and|or)\s+", match["list"])
    return tuple(key for one in listed if (key := event_key(one)) and key not in ("etc", "other"))
