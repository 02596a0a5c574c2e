"""Nesting: which entry is part of which, from indentation, bullet kinds and the numbers themselves.

Sites flatten lists, so the numbers outrank the indentation: an item that continues an open numbering
belongs to that list wherever it stands; a numbering that starts again opens a list inside the item
before it; and where two open lists could go on, the outer one does, unless the numbers ahead say that
it goes on later. Lists without numbers end where their punctuation, letter case, blank lines or the
next heading say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nlp.markers import Entry
from nlp.populations import heads_people, titles

_AHEAD = 200  # entries that an ambiguous number may look ahead: a bound, so that time stays linear
_DEEPEST = 32  # levels of nesting; what lies deeper is kept at this level: a bound on time and on path length
_INTRODUCES = re.compile(
    r"\bfollowing\b[^.:;]{0,60}[.;,]?$|\b(?:must|should|will|to)$|\b(?:either|both|as follows|any of|one of|all of)$",
    re.IGNORECASE,
)
_OPENS_LIST = re.compile(
    r"\b(?:following|follows|below|criteria|criterion|any|one|all|both|either|include[sd]?|including|defined|"
    r"conditions?|requirements?|functions?|values?|parameters?|these|must|if|with|of|except|exceptions?|having|are|is|when|by|as)\b",
    re.IGNORECASE,
)
_MEASURES = re.compile(r"\bfunctions?\b|\bvalues?\b|\bparameters?\b|\blaborator|\bmarrow\b", re.IGNORECASE)
# Words that make a line a demand or a condition on people, not the heading of a part about them.
_CLAUSE = re.compile(r"\b(?:if|must|should|agrees?|uses?|using|aged?|ages|years)\b", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]{0,80}\)")
_ASKS_LIST = re.compile(
    r"\b(?:one|any|all|each|both|either|combination|two|three|\d) (?:or more )?of the following$",
    re.IGNORECASE,
)
_OR_ELSE = re.compile(r"\b(?:and/or|or)$", re.IGNORECASE)
_LABELLED = re.compile(r"[A-Z][A-Za-z]+(?: [A-Za-z]+){0,2}:\s\S")
# What begins a criterion of its own, and no part of a list of diseases or findings.
_NEW_TOPIC = re.compile(
    r"(?:the )?(?:subjects?|patients?|participants?)\b|age:|(?:able|ability|willing|willingness)\b|(?:signed|written|informed|provi\w+)\b.{0,30}\bconsent\b",
    re.IGNORECASE,
)
_PAIR = re.compile(r"\b(?:either|both)(?: of the following)?\s*[:：]$", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_COMPARISONS = frozenset("<>≤≥=")
_UNFINISHED = re.compile(r"(?:[;；,，、]|\b(?:and|or|AND|OR|and/or))$")


@dataclass(slots=True)
class _List:
    """One open list: its items share indentation, marker and parent."""

    indent: int
    style: str  # enumerator style, or the bullet, or "" for plain lines
    value: int  # last number, 0 if none
    parent: int
    last: int  # index of its last item
    first: int
    soft: bool = False  # nothing but a colon line opened it: its items look like the line's own siblings
    count: int = 1


class Outline:
    """The nesting of the entries of one block. ``texts`` are the entries' texts."""

    def __init__(self, entries: list[Entry], texts: list[str], colons: list[bool]) -> None:
        self.entries = entries
        self.texts = texts
        self.colons = colons
        self.stack: list[_List] = []
        self.ranks: dict[int, int] = {}
        gaps = sum(entry.gap for entry in entries[1:])
        self.double_spaced = 5 * gaps > 3 * len(entries)

    def parents(self) -> list[int]:
        """For each entry the index of its parent entry, -1 at the top."""
        return [
            self._numbered(index) if entry.enum is not None else self._unnumbered(index)
            for index, entry in enumerate(self.entries)
        ]

    # ------------------------------------------------------------- numbered

    def _numbered(self, index: int) -> int:
        entry = self.entries[index]
        assert entry.enum is not None
        readings = [(entry.enum.style, entry.enum.value)]
        if entry.enum.alternative:
            readings.append(entry.enum.alternative)
        found = self._continued(index, readings)
        if found is not None:
            return self._second(self._join(found[0], found[1], index), index)
        return self._second(self._opened(index, readings), index)

    def _second(self, parent: int, index: int) -> int:
        """ "6. a. Men": the letters that go on below are parts of 6."""
        second = self.entries[index].second
        if second is not None and len(self.stack) < _DEEPEST:
            indent = self.entries[index].indent
            self.stack.append(_List(indent, second.style, second.value, index, index, index))
        return parent

    def _opened(self, index: int, readings: list[tuple[str, int]]) -> int:
        """The parent of a number that continues no open list."""
        entry = self.entries[index]
        style, value = readings[0]
        if len(readings) > 1 and readings[1][1] == 1:
            style, value = readings[1]
        stack = self.stack
        if value != 1:
            for depth in range(len(stack) - 1, -1, -1):
                held = stack[depth]
                if held.style == style and held.indent == entry.indent and held.value <= value:
                    return self._join(depth, value, index)
        while stack and stack[-1].indent > entry.indent:
            stack.pop()
        if not stack:
            return self._push(index, style, value, -1)
        top = stack[-1]
        if entry.indent > top.indent or top.value or entry.runon:
            sibling = (
                value != 1 and entry.indent == top.indent and not self.colons[top.last] and not entry.runon
            )
            return self._push(index, style, value, top.parent if sibling else top.last)
        opened = top.last == index - 1 and self._introduces(top.last)
        return self._push(index, style, value, top.last if opened else top.parent)

    def _continued(self, index: int, readings: list[tuple[str, int]]) -> tuple[int, int] | None:
        """(depth, value) of the open list that the number continues."""
        entry = self.entries[index]
        fits: list[tuple[int, int, int]] = []
        for style, value in readings:
            for depth, held in enumerate(self.stack):
                if held.style == style and held.value + 1 == value:
                    distance = abs(held.indent - entry.indent)
                    if entry.indent > held.indent and any(
                        o.indent == entry.indent for o in self.stack[depth + 1 :]
                    ):
                        distance += 100
                    fits.append((distance, depth, value))
        if not fits:
            return None
        fits.sort()
        best = fits[0]
        for other in fits[1:]:
            if other[0] != best[0] or other[2] != best[2]:
                break
            held = self.stack[other[1]]
            if held.count == 1 or self._outer_goes_on_later(index, held.style, best[2]):
                best = other
        return best[1], best[2]

    def _outer_goes_on_later(self, index: int, style: str, value: int) -> bool:
        before = value
        for entry in self.entries[index + 1 : index + 1 + _AHEAD]:
            if entry.enum is None or entry.enum.style != style:
                continue
            if entry.enum.value == value:
                return before != value - 1
            before = entry.enum.value
        return False

    # ----------------------------------------------------------- unnumbered

    def _unnumbered(self, index: int) -> int:
        entry = self.entries[index]
        style, stack = entry.bullet, self.stack
        while stack and stack[-1].indent > entry.indent:
            stack.pop()
        if not stack:
            return self._push(index, style, 0, -1)
        top = stack[-1]
        if entry.indent > top.indent:
            return self._push(index, style, 0, top.last)
        if top.last == index - 1:
            same = top.style == style and not top.value
            if not same and self._introduces(top.last):
                return self._push(index, style, 0, top.last)
            asked = self.colons[top.last] or self.rank(top.last) >= 2 or self._asks(top.last)
            if same and asked and self._opens_soft(index):
                return self._push(index, style, 0, top.last, soft=True)
        for depth in range(len(stack) - 1, -1, -1):
            held = stack[depth]
            if held.indent != entry.indent:
                break
            if held.style == style and not held.value:
                if held.soft and self._closes(held, index):
                    continue
                rank = self.rank(held.last)
                if rank >= 2 and not style and self.rank(index) < rank and depth < len(stack) - 1:
                    del stack[depth + 1 :]
                    return self._push(index, style, 0, held.last, soft=True)
                return self._join(depth, 0, index)
        if top.value and style:
            for depth in range(len(stack) - 1, -1, -1):
                if stack[depth].indent == entry.indent and stack[depth].style and not stack[depth].value:
                    return self._join(depth, 0, index)  # "-" and "*" of one list, a converter's doing
        if top.value and not (self.rank(index) >= 2 or self._starts_part(index)):
            return self._push(index, style, 0, top.last)
        return self._push(index, style, 0, top.parent)

    def _opens_soft(self, index: int) -> bool:
        """Whether a colon line starts a list of lines that look like itself."""
        head, entry = index - 1, self.entries[index]
        if self.colons[index] and self.rank(index) >= self.rank(head):
            return False
        if not entry.bullet:
            return True
        text = self.texts[head]
        if _OPENS_LIST.search(text[-60:]) or len(text) < 40:
            return True
        return any(_OR_ELSE.search(follows) for follows in self.texts[index : index + 2])

    def _asks(self, index: int) -> bool:
        """Whether a line without a colon asks for the list that must follow ("one of the following")."""
        text = self.texts[index]
        return text.endswith("ollowing") and _ASKS_LIST.search(text) is not None

    def _closes(self, held: _List, index: int) -> bool:
        """Whether a soft list ends before this entry."""
        rank, head = self.rank(index), self.rank(held.parent)
        if rank >= max(head, 1):
            return True
        if head >= 2:
            return False
        last = self.texts[held.last]
        if self.entries[index].gap and not self.double_spaced and not self.colons[held.last]:
            return True
        if held.count >= 2 and _PAIR.search(self.texts[held.parent][-40:]):
            return True
        head_text, text = self.texts[held.parent], self.texts[index]
        if text.partition(" ")[0] == head_text.partition(" ")[0]:
            return True  # "Adequate liver function:", ..., "Adequate renal function"
        if len(head_text) < 30 and _LABELLED.match(text) and not _LABELLED.match(self.texts[held.first]):
            return True  # "Hepatic:", ALT, bilirubin, "Renal: creatinine ..."
        if _NEW_TOPIC.match(text) and not _NEW_TOPIC.match(self.texts[held.first]):
            return True
        if _MEASURES.search(head_text) and _DIGIT.search(self.texts[held.first]) and not _DIGIT.search(text):
            return True  # a list of laboratory values ends with its last number
        first = self.texts[held.first]
        if first[:1].islower() and self.texts[index][:1].isupper():
            return True
        return _UNFINISHED.search(first[-8:]) is not None and _UNFINISHED.search(last[-8:]) is None

    def _starts_part(self, index: int) -> bool:
        """A paragraph between lists that is the heading of the list after it."""
        entry = self.entries[index]
        if entry.bullet or index + 1 >= len(self.entries):
            return False
        after = self.entries[index + 1]
        restarts = after.enum.value == 1 if after.enum else bool(after.bullet)
        return restarts and entry.gap and after.indent <= entry.indent and self._introduces(index)

    def _introduces(self, index: int) -> bool:
        """Whether the entry leads to what follows: a colon, "the following", or a short title."""
        if self.colons[index]:
            return True
        text = self.texts[index]
        if _INTRODUCES.search(text[-90:]):
            return True
        listed = index + 1 < len(self.entries) and bool(
            self.entries[index + 1].bullet or self.entries[index + 1].enum
        )
        unmarked = not self.entries[index].bullet and self.entries[index].enum is None
        return unmarked and (is_title(text, listed) or titles(text))

    def rank(self, index: int) -> int:
        """3 an all-capitals heading, 2 a heading that names a population, 1 a colon line, 0 text."""
        if index < 0:
            return 9
        rank = self.ranks.get(index)
        if rank is None:
            text = self.texts[index]
            colon = self.colons[index]
            rank = 0
            if self.entries[index].enum is None and (colon or self._heads_alone(index)):
                rank = 1
                numberless = colon or not _DIGIT.search(text)  # "DM 1-2" is no heading
                if len(text) <= 120 and text.isupper() and len(text) > 5 and numberless:
                    rank = 3
                elif len(text) <= 120 and heads_people(text) and not _is_clause(text):
                    rank = 2
            if not colon and rank == 1:
                rank = 0
            self.ranks[index] = rank
        return rank

    def _heads_alone(self, index: int) -> bool:
        """A title without a colon ("Index Participants") that a list or a colon line follows."""
        entry = self.entries[index]
        if entry.bullet or index + 1 >= len(self.entries):
            return False
        after = self.entries[index + 1]
        marked = bool(after.bullet or after.enum)
        heads = marked or (self.colons[index + 1] and after.gap and (entry.gap or index == 0))
        if not heads and (self.double_spaced or not (entry.gap and after.gap)):
            return False
        text = self.texts[index]
        return (is_title(text, listed=marked) or titles(text)) and (heads or heads_people(text))

    # ---------------------------------------------------------------- stack

    def _push(self, index: int, style: str, value: int, parent: int, soft: bool = False) -> int:
        if len(self.stack) >= _DEEPEST:
            parent = self.stack.pop().parent
        self.stack.append(_List(self.entries[index].indent, style, value, parent, index, index, soft))
        return parent

    def _join(self, depth: int, value: int, index: int) -> int:
        del self.stack[depth + 1 :]
        held = self.stack[depth]
        held.value = value
        held.last = index
        held.count += 1
        return held.parent


def _is_clause(text: str) -> bool:
    """Whether a line about people demands something; an age in brackets only says who they are."""
    if text[:4].lower() == "for ":
        return False
    return _CLAUSE.search(text) is not None and _CLAUSE.search(_BRACKETS.sub("", text)) is not None


def is_title(text: str, listed: bool = False) -> bool:
    """Whether a line reads as a title: short, unpunctuated, without a comparison.

    ``listed``: a marked list follows, so that "Group 1: metabolic syndrome" is one too.
    """
    return (
        len(text) <= 60
        and text[-1] not in ".;,；。，"
        and (listed or text[-1] in ":：" or ":" not in text)
        and text.lower().rstrip(" :,;") not in ("or", "and", "and/or")
        and _COMPARISONS.isdisjoint(text)
        and text.count(" ") < 7
    )
