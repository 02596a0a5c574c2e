"""In which terms a leaf is judged: the interval that an item names, the verdict, and what judging needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from kb.concepts import UnitConverter
from nlp.model import Item

# Two numbers that differ by less than this are one bound said in two units (50000 /uL, 50 10*9/L).
TOLERANCE = 1e-9
_SYMBOLS = {"(": ">", "[": ">=", ")": "<", "]": "<="}


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What judging needs beside the patient: units, and facts about the concepts.

    ``broader`` names for a concept those it is a kind of (a SLEDAI-2K answers a demand on SLEDAI, not
    the other way round); ``specimens`` the specimen a concept is measured in; ``names`` what people
    call it; ``of_something`` the concepts whose value says nothing without what it is of (a CTCAE grade,
    the duration of a treatment); ``members`` what a collective concept stands for (transaminases: ALT
    and AST).
    """

    units: UnitConverter
    broader: Mapping[str, frozenset[str]] = field(default_factory=dict)
    specimens: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    of_something: frozenset[str] = frozenset()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Range:
    """An interval; infinite ends are open."""

    low: float = -math.inf
    high: float = math.inf
    low_inclusive: bool = False
    high_inclusive: bool = False

    def __str__(self) -> str:
        if self.low == self.high:
            return f"= {self.low:g}"
        parts = []
        if self.low > -math.inf:
            parts.append(f"{_SYMBOLS['[' if self.low_inclusive else '(']} {self.low:g}")
        if self.high < math.inf:
            parts.append(f"{_SYMBOLS[']' if self.high_inclusive else ')']} {self.high:g}")
        return " and ".join(parts) or "any"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one leaf. ``why`` says it to a reader; ``needs`` names what would answer it (None
    where nothing the patient could bring would); ``miss`` is the distance to the nearest bound as a
    share of that bound."""

    value: bool | None
    why: str
    needs: str | None = None
    miss: float | None = None


def _close(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=1e-12)


def item_range(item: Item) -> Range | None:
    """The interval of a numeric item in its own unit; None where its numbers do not make one."""
    low, high = item.low, item.high
    if low is None and high is None:
        if item.relative_to is None or item.comparator not in (">", ">=", "<", "<="):
            return None
        # "above the limit of detection" is above once the limit
        low, high = (1.0, None) if item.comparator in (">", ">=") else (None, 1.0)
    low_in = item.low_inclusive if item.low_inclusive is not None else item.comparator in (">=", "=", "range")
    high_in = (
        item.high_inclusive
        if item.high_inclusive is not None
        else item.comparator in ("<=", "=", "range", "within")
    )
    found = Range(
        -math.inf if low is None else low,
        math.inf if high is None else high,
        low is not None and low_in,
        high is not None and high_in,
    )
    return None if found.low > found.high else found


def needed(item: Item) -> str:
    """What the item names, in words: ``>= 50 10*9/L``, ``<= 2.5 x ULN``, ``one of 0, 1``, ``positive``."""
    if item.comparator == "set" and item.values is not None:
        text = "one of " + ", ".join(f"{value:g}" for value in item.values)
    elif (found := item_range(item)) is not None:
        text = str(found)
    else:
        return item.comparator
    if item.relative_to and item.unit == "%" and item.relative_to != "predicted":
        return f"{text} % of {item.relative_to}"
    if item.relative_to and item.relative_to != "predicted":
        return f"{text} x {item.relative_to}"
    unit = "" if unitless(item.unit) else f" {item.unit}"
    return text + unit + (" predicted" if item.relative_to else "")


def unitless(unit: str | None) -> bool:
    """Whether a number in this unit is a bare number: none, UCUM's 1, or an annotation ({score})."""
    return unit is None or unit in ("", "1") or (unit.startswith("{") and unit.endswith("}"))


def lies_within(value: Range, wanted: Range) -> bool | None:
    """True where every value of ``value`` is wanted, False where none is, else None."""

    def above(left: float, left_in: bool, right: float, right_in: bool) -> bool:
        """Whether everything from ``left`` up lies from ``right`` up."""
        if _close(left, right):
            return right_in or not left_in
        return left > right

    if above(value.low, value.low_inclusive, wanted.low, wanted.low_inclusive) and above(
        -value.high, value.high_inclusive, -wanted.high, wanted.high_inclusive
    ):
        return True
    for left, left_in, right, right_in in (
        (value.low, value.low_inclusive, wanted.high, wanted.high_inclusive),
        (wanted.low, wanted.low_inclusive, value.high, value.high_inclusive),
    ):
        if math.isinf(left) or math.isinf(right):
            continue
        if (_close(left, right) and not (left_in and right_in)) or (not _close(left, right) and left > right):
            return False
    return None


def distance(value: Range, wanted: Range) -> float | None:
    """How far a value lies from the nearest bound, as a share of that bound."""
    if value.low != value.high:
        return None
    bounds = [bound for bound in (wanted.low, wanted.high) if not math.isinf(bound)]
    return min((abs(value.low - bound) / max(abs(bound), 1e-12) for bound in bounds), default=None)
