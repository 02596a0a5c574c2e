"""What a criterion's expression says as a cohort of patients with two-valued tests: pure logic, no format.

An expression is three-valued (Kleene): for a patient it is true, false or unknown. A cohort engine asks two-valued
questions of a database: is there an event such that ... Both are joined here by pushing the question "is it
known to be true" (or "known to be false") down to the leaves, where each answer is the existence, or the
absence, of recorded events. With ``missing="exclude"`` the cohort holds exactly those for whom the
criterion is known to be true; with ``missing="keep"`` those for whom it is not known to be false.

A leaf that cannot be asked is read as "may hold": the cohort is then a superset, never a guess that loses a
patient, and the criterion is degraded (something of it is still asked) or dropped (nothing is).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from kb.eligible import QUARANTINED
from kb.export.flat import DAYS
from kb.export.model import Context, Reason, TrialRecord
from kb.export.omop import ConceptSet, OmopTable
from kb.export.predicate import (
    AgeTest,
    Constant,
    Event,
    Node,
    SexTest,
    Test,
    both,
    either,
    negate,
    opposite,
    range_tests,
)
from kb.judging import Range, item_range
from kb.leaf_fact import applies
from kb.patient import Patient, event_query
from nlp.model import All, AnyOf, Criterion, Expression, Fact, If, Item, Leaf, Not, Unread

DECIMALS = 4
"""circe-be writes every number with four decimals (BuilderUtils.buildNumericRangeClause, format ".4f")."""
ROUNDING = 1e-4
"""How much of itself a limit may change by being written with four decimals."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a criterion: whom the cohort holds, whether that is exactly its demand, and why not."""

    node: Node
    exact: bool
    reasons: tuple[Reason, ...] = ()


