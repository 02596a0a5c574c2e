"""One patient against the trials: what each criterion answers and why, what each trial answers, which
trials are missed by little, and what to find out next.

A trial is ``not eligible`` if any criterion is false, ``eligible`` only if every one is true and nothing in
them stands unread (not even an alternative that another one makes up for), and ``undetermined`` else. The registry's own limits of
age and sex are criteria of the section ``registry``.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kb.evaluate import Answer, Finding, evaluate_criterion
from kb.judging import Knowledge, Range, lies_within
from kb.leaf_age import REGISTRY_AGE, REGISTRY_AGE_UNITS, age_range
from kb.patient import Patient, answer_key, event_key
from kb.reader import TrialReader
from kb.review import reviewed
from nlp.model import Criterion, Extraction, Span, Unread, leaves

Status = Literal["eligible", "not eligible", "undetermined"]


@dataclass(frozen=True, slots=True)
class TrialCriteria:
    """What screening needs of a trial: its text, what was read in it, and the registry's own limits.

    ``extraction`` has the reviewers' decisions applied; ``reviews`` says, by item id, what they were.
    """

    trial: str
    source: str
    title: str
    url: str
    text: str
    extraction: Extraction
    minimum_age: str | None = None
    maximum_age: str | None = None
    sex: str | None = None
    synthetic: bool = False
    reviews: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One leaf's part in an answer: ``quote`` is the text at ``span``, word for word; ``needs`` what would
    answer it; ``miss`` the distance to the bound as a share of it; ``review`` a reviewer's verdict."""

    value: bool | None
    why: str
    quote: str
    span: Span
    needs: str | None
    miss: float | None
    excluded: bool
    review: str | None = None


@dataclass(frozen=True, slots=True)
class CriterionAnswer:
    """``value`` True: the patient meets what is needed to enter here. ``applies`` False: it puts no
    demand on this patient. ``ask`` is the name under which a caller may answer it. ``standing`` are the
    parts that were not understood although it is true without them."""

    section: str
    path: str
    value: bool | None
    applies: bool
    text: str
    span: Span
    reasons: tuple[Reason, ...]
    ask: str
    standing: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """What one trial answers. ``misses`` are the reasons of the failed criteria, nearest first."""

    trial: str
    source: str
    title: str
    url: str
    status: Status
    criteria: tuple[CriterionAnswer, ...]
    misses: tuple[Reason, ...]
    synthetic: bool = False

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many criteria are true, false, unknown."""
        values = [criterion.value for criterion in self.criteria]
        return values.count(True), values.count(False), values.count(None)

    @property
    def distance(self) -> tuple[int, float]:
        """For ordering: the number of failed criteria, then the largest miss among them (a failed fact
        is infinitely far)."""
        failed = [criterion for criterion in self.criteria if criterion.value is False]
        misses = [
            min((r.miss for r in one.reasons if r.miss is not None), default=math.inf) for one in failed
        ]
        return len(failed), max(misses, default=0.0)


@dataclass(frozen=True, slots=True)
class Question:
    """Something to find out about the patient.

    ``settles``: undetermined trials in which it is the only thing missing. ``touches``: those in which an
    unfavourable answer could end the matter. ``asks`` quotes one of the texts that ask for it.
    """

    about: str
    settles: int
    touches: int
    asks: str
    trials: tuple[str, ...]


def read_trial(connection: sqlite3.Connection, version_id: int) -> TrialCriteria:
    """What screening needs of a stored version. Raises TrialNotFound."""
    reader = TrialReader(connection)
    stored = reader.extraction(version_id)
    extraction, reviews = reviewed(connection, stored)
    row = connection.execute(
        "SELECT t.source_id, t.source, v.title, v.url, c.text, v.minimum_age, v.maximum_age, v.sex, v.synthetic"
        " FROM trial_version v JOIN trial t ON t.id = v.trial_id JOIN criteria_text c ON c.version_id = v.id"
        " WHERE v.id = ?",
        (version_id,),
    ).fetchone()
    trial, source, title, url, text, minimum_age, maximum_age, sex, synthetic = row
    return TrialCriteria(
        trial, source, title, url, text, extraction, minimum_age, maximum_age, sex, bool(synthetic), reviews
    )


def screen_trial(trial: TrialCriteria, patient: Patient, knowledge: Knowledge) -> TrialAnswer:
    """Every criterion of the trial, answered for the patient.

    A trial without a single criterion is undetermined: nothing says what it demands.
    """
    items = {item.id: item for item in trial.extraction.items}
    answers = list(_registry(trial, patient, knowledge))
    for criterion in trial.extraction.criteria:
        answer = evaluate_criterion(criterion, items, patient, knowledge, trial.text)
        answers.append(_answered(trial, criterion, answer, patient))
    values = {answer.value for answer in answers}
    status: Status = "not eligible" if False in values else "undetermined"
    standing = any(answer.standing for answer in answers)
    if trial.extraction.criteria and values == {True} and not standing:
        status = "eligible"
    misses = [reason for answer in answers if answer.value is False for reason in answer.reasons]
    misses.sort(key=lambda reason: math.inf if reason.miss is None else reason.miss)
    return TrialAnswer(
        trial.trial,
        trial.source,
        trial.title,
        trial.url,
        status,
        tuple(answers),
        tuple(misses),
        trial.synthetic,
    )


def _answered(
    trial: TrialCriteria, criterion: Criterion, answer: Answer, patient: Patient
) -> CriterionAnswer:
    ask = f"{trial.trial} {criterion.section} {criterion.path}"
    value, findings = answer.value, answer.findings
    given = patient.answers_by_key.get(answer_key(ask))
    if value is None and given is not None:
        value = given
    return CriterionAnswer(
        criterion.section,
        criterion.path,
        value,
        answer.applies,
        criterion.text,
        criterion.span,
        tuple(_reason(finding, trial) for finding in findings),
        ask,
        _standing(trial, criterion, patient) if value and given is None and answer.applies else (),
    )


def unread_parts(criterion: Criterion) -> list[Unread]:
    """What was not understood in a criterion."""
    return [leaf for leaf in leaves(criterion.expression) if isinstance(leaf, Unread)]


def _standing(trial: TrialCriteria, criterion: Criterion, patient: Patient) -> tuple[Reason, ...]:
    found = []
    for part in unread_parts(criterion):
        quote = trial.text[part.span[0] : part.span[1]]
        words = " ".join(quote.split())
        if answer_key(words) not in patient.answers_by_key:
            why = f"not understood ({part.why}): '{words}'"
            found.append(Reason(None, why, quote, part.span, words or None, None, False))
    return tuple(found)


def _reason(finding: Finding, trial: TrialCriteria) -> Reason:
    start, end = finding.span
    review = (trial.reviews or {}).get(getattr(finding.leaf, "item", ""))
    return Reason(
        finding.value,
        finding.why,
        trial.text[start:end],
        finding.span,
        finding.needs,
        finding.miss,
        finding.excluded,
        review,
    )


@dataclass(frozen=True, slots=True)
class RegistryField:
    """What a registry's own field (``path``) answers; ``stated`` as it stands there."""

    path: str
    stated: str
    value: bool | None
    shown: str
    needs: str
    miss: float | None = None


