"""Cut one criterion into its grammar: atoms (what the item readers found), marks, statements, segments.

Nothing here decides what a text means; :mod:`nlp.expressions` does. Every function is linear in the
number of tokens it is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Literal

from nlp.cues import CueMatcher, matcher, phrase_pattern, words_of
from nlp.draft import Draft

Join = Literal["", "define", "and", "or", "andor", "comma", "but", "with", "without", "relative"]
Part = Literal["main", "condition", "exception", "example", "definition"]

Mark = tuple[int, int, str]
"""start, end and kind of a sign or a cue word."""

# Words after which a full stop ends no sentence.
_ABBREVIATIONS = frozenset(
    [
        "e.g",
        "eg",
        "i.e",
        "ie",
        "vs",
        "dr",
        "approx",
        "resp",
        "incl",
        "cf",
        "no",
        "nos",
        "fig",
        "ca",
        "al",
        "st",
        "mr",
        "mrs",
        "ms",
        "prof",
        "max",
        "min",
        "inc",
        "ltd",
        "vol",
        "sec",
    ]
)
# The sign comes first, as one set, and what must stand around it after: the search then skips to the signs.
_PUNCTUATION = re.compile(
    r"[()\[\];.!?:,](?:(?<=[()\[\];])|(?<=[.!?])(?=\s+[\"'(*-]?[A-Z0-9]|[\"')\s]*$)"
    r"|(?<=:)(?:(?!\s*\d)|(?=\s))|(?<=,)(?!\d{3}(?!\d)))"
)
_PUNCTUATION_KIND = {
    "(": "open",
    "[": "open",
    ")": "close",
    "]": "close",
    ";": "semi",
    ":": "colon",
    ",": "comma",
}
# A concept that stands further than this before its value is named in another clause (characters).
_REACH = 80
_NEW_CLAUSE = re.compile(r"[,;]\s+(?:and|or|but)\s+")
# A full stop that a site lost: a function word with a capital in mid-sentence opens a new one.
_LOST_STOP = re.compile(r"(?:For|If|But|However|Patients|Subjects|Participants|When|Those|Unless)\s+[a-z]")
_START = itemgetter(0)
_LAST_WORD = re.compile(r"[\w.]*\Z")

STRUCTURE = (
    "sexes",    "exception", "condition", "population", "allowance", "exclude", "prohibition", "definition", "example", "anyof", "allof",
    "monitoring", "assay", "demand", "without", "andor", "and", "or", "but", "with", "relative",
)  # fmt: skip


class Token:
    """A mark (punctuation or cue word) or an atom. ``mate`` is the index of a bracket's other half.

    (Made for every mark of every text: a plain class, since a dataclass is slower to make once compiled.)
    """

    __slots__ = ("drafts", "end", "kind", "mate", "start")

    def __init__(self, kind: str, start: int, end: int, drafts: tuple[int, ...] = ()) -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.drafts = drafts
        self.mate = -1


class Segment:
    """A run of text between two joins, with the tokens in it that are no joins."""

    __slots__ = (
        "atoms", "brackets", "cues", "end", "join", "negated", "opened_by", "part", "start", "strong",
    )  # fmt: skip

    def __init__(
        self, start: int, end: int, join: Join = "", strong: bool = False, part: Part = "main"
    ) -> None:
        self.start = start
        self.end = end
        self.join: Join = join
        self.strong = strong
        self.part: Part = part
        self.negated = False
        self.opened_by: Token | None = None
        self.atoms: list[Token] = []
        self.brackets: list[Token] = []
        self.cues: list[Token] = []

    @property
    def opens(self) -> bool:
        """Whether a cue of its own opens it, rather than the one before."""
        return self.opened_by is not None

    @property
    def measured(self) -> bool:
        """Whether a threshold that is no mere time window stands in it."""
        for atom in self.atoms:  # noqa: SIM110 - asked often: a generator would cost more than the loop
            if atom.kind == "atom":
                return True
        return False


def lower_same_length(text: str) -> str:
    """Lower case, one character for each character (``İ`` would become two)."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def enters(draft: Draft) -> bool:
    """Whether the draft is a demand of its own: no definition, allowance, monitoring.

    A limit said again in a second unit is one draft with the flag restated_unit: it is the demand itself."""
    return draft.role == "requirement" and draft.comparator != "positive_or_negative"


def is_window(draft: Draft) -> bool:
    """Whether the draft only says when: alone, without an event, it demands nothing."""
    return draft.entity_type == "Temporal" and draft.comparator == "within"


def is_bare_time(draft: Draft) -> bool:
    """Whether the draft is a time without a sign ("follow-up for 15 years"): words of its phrase."""
    return draft.entity_type == "Temporal" and "lost_comparator" in draft.flags and draft.concept is None


