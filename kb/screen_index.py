"""Which trials a patient's values rule out, without reading their criteria: an index made when a trial is stored.

A criterion's expression is turned into clauses (a conjunction of disjunctions; Kleene's logic is
distributive, so nothing is lost): the criterion is false if and only if some clause has only false
literals. A clause whose literals are all plain limits, qualitative results or matters of sex can be judged
in SQL. What else could make a criterion false is listed by concept and by fact, so that the few trials in
which it matters for a patient are found and evaluated whole (:mod:`kb.prefilter`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from kb.eligible import QUARANTINED
from kb.judging import TOLERANCE, Knowledge, item_range, unitless
from kb.leaf_age import REGISTRY_AGE, REGISTRY_AGE_UNITS
from kb.leaf_fact import applies, judge_fact
from kb.patient import Patient, event_query
from nlp.model import All, AnyOf, Criterion, Expression, Fact, If, Item, Leaf, Not, Unread, leaves

MOST_CLAUSES = 64
"""A criterion that needs more clauses than this is evaluated whole wherever a patient could answer it."""
OPAQUE = "?"
"""The scale of a literal that only the whole evaluation can answer."""


@dataclass(frozen=True, slots=True)
class Literal:
    """True where the value lies from ``low`` to ``high`` (``outside``: where it does not).

    ``scale``: absolute (canonical unit), ``in UNIT`` (that unit: there is no sure conversion), bare (no unit
    is named), grades (whole numbers), ULN, LLN, result (1 positive, 0 negative), sex (0 male, 1 female) or
    :data:`OPAQUE`. ``sex``: the literal is only about this one. ``timed``: only an undated value
    surely counts.
    """

    concept: str
    scale: str
    low: float | None = None
    high: float | None = None
    outside: bool = False
    sex: str | None = None
    timed: bool = False


class _NeverFalse(Exception):
    """A literal that no patient's record can make false: its clause decides nothing."""


class _TooMany(Exception):
    """More clauses than :data:`MOST_CLAUSES`."""


Clause = tuple[Leaf | Fact | Unread, bool]


def clauses(expression: Expression, positive: bool = True) -> list[frozenset[Clause]]:
    """The expression as clauses of (leaf, whether it stands as it is or negated); empty: always true.

    Raises _TooMany.
    """
    match expression:
        case All(parts) | AnyOf(parts):
            lists = [clauses(part, positive) for part in parts]
            if isinstance(expression, All) == positive:
                return _checked([clause for one in lists for clause in one])
            return _either(lists)
        case Not(part):
            return clauses(part, not positive)
        case If(condition, then, otherwise):
            if not positive:
                then, otherwise = Not(then), Not(otherwise)
            # where the condition is unknown, the common answer of both branches: hence the third
            return clauses(
                All((AnyOf((Not(condition), then)), AnyOf((condition, otherwise)), AnyOf((then, otherwise))))
            )
        case Leaf() | Fact() | Unread():
            return [frozenset({(expression, positive)})]


def _either(lists: Iterable[list[frozenset[Clause]]]) -> list[frozenset[Clause]]:
    found: list[frozenset[Clause]] = [frozenset()]
    for one in lists:
        found = _checked([left | right for left in found for right in one])
    return found


def _checked(found: list[frozenset[Clause]]) -> list[frozenset[Clause]]:
    if len(found) > MOST_CLAUSES:
        raise _TooMany
    return found


class _NoUnits:
    """No conversion: the index holds what the text says, the patient's values are converted to it."""

    def convert(self, value: float, from_unit: str, to_unit: str, concept: str | None = None) -> float | None:
        return None


_KNOWLEDGE = Knowledge(_NoUnits())
_HE = Patient("", as_of=date(2000, 1, 1), sex="male")
_SHE = replace(_HE, sex="female")
_STATES = {"positive": 1.0, "detectable": 1.0, "negative": 0.0, "undetectable": 0.0}


def _limits(
    low: float | None, high: float | None, low_in: bool, high_in: bool
) -> tuple[float | None, float | None]:
    """Bounds widened or narrowed by the tolerance within which two numbers are one."""
    if low is not None:
        low += abs(low) * TOLERANCE * (-1 if low_in else 1)
    if high is not None:
        high += abs(high) * TOLERANCE * (1 if high_in else -1)
    return low, high


@lru_cache(maxsize=4096)
def _scope(population: str | None) -> str:
    """Whom a restriction is about, as far as age and sex say it: ``all``, ``male``, ``female``, ``never``
    known (so nothing under it is ever false), or :data:`OPAQUE`."""
    if population is None:
        return "all"
    answers = [
        {applies(population, replace(one, age=(age, "a"))) for age in (1.0, 15.0, 40.0, 90.0)}
        for one in (_HE, _SHE)
    ]
    if answers == [{None}, {None}]:
        return "never"
    named: dict[tuple[tuple[bool | None, ...], ...], str] = {
        ((True,), (True,)): "all",
        ((True,), (False,)): "male",
        ((False,), (True,)): "female",
    }
    return named.get((tuple(answers[0]), tuple(answers[1])), OPAQUE)


