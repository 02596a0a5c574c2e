"""Read a phrase without thresholds: the plain yes-or-no question it puts, or why it was not understood.

"Patients with a history of stroke" asks about ``stroke``; "no known HIV infection" is the negation of
``HIV infection``. :mod:`nlp.coordination` says where a phrase is several.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from nlp.cues import BETWEEN, CueMatcher, matcher, run_pattern, slugs
from nlp.model import Expression, Fact, Not, Unread
from nlp.unread_numbers import bare_number, number_left

FRAME = ("sexes", "negation", "prohibition", "demand", "opener", "link", "subject", "article")
_TURNING = ("negation", "prohibition")

_OR_TIME = re.compile(
    r"\bor (?:at least )?(?:\d+|two|three|four|five|six|seven)(?:\.\d+)?\s\(?[^ ]*\)?\s?(?:elimination |plasma )?(?:half|days|weeks|months)"
)
_JOINS_BEFORE = re.compile(r"(?:(?:and/or|and|or)\s+|[,\s])+")
_JOINS_AFTER = re.compile(r"(?:\s+(?:and/or|and|or|for|of|in)|[,\s])+$")
_JOIN_AT_END = (" and/or", " and", " or", " for", " of", " in")
_CHAFF = re.compile(r"[,(]?\s*which\s?ever\b[^,;()]*\)?")
_EITHER_RESULT = re.compile(r"positive or negative|negative or positive")
_SAME_EITHER = re.compile(r"(.{2,60}) (?:positive or \1 negative|negative or \1 positive)\Z")
_BRACKETED = re.compile(r"[(\[][^()\[\]]*[)\]]")
_FIGURE = re.compile(r"[<>≥≤=0-9]")
_ANNOUNCES = ("the following", "as follows", " below")
_SAYING = re.compile(r"[^\W\d_]{2}")
_ENUMERATOR = re.compile(r"\(?(?:\d{1,2}|[a-z]|i{1,3}|iv|vi{0,3})[.)]\s")
# Words of a clause that was not taken apart: what is left is no yes-or-no question.
_REFERS = frozenset(
    (
        "this", "these", "it", "if", "when", "where", "unless", "except", "whichever", "and", "or", "but",
    )
)  # fmt: skip
_CUT = frozenset(("and", "or", "with", "of", "to", "the", "a", "an", "for", "by"))
_LOOSE_END = (" and/or", " and", " or", " etc", " including")
_OPEN_BRACKET = "a bracket stands open: the phrase was cut apart"
_CONDITION_LEFT = re.compile(r" (?:if|unless|whichever|provided that)\b")
_SENTENCE_LEFT = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!vs)(?<!St)(?<!cf)\.\s[A-Z][a-z]+\s")
# A core that begins with a join has lost its first half to the frame: "The individual or guardian agrees".
_LOOSE = re.compile(r"(?:or|and|and/or|of)\b")
_NEGATIVE = re.compile(
    r"\b(?:not?|un\w+|without|refus\w*|lack\w*|fail\w*|withdr\w*|never|inability|absence|cannot)\b"
)
TRIM = " .,;:-*\"'\t\n"
TRIM_BEFORE = TRIM + ")]"
TRIM_AFTER = TRIM + "(["


@cache
def _frame_cues() -> CueMatcher:
    return matcher(*FRAME)


@cache
def _frame_run() -> re.Pattern[str]:
    return run_pattern(FRAME, _TURNING)


@cache
def _notes() -> CueMatcher:
    return matcher("note")


@cache
def _asides() -> CueMatcher:
    return matcher("note", "context")


def frame(lower: str, start: int, end: int) -> tuple[int, bool]:
    """Skip subject, verbs, articles and openers ("Patients who have a history of known ...").

    Returns where the core of the phrase begins, and whether the words before it turn it around.
    """
    run = _frame_run().match(lower, start, end)
    if run is not None and run.lastindex is None:
        return run.end(), False
    return read_frame(lower, start, end)


def read_frame(lower: str, start: int, end: int) -> tuple[int, bool]:
    """The frame, cue by cue: what :func:`frame` answers at once where no cue turns the phrase."""
    at = _frame_cues().at
    negated = False
    while start < end:
        if lower[start] in BETWEEN:
            start += 1
            continue
        found = at(lower, start, end)
        if found is None:
            break
        start, effect = found
        if effect in _TURNING:
            negated = not negated
    return start, negated


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space and loose punctuation at its ends."""
    while start < end and text[start] in TRIM_BEFORE:
        start += 1
    while end > start and text[end - 1] in TRIM_AFTER:
        end -= 1
    return start, end


