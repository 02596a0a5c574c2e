"""Lines that a site or a converter broke in two: put together again only on positive evidence."""

from __future__ import annotations

import re

from nlp.markers import Entry

_NEXT_LOWER = re.compile(r"[a-z(]")
_NARROW, _WIDE = 55, 100  # columns at which registries and mail programs wrap


def join_wrapped(raw: str, entries: list[Entry]) -> list[Entry]:
    """Rejoin lines that were wrapped at a common width.

    Joined is an unmarked line that starts in lower case, is indented like the text behind a marker
    above it, and whose first word would not have fitted on the line before; and only where that
    happens twice or more in lines of one width. Lists whose items start in lower case stay lists.
    """
    # A text that is longer than a width needs no look at its indentation.
    if len(entries) < 3:
        return entries
    for entry in entries:
        if entry.end - entry.start > _WIDE + 10:
            return entries
    widths = [_width(raw, entry) for entry in entries]
    if max(widths) > _WIDE + 10:
        return entries
    limit = max(widths)
    wraps = {
        index
        for index in range(1, len(entries))
        if _is_continuation(raw, entries, index, widths[index - 1], limit)
    }
    if len(wraps) < 2:
        return entries
    out: list[Entry] = []
    for index, entry in enumerate(entries):
        if index in wraps:
            out[-1].end = entry.end
        else:
            out.append(entry)
    return out


def _width(raw: str, entry: Entry) -> int:
    return entry.end - (raw.rfind("\n", max(0, entry.start - 200), entry.start) + 1)


def _is_continuation(raw: str, entries: list[Entry], index: int, width: int, limit: int) -> bool:
    entry, before = entries[index], entries[index - 1]
    if (
        entry.bullet
        or entry.enum
        or entry.gap
        or not _NARROW <= width <= _WIDE
        or raw[before.end - 1] in ".;:"
    ):
        return False
    text_column = _width(raw, before) - (before.end - before.start)
    if entry.indent < max(1, text_column - 1):
        return False
    word = (
        entry.end - entry.start
        if (space := raw.find(" ", entry.start, entry.end)) < 0
        else space - entry.start
    )
    return width + 1 + word > limit - 12 and _NEXT_LOWER.match(raw, entry.start) is not None


# "Age: 18" | "65 years old": what stands before a range's dash that became a bullet, and what behind it.
_OPEN_RANGE = re.compile(
    r"(?:.{0,40}\b(?:aged?|ages|BMI|body mass index|weight|between|from)\b[^\d<>≤≥=]{0,20})(\d{1,3}(?:\.\d{1,2})?)\\?$",
    re.IGNORECASE,
)
_REST_OF_RANGE = re.compile(
    r"(\d{1,3}(?:\.\d{1,2})?)\s*(?:years?|yrs?|months?|y/?o|kg(?:/m(?:\^?2|²))?|%)(?![a-z])(?! (?:or|and) (?:older|over|above|younger))[^\d<>≤≥=]{0,60}$",
    re.IGNORECASE,
)


# A line that begins with a bullet and a number; a bracket over the end of a line. Without them no line is rejoined.
_NUMBER_AGAIN = re.compile(r"\n[ \t]*[^\w\s]{1,2}[ \t]*\d")
_OVER_THE_END = re.compile(r"\([^()\n]*\n[^(\n]*?\)")


_GLYPH_BETWEEN = re.compile(r"\d\\?[ \t]*\r?\n[ \t]*[^\w\s\-–—−‐‑][ \t]*\d")


def join_broken(raw: str, entries: list[Entry], start: int, end: int) -> list[Entry]:
    """Rejoin a range whose dash was taken for a bullet, and a bracket that a line break cut in two.

    A range: the one line ends in its lower number and names an age, a weight or a body mass index, the
    next holds the higher number with its unit and no other. A bracket: the next line closes what the
    one left open and opens none of its own. ``entries`` are those of ``raw[start:end]``.
    """
    if _OVER_THE_END.search(raw, start, end) is None and _NUMBER_AGAIN.search(raw, start, end) is None:
        return entries
    joins = [
        index
        for index in range(1, len(entries))
        if _closes_bracket(raw, entries[index - 1], entries[index])
        or _completes_range(raw, entries[index - 1], entries[index])
    ]
    if not joins:
        return entries
    out: list[Entry] = []
    for index, entry in enumerate(entries):
        if index in joins:
            out[-1].end = entry.end
        else:
            out.append(entry)
    return out


def bullet_in_range(raw: str, start: int, end: int) -> bool:
    """Whether a line was rejoined over a bullet that is no dash: then the range is a guess."""
    return raw.find("\n", start, end) >= 0 and _GLYPH_BETWEEN.search(raw, start, end) is not None


def _completes_range(raw: str, before: Entry, entry: Entry) -> bool:
    if not entry.bullet or entry.enum or entry.gap or entry.end - entry.start > 80:
        return False
    if not (raw[entry.start].isdigit() and (raw[before.end - 1].isdigit() or raw[before.end - 1] == "\\")):
        return False
    low = _OPEN_RANGE.fullmatch(raw, before.start, before.end)
    high = _REST_OF_RANGE.fullmatch(raw, entry.start, entry.end)
    return low is not None and high is not None and float(low[1]) < float(high[1])


def _closes_bracket(raw: str, before: Entry, entry: Entry) -> bool:
    if entry.enum or entry.gap:
        return False
    close = raw.find(")", entry.start, entry.end)
    if close < 0 or raw.find("(", entry.start, close) >= 0:
        return False
    opened = raw.rfind("(", before.start, before.end)
    return opened >= 0 and raw.find(")", opened, before.end) < 0 and raw[before.end - 1] not in ".;:"
