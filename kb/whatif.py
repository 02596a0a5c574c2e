"""What a changed threshold would do to a cohort: whom it lets in, and which criteria keep most people out.

Every criterion is answered by the code that answers it for a single patient. A patient is *excluded*
where a criterion is false, *passes* where every criterion that the cohort speaks of is true, and is
*unknown* else. Criteria that no column answers are counted apart: nobody is judged by them. The whole
cohort is read once, chunk by chunk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any

from kb.cohort import Cohort, CohortInvalid, Column
from kb.cohort_judging import Code, Question, Remembered, Sights, asked, says
from kb.eligible import Eligible, eligible_ranges
from kb.errors import BadQuestion
from kb.judging import Knowledge, needed
from kb.patient import Patient
from kb.patient_formats import Catalogue
from kb.screen import TrialCriteria, registry_fields
from nlp.model import Item, Leaf, leaves

_CHANGE = re.compile(r"(?P<name>.+?)\s*(?P<sign>>=|<=|≥|≤|>|<)\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>.*)")
_SIGNS = {"≥": ">=", "≤": "<="}


class ChangeInvalid(BadQuestion):
    """A change that cannot be made: says what the trial states instead."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one item: as it was asked, and the item before and after."""

    asked: str
    before: Item
    after: Item


@dataclass(frozen=True, slots=True)
class CriterionEffect:
    """How the cohort stands to one criterion. ``alone``: patients whom nothing else excludes, so many
    would it let in if it were left out."""

    criterion: str
    text: str
    true: int
    false: int
    unknown: int
    alone: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """The cohort under some changes. ``let_in``: excluded before and not any more; ``shut_out`` the reverse."""

    name: str
    passes: int
    unknown: int
    excluded: int
    let_in: int
    shut_out: int


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The whole answer. ``pairs``: (criterion, criterion, patients whom just these two exclude);
    ``silent``: the criteria that no column of the cohort answers; ``odd``: cells that say nothing;
    ``unused``: the columns that no criterion looks at."""

    trial: str
    patients: int
    scenarios: tuple[Scenario, ...]
    criteria: tuple[CriterionEffect, ...]
    pairs: tuple[tuple[str, str, int], ...]
    silent: tuple[str, ...]
    odd: Mapping[str, int]
    unused: tuple[str, ...] = ()


# --------------------------------------------------------------------- changes


def parse_change(text: str, trial: TrialCriteria, catalogue: Catalogue, knowledge: Knowledge) -> Change:
    """ "platelets >= 30 10*9/L" as a change of the trial's item on that concept and side.

    The text says what a patient who may enter must have, also where the trial states the excluded set.
    A name that is an item's id ("i9 >= 30") settles which, where several would fit. Raises
    ChangeInvalid.
    """
    match = _CHANGE.fullmatch(text.strip())
    if match is None:
        raise ChangeInvalid(f"{text!r} is no threshold; write for example: platelets >= 30 10*9/L")
    sign = _SIGNS.get(match["sign"], match["sign"])
    relative, unit = _unit_of(match["unit"].strip(), catalogue)
    ranges = eligible_ranges(trial.extraction)
    named = [item for item in trial.extraction.items if item.id == match["name"]]
    concept = catalogue.concept(match["name"])
    about = named or [
        item for item in trial.extraction.items if concept is not None and item.concept == concept
    ]
    if not about:
        raise ChangeInvalid(f"{trial.trial} states nothing about {match['name']!r}")
    fitting = [item for item in about if _side(ranges[item.id], sign) and item.relative_to == relative]
    plain = [
        item for item in fitting if ranges[item.id].applies_if is None and ranges[item.id].alternative is None
    ] or fitting
    if len(plain) != 1:
        listed = "; ".join(f"{item.id}: {needed(item)}" for item in (plain or about))
        many = "several" if plain else "no"
        raise ChangeInvalid(f"{trial.trial} has {many} thresholds that {text!r} could change: {listed}")
    item = plain[0]
    if unit is None and relative is None:
        unit = item.unit
    if unit != item.unit and (
        item.unit is None
        or unit is None
        or knowledge.units.convert(1.0, unit, item.unit, item.concept) is None
    ):
        raise ChangeInvalid(f"{text!r}: {unit} is no unit of what {trial.trial} states, {needed(item)}")
    return Change(
        text.strip(), item, _changed(item, sign, float(match["number"]), unit, ranges[item.id].turned)
    )


def _unit_of(text: str, catalogue: Catalogue) -> tuple[str | None, str | None]:
    relative = re.fullmatch(r"(?:[x×*]\s*)?(ULN|LLN)", text, re.IGNORECASE)
    if relative:
        return relative[1].upper(), None
    if not text:
        return None, None
    unit = catalogue.unit(text)
    if unit is None:
        raise ChangeInvalid(f"the unit {text!r} is not known; write UCUM, for example 10*9/L")
    return None, unit


def _side(eligible: Eligible, sign: str) -> bool:
    return (eligible.min_value if sign.startswith(">") else eligible.max_value) is not None


def _changed(item: Item, sign: str, number: float, unit: str | None, turned: bool) -> Item:
    inclusive = sign in (">=", "<=")
    low = sign.startswith(">") != turned
    other = item.high if low else item.low
    if other is not None and unit != item.unit:
        raise ChangeInvalid(f"{item.id} has two bounds in {item.unit}; write the new one in that unit")
    side: dict[str, Any] = {"low": number, "low_inclusive": inclusive != turned}
    if not low:
        side = {"high": number, "high_inclusive": inclusive != turned}
    comparator = (
        "range"
        if other is not None
        else {(True, True): ">=", (True, False): ">", (False, True): "<="}.get(
            (low, inclusive != turned), "<"
        )
    )
    return replace(
        item,
        **side,
        comparator=comparator,
        unit=unit,
        canonical_low=None,
        canonical_high=None,
    )


# ------------------------------------------------------------------------- run


def what_if(
    trial: TrialCriteria, changes: Sequence[Change], cohort: Cohort, knowledge: Knowledge, today: date
) -> WhatIf:
    """Count the cohort before the changes, after each of them, and after all together.

    ``today`` is the day of screening where no column ``as_of`` names it. Raises CohortInvalid.
    """
    sights = Sights(cohort, knowledge, today)
    registry = _registry(trial, sights)
    base = _questions(trial, (), sights, registry)
    live = [name for name, one in base.items() if one.open]
    silent = tuple(name for name, one in base.items() if name not in live and not one.met)
    if not live:
        headers = ", ".join(column.header for column in cohort.columns)
        raise CohortInvalid(
            f"{cohort.path}: no column answers a criterion of {trial.trial}; it has {headers}"
        )
    plans: list[tuple[str, tuple[Change, ...]]] = [(change.asked, (change,)) for change in changes]
    if len(changes) > 1:
        plans.append(("all together", tuple(changes)))
    asked = [base[name] for name in live]
    scenarios = [tuple(range(len(live)))]
    for _, chosen in plans:
        changed, places = _questions(trial, chosen, sights, registry), []
        for place, name in enumerate(live):
            if changed[name].sights == base[name].sights:
                places.append(place)
            else:
                places.append(len(asked))
                asked.append(changed[name])
        scenarios.append(tuple(places))
    tally = Tally(len(asked), scenarios)
    odd = _count(asked, cohort, tally)
    names = ("as stated", *(name for name, _ in plans))
    report = _report(trial, [base[name] for name in live], silent, names, tally, odd)
    looked = {place for question in asked for sight in question.sights for place in sight.places}
    unused = (
        column.header
        for place, column in enumerate(cohort.columns)
        if column.role != "id" and place not in looked
    )
    return replace(report, unused=tuple(unused))


def _questions(
    trial: TrialCriteria, changes: Sequence[Change], sights: Sights, registry: Mapping[str, Question]
) -> dict[str, Question]:
    """Every criterion by its name, the registry's own limits among them."""
    items = {item.id: item for item in trial.extraction.items}
    items |= {change.after.id: change.after for change in changes}
    limits = dict(registry)
    found: dict[str, Question] = {}
    for criterion in trial.extraction.criteria:
        question = asked(criterion, items, sights)
        # The registry's ages restate the text's: together they are one criterion, else neither would
        # ever be what keeps a patient out.
        used = [items.get(leaf.item) for leaf in leaves(criterion.expression) if isinstance(leaf, Leaf)]
        if question.open and any(item is not None and item.concept == "age" for item in used):
            ages = [name for name in limits if name.endswith(" age") and limits[name].open]
            question = _together(question, [limits.pop(name) for name in ages])
        found[question.name] = question
    return limits | found


