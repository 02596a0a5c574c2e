"""From drafts with offsets into folded text to items and expressions with offsets into the raw text."""

from __future__ import annotations

from nlp.criteria import Node
from nlp.draft import Draft
from nlp.model import All, AnyOf, Expression, Fact, If, Item, Leaf, Not, Qualifier, Unread
from nlp.text import Folded
from nlp.vocab import Vocabulary

_NO_UNIT = ("ULN", "LLN", "LLOD", "baseline")
_NOT_CANONICAL: tuple[None, None, None] = (None, None, None)


def item(vocabulary: Vocabulary, raw: str, node: Node, folded: Folded, draft: Draft, key: str) -> Item:
    """The item that a draft of ``node`` becomes, with ``key`` as its id and its bounds in canonical units."""
    concept = vocabulary.concepts.get(draft.concept) if draft.concept is not None else None
    concept_text = concept_span = None
    if draft.concept_start >= 0:
        concept_span = folded.span(draft.concept_start, draft.concept_end)
        concept_text = raw[concept_span[0] : concept_span[1]]
    value_span = folded.span(draft.value_start, draft.value_end)
    low, high, unit = _canonical(vocabulary, draft) if concept is not None else _NOT_CANONICAL
    return Item(  # by position: half of the time goes by name
        key,
        node.section,
        node.path,
        draft.concept,
        concept.name if concept is not None else None,
        concept_text,
        concept_span,
        draft.role,
        draft.entity_type,
        draft.kind,
        draft.comparator,
        draft.low,
        draft.high,
        draft.low_inclusive,
        draft.high_inclusive,
        draft.values,
        draft.unit,
        draft.unit_text,
        low,
        high,
        unit,
        draft.relative_to,
        raw[value_span[0] : value_span[1]],
        value_span,
        _qualifier(raw, folded, draft.condition),
        _qualifier(raw, folded, draft.exception),
        draft.population or node.population,
        draft.window,
        draft.rule,
        tuple(dict.fromkeys(draft.flags)) if draft.flags else (),
    )


def _qualifier(raw: str, folded: Folded, span: tuple[int, int] | None) -> Qualifier | None:
    if span is None:
        return None
    start, end = folded.span(*span)
    return Qualifier(raw[start:end], (start, end))


def _canonical(vocabulary: Vocabulary, draft: Draft) -> tuple[float | None, float | None, str | None]:
    """The bounds in the concept's canonical unit; all None where that is not sure."""
    if draft.concept is None or draft.relative_to in _NO_UNIT:
        return _NOT_CANONICAL
    found: list[float | None] = []
    unit = None
    for number in (draft.low, draft.high):
        converted = None if number is None else vocabulary.units.canonical(draft.concept, number, draft.unit)
        found.append(converted[0] if converted else None)
        unit = converted[1] if converted else unit
    return found[0], found[1], unit


def to_raw(expression: Expression, folded: Folded, ids: list[str]) -> Expression:
    """The expression with raw spans, and items' ids for the indexes of their drafts."""
    if isinstance(expression, Fact):
        return Fact(expression.text, folded.span(*expression.span), expression.concept)
    if isinstance(expression, Leaf):
        return Leaf(ids[int(expression.item)])
    if isinstance(expression, Not):
        return Not(to_raw(expression.part, folded, ids))
    if isinstance(expression, All):
        parts = expression.parts
        return All(tuple([to_raw(part, folded, ids) for part in parts])) if parts else expression
    if isinstance(expression, AnyOf):
        return AnyOf(tuple([to_raw(part, folded, ids) for part in expression.parts]))
    if isinstance(expression, Unread):
        return Unread(folded.span(*expression.span), expression.why)
    return If(
        to_raw(expression.condition, folded, ids),
        to_raw(expression.then, folded, ids),
        to_raw(expression.otherwise, folded, ids),
    )
