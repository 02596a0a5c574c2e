"""Read the values of one text: which numbers, with which comparator and unit, by which template.

Numbers come first: a template of ``nlp/data/rules.jsonl`` is tried at each place where one could
begin, in the order of the file; its builder makes sure of what the codes alone cannot tell (that two
bounds face each other, that a list of numbers belongs to a scale), and refuses otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from nlp.lexemes import Lexemes
from nlp.lexicon import Rule
from nlp.units import UnitMatch

_FLIP = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": "="}
_NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_BEGIN = re.compile(r"[bcgtn0]")
TIME_UNITS = ("a", "mo", "wk", "d", "h", "min", "s", "{half-life}")


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
class _Parts:
    """What stands in a matched stretch, in order."""

    numbers: list[tuple[int, tuple[float, ...]]]
    comparators: list[tuple[int, str]]
    units: list[tuple[int, UnitMatch]]


def _parts(lexemes: Lexemes, first: int, last: int) -> _Parts:
    parts = _Parts([], [], [])
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


def _unit_after(parts: _Parts, number_at: int) -> UnitMatch | None:
    for at, unit in parts.units:
        if at == number_at + 1:
            return unit
    return None


def _same_scale(a: UnitMatch | None, b: UnitMatch | None) -> bool:
    return a is None or b is None or (a.ucum == b.ucum and a.relative_to == b.relative_to)


def pair(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """Two bounds: one range where they face each other, two values where they look away."""
    parts = _parts(lexemes, first, last)
    if len(parts.numbers) != 2 or any(len(numbers) != 1 for _, numbers in parts.numbers):
        return None
    (at_a, (a,)), (at_b, (b,)) = parts.numbers
    unit_a, unit_b = _unit_after(parts, at_a), _unit_after(parts, at_b)
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
        before_a, before_b = [_FLIP[before_b[0]]], [before_b[1]]
    op_a = before_a[-1] if before_a else None
    op_b = before_b[-1] if before_b else None
    if rule.id == "then_upper" and (op_b is None or op_b[0] != "<" or not _then_upper(lexemes, first)):
        return None
    if rule.id == "two_sided":
        return _two_sided(lexemes, rule, parts, (first, last), op_a, op_b)
    if rule.id == "range" and _not_a_range(lexemes, first, at_a, at_b):
        return None
    if not _same_scale(unit_a, unit_b):
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


def _equated_chain(rule: Rule, parts: _Parts, span: tuple[int, int], upper: str) -> list[Value]:
    """ "5.6 mmol/L = FPG < 7.0 mmol/L": the first sign was destroyed, so its bound is only the number."""
    (at_a, (a,)), (at_b, (b,)) = parts.numbers
    cut = next(at for at, op in parts.comparators if at_a < at < at_b and op == upper)
    left = bounded(Value(rule.id, span[0], at_a + 1 + (_unit_after(parts, at_a) is not None), ""), "=", a)
    right = bounded(Value(rule.id, cut, span[1], ""), upper, b)
    left.unit, right.unit = _unit_after(parts, at_a), _unit_after(parts, at_b)
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
    lexemes: Lexemes, rule: Rule, parts: _Parts, span: tuple[int, int], op_a: str | None, op_b: str | None
) -> list[Value] | None:
    (at_a, (a,)), (at_b, (b,)) = parts.numbers
    unit_a, unit_b = _unit_after(parts, at_a), _unit_after(parts, at_b)
    if op_a is None or op_b is None or op_a[0] == op_b[0]:
        return None
    if not _same_scale(unit_a, unit_b):
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


def number_set(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """Numbers of a scale, where a scale's word or an ordinal concept stands before them."""
    between = lexemes.codes[first:last]
    context = lexemes.codes[max(0, first - 4) : first].rstrip("(:fv")
    if context[-1:] not in ("s", "k"):
        near = [lexemes.word(at).lower() for at in range(max(0, first - 3), first)]
        if not any(word.rstrip(" of").endswith(("score", "scores", "level", "levels")) for word in near):
            return None
    parts = _parts(lexemes, first, last)
    if parts.comparators and parts.comparators[0][1] != "=":
        return None
    numbers = [number for _, found in parts.numbers for number in found]
    if len(numbers) < 2 or any(number != int(number) or number > 100 for number in numbers):
        return None
    slashed = "/" in lexemes.text[lexemes.starts[first] : lexemes.ends[last - 1]]
    if slashed and context[-1:] != "s" and len(numbers) == 2 and numbers[1] != numbers[0] + 1:
        return None
    if between.count("0") != len(parts.numbers):
        return None
    if last < len(lexemes.codes) and lexemes.word(last).lower().startswith(
        ("antiarrhythmic", "anti-arrhythmic")
    ):
        return None  # a class of drugs
    value = Value(rule.id, first, last, "set", values=tuple(numbers))
    return [value]


