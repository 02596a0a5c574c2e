"""One value of a text as a template read it, and the parts of the stretch that it was read from."""

from __future__ import annotations

from dataclasses import dataclass, field

from nlp.lexemes import Lexemes
from nlp.units import UnitMatch

FLIP = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": "="}
"""The comparator seen from the other side of its number: "18 <= BMI" is BMI >= 18."""
NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
"""What is left where the comparator is denied: "not > 3" is <= 3."""
TIME_UNITS = ("a", "mo", "wk", "d", "h", "min", "s", "{half-life}")
"""The UCUM codes of times."""


@dataclass(slots=True)
class Value:
    """One value as a template read it. ``first``/``last`` are lexeme indexes (last exclusive)."""

    rule: str
    first: int
    last: int
    comparator: str
    low: float | None = None
    high: float | None = None
    low_inclusive: bool | None = None
    high_inclusive: bool | None = None
    values: tuple[float, ...] | None = None
    unit: UnitMatch | None = None
    explicit: bool = True
    equated: bool = False
    windowed: str | None = None
    start: int = -1
    end: int = -1
    pressure: str | None = None
    named: tuple[int, int] | None = None
    """The lexemes between which its concept stands, where the template holds it."""
    flags: list[str] = field(default_factory=list)

    @property
    def ucum(self) -> str | None:
        """The UCUM code of the unit, if it has one."""
        return self.unit.ucum if self.unit else None

    @property
    def relative(self) -> str | None:
        """ULN, LLN, ... where the number is a multiple of a limit."""
        return self.unit.relative_to if self.unit else None


@dataclass(slots=True)
class Parts:
    """What stands in a matched stretch, in order."""

    numbers: list[tuple[int, tuple[float, ...]]]
    comparators: list[tuple[int, str]]
    units: list[tuple[int, UnitMatch]]


def parts_of(lexemes: Lexemes, first: int, last: int) -> Parts:
    """The numbers, comparators and units among the lexemes ``first`` to ``last`` (exclusive), in order."""
    parts = Parts([], [], [])
    codes, values = lexemes.codes, lexemes.values
    for at in range(first, last):
        code = codes[at]
        if code == "0":
            parts.numbers.append((at, values[at]))
        elif code in "cp":
            parts.comparators.append((at, operator(values[at])))
        elif code == "u":
            parts.units.append((at, values[at]))
    return parts


def operator(value: object) -> str:
    """The operator of a comparator lexeme: a sign's is a string, a word's stands in its row."""
    return value if isinstance(value, str) else str(getattr(value, "value", ""))


def bounded(value: Value, comparator: str, number: float) -> Value:
    """The value with this one bound; any other comparator makes it the exact number."""
    value.comparator = comparator
    value.low = value.high = value.low_inclusive = value.high_inclusive = None
    if comparator in (">", ">="):
        value.low, value.low_inclusive = number, comparator == ">="
    elif comparator in ("<", "<="):
        value.high, value.high_inclusive = number, comparator == "<="
    else:
        value.low = value.high = number
        value.low_inclusive = value.high_inclusive = True
    return value


def unit_after(parts: Parts, number_at: int) -> UnitMatch | None:
    """The unit right behind the number at this lexeme, if one stands there."""
    for at, unit in parts.units:
        if at == number_at + 1:
            return unit
    return None


def same_scale(a: UnitMatch | None, b: UnitMatch | None) -> bool:
    """Whether two bounds can be those of one range: the same unit and limit, or one of them not said."""
    return a is None or b is None or (a.ucum == b.ucum and a.relative_to == b.relative_to)