def _registry(trial: TrialCriteria, sights: Sights) -> dict[str, Question]:
    """The registry's own fields as questions; only those it states."""
    stated = {
        "minimum age": (trial.minimum_age, None, None),
        "maximum age": (None, trial.maximum_age, None),
        "sex": (None, None, trial.sex),
    }
    found = {}
    for path, (minimum, maximum, sex) in stated.items():
        fields = partial(registry_fields, minimum, maximum, sex, knowledge=sights.knowledge)
        if next(iter(fields(Patient("", sights.today))), None) is None:
            continue

        def judge(who: Patient, fields: Any = fields) -> Code:
            return next(iter(fields(who))).value, True

        sight = sights.looking(judge, set(sights.cohort.places("sex" if sex else "age")))
        name, words = f"registry {path}", str(minimum or maximum or sex)
        found[name] = Question(name, words, (sight,), lambda codes: codes[0][0])
    return found


def _together(question: Question, others: Sequence[Question]) -> Question:
    """One criterion that is true where all are."""
    if not others:
        return question
    own = len(question.sights)

    def answer(codes: tuple[Code, ...]) -> bool | None:
        values = {question.answer(codes[:own]), *(value for value, _ in codes[own:])}
        return False if False in values else None if None in values else True

    sights = (*question.sights, *(sight for other in others for sight in other.sights))
    return Question(question.name, question.text, sights, answer)


