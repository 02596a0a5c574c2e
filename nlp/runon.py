"""Run-on numbering: several numbered or bulleted items that a site poured into one line.

A line is cut only on positive evidence: the number follows the line's own or an open list's, or a
sequence that starts behind a colon goes on. A lone number, decimals, doses, dates are never items.
"""

from __future__ import annotations

import re

from nlp.markers import Entry, Enumerator, enumerator

_CANDIDATE = re.compile(
    r"""(?:
      [(（](?P<in>\d{1,2}|[A-Za-z]|[ivxIVX]{2,5})[)）]
    | (?<![\w.,(（\-/])(?P<out>\d{1,2}|[A-Za-z]|[ivxIVX]{2,5})(?P<delim>\\?\.(?=\s\S|[A-Za-z])|[)）．、])
    | (?P<circ>[①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳])
    )(?P<multi>)(?P<mdot>)\s*(?=[^\s.,;:)])""",
    re.VERBOSE,
)
# A bullet in mid-line. Not the dots that also multiply or mark decimals.
_GLYPH = re.compile(r"[•●▪■◦○‣➢✓\uf0b7\uf0a7\uf0d8](?<=[\s.;:,)].)\s*(?=\S)")
# "older- Males", "relationship.- Males": a dash that lost the line break before it.
_DASH = re.compile(r"-(?<=[A-Za-z0-9)\]%.;]{2}-)(?<!\bnon-)(?<!\banti-)(?<!\bpre-)(?<!\bpost-)\s(?=[A-Z])")
_STRONG = ";；。.:：)）】"
_GLUE = re.compile(r"(?:[;；,，.。:：)）]\s*)?\b(?:and|or|and/or|AND|OR)$")
# Where a run-on item can start at all: looked for once in a whole text, so it begins with one set of rare characters.
_BLANK = r" \t\u00a0\u3000\r"  # no line break: the number that begins a line is its own
_HINT_AFTER = (
    r"(?:(?<=[•●▪■◦○‣➢✓\uf0b7\uf0a7\uf0d8①])"
    rf"|(?=[ \t\u00a0\u3000]*[^\s.,;:)])(?!\d(?<=\.\d))(?:(?<=[{_BLANK};；:：，。)][0-9A-Za-z].)|(?<=[)）])(?<=[(（,.][0-9A-Za-z].)"
    rf"|(?<=[{_BLANK};；:：,，。.)(（\\][0-9A-Za-z]\\.)|(?<=[{_BLANK};；:：,，。.)(（][0-9ivxIVX]{{2}}.)"
    rf"|(?<=[{_BLANK}(（][ivxIVX]{{3}}.)|(?<=[{_BLANK}(（][ivxIVX]{{4}}.)))"
)
_HINT = re.compile(r"[.)）．、•●▪■◦○‣➢✓\uf0b7\uf0a7\uf0d8①]" + _HINT_AFTER)
# The small set is searched twice as fast, and most of what it finds ends a word of letters no numeral ends in.
_ASCII_HINT = re.compile(r"[.)](?<![A-Za-z][A-HJ-UWYZa-hj-uwyz].)" + _HINT_AFTER)

_DEEPEST = 16  # open numberings that are remembered: a bound, so that time stays linear

Mark = tuple[int, int, Enumerator]
Numbers = list[tuple[str, int]]  # outermost first
Cut = tuple[int, int, Enumerator | None, str]


def dashes_run_on(body: str, glued: bool) -> bool:
    """Whether the text as a whole lost the line breaks before its dashes; ``glued``: its heading ends in one."""
    return "- " in body and len(_DASH.findall(body)) >= (1 if glued else 3)


_GROUPS = ("roup ", "ohort ", "rm ", "art ")  # Group, Cohort, Arm, Part
_GROUP_AGAIN = re.compile(
    r"[;.。；]\s*(?:and\s+)?(?=(?:Group|Cohort|Arm|Part|GROUP|COHORT|ARM|PART) [0-9A-Z]{1,3}\s*(?:\([^()\n]{0,40}\)\s*)?[:：])"
)


def cut_at_groups(raw: str, lines: list[Entry], start: int, end: int) -> list[Entry]:
    """The lines, cut where the label of the next group stands in mid-line: "...; Group 2 (SSc): ..."."""
    if not any(raw.find(word, start, end) >= 0 for word in _GROUPS):
        return lines
    if _GROUP_AGAIN.search(raw, start, end) is None:
        return lines
    out: list[Entry] = []
    for entry in lines:
        cuts = [
            (match.start() + 1, match.end(), None, entry.bullet)
            for match in _GROUP_AGAIN.finditer(raw, entry.start, entry.end)
        ]
        out.extend(_pieces(raw, entry, list[Cut](cuts)) if cuts else [entry])
    return out


def hints(raw: str, start: int, end: int) -> list[int]:
    """Positions in ``raw[start:end]`` where a run-on item could start, in order: where none is, no line is cut."""
    pattern = _ASCII_HINT if raw.isascii() else _HINT
    return [match.start() for match in pattern.finditer(raw, start, end)]