def _item_literal(item: Item, positive: bool) -> Literal:
    if not QUARANTINED.isdisjoint(item.flags) or (item.concept is None and item.comparator != "within"):
        raise _NeverFalse
    opaque = Literal(item.concept or "", OPAQUE)
    about = _scope(item.population)
    if about == "never":
        raise _NeverFalse
    if about == OPAQUE:
        return opaque
    sex = about if about != "all" else None
    if item.comparator in _STATES and item.concept != "age":
        wanted = _STATES[item.comparator]
        return Literal(
            str(item.concept), "result", wanted, wanted, not positive, sex, item.window is not None
        )
    scale, low, high = _scaled(item)
    found = item_range(item)
    if scale is None or (low is None and high is None):
        return opaque
    if found is not None:
        low, high = _limits(low, high, found.low_inclusive, found.high_inclusive)
    return Literal(str(item.concept), scale, low, high, not positive, sex, item.window is not None)


def _scaled(item: Item) -> tuple[str | None, float | None, float | None]:
    """The scale on which the item's set is one interval, and the interval; None where it is none."""
    if item.comparator == "set":
        values = sorted(item.values or ())
        whole = bool(values) and all(value == values[0] + place for place, value in enumerate(values))
        if not whole or not values[0].is_integer() or item.relative_to or not unitless(item.unit):
            return None, None, None
        # grades lie a whole number apart: half a step separates them safely
        return "grades", values[0] - 0.5, values[-1] + 0.5
    if item_range(item) is None or item.relative_to not in (None, "ULN", "LLN"):
        return None, None, None
    if item.relative_to is not None:
        # "120 % of ULN" is written in percent, the index holds multiples
        share = 100.0 if item.unit == "%" else 1.0
        low, high = (None if bound is None else bound / share for bound in (item.low, item.high))
        return item.relative_to, low, high
    if item.concept == "age":
        return ("absolute" if item.unit in ("a", None) else f"in {item.unit}"), item.low, item.high
    low, high = item.canonical_low, item.canonical_high
    if item.unit is None and (item.canonical_unit is None or not unitless(item.canonical_unit)):
        return "bare", item.low, item.high
    if (low is None) == (item.low is None) and (high is None) == (item.high is None):
        return "absolute", low, high
    return ("bare" if item.unit is None else f"in {item.unit}"), item.low, item.high


def _literals(clause: frozenset[Clause], items: Mapping[str, Item]) -> list[Literal]:
    """The clause's literals. Raises _NeverFalse where it cannot be false for anyone."""
    found = []
    for leaf, positive in sorted(clause, key=repr):
        match leaf:
            case Unread():
                raise _NeverFalse
            case Fact():
                found.append(_fact_literal(leaf, positive))
            case Leaf(identifier):
                if identifier not in items:
                    raise _NeverFalse
                found.append(_item_literal(items[identifier], positive))
    if len(found) > 1:
        # A leaf that does not apply leaves its siblings to decide: a matter for the whole evaluation.
        found = [Literal(one.concept, OPAQUE) if one.sex else one for one in found]
    return found


@lru_cache(maxsize=65_536)
def _by_sex(text: str) -> tuple[bool | None, bool | None]:
    """What a man's and a woman's record answer by the sex alone."""
    his, hers = (judge_fact(Fact(text, (0, 0)), one, _KNOWLEDGE).value for one in (_HE, _SHE))
    return his, hers


def _fact_literal(fact: Fact, positive: bool) -> Literal:
    his, hers = _by_sex(fact.concept or fact.text)
    if his is None and hers is None:
        return Literal("", OPAQUE)
    excluding = [float(place) for place, value in enumerate((his, hers)) if value is (not positive)]
    if not excluding:
        raise _NeverFalse
    return Literal("sex", "sex", excluding[0], excluding[-1], outside=True)


def _one_sided(literal: Literal) -> list[Literal]:
    """A range as two limits, each a clause of its own."""
    if literal.outside or literal.low is None or literal.high is None or literal.scale in ("result", "sex"):
        return [literal]
    return [replace(literal, high=None), replace(literal, low=None)]


