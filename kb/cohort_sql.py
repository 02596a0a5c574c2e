"""A criterion's expression as an SQL condition over a cohort's columns; ``NULL`` is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kb.cohort import Cohort, Column
from kb.eligible import QUARANTINED
from kb.judging import TOLERANCE, Knowledge, item_range, unitless
from kb.leaf_fact import applies, judge_fact
from kb.patient import Patient, event_key, event_query
from nlp.model import All, AnyOf, Expression, Fact, If, Item, Leaf, Not, Unread

_POSITIVE = {"positive": True, "detectable": True, "negative": False, "undetectable": False}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Writes expressions as SQL over a cohort's columns; ``NULL`` is unknown."""

    cohort: Cohort
    knowledge: Knowledge
    he: Patient
    she: Patient

    def of(self, expression: Expression, items: Mapping[str, Item], drop: str = "TRUE") -> str:
        """``drop`` is what a leaf for another population stands for, so that it decides nothing."""
        match expression:
            case All(parts):
                return _joined([self.of(part, items, "TRUE") for part in parts], "AND", "TRUE")
            case AnyOf(parts):
                return _joined([self.of(part, items, "FALSE") for part in parts], "OR", "FALSE")
            case Not(part):
                inner = self.of(part, items, "FALSE" if drop == "TRUE" else "TRUE")
                return "NULL" if inner == "NULL" else f"(NOT {inner})"
            case If(condition, then, otherwise):
                return self._branch(*(self.of(one, items, drop) for one in (condition, then, otherwise)))
            case Leaf(identifier):
                return self._restricted(items[identifier], drop) if identifier in items else "NULL"
            case Fact():
                return self._fact(expression)
            case Unread():
                return "NULL"

    def _branch(self, condition: str, then: str, otherwise: str) -> str:
        if then == otherwise:
            return then
        agreed = f"CASE WHEN ({then}) = ({otherwise}) THEN {then} END"
        if "NULL" in (then, otherwise):
            agreed = "NULL"
        if condition == "NULL":
            return f"({agreed})"
        return f"(CASE WHEN {condition} THEN {then} WHEN NOT {condition} THEN {otherwise} ELSE {agreed} END)"

    def by_sex(self, his: bool | None, hers: bool | None) -> str:
        """An answer that is a matter of sex alone."""
        sex = self.cohort.find("sex")
        if his is None and hers is None:
            return "NULL"
        if his is hers:
            return _literal(his)
        if sex is None:
            return "NULL"
        return (
            f"(CASE WHEN {sex.sql} IN ('male', 'm') THEN {_literal(his)}"
            f" WHEN {sex.sql} IN ('female', 'f') THEN {_literal(hers)} END)"
        )

    def _fact(self, fact: Fact) -> str:
        query = event_query(fact.text)
        keys = {query.key, event_key(fact.concept)} if fact.concept else {query.key}
        for column in self.cohort.columns:
            if column.role == "event":
                key = event_key(column.key)
                if key in keys and query.window is None:
                    return column.truth
                if key in keys or key == query.bare:  # the wider thing: only its absence decides
                    return f"(CASE WHEN NOT {column.truth} THEN FALSE END)"
        return self.by_sex(*(judge_fact(fact, one, self.knowledge).value for one in (self.he, self.she)))

    def _restricted(self, item: Item, drop: str) -> str:
        about = self.by_sex(*(applies(item.population, one) for one in (self.he, self.she)))
        value = self._item(item)
        if about == "TRUE":
            return value
        if about == "NULL":
            return "NULL"
        return f"(CASE WHEN {about} THEN {value} WHEN NOT {about} THEN {drop} END)"

    def _item(self, item: Item) -> str:
        if item.flags and not QUARANTINED.isdisjoint(item.flags):
            return "NULL"
        if item.comparator == "positive_or_negative":
            return "TRUE"
        if item.concept == "age":
            column = self.cohort.find("age")
            found = item_range(item)
            plain = (
                column is not None and found is not None and item.unit in ("a", None) and not item.relative_to
            )
            return _between(f"floor({column.sql})", item, None) if plain and column is not None else "NULL"
        column = self.cohort.value(item.concept) if item.concept else None
        if column is None or item.concept in self.knowledge.of_something or item.comparator == "within":
            return "NULL"
        if item.comparator in _POSITIVE:
            return column.truth if _POSITIVE[item.comparator] else f"(NOT {column.truth})"
        if item.comparator == "set" and item.values is not None and not item.relative_to:
            ors = [f"abs({column.sql} - {value!r}) <= 1e-9" for value in item.values]
            return _joined(ors, "OR", "FALSE")
        return self._number(item, column)

    def _number(self, item: Item, column: Column) -> str:
        if item_range(item) is None:
            return "NULL"
        if item.relative_to in ("ULN", "LLN"):
            limit = self.cohort.find(item.relative_to.casefold(), column.key)
            if limit is None:
                return "NULL"
            return (
                f"(CASE WHEN {limit.sql} > 0 THEN {_between(f'{column.sql} / {limit.sql}', item, None)} END)"
            )
        if item.relative_to is not None:
            return "NULL"
        same = item.unit == column.unit or (unitless(item.unit) and unitless(column.unit))
        if same:
            return _between(column.sql, item, None)
        if item.unit is None or column.unit is None:
            return "NULL"
        return _between(column.sql, item, (self.knowledge, column.unit))


def _between(value: str, item: Item, convert: tuple[Knowledge, str] | None) -> str:
    found = item_range(item)
    assert found is not None
    parts = []
    for bound, inclusive, sign in (
        (found.low, found.low_inclusive, ">"),
        (found.high, found.high_inclusive, "<"),
    ):
        if abs(bound) == float("inf"):
            continue
        if convert is not None:
            converted = convert[0].units.convert(bound, str(item.unit), convert[1], item.concept)
            if converted is None:
                return "NULL"
            bound = converted
        # Equal within TOLERANCE counts as equal, as it does for a single patient.
        shift = abs(bound) * TOLERANCE * (-1 if inclusive == (sign == ">") else 1)
        parts.append(f"{value} {sign}{'=' if inclusive else ''} {bound + shift!r}")
    return _joined(parts, "AND", "TRUE")


def _joined(parts: Sequence[str], word: str, empty: str) -> str:
    absorbing = "FALSE" if word == "AND" else "TRUE"
    if absorbing in parts:
        return absorbing
    kept = [part for part in parts if part != empty]
    if not kept:
        return empty
    if all(part == "NULL" for part in kept):
        return "NULL"
    return kept[0] if len(kept) == 1 else "(" + f" {word} ".join(kept) + ")"


def _literal(value: bool | None) -> str:
    return "NULL" if value is None else str(value).upper()