def _capitals(lexemes: Lexemes, first: int) -> bool:
    """Whether the word before is an abbreviation, as scales are called: "ASA 1 or 2"."""
    word = lexemes.word(first - 1) if first else ""
    return len(word) > 1 and word.isupper()


def ages(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """Two ages joined by "and": only behind an age word, or before "years old"."""
    parts = _parts(lexemes, first, last)
    if len(parts.numbers) != 2 or any(len(found) != 1 for _, found in parts.numbers):
        return None
    (_, (a,)), (at_b, (b,)) = parts.numbers
    unit = _unit_after(parts, at_b)
    before = lexemes.codes[max(0, first - 3) : first].rstrip("fv(:b")
    old = unit is not None and re.search("old|age", unit.surface, re.IGNORECASE) is not None
    old = old or lexemes.codes[last : last + 1] == "a"
    if not (before.endswith("a") or old) or not a < b <= 120:
        return None
    value = Value(rule.id, first, last, "range", a, b, True, True)
    value.unit = unit
    return [value]


def titre(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """``1:80``, also ``1/80`` behind a titre's word: the dilution is the number."""
    parts = _parts(lexemes, first, last)
    (at_a, a), (at_b, b) = parts.numbers
    sign = lexemes.text[lexemes.ends[at_a] : lexemes.starts[at_b]].strip()
    before = lexemes.text[max(0, lexemes.starts[first] - 40) : lexemes.starts[first]].lower()
    if (
        a != (1.0,)
        or len(b) != 1
        or b[0] < 2
        or sign not in (":", "/")
        or (sign == "/" and "tit" not in before)
    ):
        return None
    comparator = parts.comparators[0][1] if parts.comparators else "="
    if comparator == "?":
        return None
    value = bounded(Value(rule.id, first, last, ""), comparator, b[0])
    start, end = lexemes.starts[at_b], lexemes.ends[at_b]
    value.unit = UnitMatch("{titer}", start, end, None, 1.0, lexemes.text[start:end])
    value.explicit = bool(parts.comparators)
    return [value]


def fraction(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """``> 160/90`` as two pressures, ``>= 4/24`` as four of twenty-four: the first number counts."""
    parts = _parts(lexemes, first, last)
    if len(parts.numbers) != 2 or any(len(found) != 1 for _, found in parts.numbers):
        return None
    (at_a, (a,)), (at_b, (b,)) = parts.numbers
    if lexemes.word(at_a + 1 + (lexemes.codes[at_a + 1] == "u")) != "/":
        return None
    op = parts.comparators[0][1] if parts.comparators else None
    if op == "?":
        return None
    unit = _unit_after(parts, at_b) or _unit_after(parts, at_a)
    if 60 <= a <= 260 and 30 <= b <= 160 and a > b and (unit is None or unit.ucum == "mm[Hg]"):
        result = []
        for number, at, which in ((a, at_a, "systolic"), (b, at_b, "diastolic")):
            start = first if which == "systolic" else at
            value = Value(rule.id, start, at + 1 if which == "systolic" else last, "")
            bounded(value, op or "=", number)
            value.unit, value.pressure, value.explicit = unit, which, op is not None
            result.append(value)
        return result
    if op is None:
        return None
    if _unit_after(parts, at_a) is not None and _unit_after(parts, at_b) is not None:
        last = at_a + 2  # "< 154 lbs / 70 kg": the bound again in another unit
    value = bounded(Value(rule.id, first, last, ""), op, a)
    value.unit = _unit_after(parts, at_b) if last > at_b else _unit_after(parts, at_a)
    return [value]


def single(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """One comparator before one number."""
    parts = _parts(lexemes, first, last)
    if not parts.comparators or len(parts.numbers) != 1:
        return None
    comparator = parts.comparators[0][1]
    signed = lexemes.values[parts.comparators[0][0]] == "="
    if len(parts.comparators) == 2 and "=" in parts.comparators[1][1] and "=" not in comparator:
        comparator = parts.comparators[1][1]
    if comparator == "?":
        return None
    if lexemes.codes[first] == "n":
        comparator = _NEGATED.get(comparator, "?")
        if comparator == "?":
            return None
    at, numbers = parts.numbers[0]
    if len(numbers) > 1:
        return [Value(rule.id, first, last, "set", values=numbers)] if comparator == "=" else None
    if comparator == "=" and (lexemes.codes[first - 1 : first] == "u" or _defines(lexemes, first)):
        return None
    value = bounded(Value(rule.id, first, last, ""), comparator, numbers[0])
    value.unit = _unit_after(parts, at)
    value.equated = signed and comparator == "="
    return [value]


def _defines(lexemes: Lexemes, first: int) -> bool:
    """Whether the equation explains a size or a unit: "(n = 20)", "1 serving = 1 glass"."""
    return first > 0 and (
        lexemes.word(first - 1).lower() == "n" or (first > 1 and lexemes.codes[first - 2] == "0")
    )


def single_after(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """One comparator behind one number; one before it too may only repeat it (``>= 18 or older``)."""
    parts = _parts(lexemes, first, last)
    at, numbers = parts.numbers[0]
    if lexemes.codes[at - 1 : at] == "m" and lexemes.word(at - 1).lower() in (
        "day",
        "days",
        "visit",
        "cycle",
    ):
        return None  # "day 28 and beyond" of a schedule
    after = parts.comparators[-1][1]
    before = [op for place, op in parts.comparators if place < at]
    if len(numbers) != 1 or (before and before[0][0] not in ("=", after[0])):
        return None
    if before and before[0] != "=" and before[0] != after:
        return None  # "less than 18 years old or under guardianship"
    value = bounded(Value(rule.id, first, last, ""), after, numbers[0])
    value.unit = _unit_after(parts, at) or (parts.units[-1][1] if parts.units else None)
    return [value]


def window(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """A window in time; the same words before another unit bound a quantity (within 2.5 x ULN)."""
    parts = _parts(lexemes, first, last)
    said = lexemes.values[first].value
    if rule.id == "window_one":
        value = bounded(Value(rule.id, first, last, ""), "<=", 1.0)
        value.unit = lexemes.values[last - 1]
        value.comparator, value.windowed = "within", said
        return [value]
    if not parts.numbers or any(len(found) != 1 for _, found in parts.numbers) or not parts.units:
        return None
    unit = parts.units[-1][1]
    numbers = [found[0] for _, found in parts.numbers]
    if unit.ucum not in TIME_UNITS:
        if said != "within" or len(numbers) != 1 or parts.comparators:
            return None
        value = bounded(Value(rule.id, first, last, ""), "<=", numbers[0])
        value.unit = unit
        return [value]
    if len(numbers) == 2:
        value = Value(rule.id, first, last, "range", min(numbers), max(numbers), True, True)
    elif parts.comparators and parts.comparators[0][1][0] == ">":
        value = bounded(Value(rule.id, first, last, ""), parts.comparators[0][1], numbers[0])
    else:
        value = bounded(Value(rule.id, first, last, ""), "<=", numbers[0])
        value.comparator = "within"
    value.unit, value.windowed = unit, said
    return [value]


_ADDED = re.compile(r"\s*\+\s*\d")


def limit(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """``above the ULN``: a multiple of one that the text does not write."""
    multiple = 1.0
    if lexemes.codes[last - 1] == "0":
        if lexemes.word(last - 2).lower() in ("x", "*", "times") and len(lexemes.values[last - 1]) == 1:
            multiple = lexemes.values[last - 1][0]  # "> ULN x 1.5"
        else:
            last -= 2
    named = last - 1 if multiple == 1.0 else last - 3
    if _ADDED.match(lexemes.text, lexemes.ends[named]):
        return None  # "> ULN + 4 s" is no multiple
    relative = lexemes.values[named].value
    at = first + (lexemes.codes[first] == "n")
    comparator = operator(lexemes.values[at])
    if lexemes.codes[first] == "n":
        comparator = _NEGATED.get(comparator, "?")
    if comparator not in _FLIP or comparator == "=":
        return None
    if relative == "normal":
        relative = "ULN" if comparator[0] == ">" else "LLN"
    value = bounded(Value(rule.id, first, last, ""), comparator, multiple)
    if relative == "LLOD":
        value.low = value.high = None
        value.low_inclusive = value.high_inclusive = None
    elif multiple == 1.0:
        value.flags.append("implicit_multiple")
    start, end = lexemes.starts[named], lexemes.ends[named]
    value.unit = UnitMatch(None, start, end, relative, 1.0, lexemes.text[start:end])
    return [value]


def bare(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """A number whose comparator is not written, or was lost."""
    numbers = lexemes.values[first]
    if lexemes.codes[first - 1 : first] == "m" or len(numbers) > 3:
        return None
    if len(numbers) > 1:
        if lexemes.codes[first - 1 : first] in ("k", "s", "f"):
            return [Value(rule.id, first, last, "set", values=numbers, explicit=False)]
        return None
    extreme = _extreme(lexemes, first)
    value = bounded(Value(rule.id, first, last, ""), extreme or "=", numbers[0])
    value.unit = lexemes.values[last - 1] if last - first == 2 else None
    value.explicit = extreme is not None
    return [value]


_EXTREMES = {"maximum": "<=", "maximal": "<=", "max": "<=", "minimum": ">=", "minimal": ">=", "min": ">="}


def _extreme(lexemes: Lexemes, first: int) -> str | None:
    """The comparator of "maximum dose of steroids is 30 mg/day": the word stands before the name."""
    if lexemes.codes[first - 1 : first] != "v":
        return None
    for at in range(first - 1, max(-1, first - 8), -1):
        if lexemes.codes[at] not in "vwfks":
            return None
        found = _EXTREMES.get(lexemes.word(at).lower())
        if found is not None:
            return found
    return None


BUILDERS: dict[str, Callable[[Lexemes, Rule, int, int], list[Value] | None]] = {
    "pair": pair,
    "number_set": number_set,
    "ages": ages,
    "titre": titre,
    "fraction": fraction,
    "single": single,
    "single_after": single_after,
    "window": window,
    "limit": limit,
    "bare": bare,
}


def by_first_code(rules: tuple[Rule, ...]) -> dict[str, tuple[Rule, ...]]:
    """The rules that can begin with each code, in their order."""
    return {code: tuple(rule for rule in rules if code in rule.begins) for code in "bcgtn0"}


def read(lexemes: Lexemes, rules: dict[str, tuple[Rule, ...]]) -> list[Value]:
    """Every value of the text, in its order. Time is linear in the number of lexemes, since no
    template reaches further than a dozen of them."""
    found: list[Value] = []
    codes = lexemes.codes
    at = 0
    while True:
        begin = _BEGIN.search(codes, at)
        if begin is None:
            return found
        at = begin.start()
        for rule in rules[codes[at]]:
            match = rule.pattern.match(codes, at)
            if match is None:
                continue
            values = BUILDERS[rule.builder](lexemes, rule, at, match.end())
            if values:
                for value in values:
                    _place(lexemes, value)
                found.extend(values)
                at = max(at + 1, values[-1].last)
                break
        else:
            at += 1


def _place(lexemes: Lexemes, value: Value) -> None:
    """The characters of the value: from its comparator or number to its unit or trailing words."""
    first, last = value.first, value.last
    codes = lexemes.codes
    while first < last - 1 and codes[first] in "fvks,.:wah|&r" and value.rule != "chained":
        first += 1
    while last - 1 > first and codes[last - 1] in "f,(a":
        last -= 1
    value.start, value.end = lexemes.starts[first], lexemes.ends[last - 1]
