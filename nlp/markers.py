"""Bullets and enumerators: what stands before a criterion's own text, on a line or inside one.

Patterns are linear: every repetition is over one character class or bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

# Besides \s: zero-width characters and the byte-order mark, which str.isspace() does not know.
INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\u180e"
WS = rf"[\s{INVISIBLE}]"
# Glyphs that are a bullet even without white space behind them; the last row is what word processors'
# symbol fonts become (private use).
GLYPHS = "•●○◦▪▫■□◆◇►▶▷➢➤➔→✓✔✗✘☐☑☒‣⁃∙⋅・·※★☆" + "\uf0b7\uf0a7\uf0d8\uf0fc\uf076\uf06e"
BULLETS = GLYPHS + "*+-–—−‐‑§Øo"

_STRIP = "".join(chr(c) for c in range(0x3001) if chr(c).isspace()) + INVISIBLE

_STRIPPED = frozenset(_STRIP)
LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_SPACE = re.compile(rf"{WS}*")
# One bullet: a glyph; or a dash, star, "o" that white space (or, for the dash and the star, a letter) follows.
_BULLET = re.compile(
    rf"(?:[{GLYPHS}]|\\?[*+\-–—−‐‑](?={WS}|$|[^\W\d_(])|[§Øo](?={WS}{{1,8}}\S)|>(?= +[^\W\d])|#{{1,6}}(?= )){WS}*"
)
_EMPHASIS = re.compile(r"(?:\\?[*_]){2,3}(?=\w)")
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
_CJK = "一二三四五六七八九十"
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv", "xv")
_ENUM = re.compile(
    rf"""(?:
      [(（\[]\s?(?P<in>\d{{1,3}}|[A-Za-z]|[ivxIVX]{{2,5}}|[{_CJK}]{{1,2}})\s?[)）\]]
    | (?P<multi>\d{{1,2}}(?:\.\d{{1,2}}){{1,3}})(?P<mdot>\\?[.):：]|(?=\s))
    | (?P<out>\d{{1,3}}|[A-Za-z]|[ivxIVX]{{2,5}}|[{_CJK}]{{1,2}})(?P<delim>\\?\.\)|\\?[.)）．、]|\\?-\)|:(?=\s)|-(?=\s))
    | (?P<circ>[{_CIRCLED}])
    ){WS}*""",
    re.VERBOSE,
)


class Enumerator(NamedTuple):
    """A number or letter before an item. ``style`` says how it is written: numbers of one list share it."""

    style: str  # "1." "(1)" "a)" "A." "i." "①" "1.1"
    value: int
    label: str  # as it stands in a path: "7", "a", "iv", "2.1"
    alternative: tuple[str, int] | None = None  # "i", "v", "x" may be letters too


@dataclass(slots=True)
class Entry:
    """One segment of a text before nesting: a line, or a run-on part of one."""

    indent: int
    bullet: str
    enum: Enumerator | None
    start: int
    end: int
    gap: bool  # an empty line stands before it
    runon: bool = False
    second: Enumerator | None = None  # "6. a. Men ...": the letter behind the number


def _number(text: str) -> tuple[str, int, str, tuple[str, int] | None]:
    if text.isdecimal():
        return "1", int(text), str(int(text)), None
    if text[0] in _CJK:
        if len(text) == 1:
            value = _CJK.index(text) + 1
        elif text[0] == "十":
            value = 11 + _CJK.index(text[1])
        else:
            value = (_CJK.index(text[0]) + 1) * 10
        return "一", value, str(value), None
    low = text.lower()
    upper = text[0].isupper()
    letter = ("A" if upper else "a", ord(low) - 96) if len(low) == 1 else None
    if low in _ROMAN:
        return "I" if upper else "i", _ROMAN.index(low) + 1, text, letter
    if letter is None:
        return "", 0, text, None
    return letter[0], letter[1], text, None


def enumerator(match: re.Match[str]) -> Enumerator | None:
    """The enumerator that a match of the enumerator pattern stands for; None if it is none ("iix.")."""
    kind = match.lastgroup
    if match["circ"]:
        value = _CIRCLED.index(match["circ"]) + 1
        return Enumerator("①", value, str(value))
    if match["multi"]:
        label = match["multi"]
        head, _, last = label.rpartition(".")
        return Enumerator(f"{head}.1", int(last), label)
    inner = match["in"]
    text = inner or match["out"]
    family, value, label, other = _number(text)
    if not family:
        return None
    if inner:
        wrap = "({})"
    else:
        delim = match["delim"].lstrip("\\")
        wrap = (
            "{})"
            if delim in (")", "）", "-)", ".)")
            else "{}."
            if delim in (".", "．", "、")
            else "{}" + delim
        )
    del kind
    alternative = (wrap.format(other[0]), other[1]) if other else None
    return Enumerator(wrap.format(family), value, label, alternative)


def column(raw: str, start: int, stop: int) -> int:
    """Width of the white space ``raw[start:stop]`` in columns; a tab reaches to the next multiple of 4."""
    space = raw[start:stop]
    if "\t" not in space:
        return len(space) - sum(space.count(c) for c in INVISIBLE) if not space.isspace() else len(space)
    return len(space.expandtabs(4))


# The usual line: blanks, one of the usual bullets, a number with a dot, then text that no marker can begin.
_USUAL = re.compile(
    r"""([ ]*+)(?:([*•\-])[ ]{1,4})?(?:(\d{1,3})\.[ ]{1,4})?
    (?![A-Za-z]{1,5}\\?[.):\-]|[A-Za-z]\ |o\ )([A-Za-z≥≤≧≦"'“][^\n]*)|[^\n]+""",
    re.VERBOSE,
)
ODD_BREAK = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def has_odd_breaks(raw: str, start: int, end: int) -> bool:
    """Whether anything but a line feed ends a line of ``raw[start:end]``."""
    if not raw.isascii():
        return ODD_BREAK.search(raw, start, end) is not None
    # plain searches, one after the other: a generator over them would take as long as they do
    return (
        raw.find("\r", start, end) >= 0
        or raw.find("\v", start, end) >= 0
        or raw.find("\f", start, end) >= 0
        or raw.find("\x1c", start, end) >= 0
        or raw.find("\x1d", start, end) >= 0
        or raw.find("\x1e", start, end) >= 0
    )


def read_lines(raw: str, start: int, end: int) -> list[Entry]:
    """The entries of the lines of ``raw[start:end]`` that hold text."""
    entries: list[Entry] = []
    gap_at = start
    if has_odd_breaks(raw, start, end):
        for line in LINE.finditer(raw, start, end):
            gap = len(raw[gap_at : line.start()].replace("\r\n", "\n")) > 1
            if (entry := read_line(raw, line.start(), line.end(), gap)) is not None:
                entries.append(entry)
                gap_at = line.end()
        return entries
    for match in _USUAL.finditer(raw, start, end):
        at, (text_at, stop) = match.start(), match.span(4)
        if text_at < 0:
            stop = match.end()
            if (odd := read_line(raw, at, stop, at - gap_at > 1)) is not None:
                entries.append(odd)
                gap_at = stop
            continue
        final = stop
        if raw[stop - 1] in _STRIPPED:
            final = text_at + len(raw[text_at:stop].rstrip(_STRIP))
        bullet, number = match.group(2, 3)
        enum = None
        if number is not None:
            enum = Enumerator("1.", int(number), number if number[0] != "0" else str(int(number)))
        entries.append(Entry(match.end(1) - at, bullet or "", enum, text_at, final, at - gap_at > 1))
        gap_at = stop
    return entries


def read_line(raw: str, start: int, end: int, gap: bool) -> Entry | None:
    """The entry on the line ``raw[start:end]``, or None if it has no text. Up to 6 markers are taken off."""
    space = _SPACE.match(raw, start, end)
    assert space is not None
    at = space.end()
    if at >= end:
        return None
    indent = column(raw, start, at) if at > start else 0
    bullet = ""
    enum: Enumerator | None = None
    second: Enumerator | None = None
    for _ in range(6):
        found = _BULLET.match(raw, at, end)
        if found:
            bullet = bullet or raw[at].replace("\\", "*")
            at = found.end()
            continue
        if enum is None:
            match = _ENUM.match(raw, at, end)
            if match and (read := _accept(raw, match, end)):
                enum = read
                at = match.end()
                continue
        elif second is None and enum.style[-1] in ".)" and not enum.label.isalpha():
            match = _ENUM.match(raw, at, end)
            if match and (read := _accept(raw, match, end)) and read.value == 1 and read.label in "aAiI":
                second = read
                at = match.end()
                continue
        break
    while end > at and (raw[end - 1].isspace() or raw[end - 1] in INVISIBLE):
        end -= 1
    if at >= end:
        return None
    return Entry(indent, bullet, enum, at, end, gap, False, second)


def _accept(raw: str, match: re.Match[str], end: int) -> Enumerator | None:
    """The enumerator if what follows lets it be one at the start of a line."""
    read = enumerator(match)
    if read is None or match.end() >= end:
        return None
    follows = raw[match.end()]
    glued = raw[match.end() - 1] not in " \t\u00a0\u3000"
    if glued and follows.isdigit() and not match["in"] and not match["circ"]:
        return None  # "2.5 mg", "18.5"
    if match["out"] and not match["out"].isdecimal() and glued and follows.isalnum() and "." in read.style:
        return None  # "e.g", "i.v. drug", "S.aureus"
    if match["multi"] and not match["mdot"] and not follows.isupper():
        return None  # "2.5 mg/dL"
    return read


_BARE = re.compile(r"(\d{1,2})\s{1,3}(?=[A-Z][A-Za-z]*\s)")


def adopt_bare_numbers(raw: str, entries: list[Entry]) -> None:
    """Read "6 Patient agrees" between items 5. and 7. as item 6: the numbers on both sides prove it."""
    for index in range(1, len(entries) - 1):
        entry, before, after = entries[index], entries[index - 1].enum, entries[index + 1].enum
        if (
            entry.enum is None
            and before
            and after
            and before.style == after.style
            and before.value + 2 == after.value
        ):
            match = _BARE.match(raw, entry.start, entry.end)
            if match and int(match[1]) == before.value + 1:
                entry.enum = Enumerator(before.style, before.value + 1, match[1])
                entry.start = match.end()


def return_lone_letters(raw: str, entries: list[Entry]) -> None:
    """Give a letter back to the text ("E. coli") unless the one before or after it numbers a line too."""
    seen: set[tuple[str, int]] | None = None
    for entry in entries:
        enum = entry.enum
        if enum is None or enum.label.isdecimal() or not enum.label.isalpha() or enum.style[-1] != ".":
            continue
        if seen is None:
            enums = [enum for one in entries for enum in (one.enum, one.second) if enum]
            seen = {(e.style, e.value) for e in enums} | {e.alternative for e in enums if e.alternative}
        readings = [(enum.style, enum.value)] + ([enum.alternative] if enum.alternative else [])
        if any((style, value + step) in seen for style, value in readings for step in (-1, 1)):
            continue
        if enum.label == "a":
            continue  # no species is abbreviated in lower case: a list of one
        follower = chr(ord(enum.label[0]) + 1)
        if len(enum.label) == 1 and re.search(rf"\b(?:{follower}|ii|II)[.)]", raw[entry.start : entry.end]):
            continue
        entry.enum = None
        # between the letter and the text stand only blanks and bullets: the nearest one is it
        entry.start = raw.rfind(enum.label, 0, entry.start)
