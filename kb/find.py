"""``trialkb find``: a small query language over thresholds, topics and words.

::

    platelets min <= 50 10*9/L and lvef min >= 50 % and cond lupus and not csf_wbc

- ``CONCEPT min|max OP NUMBER [UNIT | xULN]``: trials whose eligible range has such a lower or upper bound.
  The unit is UCUM or as texts word it, in quotes where it has blanks. The number is converted to the concept's canonical unit; a multiple of ULN meets only multiples of ULN.
- ``CONCEPT``: trials that put a requirement on it; ``CONCEPT positive|negative|...``: that demand this.
- ``cond``, ``intr``, ``target``, ``modality``, ``sponsor``, ``status``, ``phase`` WORDS; ``text "WORDS"``
  looks in the criteria (full-text).
- ``in inclusion|exclusion``; ``if any`` also takes limits that hold under a condition only, ``if WORDS``
  those whose condition says so; ``for any``, ``for WORDS`` likewise for populations. Without these a limit
  counts that is demanded of every patient, by itself or as one of several alternatives.
- ``and``, ``or``, ``not``, brackets. ``not platelets min <= 50 10*9/L`` holds for trials that state no such
  limit, whether they state another or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Protocol, runtime_checkable

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from kb import subject
from kb.concepts import UnitConverter, resolve_concept
from kb.errors import BadQuestion, ConceptUnknown, QueryInvalid
from kb.limits import Limit, TrialLine, load_trial_lines
from kb.reviewed_limits import reviewed_limits
from kb.reviewed_rows import threshold_source
from kb.search import match_expression
from kb.store import Store

Node = Tree[Token]
ClauseMaker = Callable[[str], subject.Clause]

_FREE_UNITS = frozenset({"1", "%", "a", "{score}", "{class}", "{grade}", "{points}", "{ratio}", "{INR}"})
"""Canonical units that a query may leave out: the number can mean nothing else."""

_ROUNDING = 1e-6
"""Relative width by which a bound counts as equal: what unit conversion rounds."""

_OPERATORS = {"≤": "<=", "≥": ">="}

_FIELDS: dict[str, ClauseMaker] = {
    "cond": subject.condition_clause,
    "intr": subject.intervention_clause,
    "sponsor": subject.sponsor_clause,
    "status": subject.status_clause,
    "phase": subject.phase_clause,
    "target": lambda words: subject.topic_clause("target", words),
    "modality": lambda words: subject.topic_clause("modality", words),
}

_EXPECTED = {
    "SIDE": "min or max",
    "OPERATOR": "a comparison such as <=",
    "NUMBER": "a number",
    "WORD": "a concept or a word",
    "QUOTED": "quoted words",
    "SECTION": "inclusion or exclusion",
    "LPAR": "(",
    "RPAR": ")",
    "FIELD": "cond, intr, ...",
    "ANY": "any",
    "_AND": "and",
    "_OR": "or",
    "_NOT": "not",
    "$END": "the end",
    "UNIT": "a unit",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A trial that answers the query, with the limits of the concepts that the query names."""

    trial: TrialLine
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """``total`` trials answer; ``found`` are those shown. ``concepts`` are the ids the query names."""

    total: int
    found: tuple[Found, ...]
    concepts: tuple[str, ...]


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark((files("kb") / "find.lark").read_text("utf-8"), parser="lalr", propagate_positions=True)


def find(store: Store, query: str, units: UnitConverter, *, limit: int = 50) -> Findings:
    """The trials that answer ``query``, by trial id.

    Raises QueryInvalid with the column at which the query cannot be understood.
    """
    compiler = _Compiler(store, query, units)
    clause, values = compiler.clause(parse(query))
    rows = store.connection.execute(
        f"SELECT v.id FROM current_version v JOIN trial t ON t.id = v.trial_id WHERE {clause} ORDER BY t.source_id",
        values,
    ).fetchall()
    versions = [row[0] for row in rows[:limit]]
    lines = load_trial_lines(store.connection, versions)
    limits: dict[int, list[Limit]] = {version: [] for version in versions}
    if compiler.concepts:
        for one in reviewed_limits(store.connection, versions, compiler.concepts):
            if one.role == "requirement":
                limits[one.version_id].append(one)
    found = tuple(Found(lines[version], tuple(limits[version])) for version in versions)
    return Findings(len(rows), found, tuple(dict.fromkeys(compiler.concepts)))