class _Unasked(Exception):
    """A leaf that no question of the database stands for."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = Reason(code, detail)


class CohortReader:
    """Reads one trial's criteria as cohort logic."""

    def __init__(self, record: TrialRecord, context: Context, omop: OmopTable) -> None:
        self._items = record.item_by_id()
        self._text = record.trial.eligibility_text
        self._context = context
        self._omop = omop
        self._reasons: list[Reason] = []

    def read(self, criterion: Criterion) -> Reading:
        """The cohort of one criterion under the missing-value policy of the context's options."""
        self._reasons = []
        keep = self._context.options.missing == "keep"
        if keep:
            node = negate(self._known(criterion.expression, False, Constant(False)))
        else:
            node = self._known(criterion.expression, True, Constant(True))
        node = self._for_population(criterion, node)
        if node == Constant(False):  # nobody, by what the text says: a contradiction is shown, not acted on
            self._reasons.append(Reason("contradiction", "no patient can satisfy it as it was read"))
            node = Constant(True)
        reasons = tuple(dict.fromkeys(self._reasons))
        return Reading(node, not reasons, reasons)

    def _for_population(self, criterion: Criterion, node: Node) -> Node:
        """A demand on one sex holds for the other; on any other population it is not asked."""
        meant = _population(criterion.population)
        if meant == "everyone":
            return node
        if meant in ("female", "male"):
            other = self._omop.sexes.get("male" if meant == "female" else "female")
            if other:
                return either(SexTest(other), node)
        self._reasons.append(Reason("population", f"it is restricted to '{criterion.population}'"))
        return Constant(True)

    def _known(self, expression: Expression, want: bool, unasked: Constant) -> Node:
        """Those for whom the expression is known to be ``want``; ``unasked`` stands for what cannot be asked."""

        def known(part: Expression, wanted: bool = want) -> Node:
            return self._known(part, wanted, unasked)

        match expression:
            case All(parts):
                return (both if want else either)(*map(known, parts))
            case AnyOf(parts):
                return (either if want else both)(*map(known, parts))
            case Not(part):
                return known(part, not want)
            case If(condition, then, otherwise):
                first, second = known(then), known(otherwise)
                return either(
                    both(known(condition, True), first),
                    both(known(condition, False), second),
                    both(first, second),
                )
            case Leaf(name) if members := self._members(self._items[name]):
                # As screening judges a collective concept: an upper limit is broken by one of its members,
                # anything else takes them all.
                answers = [self._asked(each, want, unasked) for each in members]
                broken = not want and members[0].comparator in ("<", "<=")
                return (either if broken else both)(*answers)
            case Leaf() | Fact() | Unread():
                return self._asked(expression, want, unasked)

    def _asked(self, leaf: Leaf | Fact | Unread | Item, want: bool, unasked: Constant) -> Node:
        try:
            return self._leaf(leaf, want)
        except _Unasked as why:
            self._reasons.append(why.reason)
            return unasked

    def _members(self, item: Item) -> tuple[Item, ...]:
        """What a collective concept without an id of its own asks of its members (transaminases: ALT, AST)."""
        facts = self._context.concept(item.concept)
        if facts is None or item.concept in self._omop.measurements:
            return ()
        return tuple(replace(item, concept=name, concept_text=name) for name in facts.members)

    def _leaf(self, leaf: Leaf | Fact | Unread | Item, want: bool) -> Node:
        match leaf:
            case Unread((start, end), why):
                quote = " ".join(self._text[start:end].split())[:120]
                raise _Unasked("unread", f"not understood ({why}): {quote}")
            case Fact():
                return self._fact(leaf, want)
            case Leaf() | Item():
                item = self._items[leaf.item] if isinstance(leaf, Leaf) else leaf
                if _population(item.population) != "everyone":
                    raise _Unasked("population", f"{_name(item)} is restricted to '{item.population}'")
                return _age(item, want) if item.concept == "age" else self._item(item, want)

    # ------------------------------------------------------------ facts

    def _fact(self, fact: Fact, want: bool) -> Node:
        """A recorded condition; no record counts as not having it (closed world, as cohorts have it)."""
        query = event_query(fact.text)
        found = self._omop.conditions.get(query.key)
        if found is None:
            text = " ".join(fact.text.split())[:120]
            raise _Unasked("no_omop_condition", f"no OMOP condition is known for '{text}'")
        self._caution(found, fact.text)
        days = self._days(*query.window) if query.window else None
        return Event("condition", query.key, before_days=days, absent=not want)

    # ------------------------------------------------------------ items

    def _item(self, item: Item, want: bool) -> Node:
        suspect = QUARANTINED.intersection(item.flags)
        if suspect:
            raise _Unasked("suspect", f"{_name(item)}: the reading is suspect ({', '.join(sorted(suspect))})")
        if item.comparator == "positive_or_negative":
            return Constant(want)
        if item.concept is None:
            raise _Unasked("no_concept", f"'{_name(item)}' is no concept of the vocabulary")
        found = self._omop.measurements.get(item.concept)
        if found is None:
            raise _Unasked(
                "no_omop_concept", f"no OMOP concept id is known for {_name(item)} ({item.concept})"
            )
        event = Event("measurement", item.concept, before_days=self._window(item))
        if item.comparator in ("positive", "negative", "detectable", "undetectable"):
            node: Node = self._qualitative(item, event, want)
        elif item.relative_to is not None:
            node = self._relative(item, event, want)
        else:
            node = self._by_unit(item, event, want)
        self._caution(found, item.concept)
        return node

    def _caution(self, found: ConceptSet, name: str) -> None:
        if found.caution:
            self._reasons.append(Reason("check_concept", f"{name}: {found.caution}"))

    def _qualitative(self, item: Item, event: Event, want: bool) -> Node:
        other = {"positive": "negative", "detectable": "undetectable"}
        turned = other | {value: key for key, value in other.items()}
        result = item.comparator if want else turned[item.comparator]
        ids = self._omop.results.get(result)
        if not ids:
            raise _Unasked("no_omop_result", f"no OMOP concept id is known for the result '{result}'")
        return replace(event, results=ids)

    def _relative(self, item: Item, event: Event, want: bool) -> Node:
        wanted = item_range(item)
        if item.relative_to not in ("ULN", "LLN"):
            raise _Unasked("reference", f"{_name(item)}: a share of {item.relative_to} cannot be asked")
        if wanted is None:
            raise _Unasked("no_range", f"{_name(item)}: '{item.value_text}' makes no range")
        percent = 0.01 if item.unit == "%" else 1.0
        scaled = replace(wanted, low=wanted.low * percent, high=wanted.high * percent)
        scale: Literal["range_high", "range_low"] = "range_high" if item.relative_to == "ULN" else "range_low"
        return _events(
            range_tests(scaled), want, lambda test: replace(event, test=_written(test, item), scale=scale)
        )

    def _by_unit(self, item: Item, event: Event, want: bool) -> Node:
        """One alternative for each unit in which sites record the value, with the limit in that unit."""
        if item.comparator == "set" and item.values:
            tests: list[tuple[Test, ...]] = [(Test("eq", value),) for value in item.values]
        else:
            wanted = item_range(item)
            if wanted is None:
                raise _Unasked("no_range", f"{_name(item)}: '{item.value_text}' makes no range")
            tests = [range_tests(wanted)]
        nodes = []
        for alternative in tests:
            by_limits: dict[tuple[Test, ...], list[int]] = {}
            for ids, scaled in self._units(item, alternative):
                by_limits.setdefault(scaled, []).extend(ids)
            nodes.append(either(*(_in_units(event, ids, scaled, want) for scaled, ids in by_limits.items())))
        return (either if want else both)(*nodes)

    def _units(self, item: Item, tests: tuple[Test, ...]) -> list[tuple[tuple[int, ...], tuple[Test, ...]]]:
        """``(OMOP unit ids, tests in that unit)``; one entry without ids for a number that has no unit."""
        facts = self._context.concept(item.concept)
        bare = facts is None or _dimensionless(facts.canonical_unit)
        if _dimensionless(item.unit):
            if not bare:
                raise _Unasked("no_unit", f"{_name(item)}: the text names no unit")
            return [((), tuple(_written(test, item) for test in tests))]
        assert item.unit is not None
        found = []
        own = False
        for unit, ids in self._omop.units.items():
            scaled = [self._rescaled(test, item.unit, unit, item.concept) for test in tests]
            if all(test is not None for test in scaled):
                found.append((ids, tuple(test for test in scaled if test is not None)))
                own = own or unit == item.unit
        if item.unit in self._omop.units and not own:
            self._reasons.append(
                Reason("precision", f"{_name(item)}: '{item.value_text}' needs more than {DECIMALS} decimals")
            )
        if not found:
            raise _Unasked(
                "no_omop_unit", f"{_name(item)}: no OMOP unit is known that '{item.unit}' converts to"
            )
        return found

    def _rescaled(self, test: Test, unit: str, to: str, concept: str | None) -> Test | None:
        ends = []
        for end in (test.value, test.extent):
            scaled = None if end is None else self._context.rescale(end, unit, to, concept)
            if end is not None and (scaled is None or not _fits(scaled)):
                return None
            ends.append(None if scaled is None else round(scaled, DECIMALS))
        assert ends[0] is not None
        return Test(test.op, ends[0], ends[1])

    # ------------------------------------------------------------ time

    def _window(self, item: Item) -> int | None:
        window = item.window
        if window is None or window.value is None or window.unit is None:
            return self._context.options.lookback_days
        if window.direction == "after":
            raise _Unasked(
                "window",
                f"{_name(item)}: a value after {window.anchor or 'a later event'} is not yet recorded",
            )
        return self._days(window.value, window.unit)

    def _days(self, value: float, unit: str) -> int:
        """Whole days of a window. Months and years differ in length: the longest is taken, and it is said."""
        if unit not in DAYS:
            raise _Unasked("window", f"{value:g} {unit} is no fixed time")
        if unit in ("mo", "a"):
            months = value * (12 if unit == "a" else 1)
            days = math.ceil(min(31 * months, 30.4375 * months + 2))
            self._reasons.append(
                Reason("calendar", f"{value:g} {unit} is written as {days} days, the most it can be")
            )
            return days
        return math.ceil(value * DAYS[unit])


