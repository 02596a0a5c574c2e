"""Read the values of one text: which numbers, with which comparator and unit, by which template.

Numbers come first: a template of ``nlp/data/rules.jsonl`` is tried at each place where one could
begin, in the order of the file; its builder (here, and in :mod:`nlp.ranges` for two bounds) makes sure of
what the codes alone cannot tell (that a list of numbers belongs to a scale), and refuses otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nlp.lexemes import Lexemes
from nlp.lexicon import Rule
from nlp.ranges import ages, pair
from nlp.units import UnitMatch
from nlp.value import FLIP, NEGATED, TIME_UNITS, Value, bounded, operator, parts_of, unit_after

_BEGIN = re.compile(r"[bcgtn0]")


def number_set(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """Numbers of a scale, where a scale's word or an ordinal concept stands before them."""
    between = lexemes.codes[first:last]
    context = lexemes.codes[max(0, first - 4) : first].rstrip("(:fv")
    if context[-1:] not in ("s", "k"):
        near = [lexemes.word(at).lower() for at in range(max(0, first - 3), first)]
        if not any(word.rstrip(" of").endswith(("score", "scores", "level", "levels")) for word in near):
            return None
    parts = parts_of(lexemes, first, last)
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


def titre(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """``1:80``, also ``1/80`` behind a titre's word: the dilution is the number."""
    parts = parts_of(lexemes, first, last)
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
    parts = parts_of(lexemes, first, last)
    if len(parts.numbers) != 2 or any(len(found) != 1 for _, found in parts.numbers):
        return None
    (at_a, (a,)), (at_b, (b,)) = parts.numbers
    if lexemes.word(at_a + 1 + (lexemes.codes[at_a + 1] == "u")) != "/":
        return None
    op = parts.comparators[0][1] if parts.comparators else None
    if op == "?":
        return None
    unit = unit_after(parts, at_b) or unit_after(parts, at_a)
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
    if unit_after(parts, at_a) is not None and unit_after(parts, at_b) is not None:
        last = at_a + 2  # "< 154 lbs / 70 kg": the bound again in another unit
    value = bounded(Value(rule.id, first, last, ""), op, a)
    value.unit = unit_after(parts, at_b) if last > at_b else unit_after(parts, at_a)
    return [value]


def single(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """One comparator before one number."""
    parts = parts_of(lexemes, first, last)
    if not parts.comparators or len(parts.numbers) != 1:
        return None
    comparator = parts.comparators[0][1]
    signed = lexemes.values[parts.comparators[0][0]] == "="
    if len(parts.comparators) == 2 and "=" in parts.comparators[1][1] and "=" not in comparator:
        comparator = parts.comparators[1][1]
    if comparator == "?":
        return None
    if lexemes.codes[first] == "n":
        comparator = NEGATED.get(comparator, "?")
        if comparator == "?":
            return None
    at, numbers = parts.numbers[0]
    if len(numbers) > 1:
        return [Value(rule.id, first, last, "set", values=numbers)] if comparator == "=" else None
    if comparator == "=" and (lexemes.codes[first - 1 : first] == "u" or _defines(lexemes, first)):
        return None
    value = bounded(Value(rule.id, first, last, ""), comparator, numbers[0])
    value.unit = unit_after(parts, at)
    value.equated = signed and comparator == "="
    return [value]


def _defines(lexemes: Lexemes, first: int) -> bool:
    """Whether the equation explains a size or a unit: "(n = 20)", "1 serving = 1 glass"."""
    return first > 0 and (
        lexemes.word(first - 1).lower() == "n" or (first > 1 and lexemes.codes[first - 2] == "0")
    )


def single_after(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """One comparator behind one number; one before it too may only repeat it (``>= 18 or older``)."""
    parts = parts_of(lexemes, first, last)
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
    value.unit = unit_after(parts, at) or (parts.units[-1][1] if parts.units else None)
    return [value]


def window(lexemes: Lexemes, rule: Rule, first: int, last: int) -> list[Value] | None:
    """A window in time; the same words before another unit bound a quantity (within 2.5 x ULN)."""
    parts = parts_of(lexemes, first, last)
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
        comparator = NEGATED.get(comparator, "?")
    if comparator not in FLIP or comparator == "=":
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