def criterion_clauses(criterion: Criterion, items: Mapping[str, Item]) -> Iterator[list[Literal]]:
    """The clauses that could make the criterion false, as literals."""
    about = _scope(criterion.population)
    if about == "never":
        return
    try:
        found = clauses(criterion.expression)
    except _TooMany:
        yield from ([Literal(name, OPAQUE)] for name in sorted(_concepts(criterion.expression, items)))
        return
    for clause in found:
        try:
            literals = _literals(clause, items)
        except _NeverFalse:
            continue
        if about == OPAQUE:
            literals = [Literal(one.concept, OPAQUE) for one in literals]
        elif about != "all":
            plain = len(literals) == 1 and literals[0].sex in (None, about) and literals[0].scale != "sex"
            literals = [
                replace(one, sex=about) if plain else Literal(one.concept, OPAQUE, sex=about)
                for one in literals
            ]
        if len(literals) == 1:
            yield from ([one] for one in _one_sided(literals[0]))
        else:
            yield literals


def _concepts(expression: Expression, items: Mapping[str, Item]) -> set[str]:
    used = [items.get(leaf.item) for leaf in leaves(expression) if isinstance(leaf, Leaf)]
    return {item.concept for item in used if item is not None and item.concept is not None}


def registry_clauses(
    minimum_age: str | None, maximum_age: str | None, sex: str | None
) -> list[list[Literal]]:
    """The clauses of the registry's own fields."""
    found = []
    for stated, minimum in ((minimum_age, True), (maximum_age, False)):
        match = REGISTRY_AGE.fullmatch((stated or "").strip())
        if match is not None:
            bound, unit = float(match[1]), REGISTRY_AGE_UNITS[match[2].casefold()]
            low, high = _limits(bound if minimum else None, None if minimum else bound, True, True)
            found.append([Literal("age", "absolute" if unit == "a" else f"in {unit}", low, high)])
    if sex in ("MALE", "FEMALE"):
        wanted = float(sex == "FEMALE")
        found.append([Literal("sex", "sex", wanted, wanted)])
    return found


def is_open(criterion: Criterion, items: Mapping[str, Item]) -> bool:
    """Whether no value, result, age or sex can make the criterion true, which holds for everybody."""
    restricted = criterion.population is not None or any(
        items[leaf.item].population
        for leaf in leaves(criterion.expression)
        if isinstance(leaf, Leaf) and leaf.item in items
    )
    return not (restricted or _answerable(criterion.expression, items))


def index_reading(
    connection: sqlite3.Connection,
    reading_id: int,
    clauses_: Iterable[list[Literal]],
    facts: Iterable[tuple[str, str]] = (),
) -> None:
    """Write the index of one reading: its clauses, and the keys and bare keys of its facts."""
    rows = [
        (reading_id, number, place, len(literals), one.concept, one.scale, one.low, one.high, one.outside,
         one.sex, one.timed)
        for number, literals in enumerate(clauses_)
        for place, one in enumerate(literals)
    ]  # fmt: skip
    connection.executemany("INSERT INTO screen_literal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "INSERT INTO screen_fact(reading_id, key, bare) VALUES (?, ?, ?)",
        [(reading_id, key, bare) for key, bare in sorted(set(facts))],
    )


def fact_keys(expression: Expression, items: Mapping[str, Item]) -> Iterator[tuple[str, str]]:
    """The keys under which a patient's event would meet a fact, or an item about when something was."""
    for leaf in leaves(expression):
        texts: list[str | None] = []
        if isinstance(leaf, Fact):
            texts = [leaf.text, leaf.concept]
        elif isinstance(leaf, Leaf) and leaf.item in items and items[leaf.item].comparator == "within":
            texts = [items[leaf.item].concept_text, items[leaf.item].concept]
        for text in texts:
            if text:
                query = event_query(text)
                yield query.key, query.key
                yield from ((query.key, other) for other in (*query.wider, *query.examples))


def _answerable(expression: Expression, items: Mapping[str, Item]) -> bool:
    """Whether values, results, age and sex alone might make the expression true."""
    match expression:
        case All(parts):
            return all(_answerable(part, items) for part in parts)
        case AnyOf(parts):
            return any(_answerable(part, items) for part in parts)
        case Not(part):
            return _answerable(part, items) if isinstance(part, (Leaf, Fact, Unread)) else _might(part, items)
        case If(_, then, otherwise):
            return _answerable(then, items) or _answerable(otherwise, items)
        case Leaf(identifier):
            item = items.get(identifier)
            return item is not None and item.concept is not None and QUARANTINED.isdisjoint(item.flags)
        case Fact():
            return _by_sex(expression.concept or expression.text) != (None, None)
        case Unread():
            return False


def _might(expression: Expression, items: Mapping[str, Item]) -> bool:
    """Whether values alone might make the expression false."""
    match expression:
        case All(parts):
            return any(_might(part, items) for part in parts)
        case AnyOf(parts):
            return all(_might(part, items) for part in parts)
        case Not(part):
            return _answerable(part, items)
        case If(_, then, otherwise):
            return _might(then, items) or _might(otherwise, items)
        case Leaf() | Fact() | Unread():
            return _answerable(expression, items)