def matching(store: Store, query: str, units: UnitConverter) -> list[int]:
    """The versions that answer ``query``, in no order and with nothing loaded. Raises QueryInvalid."""
    compiler, tree = _Compiler(store, query, units), parse(query)
    if tree.data in _JOINING:
        clause, values = compiler.clause(tree)
        sql = f"SELECT v.id FROM current_version v WHERE {clause}"
    else:  # a single limit is of current versions by itself
        sql, values = compiler.limit(tree)
        sql = sql.replace("SELECT", "SELECT DISTINCT", 1)
    return [row[0] for row in store.connection.execute(sql, values).fetchall()]


_JOINING = frozenset({"either", "both", "negated", "field"})
"""Nodes of the tree that are not the limit of one concept."""


@lru_cache(maxsize=256)
def parse(query: str) -> Node:
    """The query's tree. Raises QueryInvalid."""
    if not query.strip():
        raise QueryInvalid("the query is empty; an example: platelets min <= 50 10*9/L and cond lupus", 1)
    try:
        return _parser().parse(query)
    except UnexpectedInput as error:
        raise _invalid(query, error) from None


def _invalid(query: str, error: UnexpectedInput) -> QueryInvalid:
    at_end = isinstance(error, UnexpectedEOF) or (
        isinstance(error, UnexpectedToken) and error.token.type == "$END"
    )
    if isinstance(error, UnexpectedToken):
        names: set[str] = set(error.accepts or error.expected)
    elif isinstance(error, UnexpectedCharacters):
        names = set(error.allowed or ())
    else:
        names = set()
    wanted = ", ".join(sorted({_EXPECTED[name] for name in names if name in _EXPECTED}))
    column = len(query.rstrip()) + 1 if at_end else max(int(error.column), 1)
    if "SIDE" in names and re.match(r"[<>=≤≥\d]", query[column - 1 :]):
        wanted = "min or max before the sign, as in: platelets min >= 50 10*9/L"
    what = "the query ends too early" if at_end else f"cannot read {query[column - 1 :][:20]!r}"
    return QueryInvalid(f"column {column}: {what}" + (f"; expected {wanted}" if wanted else ""), column)


