"""Nesting: which entry is part of which, from indentation, bullet kinds and the numbers themselves.

Sites flatten lists, so the numbers outrank the indentation: an item that continues an open numbering
belongs to that list wherever it stands; a numbering that starts again opens a list inside the item
before it; and where two open lists could go on, the outer one does.
"""

from __future__ import annotations

from dataclasses import dataclass

from nlp.markers import Entry


@dataclass(slots=True)
class _List:
    """One open list: its items share indentation, marker and parent."""

    indent: int
    style: str  # enumerator style, or the bullet, or "" for plain lines
    value: int  # last number, 0 if none
    parent: int
    last: int  # index of its last item
    first: int


def nest(entries: list[Entry], colons: list[bool]) -> list[int]:
    """For each entry the index of its parent entry, -1 at the top. ``colons``: the entry ends in a colon."""
    parents: list[int] = []
    stack: list[_List] = []
    for index, entry in enumerate(entries):
        if entry.enum is not None:
            parent = _place_numbered(stack, entries, colons, index)
        else:
            parent = _place_unnumbered(stack, entries, colons, index)
        parents.append(parent)
    return parents


def _push(stack: list[_List], entry: Entry, style: str, value: int, parent: int, index: int) -> int:
    stack.append(_List(entry.indent, style, value, parent, index, index))
    return parent


def _join(stack: list[_List], depth: int, value: int, index: int) -> int:
    del stack[depth + 1 :]
    stack[depth].value = value
    stack[depth].last = index
    return stack[depth].parent


def _place_numbered(stack: list[_List], entries: list[Entry], colons: list[bool], index: int) -> int:
    entry = entries[index]
    assert entry.enum is not None
    readings = [(entry.enum.style, entry.enum.value)]
    if entry.enum.alternative:
        readings.append(entry.enum.alternative)
    best: tuple[int, int, int, int] | None = None
    for style, value in readings:
        for depth, candidate in enumerate(stack):
            if candidate.style == style and candidate.value + 1 == value:
                distance = abs(candidate.indent - entry.indent)
                if entry.indent > candidate.indent and _opened_deeper(stack, depth, entry.indent):
                    distance += 100
                key = (distance, depth, value, 0)
                if best is None or key < best:
                    best = key
    if best is not None:
        return _join(stack, best[1], best[2], index)
    style, value = readings[0]
    if len(readings) > 1 and readings[1][1] == 1:
        style, value = readings[1]
    if value != 1:
        for depth in range(len(stack) - 1, -1, -1):
            candidate = stack[depth]
            if candidate.style == style and candidate.indent == entry.indent and candidate.value <= value:
                return _join(stack, depth, value, index)
    while stack and stack[-1].indent > entry.indent:
        stack.pop()
    if not stack:
        return _push(stack, entry, style, value, -1, index)
    if value != 1 and stack[-1].indent == entry.indent and not colons[stack[-1].last]:
        return _push(stack, entry, style, value, stack[-1].parent, index)
    return _push(stack, entry, style, value, stack[-1].last, index)


def _opened_deeper(stack: list[_List], depth: int, indent: int) -> bool:
    return any(one.indent == indent for one in stack[depth + 1 :])


def _place_unnumbered(stack: list[_List], entries: list[Entry], colons: list[bool], index: int) -> int:
    entry = entries[index]
    style = entry.bullet
    while stack and stack[-1].indent > entry.indent:
        stack.pop()
    if not stack:
        return _push(stack, entry, style, 0, -1, index)
    top = stack[-1]
    if entry.indent > top.indent:
        return _push(stack, entry, style, 0, top.last, index)
    for depth in range(len(stack) - 1, -1, -1):
        candidate = stack[depth]
        if candidate.indent != entry.indent:
            break
        if candidate.style == style and not candidate.value:
            return _join(stack, depth, 0, index)
    if colons[top.last] or (top.value and not style):
        return _push(stack, entry, style, 0, top.last, index)
    if top.value:  # a bullet between numbered items: a part of the item before it
        return _push(stack, entry, style, 0, top.last, index)
    return _push(stack, entry, style, 0, top.parent, index)
