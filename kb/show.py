"""One trial as it was read: the criteria tree, thresholds marked in the text, what was not read, and
where the criteria and the registry's own fields (ages, sex, healthy volunteers) contradict each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harvest.model import Trial
from kb.limits import Limit, TrialLine, load_trial_lines, short
from kb.reader import TrialReader
from kb.reviewed_limits import reviewed_limits
from kb.store import Store
from nlp.model import Fact, Unread, expression_to_json, leaves

_AGE_FIELD = re.compile(r"(\d+(?:\.\d+)?)\s*(year|month|week|day|hour|minute)s?", re.IGNORECASE)
_YEARS = {
    "year": 1.0,
    "month": 1 / 12,
    "week": 7 / 365.25,
    "day": 1 / 365.25,
    "hour": 1 / 8766,
    "minute": 1 / 525960,
}

_ONE_SEX = re.compile(
    r"(?:adult |eligible )?(females?|women|woman|males?|men|man)\b(?! (?:or|and)\b|/|,| partners?\b)",
    re.IGNORECASE,
)
"""A line that begins with one sex and does not name the other beside it."""
_ABOUT_PREGNANCY = re.compile(
    r"child-?bearing|pregnan|contracepti|birth control|menopaus|lactat|breast-?feed|fertil|sexual",
    re.IGNORECASE,
)
"""Such lines put a demand on one sex; they do not restrict the trial to it."""

_FEMALE, _MALE = (
    re.compile(r"femal|wom[ae]n", re.IGNORECASE),
    re.compile(r"\b(?:males?|m[ae]n)\b|(?<!fe)male", re.IGNORECASE),
)
_SEX_OUT = re.compile(
    r"(?:all |any )?(females?|women|woman|males?|men|man)(?: (?:sex|gender|patients?|subjects?|participants?))?\W*",
    re.IGNORECASE,
)
"""A line of the exclusion that is nothing but one sex."""
_HEALTHY = re.compile(
    r"\W*(?:(?:adult|male|female|young|elderly|clinically|normal|aged?|and|or|for|(?:group|cohort|part|arm) \w{1,2})[\s:,]+){0,3}"
    r"healthy\s+(?:[\w-]+\s+){0,3}(?:volunteers?|subjects?|participants?|individuals?|males?|females?|m[ae]n|wom[ae]n|adults?|controls?"
    r"|people|persons?|children)\b",
    re.IGNORECASE,
)
"""A line that begins with healthy people; donors are no participants."""

_DAY = 1 / 365.25
"""Ages in years that differ by less than a day are the same."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Words that put a demand on the patient and were not understood, and why."""

    text: str
    span: tuple[int, int]
    why: str


@dataclass(frozen=True, slots=True)
class ShownCriterion:
    """One criterion. ``marked`` is its text with ``[n: ...]`` around the words of its n-th limit
    (numbered through the trial, ``numbers``)."""

    section: str
    path: str
    depth: int
    heading: str | None
    population: str | None
    text: str
    marked: str
    span: tuple[int, int]
    numbers: tuple[int, ...]
    limits: tuple[Limit, ...]
    facts: tuple[str, ...]
    unread: tuple[Unreadable, ...]
    coverage: float
    expression: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conflict:
    """The criteria say one thing, a field of the registry another."""

    field: str
    registry: str
    criteria: str
    quote: str


@dataclass(frozen=True, slots=True)
class Shown:
    """The whole answer. ``loose`` are limits that stand in no criterion."""

    line: TrialLine
    trial: Trial
    vocabulary: str
    criteria: tuple[ShownCriterion, ...]
    loose: tuple[Limit, ...]
    conflicts: tuple[Conflict, ...]

    @property
    def unread(self) -> int:
        """How many demands were not read."""
        return sum(len(criterion.unread) for criterion in self.criteria)


def show(store: Store, trial_id: str, source: str | None = None) -> Shown:
    """A trial's reading; of one source, if given. Raises TrialNotFound, BadQuestion."""
    return show_version(store, store.version_id(trial_id, source))


def show_version(store: Store, version_id: int) -> Shown:
    """As :func:`show`, for a version id."""
    trial = store.trial(version_id)
    limits = reviewed_limits(store.connection, [version_id])
    numbers = {id(limit): number for number, limit in enumerate(limits, start=1)}
    at: dict[tuple[str, str | None], list[Limit]] = {}
    for limit in limits:
        at.setdefault((limit.evidence.section, limit.evidence.criterion), []).append(limit)
    shown: list[ShownCriterion] = []
    depths: dict[int, int] = {}
    for key, parent, criterion in TrialReader(store.connection).criteria(version_id):
        section, path, text, (start, end) = criterion.section, criterion.path, criterion.text, criterion.span
        heading, population, coverage = criterion.heading, criterion.population, criterion.coverage
        depths[key] = depths.get(parent, -1) + 1 if parent is not None else 0
        own = at.pop((section, path), [])
        ends = list(leaves(criterion.expression))
        shown.append(
            ShownCriterion(
                section, path, depths[key], heading, population, text,
                mark(text, start, [(*limit.evidence.span, numbers[id(limit)]) for limit in own]),
                (start, end), tuple(numbers[id(limit)] for limit in own), tuple(own),
                tuple(leaf.text for leaf in ends if isinstance(leaf, Fact)),
                tuple(
                    Unreadable(trial.eligibility_text[slice(*leaf.span)], leaf.span, leaf.why)
                    for leaf in ends if isinstance(leaf, Unread)
                ),
                coverage, expression_to_json(criterion.expression),
            )
        )  # fmt: skip
    vocabulary = store.connection.execute("SELECT vocabulary FROM trial_version WHERE id = ?", (version_id,))
    return Shown(
        load_trial_lines(store.connection, [version_id])[version_id],
        trial,
        vocabulary.fetchone()[0],
        tuple(shown),
        tuple(limit for left in at.values() for limit in left),
        tuple(registry_conflicts(trial, limits, _lines(shown))),
    )