def slug(lower: str) -> str | None:
    """The concept slug of a fact's text: the text is one of its words, or it surely speaks of it."""
    known = slugs().get(lower)
    if known is not None:
        return known
    if not _topics().may_find(lower) or _NEGATIVE.search(lower):
        return None
    for start, end, _ in _topics().find(lower):
        return slugs()[" ".join(lower[start:end].split())]
    return None


@cache
def _topics() -> CueMatcher:
    return matcher("topic")


def fact(
    text: str,
    lower: str,
    start: int,
    end: int,
    holes: Sequence[tuple[int, int]] = (),
    read: Sequence[tuple[int, int]] = (),
) -> Expression | None:
    """The yes-or-no question of ``text[start:end]``; None where it says nothing beyond its frame.

    ``holes`` are spans that another leaf speaks for (a time window): they are left out of the words.
    ``read`` are spans whose numbers were read as items that the words keep. Both lie inside.
    """
    start, end = trim(text, start, end)
    if holes:
        for low, high in holes:
            if start == low:
                start, end = trim(text, high, end)
        for low, high in reversed(holes):
            if start <= low < end <= high:
                start, end = trim(text, start, low)
    mark = _ENUMERATOR.match(lower, start, end)
    if mark:
        start = mark.end()
    while lower.endswith(_LOOSE_END, start, end):
        start, end = trim(text, start, lower.rfind(" ", start, end))
    if start >= end:
        return None
    if _notes().covers(lower[start:end]):
        return None
    core, negated = frame(lower, start, end)
    core, end = trim(text, core, end)
    if _LOOSE.match(lower, core, end):
        core = trim(text, start, end)[0]
    if lower.find("which", core, end) >= 0:
        holes = sorted([*holes, *((m.start(), m.end()) for m in _CHAFF.finditer(lower, core, end))])
    if core > start and _EITHER_RESULT.search(lower, start, core):
        return None
    words = _without(text, core, end, holes)
    if holes:
        words = _without_joins(words)
        if _OR_TIME.search(words):
            return Unread((core, end), "a time that stands as an alternative was not read")
    low_words = words.lower()
    if not (words[:2].isalpha() and len(words) > 1) and not _SAYING.search(words):
        return None
    if _says_nothing(low_words):
        return None
    why = _not_plain(words, low_words, _without(text, core, end, read) if read else words)
    if why == _OPEN_BRACKET and text.count("(") != text.count(")"):
        why = None  # the text itself lacks the other half
    if why is not None:
        return Unread((core, end), why)
    leaf = Fact(words, (core, end), slug(low_words))
    return Not(leaf) if negated else leaf


def _without_joins(words: str) -> str:
    """The words without the joins and prepositions that a hole has left at their ends."""
    match = _JOINS_BEFORE.match(words)
    if match is not None:
        words = words[match.end() :]
    return _JOINS_AFTER.sub("", words) if words.endswith(_JOIN_AT_END) else words


def _says_nothing(lower: str) -> bool:
    """Whether the words are only a note, a measurement's context or a result that may be either."""
    if "(" in lower or "[" in lower:
        lower = _BRACKETED.sub("", lower).strip(TRIM)
        if not lower:
            return True
    if _asides().covers(lower):
        return True
    return " or " in lower and _SAME_EITHER.match(lower) is not None


def _not_plain(words: str, lower: str, unread: str) -> str | None:
    """Why the words are no plain question, or None. ``unread``: the words without what items speak for.

    The substring checks only spare the patterns a search where they cannot match.
    """
    figure = _FIGURE.search(unread)
    if (figure or "least" in lower or "than" in lower) and number_left(unread.lower()):
        return "a number that was not read as a threshold"
    if figure and bare_number(unread):
        return "a number that nothing read"
    if lower.endswith(_ANNOUNCES):
        return "refers to a list that was not found"
    if words.count("(") != words.count(")"):
        return _OPEN_BRACKET
    blank = lower.find(" ")
    if blank < 0:
        cut = lower in ("positive", "negative")
    else:
        cut = lower[:blank] in _REFERS or words[words.rfind(" ") + 1 :] in _CUT
    if cut:
        return "a phrase that was cut apart, or refers to something else"
    conditional = " if" in lower or " unless" in lower or " whichever" in lower or " provided that" in lower
    if (conditional and _CONDITION_LEFT.search(lower)) or (". " in words and _SENTENCE_LEFT.search(words)):
        return "a condition or a sentence that was not resolved"
    return None


def _without(text: str, start: int, end: int, holes: Sequence[tuple[int, int]]) -> str:
    """The words of the span, holes left out, single-spaced."""
    words = text[start:end]
    if holes:
        pieces = []
        for low, high in holes:
            if start <= low and high <= end:
                pieces.append(text[start:low])
                start = high
        words = " ".join([*pieces, text[start:end]])
    if "  " in words:
        words = " ".join(words.split())
    return words.replace(" ,", ",").replace(" )", ")").strip(TRIM)
