"""From what a text names to what a patient who may enter must have.

An item names a set: "QTc > 480 ms" among the exclusions names the excluded one. The criterion's
expression says how the named sets combine. This module walks the expressions and gives, for each
item, the eligible range by which thresholds are compared, and under which conditions it holds:

- below an even number of ``not`` the named range is the eligible one; below an odd number a range with
  one bound is turned (``> 480`` becomes ``<= 480``); the complement of a range with two bounds is no
  range, and stays without one;
- parts of an ``any`` (or of a negated ``all``) are alternatives: they share a group, since none of
  them is demanded by itself;
- the ``then`` of an ``if`` holds under its condition only, the ``else`` is the general limit;
- what stands in the condition of an ``if``, in no expression (definitions, allowances), or bears a
  flag that makes it suspect, gets no range: a wrong comparison is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from nlp.model import All, AnyOf, Expression, Extraction, Fact, If, Item, Leaf, Not, Unread

QUARANTINED = frozenset({"lost_comparator", "implausible_value", "contradiction"})
"""Flags whose items take no part in comparisons (architecture.md: suspect values are flagged, not corrected)."""

_TURNED_STATUS = {
    "positive": "negative",
    "negative": "positive",
    "detectable": "undetectable",
    "undetectable": "detectable",
}


@dataclass(frozen=True, slots=True)
class Place:
    """How an item takes part in its criterion's expression."""

    positive: bool
    alternative: str | None = None
    branch: int | None = None
    applies_if: str | None = None


@dataclass(frozen=True, slots=True)
class Eligible:
    """The set of values a patient who may enter has, as far as one range can say it.

    Bounds are in ``unit`` (the concept's canonical unit) where ``scale`` is ``absolute``, else multiples
    of ``scale`` (percent for ``predicted`` with the unit ``%``). ``scale`` None: not comparable.
    """

    scale: str | None = None
    min_value: float | None = None
    min_inclusive: bool | None = None
    max_value: float | None = None
    max_inclusive: bool | None = None
    status: str | None = None
    turned: bool = False
    alternative: str | None = None
    branch: int | None = None
    applies_if: str | None = None


def eligible_ranges(
    extraction: Extraction, plausible: Mapping[str, tuple[float | None, float | None]] | None = None
) -> dict[str, Eligible]:
    """The eligible range of every item, by item id.

    ``plausible`` gives each concept's range in its canonical unit; it decides where an excluded set of
    grades reaches the end of its scale ("NYHA III or IV" leaves "below III").
    """
    places: dict[str, Place] = {}
    items = {item.id: item for item in extraction.items}
    for criterion in extraction.criteria:
        group = f"{criterion.section[:2]}{criterion.path}"
        _walk(criterion.expression, Place(positive=True), group, items, places)
    return {item.id: _eligible(item, places.get(item.id), plausible or {}) for item in extraction.items}


def _walk(
    expression: Expression, place: Place, group: str, items: Mapping[str, Item], places: dict[str, Place]
) -> None:
    match expression:
        case All(parts) | AnyOf(parts):
            # De Morgan: not(any) demands each part to fail, not(all) is content with one of them
            free = isinstance(expression, AnyOf) == place.positive
            for number, part in enumerate(parts, start=1):
                inner = place
                if free and len(parts) > 1:
                    inner = Place(place.positive, group, number, place.applies_if)
                _walk(part, inner, f"{group}/{number}", items, places)
        case Not(part):
            turned = Place(not place.positive, place.alternative, place.branch, place.applies_if)
            _walk(part, turned, group, items, places)
        case If(condition, then, otherwise):
            words = wording(condition, items)
            held = f"{place.applies_if}; {words}" if place.applies_if else words
            _walk(
                then, Place(place.positive, place.alternative, place.branch, held), f"{group}?", items, places
            )
            _walk(otherwise, place, f"{group}:", items, places)
        case Leaf(item):
            places.setdefault(item, place)
        case Fact() | Unread():
            pass


def wording(expression: Expression, items: Mapping[str, Item]) -> str:
    """The condition of an ``if`` in words, e.g. ``Gilbert syndrome``, ``not (age >= 16 years)``."""
    match expression:
        case All(parts):
            return " and ".join(wording(part, items) for part in parts)
        case AnyOf(parts):
            return " or ".join(wording(part, items) for part in parts)
        case Not(part):
            return f"not ({wording(part, items)})"
        case If(condition, then, otherwise):
            return " / ".join(wording(part, items) for part in (condition, then, otherwise))
        case Leaf(identifier):
            item = items.get(identifier)
            return f"{item.concept_text or ''} {item.value_text}".strip() if item else identifier
        case Fact(text):
            return " ".join(text.split())
        case Unread():
            return "a condition that was not read"


def _eligible(
    item: Item, place: Place | None, plausible: Mapping[str, tuple[float | None, float | None]]
) -> Eligible:
    if place is None or item.role != "requirement":
        return Eligible()
    applies_if = place.applies_if or (item.condition.text if item.condition else None)
    turned = not place.positive
    fixed = Eligible(turned=turned, alternative=place.alternative, branch=place.branch, applies_if=applies_if)
    if QUARANTINED.intersection(item.flags):
        return fixed
    if item.comparator in _TURNED_STATUS:
        status = _TURNED_STATUS[item.comparator] if turned else item.comparator
        return _with(fixed, status=status)
    bounds = _bounds(item, plausible)
    if bounds is None:
        return fixed
    scale, low, low_in, high, high_in = bounds
    if turned:
        if (low is None) == (high is None):
            return fixed
        low, low_in, high, high_in = (
            (high, not high_in, None, None) if low is None else (None, None, low, not low_in)
        )
    return Eligible(
        scale, low, low_in, high, high_in, None, turned, place.alternative, place.branch, applies_if
    )


def _with(base: Eligible, status: str) -> Eligible:
    return Eligible(
        status=status,
        turned=base.turned,
        alternative=base.alternative,
        branch=base.branch,
        applies_if=base.applies_if,
    )


_Bounds = tuple[str, float | None, bool | None, float | None, bool | None]


def _bounds(item: Item, plausible: Mapping[str, tuple[float | None, float | None]]) -> _Bounds | None:
    """(scale, low, low inclusive, high, high inclusive) of the NAMED set, or None where it is no range."""
    scale = item.relative_to or "absolute"
    if item.comparator == "set":
        return _set_bounds(item, scale, plausible)
    if item.relative_to is not None:
        low, high = item.low, item.high
    else:
        low, high = item.canonical_low, item.canonical_high
        if (low is None) != (item.low is None) or (high is None) != (item.high is None):
            return None  # a bound that could not be converted: half a range would be a different demand
    if low is None and high is None:
        return None
    if low is not None and high is not None and low > high:
        return None
    low_in = None if low is None else item.low_inclusive is not False
    high_in = None if high is None else item.high_inclusive is not False
    return scale, low, low_in, high, high_in


def _set_bounds(
    item: Item, scale: str, plausible: Mapping[str, tuple[float | None, float | None]]
) -> _Bounds | None:
    """A set of neighbouring whole numbers is a range; at an end of its scale it is open to that side."""
    values = sorted(item.values or ())
    if not values or any(b - a != 1 for a, b in pairwise(values)):
        return None
    low: float | None = values[0]
    high: float | None = values[-1]
    floor, ceiling = plausible.get(item.concept or "", (None, None))
    if floor is not None and low is not None and low <= floor:
        low = None
    if ceiling is not None and high is not None and high >= ceiling:
        high = None
    if low is None and high is None:
        return None
    return scale, low, None if low is None else True, high, None if high is None else True
