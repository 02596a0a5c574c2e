"""What a changed threshold would do to a cohort: whom it lets in, and which criteria keep most people out.

Each criterion becomes an SQL condition over the cohort's columns; SQL's three-valued logic is Kleene's.
A patient is *excluded* where a criterion is false, *passes* where every criterion that the cohort speaks
of is true, and is *unknown* else. Criteria that no column answers are counted apart: nobody is judged
by them. The whole cohort is read once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from kb.cohort import Cohort
from kb.cohort_sql import Conditions
from kb.eligible import Eligible, eligible_ranges
from kb.errors import BadQuestion
from kb.judging import Knowledge, needed
from kb.leaf_age import REGISTRY_AGE, REGISTRY_AGE_UNITS
from kb.leaf_fact import applies
from kb.patient import Patient
from kb.patient_formats import Catalogue
from kb.screen import TrialCriteria
from nlp.model import Item, Leaf, leaves

_CHANGE = re.compile(r"(?P<name>.+?)\s*(?P<sign>>=|<=|≥|≤|>|<)\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>.*)")
_SIGNS = {"≥": ">=", "≤": "<="}
# No date is in a cohort: the day decides nothing.
_ANY_DAY = date(2000, 1, 1)


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
    ``silent``: the criteria that no column of the cohort answers; ``odd``: cells that say nothing."""

    trial: str
    patients: int
    scenarios: tuple[Scenario, ...]
    criteria: tuple[CriterionEffect, ...]
    pairs: tuple[tuple[str, str, int], ...]
    silent: tuple[str, ...]
    odd: Mapping[str, int]


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


def what_if(trial: TrialCriteria, changes: Sequence[Change], cohort: Cohort, knowledge: Knowledge) -> WhatIf:
    """Count the cohort before the changes, after each of them, and after all together."""
    today = Patient("", as_of=_ANY_DAY)
    writer = Conditions(cohort, knowledge, replace(today, sex="male"), replace(today, sex="female"))
    base = _written(trial, (), writer)
    silent = tuple(name for name, (sql, _) in base.items() if sql == "NULL")
    live = [name for name, (sql, _) in base.items() if sql not in ("NULL", "TRUE")]
    plans: list[tuple[str, tuple[Change, ...]]] = [(change.asked, (change,)) for change in changes]
    if len(changes) > 1:
        plans.append(("all together", tuple(changes)))
    selects = [f"{base[name][0]} AS c{place}" for place, name in enumerate(live)]
    scenarios = [list(range(len(live)))]
    for _, chosen in plans:
        written, places = _written(trial, chosen, writer), []
        for place, name in enumerate(live):
            sql = written[name][0]
            if sql == base[name][0]:
                places.append(place)
            else:
                places.append(len(selects))
                selects.append(f"{sql} AS c{len(selects)}")
        scenarios.append(places)
    totals = cohort.run(_query(selects, scenarios), 1)
    return _report(trial, base, live, silent, [("as stated", ()), *plans], totals, dict(cohort.odd))


def _written(
    trial: TrialCriteria, changes: Sequence[Change], writer: Conditions
) -> dict[str, tuple[str, str]]:
    """SQL and words of every criterion, the registry's own limits among them."""
    items = {item.id: item for item in trial.extraction.items}
    items |= {change.after.id: change.after for change in changes}
    found: dict[str, tuple[str, str]] = {}
    limits = _registry_ages(trial, writer)
    if trial.sex in ("MALE", "FEMALE"):
        found["registry sex"] = (writer.by_sex(trial.sex == "MALE", trial.sex == "FEMALE"), trial.sex)
    for criterion in trial.extraction.criteria:
        sql = writer.of(criterion.expression, items)
        if criterion.population is not None:
            about = writer.by_sex(*(applies(criterion.population, one) for one in (writer.he, writer.she)))
            if about == "NULL":
                sql = f"(CASE WHEN {sql} THEN TRUE END)" if sql not in ("NULL", "TRUE") else sql
            elif about != "TRUE":
                sql = f"(CASE WHEN {about} THEN {sql} WHEN NOT {about} THEN TRUE END)"
        name = f"{criterion.section} {criterion.path}"
        # The registry's ages restate the text's: together they are one criterion, else neither would
        # ever be what keeps a patient out.
        ages = [leaf for leaf in leaves(criterion.expression) if isinstance(leaf, Leaf)]
        if (
            limits
            and sql not in ("NULL", "TRUE")
            and any(leaf.item in items and items[leaf.item].concept == "age" for leaf in ages)
        ):
            sql = f"({sql} AND {' AND '.join(limit for limit, _ in limits.values())})"
            limits = {}
        found[name] = (sql, criterion.text)
    return limits | found


