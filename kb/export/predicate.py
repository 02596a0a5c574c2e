"""Two-valued questions to a database of recorded events, joined by "both" and "either".

The form between a criterion's three-valued expression (:mod:`kb.export.cohort`) and a cohort engine's file
(:mod:`kb.export.circe`): every node can be written there, and every node but the recorded sex has an opposite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from kb.judging import Range

Op = Literal["lt", "lte", "eq", "!eq", "gt", "gte", "bt", "!bt"]
_OPPOSITE: dict[str, Op] = {
    "lt": "gte", "gte": "lt", "lte": "gt", "gt": "lte", "eq": "!eq", "!eq": "eq", "bt": "!bt", "!bt": "bt",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of a number; ``extent`` is the upper end of ``bt`` and ``!bt`` (both ends inclusive)."""

    op: Op
    value: float
    extent: float | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """Holds for everyone, or for nobody."""

    value: bool


@dataclass(frozen=True, slots=True)
class Event:
    """There is (``absent``: there is no) recorded event of a concept set, with these properties.

    ``concepts`` is the key of the concept set; ``scale`` is ``value``, ``range_high`` or ``range_low``: the
    number is the value, or the value divided by the laboratory's own limit. ``before_days`` is how far back
    from the entry event it may lie, None for any time before.
    """

    domain: Literal["measurement", "condition"]
    concepts: str
    test: Test | None = None
    scale: Literal["value", "range_high", "range_low"] = "value"
    units: tuple[int, ...] = ()
    results: tuple[int, ...] = ()
    before_days: int | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class AgeTest:
    """Age in completed years at the entry event."""

    test: Test


@dataclass(frozen=True, slots=True)
class SexTest:
    """The recorded sex is one of these OMOP concepts."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """Every part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds."""

    parts: tuple[Node, ...]


Node = Constant | Event | AgeTest | SexTest | Both | Either


def both(*parts: Node) -> Node:
    """Every part, simplified."""
    return _join(Both, parts, absorbing=Constant(False), neutral=Constant(True))


def either(*parts: Node) -> Node:
    """At least one part, simplified."""
    return _join(Either, parts, absorbing=Constant(True), neutral=Constant(False))


def _join(
    made: type[Both] | type[Either], parts: tuple[Node, ...], absorbing: Constant, neutral: Constant
) -> Node:
    flat: dict[Node, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, made) else (part,)))
    flat.pop(neutral, None)
    if absorbing in flat:
        return absorbing
    # Absorption: "a or (a and b)" is a, "a and (a or b)" is a.
    for part in [each for each in flat if isinstance(each, Both | Either)]:
        if any(each in flat for each in part.parts):
            del flat[part]
    if not flat:
        return neutral
    return next(iter(flat)) if len(flat) == 1 else made(tuple(flat))


def negate(node: Node) -> Node:
    """Those, and only those, for whom ``node`` does not hold. Sex is closed to the recorded two: see SexTest."""
    match node:
        case Constant(value):
            return Constant(not value)
        case Event():
            return replace(node, absent=not node.absent)
        case AgeTest(test):
            return AgeTest(replace(test, op=_OPPOSITE[test.op]))
        case Both(parts):
            return either(*map(negate, parts))
        case Either(parts):
            return both(*map(negate, parts))
        case SexTest():
            raise ValueError("the opposite of a recorded sex is not a recorded sex")


def opposite(tests: tuple[Test, ...]) -> tuple[Test, ...]:
    """Each test turned round: joined by "any" they say that the tests, joined by "all", do not hold."""
    return tuple(replace(test, op=_OPPOSITE[test.op]) for test in tests)


def range_tests(wanted: Range) -> tuple[Test, ...]:
    """The tests that all hold for a number in the range (one where one test can say it)."""
    if wanted.low == wanted.high:
        return (Test("eq", wanted.low),)
    if wanted.low > -math.inf and wanted.high < math.inf and wanted.low_inclusive and wanted.high_inclusive:
        return (Test("bt", wanted.low, wanted.high),)
    tests = []
    if wanted.low > -math.inf:
        tests.append(Test("gte" if wanted.low_inclusive else "gt", wanted.low))
    if wanted.high < math.inf:
        tests.append(Test("lte" if wanted.high_inclusive else "lt", wanted.high))
    return tuple(tests)