def split_entry(
    raw: str,
    entry: Entry,
    numbers: Numbers,
    after: Entry | None,
    spots: list[int] | None,
    known: set[tuple[str, int]],
) -> list[Entry]:
    """The entry, cut where a list runs on inside it.

    ``numbers`` are the numberings of the block that may go on here, ``after`` the next line's entry;
    ``spots`` the hints in the entry (None: look everywhere, and cut at "older- Males" too); ``known`` the
    numbers that stand before a line of the block.
    """
    cuts: list[Cut] = []
    marks = _marks(raw, entry) if spots is None else _marks_at(raw, entry, spots)
    if marks:
        cuts = [
            (start, end, enum, "") for start, end, enum in _cuts(raw, entry, marks, numbers, after, known)
        ]
    cuts.extend((m.start(), m.end(), None, m[0][0]) for m in _GLYPH.finditer(raw, entry.start, entry.end))
    if spots is None:
        cuts.extend(
            (m.start(), m.end(), None, entry.bullet) for m in _DASH.finditer(raw, entry.start, entry.end)
        )
    if not cuts:
        return [entry]
    cuts.sort(key=lambda cut: cut[0])
    return _pieces(raw, entry, cuts)


def _pieces(raw: str, entry: Entry, cuts: list[Cut]) -> list[Entry]:
    out: list[Entry] = []
    start, enum, bullet = entry.start, entry.enum, entry.bullet
    runon = entry.runon
    for at, resume, found, glyph in [*cuts, (entry.end, entry.end, None, "")]:
        end = at
        while end > start and raw[end - 1].isspace():
            end -= 1
        if end > start:
            gap = entry.gap and not out
            out.append(Entry(entry.indent, bullet, enum, start, end, gap, runon))
        start, enum, bullet, runon = resume, found, glyph, True
    return out


def _marks(raw: str, entry: Entry) -> list[Mark]:
    marks: list[Mark] = []
    for match in _CANDIDATE.finditer(raw, entry.start, entry.end):
        if match.end() < entry.end and match.start() > entry.start:
            found = enumerator(match)
            if found:
                marks.append((match.start(), match.end(), found))
    return marks


def _marks_at(raw: str, entry: Entry, spots: list[int]) -> list[Mark]:
    marks: list[Mark] = []
    floor = entry.start + 1
    for spot in spots:
        for start in range(max(floor, spot - 7), spot + 1):
            match = _CANDIDATE.match(raw, start, entry.end)
            if match is not None and spot < match.end() < entry.end:
                if found := enumerator(match):
                    marks.append((start, match.end(), found))
                    floor = match.end()
                break
    return marks


def advance(numbers: Numbers, style: str, value: int) -> None:
    """Note in ``numbers``, the (style, last value) of the numberings that may still go on, that one did."""
    for depth in range(len(numbers) - 1, -1, -1):
        if numbers[depth] == (style, value - 1):
            del numbers[depth:]
            break
    numbers.append((style, value))
    if len(numbers) > _DEEPEST:
        del numbers[0]


def _cuts(
    raw: str,
    entry: Entry,
    marks: list[Mark],
    numbers: Numbers,
    after: Entry | None,
    known: set[tuple[str, int]],
) -> list[Mark]:
    stack = list(numbers)
    if entry.enum:
        advance(stack, entry.enum.style, entry.enum.value)
    upcoming = (after.enum.style, after.enum.value) if after and after.enum else None
    cuts: list[Mark] = []
    chained = False  # the line's items follow each other without punctuation
    for number, (start, end, found) in enumerate(marks):
        ahead = raw[max(entry.start, start - 12) : start].rstrip()
        strong = ahead[-1:] in _STRONG or _GLUE.search(ahead) is not None
        readings = [(found.style, found.value)] + ([found.alternative] if found.alternative else [])
        for style, value in readings:
            depth = _continues(stack, style, value)
            if depth is not None:
                own = depth == len(stack) - 1
                item = raw[end].isupper() or style[0] == "("
                bare = own and item and (chained or _goes_on(marks, number, style, value + 1, upcoming))
                # no line has this number, but one has the next; or its own list begins below it
                skipped = (style, value) not in known and (style, value + 1) in known
                heads = upcoming == (style, 1) and number == len(marks) - 1 and raw[entry.end - 1] in ":："
                bare = bare or (own and item and (skipped or heads))
                if not (
                    strong
                    or bare
                    or (own and (_is_roman(found.label) or (ahead[-1:] in ",，" and style != "1.")))
                ):
                    continue
                chained = chained or not strong
                stack[depth:] = [(style, value)]
            elif value == 1 and ahead[-1:] in ":：;；" and _goes_on(marks, number, style, 2, None):
                advance(stack, style, 1)
            else:
                continue
            cuts.append((start, end, Enumerator(style, value, found.label, None)))
            break
    return cuts


def _is_roman(label: str) -> bool:
    return len(label) > 1 and not label.isdecimal()


def _continues(stack: list[tuple[str, int]], style: str, value: int) -> int | None:
    for depth in range(len(stack) - 1, -1, -1):
        if stack[depth] == (style, value - 1):
            return depth
    return None


def _goes_on(marks: list[Mark], at: int, style: str, value: int, upcoming: tuple[str, int] | None) -> bool:
    """Whether the sequence has this number among the next marks, or on the next line."""
    want = (style, value)
    if upcoming == want:
        return True
    return any(
        (one.style, one.value) == want or one.alternative == want for _, _, one in marks[at + 1 : at + 13]
    )
