"""The data that reading a text yields: items (leaves), expressions (truth), criteria.

Every span is a pair ``(start, end)`` of offsets in Unicode code points into the RAW text that was
handed to :func:`nlp.pipeline.Extractor.extract`, exactly as it came in.

The JSON forms are those of the one machine interface, ``trialkb extract --jsonl``:
:meth:`Item.to_json`, :meth:`Criterion.to_json` and :func:`expression_to_json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from nlp.record import record

Span = tuple[int, int]
Section = Literal["inclusion", "exclusion", "unknown"]
Role = Literal["requirement", "definition", "allowance", "monitoring"]
Kind = Literal["numeric", "ordinal", "qualitative", "temporal", "count", "dose"]

COMPARATORS = (
    ">", ">=", "<", "<=", "=", "range", "set", "within",
    "positive", "negative", "detectable", "undetectable", "positive_or_negative",
)  # fmt: skip
RELATIVE_TO = ("ULN", "LLN", "LLOD", "baseline", "predicted")
ENTITY_TYPES = ("Measurement", "Age", "Temporal", "Drug dose", "Count", "Stage", "Other")
FLAGS = (
    "lost_comparator", "implausible_value", "restated_unit", "implicit_multiple",
    "unit_assumed", "ambiguous_concept", "contradiction",
)  # fmt: skip


@record
class Window:
    """The time to which a requirement is restricted, e.g. "within 28 days before enrolment".

    ``unit`` is a UCUM time unit (``a mo wk d h min``) or ``{half-life}``; ``direction`` is
    ``before``, ``after`` or ``within``; ``anchor`` is the event the time is counted from.
    """

    value: float | None
    unit: str | None
    direction: str | None
    anchor: str | None

    def to_json(self) -> dict[str, Any]:
        """The window in the interface's JSON form."""
        return {
            "value": self.value,
            "unit": self.unit,
            "direction": self.direction,
            "anchor": self.anchor,
        }


@record
class Qualifier:
    """A condition or an exception as the text words it, with its span."""

    text: str
    span: Span

    def to_json(self) -> dict[str, Any]:
        """The qualifier in the interface's JSON form."""
        return {"text": self.text, "span": list(self.span)}


@record
class Item:
    """One leaf: what one mention in the text says. See design/extract-interface.md for each field.

    ``low``/``high`` are the numbers as written, in ``unit`` (UCUM), or multiples of ``relative_to``;
    an exclusion's item names the set that the text names (the excluded one), it is not turned.
    """

    id: str
    section: Section
    criterion: str
    concept: str | None
    concept_name: str | None
    concept_text: str | None
    concept_span: Span | None
    role: Role
    entity_type: str
    kind: Kind
    comparator: str
    low: float | None
    high: float | None
    low_inclusive: bool | None
    high_inclusive: bool | None
    values: tuple[float, ...] | None
    unit: str | None
    unit_text: str | None
    canonical_low: float | None
    canonical_high: float | None
    canonical_unit: str | None
    relative_to: str | None
    value_text: str
    value_span: Span
    condition: Qualifier | None
    exception: Qualifier | None
    population: str | None
    window: Window | None
    rule: str
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The item as the interface prints it: every key always there, null where it does not apply."""
        window = self.window
        return {
            "id": self.id,
            "section": self.section,
            "criterion": self.criterion,
            "concept": self.concept,
            "concept_name": self.concept_name,
            "concept_text": self.concept_text,
            "concept_span": None if self.concept_span is None else list(self.concept_span),
            "role": self.role,
            "entity_type": self.entity_type,
            "kind": self.kind,
            "comparator": self.comparator,
            "low": self.low,
            "high": self.high,
            "low_inclusive": self.low_inclusive,
            "high_inclusive": self.high_inclusive,
            "values": None if self.values is None else list(self.values),
            "unit": self.unit,
            "unit_text": self.unit_text,
            "canonical_low": self.canonical_low,
            "canonical_high": self.canonical_high,
            "canonical_unit": self.canonical_unit,
            "relative_to": self.relative_to,
            "value_text": self.value_text,
            "value_span": list(self.value_span),
            "condition": None if self.condition is None else self.condition.to_json(),
            "exception": None if self.exception is None else self.exception.to_json(),
            "population": self.population,
            "window": None if window is None else window.to_json(),
            "rule": self.rule,
            "flags": list(self.flags),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Item:
        """The inverse of :meth:`to_json`. Raises TypeError for an unknown or a missing key."""
        values = dict(data)
        for name in ("concept_span", "value_span", "values", "flags"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        for name in ("condition", "exception"):
            if values.get(name) is not None:
                values[name] = Qualifier(values[name]["text"], tuple(values[name]["span"]))
        if values.get("window") is not None:
            values["window"] = Window(**values["window"])
        return cls(**values)


# ---------------------------------------------------------------- expressions


@record
class All:
    """True when every part is (Kleene); an empty one is true."""

    parts: tuple[Expression, ...]


@record
class AnyOf:
    """True when at least one part is (Kleene); an empty one is false."""

    parts: tuple[Expression, ...]


@record
class Not:
    """True where the part is false."""

    part: Expression


@record
class If:
    """``then`` where ``condition`` is true, ``otherwise`` where it is false; if the condition is
    unknown: the common answer of both branches, else unknown."""

    condition: Expression
    then: Expression
    otherwise: Expression


@record
class Leaf:
    """The item with this id."""

    item: str


@record
class Fact:
    """A yes-or-no demand that was understood but is not measured: a disease, a treatment, consent."""

    text: str
    span: Span
    concept: str | None = None


@record
class Unread:
    """Text that puts a demand on the patient and was not understood, and why."""

    span: Span
    why: str


Expression = All | AnyOf | Not | If | Leaf | Fact | Unread


def expression_to_json(expression: Expression) -> dict[str, Any]:
    """The expression in the interface's JSON form."""
    if isinstance(expression, Fact):
        return {"fact": expression.text, "span": list(expression.span), "concept": expression.concept}
    if isinstance(expression, Leaf):
        return {"item": expression.item}
    if isinstance(expression, Not):
        return {"not": expression_to_json(expression.part)}
    if isinstance(expression, All):
        return {"all": [expression_to_json(part) for part in expression.parts]}
    if isinstance(expression, AnyOf):
        return {"any": [expression_to_json(part) for part in expression.parts]}
    if isinstance(expression, Unread):
        return {"unread": list(expression.span), "why": expression.why}
    return {
        "if": expression_to_json(expression.condition),
        "then": expression_to_json(expression.then),
        "else": expression_to_json(expression.otherwise),
    }