def _events(tests: tuple[Test, ...], want: bool, event: Callable[[Test], Event]) -> Node:
    """Events for tests that all hold; where the opposite is wanted, an event for any of the tests turned round."""
    if want:
        return both(*map(event, tests))
    return either(*map(event, opposite(tests)))


def _in_units(event: Event, units: list[int], tests: tuple[Test, ...], want: bool) -> Node:
    return _events(tests, want, lambda test: replace(event, test=test, units=tuple(sorted(units))))


def _fits(value: float) -> bool:
    """Whether a limit survives being written with four decimals."""
    return abs(round(value, DECIMALS) - value) <= ROUNDING * abs(value)


def _written(test: Test, item: Item) -> Test:
    if not _fits(test.value) or (test.extent is not None and not _fits(test.extent)):
        raise _Unasked("precision", f"{_name(item)}: '{item.value_text}' needs more than {DECIMALS} decimals")
    return Test(
        test.op, round(test.value, DECIMALS), None if test.extent is None else round(test.extent, DECIMALS)
    )


def _age(item: Item, want: bool) -> Node:
    """Age in completed years: a bound of 17.5 years is one of 18 completed years from below."""
    wanted = item_range(item)
    if wanted is None or item.relative_to is not None or item.comparator == "set":
        raise _Unasked("no_range", f"age: '{item.value_text}' makes no range")
    if QUARANTINED.intersection(item.flags):
        raise _Unasked("suspect", f"age: the reading of '{item.value_text}' is suspect")
    if (item.unit or "a") != "a":
        raise _Unasked("age_unit", f"age: '{item.value_text}' is not in years, and a cohort's age is")
    return _age_node(wanted, want)