class _Compiler:
    """Turns the tree into one SQL condition on ``v.id``."""

    def __init__(self, store: Store, query: str, units: UnitConverter) -> None:
        self.store = store
        self.query = query
        self.units = units
        self.concepts: list[str] = []
        self.source = threshold_source(store)

    def clause(self, node: Node) -> subject.Clause:
        """The SQL condition of a subtree."""
        if node.data in ("either", "both"):
            parts = [self.clause(child) for child in _trees(node)]
            joined = (" OR " if node.data == "either" else " AND ").join(sql for sql, _ in parts)
            return f"({joined})", [value for _, values in parts for value in values]
        if node.data == "negated":
            sql, values = self.clause(_trees(node)[0])
            return f"NOT {sql}", values
        if node.data == "field":
            return self._field(node)
        sql, values = self.limit(node)
        return f"v.id IN ({sql})", values

    def _field(self, node: Node) -> subject.Clause:
        name = str(node.children[0]).lower()
        words_node = _trees(node)[0]
        words = self._text(words_node)
        try:
            if name == "text":
                return (
                    "v.id IN (SELECT k.version_id FROM line_fts f JOIN criterion k ON k.line_id = f.rowid"
                    " WHERE line_fts MATCH ?)",
                    [match_expression(words)],
                )
            return _FIELDS[name](words)
        except BadQuestion as error:
            raise self._at(words_node, str(error)) from None

    def limit(self, node: Node) -> subject.Clause:
        """The statement that gives the versions with such a limit, some of them more than once."""
        trees = _trees(node)
        concept = self._concept(trees[0])
        self.concepts.append(concept)
        conditions, values = ["h.concept_id = ?"], [concept]
        under, for_whom = "h.applies_if IS NULL", "h.holds_for IS NULL"
        extra: list[object] = []
        parameters: list[object] = list(values)
        for child in node.children[1:]:
            if isinstance(child, Token):  # STATE
                conditions.append("h.status = ?")
                parameters.append(str(child).lower())
            elif child is None:
                continue
            elif child.data == "bound":
                sql, more = self._bound(child, concept)
                conditions.append(sql)
                parameters += more
            elif child.data == "in_section":
                conditions.append("h.section = ?")
                parameters.append(str(child.children[0]).lower())
            elif child.data == "under":
                under, extra_part = self._said(child, "h.applies_if")
                extra += extra_part
            else:
                for_whom, extra_part = self._said(child, "h.holds_for")
                extra += extra_part
        if not any(tree.data == "bound" for tree in trees):
            conditions.append("h.role = 'requirement'")  # an eligible range has none but requirements
        if self._stated_only(node):
            under = for_whom = "1"  # "csf_wbc" asks whether it is stated at all
        # extra's parameters stand in the order in which the two conditions were written
        qualifiers = [tree.data for tree in trees if tree.data in ("under", "for_whom")]
        tail = [for_whom, under] if qualifiers[:1] == ["for_whom"] else [under, for_whom]
        where = " AND ".join([*conditions, *tail])
        return f"SELECT h.version_id FROM {self.source} h WHERE {where}", [*parameters, *extra]

    @staticmethod
    def _stated_only(node: Node) -> bool:
        return all(child is None for child in node.children[1:])

    def _said(self, node: Node, column: str) -> subject.Clause:
        child = node.children[0]
        if isinstance(child, Token):
            return "1", []
        return f"instr(lower(coalesce({column}, '')), ?)", [self._text(child).lower()]

    def _bound(self, node: Node, concept: str) -> subject.Clause:
        side, operator, number, unit = node.children
        assert isinstance(side, Token)
        assert isinstance(operator, Token)
        assert isinstance(number, Token)
        assert not isinstance(unit, Tree)
        column = f"h.{str(side).lower()}_value"
        scale, value = self._value(concept, float(number), number, unit)
        sign = _OPERATORS.get(str(operator), str(operator))
        column = f"{column} IS NOT NULL AND {column}"  # as the partial index has it
        width = abs(value) * _ROUNDING
        if sign == "=":
            return f"h.scale = ? AND {column} BETWEEN ? AND ?", [scale, value - width, value + width]
        value += width if sign in ("<=", ">") else -width
        return f"h.scale = ? AND {column} {sign} ?", [scale, value]

    def _value(self, concept: str, value: float, number: Token, unit: Token | None) -> tuple[str, float]:
        """(scale, number in the canonical unit)."""
        row = self.store.connection.execute(
            "SELECT name, canonical_unit FROM concept WHERE id = ?", (concept,)
        ).fetchone()
        name, canonical = row
        if unit is not None and unit.type == "RELATIVE":
            word = str(unit).lstrip("x×* ").strip()
            if "predicted" in word.lower():
                return "predicted", value
            return ("baseline" if word.lower() == "baseline" else word.upper()), value
        if unit is None:
            if canonical is None or canonical in _FREE_UNITS:
                return "absolute", value
            raise self._at(number, f"{name} needs a unit: {canonical}, another of its units, or xULN")
        if canonical is None:
            raise self._at(unit, f"{name} has no unit")
        written = str(unit).strip('"')
        if written == canonical:
            return "absolute", value
        converted = _converted(self.units, value, written, canonical, concept)
        if converted is None:
            raise self._at(unit, f"{written} cannot be converted to {canonical}, the unit of {name}")
        return "absolute", converted

    def _concept(self, node: Node) -> str:
        try:
            return resolve_concept(self.store.connection, self._text(node))
        except ConceptUnknown as error:
            raise self._at(node, str(error)) from None

    @staticmethod
    def _text(node: Node) -> str:
        return " ".join(str(child).strip('"') for child in node.children).strip()

    def _at(self, node: Node | Token, message: str) -> QueryInvalid:
        column = node.column if isinstance(node, Token) else node.meta.column
        return QueryInvalid(f"column {column}: {message}", column)


@runtime_checkable
class _ReadsUnits(Protocol):
    """A unit table that also reads units as people write them (:class:`nlp.units.UnitTable`)."""

    def match(self, text: str, pos: int) -> Any:
        """The unit at ``pos`` of a text: its ``ucum`` code, ``end`` and ``scale``; None where there is none."""


def _converted(
    units: UnitConverter, value: float, written: str, canonical: str, concept: str
) -> float | None:
    """The value in the canonical unit, of a UCUM code or of a unit as a text may word it ("years", "G/L")."""
    converted = units.convert(value, written, canonical, concept)
    if converted is not None or not isinstance(units, _ReadsUnits):
        return converted
    read = units.match(written, 0)
    if read is None or read.ucum is None or read.end != len(written):
        return None
    return units.convert(value * read.scale, read.ucum, canonical, concept)


def _trees(node: Node) -> Sequence[Node]:
    return [child for child in node.children if isinstance(child, Tree)]
