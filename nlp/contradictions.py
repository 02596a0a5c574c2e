"""Demands of one criterion that no value can meet: an empty set on one concept and scale.

Such a criterion was misread or miswritten ("platelets >= 100 and <= 10 x 10^9/L"); either way it must
not judge a patient, so both limits become one unread leaf, and both drafts are flagged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from nlp.draft import Draft
from nlp.model import All, Expression, Leaf, Not, Unread

_Range = tuple[float, bool, float, bool]
"""low, whether low itself belongs to it, high, whether high itself belongs to it."""


def quarantined(parts: Sequence[Expression], drafts: Sequence[Draft]) -> list[Expression]:
    """The conjunction's parts, those that contradict each other replaced by an ``Unread``."""
    if len(parts) == 1 and not isinstance(parts[0], All):
        return list(parts)
    allowed: dict[tuple[object, ...], tuple[_Range, list[int]]] = {}
    for index, negated in _limits(parts):
        draft = drafts[index]
        one = _range(draft, negated)
        if one is None or draft.concept is None:
            continue
        key = (
            draft.concept,
            draft.unit,
            draft.relative_to,
            draft.entity_type,
            draft.population,
            draft.window,
        )
        before, seen = allowed.get(key, ((-math.inf, True, math.inf, True), []))
        allowed[key] = (_meet(before, one), [*seen, index])
    bad = {index for both, seen in allowed.values() if _empty(both) for index in seen}
    if not bad:
        return list(parts)
    for index in bad:
        drafts[index].flags.append("contradiction")
    span = (
        min(min(drafts[i].value_start, _start(drafts[i])) for i in bad),
        max(drafts[i].value_end for i in bad),
    )
    kept = [part for part in _flat(parts) if _index(part) not in bad]
    return [*kept, Unread(span, "a contradiction: no value meets all of these limits")]


def exclusive(one: Draft, other: Draft) -> bool:
    """Whether no value of one concept, on one scale, meets both drafts."""
    first, second = _range(one, False), _range(other, False)
    same = one.concept is not None and (one.concept, one.relative_to) == (other.concept, other.relative_to)
    if first is None or second is None or not same or (one.unit and other.unit and one.unit != other.unit):
        return False
    return _empty(_meet(first, second))


def _start(draft: Draft) -> int:
    return draft.concept_start if draft.concept_start >= 0 else draft.value_start


def _flat(parts: Sequence[Expression]) -> Iterator[Expression]:
    for part in parts:
        if isinstance(part, All):
            yield from _flat(part.parts)
        else:
            yield part


def _index(part: Expression) -> int | None:
    """The draft that a leaf, or a negated leaf, is about."""
    inner = part.part if isinstance(part, Not) else part
    return int(inner.item) if isinstance(inner, Leaf) else None


def _limits(parts: Sequence[Expression]) -> Iterator[tuple[int, bool]]:
    for part in _flat(parts):
        index = _index(part)
        if index is not None:
            yield index, isinstance(part, Not)


def _range(draft: Draft, negated: bool) -> _Range | None:
    """The values that meet the draft; None where they are no one interval."""
    if draft.comparator not in (">", ">=", "<", "<=", "range") or draft.flags:
        return None
    low, high = draft.low, draft.high
    if not negated:
        return (
            -math.inf if low is None else low,
            bool(draft.low_inclusive),
            math.inf if high is None else high,
            bool(draft.high_inclusive),
        )
    if low is not None and high is None:
        return (-math.inf, True, low, not draft.low_inclusive)
    if high is not None and low is None:
        return (high, not draft.high_inclusive, math.inf, True)
    return None


def _meet(one: _Range, other: _Range) -> _Range:
    low, low_in = max((one[0], not one[1]), (other[0], not other[1]))
    high, high_in = min((one[2], one[3]), (other[2], other[3]))
    return (low, not low_in, high, high_in)


def _empty(both: _Range) -> bool:
    low, low_in, high, high_in = both
    return low > high or (low == high and not (low_in and high_in))