def _age_node(wanted: Range, want: bool) -> Node:
    """Whole numbers only, so that an open end at 70.5 is a closed one at 70."""
    low, high = wanted.low, wanted.high
    if low > -math.inf:
        low = math.ceil(low) if wanted.low_inclusive else math.floor(low) + 1
    if high < math.inf:
        high = math.floor(high) if wanted.high_inclusive else math.ceil(high) - 1
    if low > high:
        return Constant(not want)
    tests = range_tests(Range(low, high, low > -math.inf, high < math.inf))
    return both(*map(AgeTest, tests)) if want else either(*map(AgeTest, opposite(tests)))


def registry_age(bound: float, side: Literal["minimum", "maximum"]) -> Node:
    """The registry's own field: an age in years."""
    wanted = (
        Range(low=bound, low_inclusive=True) if side == "minimum" else Range(high=bound, high_inclusive=True)
    )
    return _age_node(wanted, True)


def _population(population: str | None) -> str:
    """Whom a restriction means: ``everyone``, ``female``, ``male`` or ``other``."""
    if population is None:
        return "everyone"
    nobody = Patient("", date.min)
    if applies(population, nobody) is True:
        return "everyone"
    female = applies(population, replace(nobody, sex="female"))
    male = applies(population, replace(nobody, sex="male"))
    if female is True and male is False:
        return "female"
    return "male" if male is True and female is False else "other"


def _dimensionless(unit: str | None) -> bool:
    return unit is None or unit in ("", "1") or (unit.startswith("{") and unit.endswith("}"))


def _name(item: Item) -> str:
    return " ".join((item.concept_text or item.concept_name or item.concept or item.value_text).split())
