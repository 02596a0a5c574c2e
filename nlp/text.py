"""Fold a stretch of raw text into the one spelling the readers know, keeping the way back.

Almost every replacement is one character for one character (a full-width digit, a dash, a Greek mu),
so that offsets stay what they were. Only markdown escapes and HTML entities shorten the text
(ClinicalTrials.gov API v2 writes CommonMark: ``Platelet count \\> 100``; of 1,430 real records 51 % carry
a backslash escape, 8 records an escaped entity), and only then an offset table is kept.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Mapping

from nlp.record import record

_SAME = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d\u2043", "-"),
    **dict.fromkeys("\u223c\uff5e\u301c\u02dc", "~"),
    **dict.fromkeys("\u2265\u2267\u2a7e\u22dd\u2a88", "≥"),
    **dict.fromkeys("\u2264\u2266\u2a7d\u22dc\u2a87", "≤"),
    **dict.fromkeys("\ufe64\u02c2\u2039\u3008", "<"),
    **dict.fromkeys("\ufe65\u02c3\u203a\u3009", ">"),
    **dict.fromkeys("\u00d7\u2715\u2716\u2a2f", "x"),
    **dict.fromkeys("\u2217\u22c5\u2219", "*"),
    **dict.fromkeys("\u00b5\u03bc", "u"),
    **dict.fromkeys("\u2018\u2019\u2032\u02bc\u00b4`", "'"),
    **dict.fromkeys("\u201c\u201d\u2033\u201e", '"'),
    **dict.fromkeys("\u00ba\u02da", "\u00b0"),
    **dict.fromkeys("\u2044\u2215\u29f8", "/"),
    "\u3002": ".", "\u3001": ",", "\u3010": "[", "\u3011": "]", "\ufe62": "+", "\u2236": ":",
    **{chr(0x2070 + n): str(n) for n in (0, 4, 5, 6, 7, 8, 9)},
    "\u00b9": "1", "\u00b2": "2", "\u00b3": "3", "\u207b": "-", "\u207a": "+",
    **{chr(0x2080 + n): str(n) for n in range(10)},
    **{chr(0xFF01 + n): chr(0x21 + n) for n in range(94)},
    **dict.fromkeys(
        "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
        "\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff\u00ad",
        " ",
    ),
    # half a surrogate is no character: JSON can carry it, UTF-8 and so spaCy's strings cannot
    **{chr(code): "\ufffd" for code in range(0xD800, 0xE000)},
}  # fmt: skip
_TABLE = str.maketrans(_SAME)

# CommonMark 0.28, section 6.1: any ASCII punctuation may be escaped by a backslash.
_ESCAPED = re.compile(r"\\[!-/:-@\[-`{-~]|&(?:#\d{1,6}|#x[0-9A-Fa-f]{1,5}|[A-Za-z]{2,8});")
# A power whose superscript a site set off by a blank: "10 ⁹/L".
_SET_OFF_POWER = re.compile("(?<=[x*\u00d7 ]10) (?=[\u2074-\u2079\u00b9\u00b2\u00b3])")
# Word-processor fonts whose >= and <= arrived as superscript three and pound sign (seen in Chia).
_FONT_SIGN = re.compile(r"(?<![\w)\]])([\u00b3\u00a3])(?=\s?\d)")
# What a stretch holds that is more than character for character; in ASCII only the first two can.
_SPECIAL = ("\\", "&", "\u00b3", "\u00a3", "10 ")
_NO_WIDTHS: Mapping[int, int] = {}


@record
class Folded:
    """``text`` is the folded form of ``raw[start:end]``; :meth:`to_raw` leads back."""

    text: str
    start: int
    cuts: tuple[int, ...]
    shifts: tuple[int, ...]
    widths: Mapping[int, int]

    def to_raw(self, offset: int) -> int:
        """The raw offset of the character at this folded offset (or of the end)."""
        if not self.cuts:
            return self.start + offset
        at = bisect_right(self.cuts, offset) - 1
        return self.start + offset + (self.shifts[at] if at >= 0 else 0)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Folded ``[start, end)`` as a raw span. Its end lies behind the last character, so that the
        backslash that escapes the next one does not belong to it."""
        if not self.cuts:
            return self.start + start, self.start + end
        if end <= start:
            return self.to_raw(start), self.to_raw(start)
        return self.to_raw(start), self.to_raw(end - 1) + self.widths.get(end - 1, 1)


class Folder:
    """Folds stretches of one raw text: all of it at once, but for stretches with escapes or font signs."""

    def __init__(self, raw: str) -> None:
        self._raw = raw
        self._whole = raw.translate(_TABLE)
        self._special = [sign for sign in (_SPECIAL[:2] if raw.isascii() else _SPECIAL) if sign in raw]

    def fold(self, start: int, end: int) -> Folded:
        """Fold ``raw[start:end]``. Time is linear in its length."""
        for sign in self._special:
            if self._raw.find(sign, start, end) >= 0:
                return _fold(self._raw[start:end], start)
        return Folded(self._whole[start:end], start, (), (), _NO_WIDTHS)


def fold(raw: str, start: int = 0, end: int | None = None) -> Folded:
    """Fold ``raw[start:end]``; for many stretches of one text a :class:`Folder` is quicker."""
    return _fold(raw[start:end], start)


def _fold(piece: str, start: int) -> Folded:
    if "\u00b3" in piece or "\u00a3" in piece:
        piece = _FONT_SIGN.sub(lambda m: "≥" if m.group(1) == "\u00b3" else "≤", piece)
    if "10 " in piece and not piece.isascii():
        piece = _SET_OFF_POWER.sub("^", piece)
    cuts: list[int] = []
    shifts: list[int] = []
    widths: dict[int, int] = {}
    if "\\" in piece or "&" in piece:
        piece = _unescape(piece, cuts, shifts, widths)
    return Folded(piece.translate(_TABLE), start, tuple(cuts), tuple(shifts), widths)


def _unescape(piece: str, cuts: list[int], shifts: list[int], widths: dict[int, int]) -> str:
    out: list[str] = []
    last = length = shift = 0
    position = 0
    while True:
        match = _ESCAPED.search(piece, position)
        if match is None:
            break
        token = match.group()
        found, width = _decode(piece, match.start(), token)
        if found is None:
            position = match.end()
            continue
        out.append(piece[last : match.start()])
        length += match.start() - last
        if token[0] == "\\" and width == 2:
            # the backslash goes: the character itself is mapped to its own raw place
            shift += 1
            cuts.append(length)
            shifts.append(shift)
        else:
            # an entity: mapped to its first raw character, what follows is shifted by the rest
            shift += width - 1
            widths[length] = width
            cuts.append(length + 1)
            shifts.append(shift)
        out.append(found)
        length += 1
        last = position = match.start() + width
    out.append(piece[last:])
    return "".join(out)


_ESCAPED_ENTITY = re.compile(r"\\&(#\d{1,6}|#x[0-9A-Fa-f]{1,5}|[A-Za-z]{2,8});")


def _decode(piece: str, at: int, token: str) -> tuple[str | None, int]:
    """The one character that an escape or entity at ``at`` stands for, and its raw width."""
    if token[0] == "\\":
        if token[1] == "&":
            entity = _ESCAPED_ENTITY.match(piece, at)
            if entity is not None:
                sign = html.unescape(f"&{entity.group(1)};")
                if len(sign) == 1:
                    return sign, entity.end() - at
        return token[1], 2
    sign = html.unescape(token)
    return (sign, len(token)) if len(sign) == 1 else (None, len(token))