def _registry_ages(trial: TrialCriteria, writer: Conditions) -> dict[str, tuple[str, str]]:
    """SQL and words of the registry's own limits of age."""
    found = {}
    age = writer.cohort.find("age")
    for name, stated, sign in (("minimum", trial.minimum_age, ">="), ("maximum", trial.maximum_age, "<=")):
        match = REGISTRY_AGE.fullmatch((stated or "").strip())
        if match is not None:
            usable = age is not None and REGISTRY_AGE_UNITS[match[2].casefold()] == "a"
            sql = f"floor({age.sql}) {sign} {float(match[1])!r}" if usable and age is not None else "NULL"
            found[f"registry {name} age"] = (sql, str(stated))
    return found


def _query(selects: Sequence[str], scenarios: Sequence[Sequence[int]]) -> str:
    """One row for each set of at most two excluding criteria (``-`` for none, ``*`` for more)."""

    def any_false(places: Sequence[int]) -> str:
        return " OR ".join(f"c{place} IS FALSE" for place in places) or "FALSE"

    def any_null(places: Sequence[int]) -> str:
        return " OR ".join(f"c{place} IS NULL" for place in places) or "FALSE"

    base = scenarios[0]
    number = " + ".join(f"CASE WHEN c{place} IS FALSE THEN 1 ELSE 0 END" for place in base) or "0"
    names = " || ".join(f"CASE WHEN c{place} IS FALSE THEN '{place},' ELSE '' END" for place in base) or "''"
    out = "x0_out"
    columns = ["count(*)"]
    for place in base:
        columns += [
            f"sum(CASE WHEN c{place} IS {word} THEN 1 ELSE 0 END)" for word in ("TRUE", "FALSE", "NULL")
        ]
    flags = []
    for place, places in enumerate(scenarios):
        flags.append(f"({any_false(places)}) AS x{place}_out, ({any_null(places)}) AS x{place}_open")
        mine, open_ = f"x{place}_out", f"x{place}_open"
        columns += [
            f"sum(CASE WHEN NOT {mine} AND NOT {open_} THEN 1 ELSE 0 END)",
            f"sum(CASE WHEN NOT {mine} AND {open_} THEN 1 ELSE 0 END)",
            f"sum(CASE WHEN {mine} THEN 1 ELSE 0 END)",
            f"sum(CASE WHEN {out} AND NOT {mine} THEN 1 ELSE 0 END)",
            f"sum(CASE WHEN {mine} AND NOT {out} THEN 1 ELSE 0 END)",
        ]
    judged = f"SELECT {', '.join(selects) or '1 AS c_none'} FROM cohort"
    keyed = f"SELECT *, CASE WHEN {number} > 2 THEN '*' ELSE {names} END AS who, {', '.join(flags)} FROM ({judged}) AS judged"
    return f"SELECT who, {', '.join(columns)} FROM ({keyed}) AS keyed GROUP BY who"


def _report(
    trial: TrialCriteria,
    base: Mapping[str, tuple[str, str]],
    live: Sequence[str],
    silent: tuple[str, ...],
    plans: Sequence[tuple[str, Sequence[Change]]],
    totals: Mapping[tuple[str, ...], list[int]],
    odd: Mapping[str, int],
) -> WhatIf:
    width = 1 + 3 * len(live) + 5 * len(plans)
    sums = [sum(column) for column in zip(*totals.values(), strict=True)] if totals else [0] * width
    effects = []
    for place, name in enumerate(live):
        true, false, unknown = sums[1 + 3 * place : 4 + 3 * place]
        alone = totals.get((f"{place},",), [0])[0]
        effects.append(CriterionEffect(name, base[name][1], true, false, unknown, alone))
    effects.sort(key=lambda one: (-one.alone, -one.false, one.criterion))
    pairs = []
    for (who,), counts in totals.items():
        both = [int(place) for place in who.split(",") if place.isdigit()]
        if len(both) == 2:
            pairs.append((live[both[0]], live[both[1]], counts[0]))
    pairs.sort(key=lambda one: (-one[2], one))
    start = 1 + 3 * len(live)
    scenarios = tuple(
        Scenario(name, *sums[start + 5 * place : start + 5 * place + 5])
        for place, (name, _) in enumerate(plans)
    )
    said = {header: count for header, count in odd.items() if count}
    return WhatIf(trial.trial, sums[0], scenarios, tuple(effects), tuple(pairs), silent, said)
