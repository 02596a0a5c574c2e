"""Read a phrase without thresholds: the plain yes-or-no question it puts, or why it was not understood.

"Patients with a history of stroke" asks about ``stroke``; "no known HIV infection" is the negation of
``HIV infection``. A phrase is split where each part surely stands alone ("pregnancy or lactation"), and
kept whole where a part leans on its neighbour ("hepatic or renal impairment").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nlp.clauses import Join
from nlp.cues import matcher, slugs
from nlp.model import Expression, Fact, Not, Unread

FRAME = ("negation", "prohibition", "demand", "opener", "link", "subject", "article")

# A comparator or a number with a unit that no item reader took: a threshold that would be lost.
_NUMBER_LEFT = re.compile(
    r"[<>≥≤]|\b\d+(?:[.,]\d+)?\s?(?:%|x\s?(?:uln|the upper)|mg|g/d|g/l|ug|ml|mmhg|kg|mm\b|cm\b|years?|yrs?|months?"
    r"|weeks?|days?|hours?|bpm|msec|ms\b|iu|mmol|umol|points?|minutes?|packs?|cells|copies|/ul|u/l)",
    re.IGNORECASE,
)
_HANGING = re.compile(r"\b(?:the following|as follows|below)\W*$", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_SAYING = re.compile(r"[^\W\d_]{2}")
# A core that begins with a join has lost its first half to the frame: "The individual or guardian agrees".
_LOOSE = re.compile(r"(?:or|and|and/or)\b")
_PREPOSITION = re.compile(
    r"\b(?:of|to|for|in|with|by|from|at|on|during|after|before|prior|within|due|than|as|who|that|which|whose|using"
    r"|including|until|about|into|per|against|towards?|through|between|among)\b"
)
_ADJECTIVE = re.compile(
    r"(?:[a-z]{2,}(?:al|ic|ive|ous|ary|ory|able|ible|ant|ed|ile|oid)|acute|severe|major|minor|other|any|current|recent"
    r"|prior|previous|known|suspected|chronic|active|mild|moderate|new|old|past|present|poor|poorly|left|right|first"
    r"|second|further|significant|concurrent|persistent|unstable|stable|type|class|grade|stage|deep|oral|live|open"
    r"|renal|cardiac|insulin|drug|alcohol|blood|bone|liver|kidney|lung|heart|anti|non|pre|post|vascular|muscular"
    r"|ocular|unwilling|unable|willing|able|pulmonary|biliary|inhaled|topical|injected|one|two|male|female)\Z"
)
_STARTER = re.compile(
    r"(?:history of|presence of|evidence of|use of|treatment with|receipt of|known|prior|previous|current|currently"
    r"|any|has|have|had|is|are|was|were|must|should|no|not|without|unable|inability|unwilling|able|willing|requires?"
    r"|requiring|receiving|undergoing|planned|planning|participation|taking|patients?|subjects?|participants?"
    r"|individuals|those|women|men|females?|males?|diagnosed|diagnosis of|who|agrees?|active|uncontrolled|severe"
    r"|symptomatic|clinically)\b"
)
_NEGATIVE = re.compile(
    r"\b(?:not?|un\w+|without|refus\w*|lack\w*|fail\w*|withdr\w*|never|inability|absence|cannot)\b"
)
_TRIM = " .,;:-*\"'\t\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """What the words before the core of a phrase say: where the core begins, negated or demanded or not."""

    start: int
    negated: bool
    demanded: bool


def frame(lower: str, start: int, end: int) -> Frame:
    """Skip subject, verbs, articles and openers ("Patients who have a history of known ...")."""
    cues = matcher(*FRAME)
    negated = demanded = False
    while start < end:
        if lower[start] in " ,:-\"'*":
            start += 1
            continue
        found = cues.at(lower, start, end)
        if found is None:
            break
        after, effect = found
        if effect in ("negation", "prohibition"):
            negated = not negated
        demanded = demanded or effect in ("demand", "prohibition")
        start = after
    return Frame(start, negated, demanded)


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space and loose punctuation at its ends."""
    while start < end and text[start] in _TRIM:
        start += 1
    while end > start and text[end - 1] in _TRIM:
        end -= 1
    return start, end


