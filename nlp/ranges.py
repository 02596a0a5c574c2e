"""The templates of two bounds: ranges in every spelling, two-sided limits, a concept between its bounds, and
two ages joined by "and".

Each builder makes sure of what the codes of its template cannot tell (that two bounds face each other, that
two years are no calendar), and refuses with None otherwise.
"""

from __future__ import annotations

import re

from nlp.lexemes import Lexemes
from nlp.lexicon import Rule
from nlp.units import UnitMatch
from nlp.value import FLIP, TIME_UNITS, Parts, Value, bounded, parts_of, same_scale, unit_after


def pair(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """Two bounds: one range where they face each other, two values where they look away."""
    parts = parts_of(lexemes, first, last)
    if len(parts.numbers) != 2 or any(len(numbers) != 1 for _, numbers in parts.numbers):
        return None
    (at_a, (a,)), (at_b, (b,)) = parts.numbers
    unit_a, unit_b = unit_after(parts, at_a), unit_after(parts, at_b)
    if unit_b is None and parts.units and parts.units[-1][0] == at_b + 2:
        unit_b = parts.units[-1][1]  # "(16-24) weeks"
    before_a = [op for at, op in parts.comparators if at < at_a]
    before_b = [op for at, op in parts.comparators if at_a < at < at_b]
    if rule.id == "range" and before_a == ["="]:
        before_a = []  # "= 18-40 years": the equation is to the range
    if rule.id == "chained" and before_b[:1] == ["="] and len(before_b) == 2 and before_b[1] != "=":
        return _equated_chain(rule, parts, (first, last), before_b[1])
    if "?" in before_a + before_b or "=" in before_a + before_b:
        return None
    if rule.id == "chained":
        if len(before_b) != 2 or before_b[0][0] != before_b[1][0]:
            return None
        before_a, before_b = [FLIP[before_b[0]]], [before_b[1]]
    op_a = before_a[-1] if before_a else None
    op_b = before_b[-1] if before_b else None
    if rule.id == "then_upper" and (op_b is None or op_b[0] != "<" or not _then_upper(lexemes, first)):
        return None
    if rule.id == "two_sided":
        return _two_sided(lexemes, rule, parts, (first, last), op_a, op_b)
    if rule.id == "range" and _not_a_range(lexemes, first, at_a, at_b):
        return None
    if not same_scale(unit_a, unit_b):
        low = bounded(Value(rule.id, first, at_b - 1, ""), op_a or ">=", a)
        high = bounded(Value(rule.id, at_b, last, ""), op_b or "<=", b)
        low.unit, high.unit = unit_a, unit_b
        if (
            low.comparator[0] == ">"
            and high.comparator[0] == "<"
            and unit_a
            and unit_b
            and _times(unit_a, unit_b)
        ):
            low.last = at_a + 2
            return [low, high]
        return None
    if op_a and op_a[0] == "<" and op_b and op_b[0] == ">":
        a, b, op_a, op_b = b, a, op_b, op_a
    if op_a and op_b and op_a[0] == op_b[0]:
        return None
    value = Value(rule.id, first, last, "range", min(a, b), max(a, b), True, True)
    if op_a:
        value.low_inclusive = op_a == ">="
    if op_b:
        value.high_inclusive = op_b == "<="
    value.unit = unit_b or unit_a
    return [value] if a != b else None


def _equated_chain(rule: Rule, parts: Parts, span: tuple[int, int], upper: str) -> list[Value]:
    """ "5.6 mmol/L = FPG < 7.0 mmol/L": the first sign was destroyed, so its bound is only the number."""
    (at_a, (a,)), (at_b, (b,)) = parts.numbers
    cut = next(at for at, op in parts.comparators if at_a < at < at_b and op == upper)
    left = bounded(Value(rule.id, span[0], at_a + 1 + (unit_after(parts, at_a) is not None), ""), "=", a)
    right = bounded(Value(rule.id, cut, span[1], ""), upper, b)
    left.unit, right.unit = unit_after(parts, at_a), unit_after(parts, at_b)
    left.unit, right.unit = left.unit or right.unit, right.unit or left.unit
    left.equated = True
    left.named = right.named = (at_a, cut)
    return [left, right]


def _times(a: UnitMatch, b: UnitMatch) -> bool:
    return a.ucum in TIME_UNITS and b.ucum in TIME_UNITS


def _then_upper(lexemes: Lexemes, first: int) -> bool:
    """``18 to < 66`` needs a sign of a lower bound before it: a concept, an age word or a dash."""
    return first > 0 and lexemes.codes[first - 1] in "kahfgb(:"


def _not_a_range(lexemes: Lexemes, first: int, at_a: int, at_b: int) -> bool:
    """Days and visits of a schedule, years of the calendar, and parts of a name are no range."""
    before = lexemes.codes[first - 1] if first else "."
    after = lexemes.codes[at_b + 1 : at_b + 3]
    if before == "m" or after[:1] == "c" or after == ")c" or _is_scale(lexemes, first, at_b):
        return True
    a, b = lexemes.values[at_a][0], lexemes.values[at_b][0]
    united = lexemes.codes[at_b + 1 : at_b + 2] == "u" or lexemes.codes[at_a + 1 : at_a + 2] == "u"
    if not united and (a > b or (lexemes.word(at_b).startswith("0") and len(lexemes.word(at_b)) > 2)):
        return True  # "1121-5", "2012-0112": the number of an article, of a protocol
    end = at_b + 1 + (lexemes.codes[at_b + 1 : at_b + 2] == "u")
    if (
        a == 0
        and before == "("
        and lexemes.codes[end : end + 1] == ")"
        and first > 1
        and lexemes.codes[first - 2] in "0u)"
    ):
        return True  # "= 4 (0-10)": the extent of the scale
    return (
        1900 <= a <= 2100
        and 1900 <= b <= 2100
        and (at_b + 1 >= len(lexemes.codes) or lexemes.codes[at_b + 1] != "u")
    )


def _is_scale(lexemes: Lexemes, first: int, at_b: int) -> bool:
    """Whether the range is the extent of a scale: "(0-10 severity scale)", "on a scale of 0 to 4"."""
    right = [lexemes.word(at).lower() for at in range(at_b + 1, min(at_b + 5, len(lexemes.codes)))]
    left = [lexemes.word(at).lower() for at in range(max(0, first - 3), first)]
    return "scale" in left or (
        "scale" in right[:4] and not any(word in ("on", "of", "in") for word in right[:2])
    )


def _two_sided(
    lexemes: Lexemes, rule: Rule, parts: Parts, span: tuple[int, int], op_a: str | None, op_b: str | None
) -> list[Value] | None:
    (at_a, (a,)), (at_b, (b,)) = parts.numbers
    unit_a, unit_b = unit_after(parts, at_a), unit_after(parts, at_b)
    if op_a is None or op_b is None or op_a[0] == op_b[0]:
        return None
    if not same_scale(unit_a, unit_b):
        return None
    between = lexemes.codes[at_a + 1 : at_b]
    if "k" in between and "k" in lexemes.codes[max(0, span[0] - 6) : span[0]]:
        return None
    if "k" in between and lexemes.codes[at_a + 1] == "k":
        # "no more than one viral load >= 50": a count before the name, whose bound follows
        return [bounded(Value("before", span[0], at_a + 1, ""), op_a, a)]
    facing = (op_a[0] == ">" and a < b) or (op_a[0] == "<" and b < a)
    if facing and "|" not in between:
        low, high = (a, b) if a < b else (b, a)
        low_op, high_op = (op_a, op_b) if op_a[0] == ">" else (op_b, op_a)
        value = Value(rule.id, *span, "range", low, high, low_op == ">=", high_op == "<=")
        value.unit = unit_b or unit_a
        return [value]
    if facing:
        return None
    cut = next(at for at, _ in parts.comparators if at_a < at < at_b)
    end_a = at_a + 1 + (unit_a is not None)
    left = bounded(Value(rule.id, span[0], end_a, ""), op_a, a)
    right = bounded(Value(rule.id, cut, span[1], ""), op_b, b)
    left.unit, right.unit = unit_a or unit_b, unit_b or unit_a
    return [left, right]


def ages(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """Two ages joined by "and": only behind an age word, or before "years old"."""
    parts = parts_of(lexemes, first, last)
    if len(parts.numbers) != 2 or any(len(found) != 1 for _, found in parts.numbers):
        return None
    (_, (a,)), (at_b, (b,)) = parts.numbers
    unit = unit_after(parts, at_b)
    before = lexemes.codes[max(0, first - 3) : first].rstrip("fv(:b")
    old = unit is not None and re.search("old|age", unit.surface, re.IGNORECASE) is not None
    old = old or lexemes.codes[last : last + 1] == "a"
    if not (before.endswith("a") or old) or not a < b <= 120:
        return None
    value = Value(rule.id, first, last, "range", a, b, True, True)
    value.unit = unit
    return [value]