def _count(asked: Sequence[Question], cohort: Cohort, tally: Tally) -> dict[str, int]:
    """Read the cohort into the tally. Returns, by header, the cells that hold something and say nothing."""
    odd = dict.fromkeys((column.header for column in cohort.columns if column.role != "id"), 0)
    checks = {
        place: Remembered(partial(_says_nothing, column))
        for place, column in enumerate(cohort.columns)
        if column.role != "id"
    }
    looking = dict.fromkeys(sight for question in asked for sight in question.sights)
    for chunk in cohort.chunks():
        rows = len(chunk[0])
        for place, check in checks.items():
            odd[cohort.columns[place].header] += sum(map(check.__getitem__, chunk[place]))
        codes = {id(sight): list(sight.codes(chunk, rows)) for sight in looking}
        tally.add(rows, [question.values(codes) for question in asked])
    return {header: count for header, count in odd.items() if count}


def _says_nothing(column: Column, cell: str) -> bool:
    return bool(cell.strip()) and says(column, cell) is None


@dataclass
class Tally:
    """Counts over the rows: of the answers of each criterion asked, of each scenario (the places of its
    criteria), of those whom one criterion alone excludes, and of the pairs that exclude someone by themselves."""

    criteria: int
    scenarios: Sequence[tuple[int, ...]]
    patients: int = 0
    answers: list[Counter[bool | None]] = field(default_factory=list)
    counts: list[Counter[str]] = field(default_factory=list)
    alone: Counter[int] = field(default_factory=Counter)
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.answers = [Counter() for _ in range(self.criteria)]
        self.counts = [Counter() for _ in self.scenarios]

    def add(self, rows: int, values: Sequence[Sequence[bool | None]]) -> None:
        """Count ``rows`` rows; ``values`` are each criterion's answers to them."""
        self.patients += rows
        for counter, column in zip(self.answers, values, strict=True):
            counter.update(column)
        patterns = Counter(zip(*values, strict=True)) if values else Counter({(): rows})
        for pattern, count in patterns.items():
            self._pattern(pattern, count)

    def _pattern(self, pattern: tuple[bool | None, ...], count: int) -> None:
        base = self.scenarios[0]
        out = [place for place in base if pattern[place] is False]
        if len(out) == 1:
            self.alone[out[0]] += count
        elif len(out) == 2:
            self.pairs[out[0], out[1]] += count
        for places, counter in zip(self.scenarios, self.counts, strict=True):
            found = {pattern[place] for place in places}
            word = "excluded" if False in found else "unknown" if None in found else "passes"
            counter[word] += count
            if (word == "excluded") != bool(out):
                counter["let_in" if out else "shut_out"] += count


def _report(
    trial: TrialCriteria,
    live: Sequence[Question],
    silent: tuple[str, ...],
    names: Sequence[str],
    tally: Tally,
    odd: Mapping[str, int],
) -> WhatIf:
    effects = [
        CriterionEffect(one.name, one.text, answers[True], answers[False], answers[None], tally.alone[place])
        for place, (one, answers) in enumerate(zip(live, tally.answers, strict=False))
    ]
    effects.sort(key=lambda one: (-one.alone, -one.false, one.criterion))
    pairs = [(live[one].name, live[two].name, count) for (one, two), count in tally.pairs.items()]
    pairs.sort(key=lambda one: (-one[2], one))
    parts = ("passes", "unknown", "excluded", "let_in", "shut_out")
    scenarios = tuple(
        Scenario(name, *(counts[part] for part in parts))
        for name, counts in zip(names, tally.counts, strict=True)
    )
    return WhatIf(trial.trial, tally.patients, scenarios, tuple(effects), tuple(pairs), silent, odd)
