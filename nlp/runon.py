"""Run-on numbering: several numbered items that a site poured into one line."""

from __future__ import annotations

import re

from nlp.markers import Entry, Enumerator, enumerator

_CANDIDATE = re.compile(
    r"""(?:
      [(（](?P<in>\d{1,2}|[A-Za-z]|[ivxIVX]{2,5})[)）]
    | (?<![\w.,(（\-])(?P<out>\d{1,2}|[A-Za-z]|[ivxIVX]{2,5})(?P<delim>\\?\.(?=\s\S|[A-Za-z])|[)）．、])
    | (?P<circ>[①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳])
    )(?P<multi>)(?P<mdot>)\s*(?=\S)""",
    re.VERBOSE,
)
_STRONG = ";；。.:：)）】"


def split_entry(raw: str, entry: Entry, before: list[Entry], after: Entry | None) -> list[Entry]:
    """The entry, cut where a consecutive numbering runs on inside it.

    ``before`` are the entries of the block so far (their numbers may go on here), ``after`` the next
    line's. Nothing is cut on a lone number: it must follow the entry's own, an open list's, or start
    a sequence behind a colon that goes on.
    """
    marks: list[tuple[int, int, Enumerator]] = []
    for match in _CANDIDATE.finditer(raw, entry.start, entry.end):
        if match.end() >= entry.end or match.start() == entry.start:
            continue
        found = enumerator(_Fake(match))  # type: ignore[arg-type]
        if found:
            marks.append((match.start(), match.end(), found))
    if not marks:
        return [entry]
    cuts = _cuts(raw, entry, marks, before, after)
    if not cuts:
        return [entry]
    out: list[Entry] = []
    start, enum = entry.start, entry.enum
    runon = entry.runon
    for at, resume, found in [*cuts, (entry.end, entry.end, None)]:
        end = at
        while end > start and raw[end - 1].isspace():
            end -= 1
        if end > start:
            out.append(
                Entry(entry.indent, entry.bullet if not runon else "", enum, start, end, entry.gap, runon)
            )
        start, enum, runon = resume, found, True
    return out


class _Fake:
    """A run-on match seen as a match of the line enumerator pattern."""

    def __init__(self, match: re.Match[str]) -> None:
        self.match = match
        self.lastgroup = match.lastgroup

    def __getitem__(self, key: str) -> str | None:
        return self.match[key] or None


def _open_numbers(before: list[Entry]) -> list[tuple[str, int]]:
    """(style, last value) of the numberings that could still go on, outermost first."""
    stack: list[tuple[str, int]] = []
    for entry in before[-400:]:
        if entry.enum is None:
            continue
        style, value = entry.enum.style, entry.enum.value
        for depth in range(len(stack) - 1, -1, -1):
            if stack[depth] == (style, value - 1):
                del stack[depth:]
                break
        stack.append((style, value))
    return stack


def _cuts(
    raw: str, entry: Entry, marks: list[tuple[int, int, Enumerator]], before: list[Entry], after: Entry | None
) -> list[tuple[int, int, Enumerator]]:
    stack = _open_numbers(before)
    if entry.enum:
        own = (entry.enum.style, entry.enum.value)
        for depth in range(len(stack) - 1, -1, -1):
            if stack[depth] == (own[0], own[1] - 1):
                del stack[depth:]
                break
        stack.append(own)
    cuts: list[tuple[int, int, Enumerator]] = []
    for number, (start, end, found) in enumerate(marks):
        ahead = raw[max(entry.start, start - 4) : start].rstrip()[-1:]
        readings = [(found.style, found.value)] + ([found.alternative] if found.alternative else [])
        for style, value in readings:
            hit = False
            for depth in range(len(stack) - 1, -1, -1):
                if stack[depth] == (style, value - 1) and (
                    ahead in _STRONG or (depth == len(stack) - 1 and ahead == ",")
                ):
                    stack[depth:] = [(style, value)]
                    hit = True
                    break
            if not hit and value == 1 and ahead in ":：;；" and _goes_on(marks[number + 1 :], style):
                stack.append((style, 1))
                hit = True
            if hit:
                cuts.append((start, end, Enumerator(style, value, found.label, None)))
                break
    return cuts


def _goes_on(marks: list[tuple[int, int, Enumerator]], style: str) -> bool:
    return any(
        (one.style, one.value) == (style, 2) or one.alternative == (style, 2) for _, _, one in marks[:12]
    )
