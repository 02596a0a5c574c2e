"""Read a phrase without thresholds: the plain yes-or-no question it puts, or why it was not understood.

"Patients with a history of stroke" asks about ``stroke``; "no known HIV infection" is the negation of
``HIV infection``. A phrase is split where each part surely stands alone ("pregnancy or lactation"), and
kept whole where a part leans on its neighbour ("hepatic or renal impairment").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from nlp.clauses import Join, Mark, lost_stop
from nlp.cues import BETWEEN, CueMatcher, matcher, run_pattern, slugs
from nlp.model import Expression, Fact, Not, Unread

FRAME = ("sexes", "negation", "prohibition", "demand", "opener", "link", "subject", "article")
_TURNING = ("negation", "prohibition")

# A comparator with a number that no item reader took: a threshold that would be lost. A bare number
# ("for 6 months", "dose of 10 mg") stays in the words, where a reader can answer for it.
_COMPARED = (
    r"(?:[<>≥≤=]|\b(?:at least|more than|less than|greater than|fewer than|lower than|higher than|longer than"
    r"|shorter than|not exceed\w*|exceed\w*|over|under|above|below|up to|minimum(?: of)?|maximum(?: of)?|no more than"
    r"|no less than|within(?: the)?(?: last| past)?|between))"
)
_NUMBER = r"(?:grade |class |stage )?(?:\d|one|two|three|four|five|six|[ivx]{1,3}\b)"
_SIGN = re.compile(r"[<>≥≤]")
_NUMBER_LEFT = re.compile(rf"{_COMPARED}\s*{_NUMBER}")
_COMPARING = (
    "=",
    "than",
    "least",
    "exceed",
    "over",
    "under",
    "above",
    "below",
    "up to",
    "imum",
    "within",
    "between",
)
"""One of these is in all that a comparison in words can begin with."""
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
_WORD = re.compile(r"[^\W_]+")
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
_PREPOSITIONS = frozenset(
    (
        "of", "to", "for", "in", "with", "by", "from", "at", "on", "during", "after", "before", "prior", "within",
        "due", "than", "as", "who", "that", "which", "whose", "using", "including", "until", "about", "into", "per",
        "against", "toward", "towards", "through", "between", "among",
    )
)  # fmt: skip
_ADJECTIVE = re.compile(
    r"(?:[a-z]{2,}(?:al|ic|ive|ous|ary|ory|able|ible|ant|ed|ile|oid)|acute|severe|major|minor|other|any|current|recent"
    r"|prior|previous|known|suspected|chronic|active|mild|moderate|new|old|past|present|poor|poorly|left|right|first"
    r"|second|further|significant|concurrent|persistent|unstable|stable|type|class|grade|stage|deep|oral|live|open"
    r"|renal|cardiac|insulin|drug|alcohol|blood|bone|liver|kidney|lung|heart|anti|non|pre|post|vascular|muscular"
    r"|ocular|unwilling|unable|willing|able|pulmonary|biliary|inhaled|topical|injected|one|two|male|female)\Z"
)
STARTS = re.compile(
    r"(?:(?:a |any |prior |previous )?history of|presence of|evidence of|use of|treatment with|receipt of|known|prior|previous|current|currently"
    r"|any|has|have|had|is|are|was|were|must|should|unable|inability|unwilling|able|willing|requires?"
    r"|requiring|receiving|undergoing|planned|planning|participation|taking|patients?|subjects?|participants?"
    r"|individuals|those|women|men|females?|males?|diagnosed|diagnosis of|who|agrees?|active|uncontrolled|severe"
    r"|symptomatic|clinically)\b"
)
_VERB = re.compile(r"(?:has|have|had|is|are|was|were|requires?|must|should)\b")
_THAT = re.compile(r"\b(?:that|which)\b")
_NOT_STARTER = re.compile(r"(?:no|not|without|never|cannot|does not|do not)\b")
_NEGATIVE = re.compile(
    r"\b(?:not?|un\w+|without|refus\w*|lack\w*|fail\w*|withdr\w*|never|inability|absence|cannot)\b"
)
_OPEN = frozenset(
    (
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "had",
        "be",
        "been",
        "being",
        "or",
        "and",
        "not",
        "the",
        "a",
        "an",
        "can",
    )
)
_LIGHT = frozenset(("or", "and", "andor", "with", "relative", "example", "sexes"))
# Both begin with one set of signs, so that the search skips from sign to sign.
_LIGHT_SIGN = re.compile(r"[(),](?:(?<!,)|(?!\d{3}(?!\d)))")
_HEAVY = re.compile(r"[;:\[\]?!.](?:(?<!\.)|(?=\s))")
_COORDINATING = frozenset(("and", "or", "andor", "comma", "but"))
_JOIN: dict[str, Join] = {"or": "or", "and": "and", "andor": "andor", "comma": "comma"}
_TRIM = " .,;:-*\"'\t\n"
_TRIM_BEFORE = _TRIM + ")]"
_TRIM_AFTER = _TRIM + "(["


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
    while start < end and text[start] in _TRIM_BEFORE:
        start += 1
    while end > start and text[end - 1] in _TRIM_AFTER:
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
        lower = _BRACKETED.sub("", lower).strip(_TRIM)
        if not lower:
            return True
    if _asides().covers(lower):
        return True
    return " or " in lower and _SAME_EITHER.match(lower) is not None


def _not_plain(words: str, lower: str, unread: str) -> str | None:
    """Why the words are no plain question, or None. ``unread``: the words without what items speak for.

    The substring checks only spare the patterns a search where they cannot match.
    """
    if (_FIGURE.search(unread) or "least" in lower or "than" in lower) and _number_left(unread.lower()):
        return "a number that was not read as a threshold"
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


def _number_left(lower: str) -> bool:
    """Whether a comparator stands in the words, before a number if it is a word itself."""
    if _SIGN.search(lower):
        return True
    for word in _COMPARING:
        if word in lower:
            return _NUMBER_LEFT.search(lower) is not None
    return False


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
    return words.replace(" ,", ",").replace(" )", ")").strip(_TRIM)


def sure_split(lower: str, parts: Sequence[tuple[Join, int, int]]) -> list[tuple[Join, int, int]]:
    """Join the parts of a coordination again wherever one might lean on its neighbour.

    ``parts`` are (join before it, start, end). "stroke, angina or asthma" stays three parts; "hepatic
    or renal impairment", "allergy to aspirin or ibuprofen" become one.
    """
    if len(parts) == 1:
        return list(parts)
    first = parts[0]
    simple = _each_stands_alone(lower, parts)
    verbs = False
    if not simple:
        head, _ = frame(lower, first[1], first[2])
        verbs = head > trim(lower, first[1], first[2])[0] and not _THAT.search(lower, head, first[2])
    out = [first]
    for join, start, end in parts[1:]:
        before = out[-1]
        core_start = start
        while core_start < end and lower[core_start] == " ":
            core_start += 1
        sure = join in _COORDINATING and (
            simple or (_starts(lower, core_start, end, join, verbs) and complete(lower, before[1], before[2]))
        )
        if sure:
            out.append((join, start, end))
        else:
            out[-1] = (before[0], before[1], end)
    return out


def _starts(lower: str, start: int, end: int, join: Join, verbs: bool) -> bool:
    """Whether the words open a phrase of their own. ``verbs``: a bare verb does ("patients who have ... or
    are ..."), since the subject that it leans on says nothing."""
    if _VERB.match(lower, start, end):
        return verbs
    if STARTS.match(lower, start, end):
        return True
    return join != "comma" and bool(_NOT_STARTER.match(lower, start, end))


def coordination(text: str, lower: str, marks: Sequence[Mark]) -> list[tuple[Join, int, int]] | None:
    """Cut a text without items at its joins, where nothing but joins, relatives, examples and brackets
    structures it; None where it needs the full reading of :mod:`nlp.assertions`. ``marks`` are the
    cues of :func:`nlp.clauses.structure` in ``lower``."""
    for mark in marks:
        if mark[2] not in _LIGHT:
            return None
    end = len(text.rstrip(" .;,"))
    if _HEAVY.search(text, 0, end) or lost_stop(text):
        return None
    if "," in text or "(" in text:
        signs = [(m.start(), m.end(), m[0]) for m in _LIGHT_SIGN.finditer(text, 0, end)]
        marks = sorted([*marks, *signs]) if marks else signs
    if not marks:
        return [("", 0, end)]
    return _cut(lower, marks, end)


def _cut(lower: str, marks: Sequence[Mark], end: int) -> list[tuple[Join, int, int]] | None:
    parts: list[tuple[Join, int, int]] = []
    join: Join = ""
    start = depth = 0
    example = False
    for low, high, kind in marks:
        if kind == "(":
            depth += 1
        elif kind == ")":
            depth -= 1
            if depth < 0:
                return None
        elif depth:
            continue
        elif kind in ("with", "relative"):
            example = False
            if join and not lower[start:low].strip():
                return None
        elif kind == "example":
            example = True
        elif kind == "sexes":
            continue
        elif not example:
            kind = "comma" if kind == "," else kind
            if lower[start:low].strip():
                parts.append((join, start, low))
                join, start = _JOIN[kind], high
            else:
                join, start = _JOIN[kind], high
    parts.append((join, start, end))
    return parts if depth == 0 else None


def complete(lower: str, start: int, end: int) -> bool:
    """Whether the phrase ends in a noun, as far as its last word shows."""
    start = frame(lower, start, end)[0]
    words = _WORD.findall(lower, start, end)
    known = slugs().get(lower[start:end].strip(_TRIM))
    if not words or known is not None:
        return known not in (None, "female", "male")
    return not _leans(words[-1])


@lru_cache(maxsize=4096)
def _adjective(word: str) -> bool:
    return _ADJECTIVE.match(word) is not None


@lru_cache(maxsize=4096)
def _leans(word: str) -> bool:
    """Whether a phrase that ends in this word wants a noun."""
    return _adjective(word) or word in _OPEN or word in _PREPOSITIONS


@cache
def _terms() -> CueMatcher:
    return matcher("term")


def _each_stands_alone(lower: str, parts: Sequence[tuple[Join, int, int]]) -> bool:
    """Whether no part of a coordination leans on another."""
    first = True
    for _, start, end in parts:
        if not _stands_alone(lower, start, end, first):
            return False
        first = False
    return True


def _stands_alone(lower: str, start: int, end: int, first: bool) -> bool:
    start = frame(lower, start, end)[0]
    phrase = lower[start:end].strip(_TRIM)
    if phrase in slugs():
        return slugs()[phrase] not in ("female", "male")
    if _terms().covers(phrase):
        return True
    if "(" in phrase:
        return False
    words = _WORD.findall(phrase)
    if not words or len(words) > 4 or not _PREPOSITIONS.isdisjoint(words):
        return False
    return not _adjective(words[-1]) and not (first and len(words) > 1 and _adjective(words[0]))