def _lines(shown: Sequence[ShownCriterion]) -> list[tuple[str, str]]:
    """Section and text of the lines that speak of everybody, and of the headings of groups of an inclusion."""
    heads = [one for one in shown if one.section == "inclusion" and one.expression == {"all": []}]
    return [
        (one.section, one.text) for one in shown if one.population is None and one.expression != {"all": []}
    ] + [(one.section, one.text) for one in heads if _HEALTHY.match(one.text)]


def mark(text: str, origin: int, spans: Sequence[tuple[int, int, int]]) -> str:
    """``text`` with ``[n: words]`` around each span (raw offsets; ``origin`` is where the text begins).

    Limits that share their words are marked together: ``[3,4: <= 3 x ULN]``. Of overlapping spans the
    first is marked; the others keep their number in the list below the text.
    """
    together: dict[tuple[int, int], list[int]] = {}
    for start, end, number in spans:
        together.setdefault((start - origin, end - origin), []).append(number)
    out, done = [], 0
    for (start, end), numbers in sorted(together.items()):
        if start < done or start < 0 or end > len(text):
            continue
        out.append(text[done:start])
        out.append(f"[{','.join(map(str, numbers))}: {text[start:end]}]")
        done = end
    out.append(text[done:])
    return "".join(out)


def age_in_years(field: str | None) -> float | None:
    """A registry age field ("18 Years", "6 Months") in years; None where there is none."""
    match = _AGE_FIELD.search(field or "")
    return float(match.group(1)) * _YEARS[match.group(2).lower()] if match else None


def registry_conflicts(
    trial: Trial, limits: Sequence[Limit], lines: Sequence[tuple[str, str]] = ()
) -> list[Conflict]:
    """Where the criteria and the registry's own fields say different things.

    Ages: the unconditional limits of age. Sex: a line (``lines``: section and text) of the inclusion
    asks for one sex, or one of the exclusion is nothing but one. Healthy volunteers: a line of the
    inclusion takes them and the field says no, or one of the exclusion turns them away and it says yes.
    """
    found = []
    ages = [
        limit
        for limit in limits
        if limit.concept == "age" and limit.comparable and limit.unconditional and not limit.population
    ]
    fields = (
        ("minimum age", trial.minimum_age, "min"),
        ("maximum age", trial.maximum_age, "max"),
    )
    for name, stated, side in fields:
        registry = age_in_years(stated)
        for limit in ages:
            bound = limit.min_value if side == "min" else limit.max_value
            if bound is None:
                continue
            if registry is None:
                found.append(Conflict(name, "no limit", limit.words(), limit.evidence.quote))
            elif abs(registry - bound) >= _DAY and not _same_whole_year(registry, limit, side):
                found.append(Conflict(name, stated or "", limit.words(), limit.evidence.quote))
    for section, text in lines:
        found.extend(_sex_conflict(trial, section, text))
        if trial.healthy_volunteers is not None and _HEALTHY.match(text):
            taken = section == "inclusion"
            if trial.healthy_volunteers != taken and section in ("inclusion", "exclusion"):
                stated = "accepted" if trial.healthy_volunteers else "not accepted"
                found.append(
                    Conflict("healthy volunteers", stated, "accepted" if taken else "excluded", text)
                )
    return found


def _sex_conflict(trial: Trial, section: str, text: str) -> list[Conflict]:
    asked = _ONE_SEX.match(text) if section == "inclusion" else None
    if section == "exclusion":
        asked = _SEX_OUT.fullmatch(text)
    if asked is None or _ABOUT_PREGNANCY.search(text) or trial.sex is None:
        return []
    if _FEMALE.search(text) and _MALE.search(text):
        return []
    female = (asked.group(1)[0].lower() in "fw") == (section == "inclusion")
    sex = "FEMALE" if female else "MALE"
    return [Conflict("sex", trial.sex, sex, text)] if trial.sex != sex else []


def _same_whole_year(registry: float, limit: Limit, side: str) -> bool:
    """ "< 71 years" and the field "70 Years", "> 17" and "18 Years", say the same in whole years."""
    if side == "min":
        return (
            limit.min_inclusive is False
            and limit.min_value is not None
            and short(registry) == short(limit.min_value + 1)
        )
    return (
        limit.max_inclusive is False
        and limit.max_value is not None
        and short(registry) == short(limit.max_value - 1)
    )