def atoms(text: str, drafts: Sequence[Draft]) -> list[Token]:
    """One token for each value of the text, spanning the concepts that stand beside it.

    Drafts that share a value span are one token ("ALT and AST <= 3 x ULN"). A concept that is named
    elsewhere, beyond another value, does not stretch the token. Drafts must come in text order.
    """
    found: list[Token] = []
    order = [index for index, draft in enumerate(drafts) if not is_bare_time(draft)]
    if len(order) > 1:
        order.sort(key=lambda index: drafts[index].value_start)  # stable: those of one value keep their order
    position = 0
    floor = 0
    while position < len(order):
        first = drafts[order[position]]
        start, end = first.value_start, first.value_end
        group = []
        while position < len(order) and drafts[order[position]].value_start < max(end, start + 1):
            group.append(order[position])
            end = max(end, drafts[order[position]].value_end)
            position += 1
        ceiling = drafts[order[position]].value_start if position < len(order) else None
        window = all(is_window(drafts[index]) for index in group)
        if not window:
            for index in group:
                draft = drafts[index]
                if floor <= draft.concept_start < start and start - draft.concept_end <= _REACH:
                    if _balanced(text, draft.concept_start, start):
                        start = _own_clause(text, draft, start)
                elif draft.concept_start >= end and (ceiling is None or draft.concept_end <= ceiling):
                    end = draft.concept_end
        start = max(start, floor)
        kind = "window" if window else "atom"
        if not any(enters(drafts[index]) for index in group):
            kind = "said"
        found.append(Token(kind, start, end, tuple(group)))
        floor = end
    return found


def _own_clause(text: str, draft: Draft, start: int) -> int:
    """Where the concept begins; one outside the vocabulary may have run on over the start of its clause."""
    if draft.concept is not None:
        return draft.concept_start
    cuts = [match.end() for match in _NEW_CLAUSE.finditer(text, draft.concept_start, start)]
    return cuts[-1] if cuts else draft.concept_start


def _balanced(text: str, start: int, end: int) -> bool:
    return text.count("(", start, end) == text.count(")", start, end)


@cache
def structure() -> CueMatcher:
    """The matcher of the cues that structure a text."""
    return matcher(*STRUCTURE)


def tokens(text: str, lower: str, cues: Sequence[Mark], values: Sequence[Token]) -> list[Token]:
    """All marks outside the atoms, and the atoms, in text order, brackets matched.

    ``cues`` are those that :func:`structure` finds in ``lower``.
    """
    marks = [mark for mark in cues if mark[2] != "or" or not _joins_methods(lower, mark[0], mark[1])]
    last = len(lower.rstrip())
    for match in _PUNCTUATION.finditer(text):
        at = match.start()
        kind = _PUNCTUATION_KIND.get(match[0], "stop")
        if kind == "stop" and not _ends_sentence(lower, at, last):
            continue
        marks.append((at, at + 1, kind))
    if stops := lost_stop(text):
        marks += [(at - 1, at, "stop") for at in stops]
    if len(marks) > 1:
        marks.sort(key=_START)
    merged: list[Token] = []
    index = 0
    for start, end, kind in marks:
        while index < len(values) and values[index].end <= start:
            merged.append(values[index])
            index += 1
        if index < len(values) and end > values[index].start:
            if kind != "population" or start >= values[index].start:
                continue
            end = values[index].start  # "for patients aged 12-17 years": the item speaks of them too
        if merged and merged[-1].kind != "atom" and start < merged[-1].end:
            continue
        merged.append(Token(kind, start, end))
    merged.extend(values[index:])
    _match_brackets(merged)
    return merged


@cache
def _methods() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """A method before an "or", one behind it, and a text that names nothing but methods."""
    one = f"(?:{phrase_pattern(words_of('method'))})(?: ?\\([a-z/ ]{{2,12}}\\))?(?: scans?| assessment)?"
    led = r"(?:(?:as|measured|assessed|determined|evaluated|estimated|by|via|using|on|with|per|either|an?|the) +)*"
    return (
        re.compile(one + r"\s*$"),
        re.compile(r"\s*" + led + one + r"\s*(?=$|[,.;)]|\b(?:within|at|on|performed|prior|during|and)\b)"),
        re.compile(rf"{led}{one}(?: *(?:or|and|/|,) *{led}{one})*"),
    )


def _joins_methods(lower: str, start: int, end: int) -> bool:
    """Whether the "or" stands between two methods of one measurement: "by echocardiogram or MUGA" names no
    alternative to the limit."""
    before, behind, _ = _methods()
    return (
        behind.match(lower, end) is not None and before.search(lower, max(0, start - 60), start) is not None
    )


