"""Where a phrase is several: split where each part surely stands alone, kept whole where one leans on another.

"Pregnancy or lactation" asks two questions, "hepatic or renal impairment" one. A negation before the first
part holds for those after it that it governs (:func:`spread`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from nlp.clauses import Join, Mark, lost_stop
from nlp.cues import BETWEEN, CueMatcher, matcher, slugs
from nlp.facts import TRIM, frame, trim
from nlp.model import Section

_WORD = re.compile(r"[^\W_]+")
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
_VERBAL_NEGATION = re.compile(r"\b(?:not|never|without)\b|n't\b")
# Words that begin a demand of their own, which no negation before them governs.
_ANEW = re.compile(
    r"(?:has|have|had|is|are|was|were|must|should|shall|will|can|may|able|ability|unable|inability|unwilling|willing|willingness"
    r"|agrees?|agreement|requires?|no|not|non|without|never|free|patients?|subjects?|participants?|women|men|females?|males?|those"
    r"|who|requiring|needing|aged?|adequate|good|normal|stable|sufficient|former|written|signed|provision|informed|only|at least|if|otherwise)\b"
)
_ANEW_OR_EARLIER = re.compile(
    _ANEW.pattern
    + r"|(?:(?:medical )?history|prior|previous|presence|evidence|known|diagnos\w+|use of|treatment with)\b"
)
_VERB = re.compile(r"(?:has|have|had|is|are|was|were|requires?|must|should)\b")
_THAT = re.compile(r"\b(?:that|which)\b")
_NOT_STARTER = re.compile(r"(?:no|not|without|never|cannot|does not|do not)\b")
_OPEN = frozenset(
    (
        "is", "are", "was", "were", "has", "have", "had", "be", "been", "being", "or", "and", "not", "the", "a",
        "an", "can",
    )
)  # fmt: skip
_LIGHT = frozenset(("or", "and", "andor", "with", "relative", "example", "sexes"))
# Both begin with one set of signs, so that the search skips from sign to sign.
_LIGHT_SIGN = re.compile(r"[(),](?:(?<!,)|(?!\d{3}(?!\d)))")
_HEAVY = re.compile(r"[;:\[\]?!.](?:(?<!\.)|(?=\s))")
_COORDINATING = frozenset(("and", "or", "andor", "comma", "but"))
_JOIN: dict[str, Join] = {"or": "or", "and": "and", "andor": "andor", "comma": "comma"}


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


def spread(
    lower: str, parts: Sequence[tuple[Join, int, int]], section: Section, *, negated: bool = False
) -> list[tuple[Join, int, int, bool]]:
    """How far the negation before a part reaches: (join, start, end, whether it is turned by one before it).

    "No history of stroke, angina or asthma" denies three things, "no diabetes and able to walk" one. Parts
    joined by "and", or by commas only, are kept with the denied one as a single question, since it is not
    sure that each is meant; an exclusion's "no consent or language barrier" names two things.
    ``negated``: the first part is turned by what stands before it.
    """
    out = [(join, start, end, False) for join, start, end in parts]
    if len(parts) == 1:
        return out
    _, start, end = parts[0]
    core, turned = frame(lower, start, end)
    verbal = negated or _VERBAL_NEGATION.search(lower, start, core) is not None
    denied = turned != negated and (section != "exclusion" or verbal)
    if not denied:
        return out
    out = out[:1]
    anew = _ANEW_OR_EARLIER if negated or section == "exclusion" else _ANEW
    kinds = _list_kinds(parts)
    for index, (join, start, end) in enumerate(parts):
        if index == 0:
            continue
        turned = frame(lower, start, end)[1]
        if not denied or turned or join == "but" or anew.match(lower, _first_letter(lower, start, end)):
            denied = turned and denied
            out.append((join, start, end, False))
        elif kinds[index] == "or":
            out.append(("with", start, end, True))
        elif section == "exclusion":
            out.append((join, start, end, False))
        else:
            before = out[-1]
            out[-1] = (before[0], before[1], end, before[3])
    return out


def _list_kinds(parts: Sequence[tuple[Join, int, int]]) -> list[str]:
    """The join before each part; a comma is of the kind of the join that follows it."""
    kinds: list[str] = []
    following = "comma"
    for join, _, _ in reversed(parts):
        if join != "comma":
            following = "or" if join in ("or", "andor") else join
        kinds.append(following)
    kinds.reverse()
    return kinds


def _first_letter(lower: str, start: int, end: int) -> int:
    while start < end and lower[start] in BETWEEN:
        start += 1
    return start


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
            if not lower[start:low].strip() or not lower[high:end].strip():
                return None
        elif kind == "example":
            if frame(lower, start, low)[0] >= low or not lower[high:end].strip():
                return None
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
    if depth or (join and not lower[start:end].strip()):
        return None
    parts.append((join, start, end))
    return parts


def complete(lower: str, start: int, end: int) -> bool:
    """Whether the phrase ends in a noun, as far as its last word shows."""
    start = frame(lower, start, end)[0]
    words = _WORD.findall(lower, start, end)
    known = slugs().get(lower[start:end].strip(TRIM))
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
    phrase = lower[start:end].strip(TRIM)
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