def slug(lower: str) -> str | None:
    """The concept slug of a fact's text: the text is one of its words, or it surely speaks of it."""
    known = slugs().get(lower)
    if known is not None or _NEGATIVE.search(lower):
        return known
    for start, end, _ in matcher("topic").find(lower):
        return slugs()[" ".join(lower[start:end].split())]
    return None


def fact(
    text: str, lower: str, start: int, end: int, holes: Sequence[tuple[int, int]] = ()
) -> Expression | None:
    """The yes-or-no question of ``text[start:end]``; None where it says nothing beyond its frame.

    ``holes`` are spans that another leaf speaks for (a time window): they are left out of the words.
    """
    start, end = trim(text, start, end)
    for low, high in holes:
        if start == low:
            start, end = trim(text, high, end)
    for low, high in reversed(holes):
        if start <= low < end <= high:
            start, end = trim(text, start, low)
    if start >= end:
        return None
    head = frame(lower, start, end)
    core, end = trim(text, head.start, end)
    if _LOOSE.match(lower, core, end):
        core = trim(text, start, end)[0]
    words = _without(text, core, end, holes)
    if not _SAYING.search(words) or matcher("note", "context").covers(words.lower()):
        return None
    if _NUMBER_LEFT.search(words):
        return Unread((core, end), "a number that was not read as a threshold")
    if _HANGING.search(words):
        return Unread((core, end), "refers to a list that was not found")
    leaf = Fact(words, (core, end), slug(words.lower()))
    return Not(leaf) if head.negated else leaf


def _without(text: str, start: int, end: int, holes: Sequence[tuple[int, int]]) -> str:
    """The words of the span, holes left out, single-spaced."""
    pieces = []
    for low, high in holes:
        if start <= low and high <= end:
            pieces.append(text[start:low])
            start = high
    pieces.append(text[start:end])
    words = " ".join(" ".join(pieces).split())
    return words.replace(" ,", ",").replace(" )", ")").strip(_TRIM)


def sure_split(lower: str, parts: Sequence[tuple[Join, int, int]]) -> list[tuple[Join, int, int]]:
    """Join the parts of a coordination again wherever one might lean on its neighbour.

    ``parts`` are (join before it, start, end). "stroke, angina or asthma" stays three parts; "hepatic
    or renal impairment", "allergy to aspirin or ibuprofen" become one.
    """
    if len(parts) == 1:
        return list(parts)
    simple = all(
        _stands_alone(lower, start, end, first=index == 0) for index, (_, start, end) in enumerate(parts)
    )
    out = [parts[0]]
    for join, start, end in parts[1:]:
        before = out[-1]
        core_start = start
        while core_start < end and lower[core_start] == " ":
            core_start += 1
        sure = join in ("and", "or", "andor", "comma", "but") and (
            simple
            or (bool(_STARTER.match(lower, core_start, end)) and _complete(lower, before[1], before[2]))
        )
        if sure:
            out.append((join, start, end))
        else:
            out[-1] = (before[0], before[1], end)
    return out


def _complete(lower: str, start: int, end: int) -> bool:
    """Whether the phrase ends in a noun, as far as its last word shows."""
    start = frame(lower, start, end).start
    words = _WORD.findall(lower, start, end)
    if not words or lower[start:end].strip(_TRIM) in slugs():
        return bool(words)
    return not _ADJECTIVE.match(words[-1]) and not _PREPOSITION.fullmatch(words[-1])


def _stands_alone(lower: str, start: int, end: int, first: bool) -> bool:
    start = frame(lower, start, end).start
    phrase = lower[start:end].strip(_TRIM)
    if phrase in slugs():
        return True
    words = _WORD.findall(phrase)
    if not words or len(words) > 4 or _PREPOSITION.search(phrase) or "(" in phrase:
        return False
    return not _ADJECTIVE.match(words[-1]) and not (first and len(words) > 1 and _ADJECTIVE.match(words[0]))