def names_methods(lower: str, start: int, end: int) -> bool:
    """Whether ``lower[start:end]`` says how something is measured, and nothing else."""
    return _methods()[2].fullmatch(lower, start, end) is not None


def lost_stop(text: str) -> list[int]:
    """Where a sentence begins although the full stop before it is missing."""
    if _LOST_STOP.search(text, 2) is None:
        return []
    return [
        match.start()
        for match in _LOST_STOP.finditer(text)
        if match.start() > 1
        and text[match.start() - 1] == " "
        and (text[match.start() - 2].islower() or text[match.start() - 2] in ")%")
    ]


def _ends_sentence(lower: str, at: int, last: int) -> bool:
    """Whether the sign at ``at`` ends a sentence; ``last`` is the length without white space behind."""
    if lower[at] != "." or at + 1 >= last:
        return True
    match = _LAST_WORD.search(lower, max(0, at - 12), at)
    word = match[0] if match else ""
    return word not in _ABBREVIATIONS and (len(word) != 1 or word.isdigit())


def _match_brackets(found: list[Token]) -> None:
    opened: list[int] = []
    for index, token in enumerate(found):
        if token.kind == "open":
            opened.append(index)
        elif token.kind == "close" and opened:
            mate = opened.pop()
            token.mate, found[mate].mate = mate, index


def statements(
    found: Sequence[Token], low: int, high: int, start: int, end: int
) -> list[tuple[int, int, int, int]]:
    """Cut ``found[low:high]`` (text ``start:end``) at semicolons and sentence ends outside brackets.

    Returns (low, high, start, end) of each piece.
    """
    pieces = []
    index, piece_low, piece_start = low, low, start
    while index < high:
        token = found[index]
        if token.kind == "open" and token.mate >= 0:
            index = token.mate
        elif token.kind in ("semi", "stop"):
            pieces.append((piece_low, index, piece_start, token.start))
            piece_low, piece_start = index + 1, token.end
        index += 1
    pieces.append((piece_low, high, piece_start, end))
    return [piece for piece in pieces if piece[3] > piece[2]]


_JOINS: dict[str, Join] = {
    "and": "and", "or": "or", "andor": "andor", "comma": "comma", "but": "but",
    "with": "with", "without": "without", "relative": "relative",
}  # fmt: skip
_PARTS: dict[str, Part] = {
    "condition": "condition",
    "population": "condition", "exception": "exception", "example": "example", "definition": "definition",
}  # fmt: skip


def opened(token: Token, text: str) -> int:
    """Where the text begins that a mark opens. "for women" opens with "women"."""
    return text.index(" ", token.start, token.end) if token.kind == "population" else token.end


def _compound(segment: Segment, join: Join) -> None:
    """One join made of several marks: ", and", "and whose", "or with", "but without"."""
    if join == "without":
        segment.negated = True
    if segment.join in ("", "comma"):
        segment.strong = segment.strong or segment.join == "comma"
        segment.join = join
    elif segment.join in ("with", "without", "relative") or join == "comma":
        return  # "unfamiliar with or unwilling to": one phrase
    elif join in ("and", "or", "andor"):
        segment.join = join
    else:
        segment.strong = True


def segments(text: str, found: Sequence[Token], low: int, high: int, start: int, end: int) -> list[Segment]:
    """Cut one statement at its joins and at the cues that open a condition, exception, example or definition."""
    current = Segment(start, end)
    done = [current]
    index = low
    while index < high:
        token = found[index]
        join, part = _JOINS.get(token.kind), _PARTS.get(token.kind)
        if token.kind == "open" and token.mate >= 0:
            current.brackets.append(token)
            index = token.mate
        elif token.kind in ("atom", "window", "said"):
            current.atoms.append(token)
        elif join is not None or part is not None:
            blank = (
                not text[current.start : token.start].strip() and not current.atoms and not current.brackets
            )
            if blank and (current.part == "main" or (join == "comma" and token.kind == "comma")):
                # ", and", "and if", ", unless": one join made of several marks
                if join is not None and current.part == "main":
                    _compound(current, join)
                elif join is not None:
                    pass  # "e.g.,"
                else:
                    current.part, current.opened_by = part or "main", token
                current.start = opened(token, text)
            else:
                current.end = token.start
                current = Segment(opened(token, text), end, join or "", part=part or "main")
                current.negated = join == "without"
                current.opened_by = token if part is not None else None
                done.append(current)
        else:
            current.cues.append(token)
        index += 1
    return [
        segment
        for segment in done
        if segment.atoms or segment.brackets or text[segment.start : segment.end].strip()
    ]
