"""What a line says, apart from where it stands, and back.

A reading is stored with its line, for all trials that say it: in its expression the spans count from the
line's first character, and an item is the number that it has among the line's own (``{"item": 0}``). A
trial's ``start_char`` and ``first_item`` place it. An item of another line keeps its distance (a number below
0 or above the line's own); one that the trial does not have keeps its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from nlp.model import All, AnyOf, Expression, Fact, If, Leaf, Not, Unread

ItemNames = Callable[[int], str]
"""The id of the item with this ordinal in its trial."""


def relative_json(
    expression: Expression, start: int, number_of: Callable[[str], int | str]
) -> dict[str, Any]:
    """The expression in its JSON form, spans less ``start``, items by ``number_of`` their id."""
    match expression:
        case Fact(text, span, concept):
            return {"fact": text, "span": [span[0] - start, span[1] - start], "concept": concept}
        case Leaf(item):
            return {"item": number_of(item)}
        case Unread(span, why):
            return {"unread": [span[0] - start, span[1] - start], "why": why}
        case All(parts):
            return {"all": [relative_json(part, start, number_of) for part in parts]}
        case AnyOf(parts):
            return {"any": [relative_json(part, start, number_of) for part in parts]}
        case Not(part):
            return {"not": relative_json(part, start, number_of)}
        case If(condition, then, otherwise):
            return {
                "if": relative_json(condition, start, number_of),
                "then": relative_json(then, start, number_of),
                "else": relative_json(otherwise, start, number_of),
            }


@lru_cache(maxsize=8192)
def _parsed(stored: str) -> Mapping[str, Any]:
    """Readings recur: each is parsed once. Nobody changes what this returns."""
    parsed: dict[str, Any] = json.loads(stored)
    return parsed


def placed_expression(stored: str, start: int, first_item: int, names: ItemNames) -> Expression:
    """The expression of a stored reading where it stands: the inverse of :func:`relative_json`.

    Raises ValueError for what is no expression.
    """
    return _placed(_parsed(stored), start, first_item, names)


def _placed(data: Mapping[str, Any], start: int, first: int, names: ItemNames) -> Expression:
    match data:
        case {"fact": text, "span": [begin, end], **rest}:
            return Fact(text, (begin + start, end + start), rest.get("concept"))
        case {"item": str(item)}:
            return Leaf(item)
        case {"item": number}:
            return Leaf(names(first + number))
        case {"unread": [begin, end], "why": why}:
            return Unread((begin + start, end + start), why)
        case {"all": parts}:
            return All(tuple(_placed(part, start, first, names) for part in parts))
        case {"any": parts}:
            return AnyOf(tuple(_placed(part, start, first, names) for part in parts))
        case {"not": part}:
            return Not(_placed(part, start, first, names))
        case {"if": condition, "then": then, "else": otherwise}:
            return If(*(_placed(part, start, first, names) for part in (condition, then, otherwise)))
    raise ValueError(f"not an expression: {data!r}")


def standard_name(ordinal: int) -> str:
    """The id of an item by its ordinal (from 0), as the extractor gives it: ``i1``, ``i2``, ..."""
    return f"i{ordinal + 1}"


def item_names(listed: Iterable[tuple[int, str | None]]) -> ItemNames:
    """Names of a trial's items, from the ``first_item`` and ``names`` of its criteria."""
    own = {
        first + int(number): name
        for first, stored in listed
        if stored is not None
        for number, name in json.loads(stored).items()
    }
    if not own:
        return standard_name
    return lambda ordinal: own.get(ordinal) or standard_name(ordinal)