def registry_fields(
    minimum_age: str | None, maximum_age: str | None, sex: str | None, patient: Patient, knowledge: Knowledge
) -> Iterator[RegistryField]:
    """The registry's own fields that put a demand: minimum and maximum age, sex."""
    for path, stated in (("minimum age", minimum_age), ("maximum age", maximum_age)):
        match = REGISTRY_AGE.fullmatch((stated or "").strip())
        if match is None:
            continue
        bound, unit = float(match[1]), REGISTRY_AGE_UNITS[match[2].casefold()]
        wanted = (
            Range(low=bound, low_inclusive=True)
            if path == "minimum age"
            else Range(high=bound, high_inclusive=True)
        )
        found = age_range(patient, unit, knowledge)
        value = None if found is None else lies_within(found[0], wanted)
        miss = None if found is None else abs(found[0].low - bound) / max(bound, 1.0)
        shown = "age not known" if found is None else f"age {found[1]}"
        yield RegistryField(path, str(stated), value, shown, "age", miss)
    if sex in ("FEMALE", "MALE"):
        same = None if patient.sex is None else patient.sex == sex.casefold()
        yield RegistryField("sex", sex, same, f"sex {patient.sex or 'not known'}", "sex")


def _registry(trial: TrialCriteria, patient: Patient, knowledge: Knowledge) -> Iterator[CriterionAnswer]:
    for one in registry_fields(trial.minimum_age, trial.maximum_age, trial.sex, patient, knowledge):
        why = f"{one.shown}; the registry's {one.path} is {one.stated}"
        reason = Reason(one.value, why, one.stated, (0, 0), one.needs, one.miss, False)
        ask = f"{trial.trial} registry {one.path}"
        text = f"{one.path}: {one.stated}"
        yield CriterionAnswer("registry", one.path, one.value, True, text, (0, 0), (reason,), ask)


def screen(
    connection: sqlite3.Connection, version_ids: Iterable[int], patient: Patient, knowledge: Knowledge
) -> Iterator[TrialAnswer]:
    """The answer of each stored version, in the order given."""
    for version_id in version_ids:
        yield screen_trial(read_trial(connection, version_id), patient, knowledge)


def ranked(answers: Iterable[TrialAnswer]) -> list[TrialAnswer]:
    """Eligible ones first, then the undetermined with the least to find out, then the nearest misses."""
    order = {"eligible": 0, "undetermined": 1, "not eligible": 2}

    def key(answer: TrialAnswer) -> tuple[int, float, float, str]:
        if answer.status == "not eligible":
            return (2, *answer.distance, answer.trial)
        return (order[answer.status], answer.counts[2], 0.0, answer.trial)

    return sorted(answers, key=key)


def missing(answer: TrialAnswer) -> dict[str, str]:
    """What is not known for an undetermined trial: name of it -> a text that asks for it.

    A demand that no value of the patient's can answer goes by the criterion's own name.
    """
    found: dict[str, str] = {}
    for criterion in answer.criteria:
        if criterion.value is None:
            for reason in criterion.reasons:
                if reason.value is None:
                    found.setdefault(reason.needs or criterion.ask, reason.quote or reason.why)
            if not criterion.reasons:
                found.setdefault(criterion.ask, criterion.text)
        for reason in criterion.standing:
            found.setdefault(reason.needs or criterion.ask, reason.quote or reason.why)
    return found


def next_questions(answers: Iterable[TrialAnswer], limit: int = 10) -> tuple[Question, ...]:
    """What to find out next: first what settles most trials by itself, then what most trials wait for."""
    names: dict[str, tuple[str, str]] = {}
    settles: dict[str, int] = {}
    touched: dict[str, list[str]] = {}
    for answer in answers:
        if answer.status != "undetermined":
            continue
        asked = {event_key(name): (name, quote) for name, quote in missing(answer).items()}
        for key, named in asked.items():
            names.setdefault(key, named)
            touched.setdefault(key, []).append(answer.trial)
            settles[key] = settles.get(key, 0) + (len(asked) == 1)
    keys = sorted(touched, key=lambda key: (-settles[key], -len(touched[key]), key))
    return tuple(
        Question(names[key][0], settles[key], len(touched[key]), names[key][1], tuple(touched[key]))
        for key in keys[:limit]
    )