def expression_from_json(data: Mapping[str, Any]) -> Expression:
    """The inverse of :func:`expression_to_json`. Raises ValueError for any other shape."""
    match dict(data):
        case {"all": parts}:
            return All(tuple(expression_from_json(part) for part in parts))
        case {"any": parts}:
            return AnyOf(tuple(expression_from_json(part) for part in parts))
        case {"not": part}:
            return Not(expression_from_json(part))
        case {"if": condition, "then": then, "else": otherwise}:
            return If(
                expression_from_json(condition),
                expression_from_json(then),
                expression_from_json(otherwise),
            )
        case {"item": item}:
            return Leaf(item)
        case {"fact": text, "span": [start, end], **rest}:
            return Fact(text, (start, end), rest.get("concept"))
        case {"unread": [start, end], "why": why}:
            return Unread((start, end), why)
    raise ValueError(f"not an expression: {data!r}")


def leaves(expression: Expression) -> Iterator[Leaf | Fact | Unread]:
    """Every leaf of the expression, in the order of the text."""
    match expression:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case If(condition, then, otherwise):
            yield from leaves(condition)
            yield from leaves(then)
            yield from leaves(otherwise)
        case Leaf() | Fact() | Unread():
            yield expression


# ------------------------------------------------------------------- criteria


@record
class Criterion:
    """One node of the criteria tree.

    ``path`` is the parser's numbering ("7.2"), unique within its section; ``parent`` the path of the
    node it is part of, or null; ``heading`` the nearest heading above it ("Liver function:").
    ``text`` is ``raw[span[0]:span[1]]``. A parent's expression does not repeat what its children say
    unless its list is one of alternatives ("at least one of the following"), which are then
    part of the parent's expression and no criteria of their own.
    """

    path: str
    section: Section
    text: str
    span: Span
    expression: Expression
    coverage: float
    parent: str | None = None
    heading: str | None = None
    population: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The criterion in the interface's JSON form."""
        return {
            "path": self.path,
            "section": self.section,
            "text": self.text,
            "span": list(self.span),
            "expression": expression_to_json(self.expression),
            "coverage": self.coverage,
        }


@record
class Extraction:
    """All that was read in one text, and with which vocabulary."""

    items: tuple[Item, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    vocabulary: str = ""

    def to_json(self, doc_id: str) -> dict[str, Any]:
        """One output row of ``trialkb extract --jsonl``."""
        return {
            "doc_id": doc_id,
            "items": [item.to_json() for item in self.items],
            "criteria": [criterion.to_json() for criterion in self.criteria],
        }
