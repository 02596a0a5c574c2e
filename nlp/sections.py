"""Section headings: which part of a text is inclusion, which is exclusion, and for whom."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nlp.headings import Side
from nlp.headings import heading as short_heading
from nlp.markers import LINE, WS, Entry, has_odd_breaks, read_line
from nlp.model import Section, Span
from nlp.populations import everyone, population, titles
from nlp.populations import heading as population_of_line

_BREAKS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of raw text under one section heading. ``heading`` is that heading's raw span; ``aside``:
    it sets no condition of entry ("Withdrawal criteria")."""

    section: Section
    population: str | None
    start: int
    end: int
    heading: Span | None
    aside: bool = False


_SIDES = r"(?:non-?\s?)?inclusion(?:ary)?|exclusion(?:ary)?|eligibility|enroll?ment|entry|selection"
# [qualifiers] inclusion criteria [tail] at the start of a line. Each repetition is bounded.
_HEADING = re.compile(
    rf"(?:\*\*|__)?(?P<q>(?:[^\W_][\w/()&,.'+\-]{{0,30}}[ \t]{{1,3}}){{0,7}}?)"
    rf"(?P<side>{_SIDES})(?P<also>\s?(?:/|and|or|&)\s?(?:inclusion|exclusion))?"
    rf"{WS}{{1,3}}criteri(?:a|on|ons|um)\b",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"""(?:\*\*|__)?\s{0,3}
    (?P<words>
      (?:include[sd]?|(?:are|were|is|will\ be)(?:\ as\ follows|\ the\ following|\ listed\ below)?|as\ follows|apply)
    | \([^()\n]{0,60}\)
    | \(?(?:for|in|of|specific|only|related|all|any|at|during|to)\b[^:：;\n]{0,100}\)?
    | (?:partners?|donors?|patients?|controls?|cohort|arm|group|part)\b[^:：;.\n]{0,40}
    )?
    \s{0,3}(?P<stop>(?:\*\*|__)?\s?(?:[:：]\s?[.\-–]{0,2}|\.|-|–|—|=)?(?:\*\*|__)?)\s{0,9}""",
    re.VERBOSE | re.IGNORECASE,
)
# Words before "inclusion criteria" that make it part of a sentence, not a heading.
_SENTENCE = re.compile(
    r"\b(?:not|no|meet\w*|fulfil\w*|satisf\w*|who|other than|specified|described|previous|defined|stated|as|per|see|"
    r"with|has|have|is|are|protocol|their|its|by|from|according|answers|above|same)\b",
    re.IGNORECASE,
)
# A heading in mid-line: both words, and a colon or the end of the line behind them.
_INLINE = re.compile(
    rf"(?P<side>[Ii]nclusion|[Ee]xclusion|INCLUSION|EXCLUSION){WS}{{1,3}}(?:Criteria|CRITERIA|criteria)"
    rf"(?:(?P<stop>\s?[:：](?:\s?-)?)| (?P<who>Partner|Patient|Donor)s?\s*$)"
)
_BEFORE_INLINE = re.compile(r"(?:Key|Main|Major|Other|Additional|Patient|Donor|KEY|MAIN|OTHER)\s$")
# Words that make "... inclusion criteria:" part of the sentence before it.
_NO_INLINE = re.compile(
    r"\b(?:the|following|these|those|all|any|meet|meets|of|per|see|protocol|and|or|key|main|in|to|with|by|for|no)\s*$|[/(]\s*$|\bnon-\s*$",
    re.IGNORECASE,
)
_QUALIFIERS = re.compile(
    r"(?:key|main|major|study|general|principal|list|of|the|common|other|additional|further|specific|important|"
    r"primary|patient|subject|participant|core|overall|d\)|\s)+",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"(?:the\s+)?(?:presence\s+of\s+any|in order to|to be (?:eligible|included|enrolled)|(?:an?\s+|all\s+|each\s+|any\s+|potential\s+|eligible\s+|study\s+|"
    r"individual\s+|adult\s+){0,4}(?:subjects?|patients?|participants?|candidates?|individuals?|persons?|people|volunteers?|wom[ae]n|m[ae]n|you|exclude)\b)"
    r"(?:\s*[:,]?\s*(?:participants|subjects|patients))?"
    r"\s+(?:(?:may|can|will|must|should|have|has|is|are|eligible|who|that|meeting|with|be|an?|not|need|if|any|one|satisfying|presenting)\b|participants?|individuals?|subjects?|patients?)",
    re.IGNORECASE,
)
_OUT = re.compile(
    r"\bexclu(?:de|ded|sion)\b|\bineligible\b|\b(?:not|n't|cannot)\s+(?:\w+\s+){0,2}(?:eligible|included|enrolled|enter|participate|considered)\b|"
    r"\bnot\s+(?:take part|join)\b",
    re.IGNORECASE,
)
_IN = re.compile(
    r"\beligib|\bincluded\b|\benrol|\bparticipate\b|\binclusion\b|\benter\b|\bentry\b|\bqualify\b",
    re.IGNORECASE,
)
_LIST = re.compile(
    r"\b(?:following|criteri\w+|conditions?|apply|applies|requirements?|if|below)\b", re.IGNORECASE
)
_JOINT = re.compile(
    r"\b(?:one|1|two|2|three|3|at least|either)\b|\bany\b(?=.{0,40}\bincluded\b)", re.IGNORECASE
)


def _side(word: str, also: str | None) -> Side:
    word = word.lower()
    if also and also.strip(" /&").lower().removeprefix("and ").removeprefix("or ") != word:
        return "both"
    if word.startswith("non"):
        return "exclusion"
    return "exclusion" if word.startswith("excl") else "inclusion"


@dataclass(frozen=True, slots=True)
class _Found:
    side: Side
    words: str
    start: int
    end: int  # where the body begins


def _criteria_heading(raw: str, entry: Entry) -> _Found | None:
    """ "Key Exclusion Criteria:" and its kin at the start of a line, with or without text behind."""
    match = _HEADING.match(raw, entry.start, entry.end)
    if not match:
        return None
    qualifiers = match["q"]
    if _SENTENCE.search(qualifiers):
        return None
    tail = _TAIL.match(raw, match.end(), entry.end)
    assert tail is not None
    words, stop, rest = tail["words"] or "", tail["stop"] or "", tail.end()
    at_end = rest >= entry.end
    colon = ":" in stop or "：" in stop
    marked = bool(entry.bullet or entry.enum)
    generic = match["side"].lower() in ("eligibility", "enrollment", "enrolment", "entry", "selection")
    side = _side(match["side"], match["also"])
    if marked and qualifiers and not _QUALIFIERS.fullmatch(qualifiers) and not population(qualifiers):
        return None  # "* Stable relationship Exclusion Criteria:" is an item with a heading in mid-line
    found = _Found(side, f"{qualifiers} {words}", entry.start, min(rest, entry.end))
    low = words.lower()
    if at_end:
        if low == "apply" or (generic and marked and qualifiers):
            return None
        if colon or not words or (not marked and not stop.startswith("-")):
            # "29 Additional Exclusion Criteria" as a bullet is an item of its list, not a heading
            return None if qualifiers[:1].isdigit() else found
        return None
    if generic:
        return found if colon and not qualifiers.strip() and not words else None
    plain = not qualifiers or _QUALIFIERS.fullmatch(qualifiers)
    if plain and colon:
        return found
    if plain and not words and stop.strip() in (".", "-", "–", "—") and raw[rest].isupper():
        return found
    if plain and re.match(r"include[sd]?$", low):
        return found
    if colon and not marked and population(f"{qualifiers} {words}"):
        return found
    if plain and not words and not stop and (m := LINE.match(raw, rest, entry.end)):
        inner = read_line(raw, m.start(), m.end(), False)
        return found if inner and (inner.bullet or inner.enum) else None
    return None


def _sentence_heading(raw: str, entry: Entry, now: Section) -> _Found | None:
    """ "Participants are excluded if any of the following criteria apply:" """
    text = raw[entry.start : entry.end]
    if (
        entry.enum
        or len(text) > 300
        or text[-1] not in ":："
        or not _GENERIC.match(text)
        or not _LIST.search(text)
    ):
        return None
    if _OUT.search(text):
        side: Side = "exclusion"
    elif _IN.search(text):
        side = "inclusion"
    else:
        return None
    if entry.bullet and side != now:
        return None
    if _JOINT.search(text) and not re.search(r"\bany (?:one )?of the\b", text, re.I):
        return None
    if side == "exclusion" and re.search(r"\ball (?:of )?the\b", text, re.I):
        return None
    if side == "inclusion" and re.search(r"\bany\b", text, re.I):
        return None
    return _Found(side, "", entry.start, entry.end)


def _short(raw: str, entry: Entry) -> _Found | None:
    """ "Key Exclusion:", "Withdrawal criteria": a heading in other words."""
    end = entry.end
    while end > entry.start and raw[end - 1] in "*_ ":
        end -= 1
    start = entry.start
    while start < end and raw[start] in "*_":
        start += 1
    found = short_heading(raw[start:end], bool(entry.bullet or entry.enum))
    if found is None:
        return None
    side, words, length = found
    return _Found(side, words, entry.start, entry.end if start + length >= end else start + length)


def _inline(raw: str, entry: Entry, start: int) -> list[_Found]:
    """Headings in the middle of a line: "... relationship Exclusion Criteria:- ..."."""
    out = []
    for match in _INLINE.finditer(raw, start, entry.end):
        at = match.start()
        qualifier = _BEFORE_INLINE.search(raw[max(start, at - 12) : at])
        at -= len(qualifier[0]) if qualifier else 0
        before = raw[max(start, at - 12) : at]
        capital = raw[at].isupper()
        if (
            at <= entry.start
            or not capital
            or not before
            or not (before[-1].isspace() or before[-1] in ".;,)]%:")
        ):
            continue
        if not _NO_INLINE.search(before):
            words = f"{qualifier[0] if qualifier else ''} {match['who'] or ''}"
            out.append(_Found(_side(match["side"], None), words, at, match.end()))
    return out


def find(raw: str, now: Section) -> list[_Found]:
    """Every section heading of the text, in order; ``now`` is the side before the first."""
    found: list[_Found] = []
    side: Section = now
    for start, end in _candidate_lines(raw):
        entry = read_line(raw, start, end, False)
        if entry is None:
            continue
        head = _criteria_heading(raw, entry)
        if head is None and raw[entry.end - 1] in ":：":
            head = _sentence_heading(raw, entry, side)
        if head is None and (short := _short(raw, entry)) is not None:
            head = short
        if head:
            found.append(head)
            side = head.side if head.side in ("inclusion", "exclusion") else side
        for one in _inline(raw, entry, head.end if head else entry.start):
            found.append(one)
            side = one.side if one.side in ("inclusion", "exclusion") else side
    return found


def _may_head(word: str, low: str, start: int, at: int, end: int) -> bool:
    """Whether the line ``low[start:end]`` that holds a heading's word at ``at`` can be a heading or hold one."""
    if word == "criteri":
        return True
    if word == "inclu" and not low.startswith(("sion", "tion", "ded"), at + 5):
        return False
    # a sentence that opens a section ends in a colon; a heading in other words is short, or begins the line
    return (
        end - start <= 70
        or at - start <= 24
        or (end - start <= 400 and low[end - 4 : end].rstrip()[-1:] in ":：")
    )


def _candidate_lines(raw: str) -> list[Span]:
    """The lines that hold a word which a section heading cannot do without, in order."""
    low = raw.lower()
    if len(low) != len(raw):  # a letter whose lower case is longer: offsets would shift
        low = "".join(lower if len(lower := char.lower()) == 1 else char for char in raw)
    odd: bool | None = None
    spans: dict[int, int] = {}
    words = ("criteri", "eligib", "exclu", "enrol", "inclu")
    for word in words if raw.isascii() else (*words, "标准"):
        floor = 0
        at = low.find(word)
        if at >= 0 and odd is None:
            odd = has_odd_breaks(raw, 0, len(raw))
        while at >= 0:
            start = raw.rfind("\n", floor, at) + 1 or floor
            end = raw.find("\n", at)
            if end < 0:
                end = len(raw)
            if odd:
                start = max(start, *(raw.rfind(mark, start, at) + 1 for mark in _BREAKS))
                end = line.end() if (line := LINE.match(raw, at)) else at + 1
            if _may_head(word, low, start, at, end):
                spans[start] = end
            floor = end
            at = low.find(word, end)
    return sorted(spans.items())


def split(raw: str, section: str) -> list[Block]:
    """The blocks of the text in order; they and their headings cover it whole.

    ``section`` is ``inclusion``, ``exclusion``, ``full`` or ``unknown``; text before any heading of a
    full text is inclusion, and an unknown text stays unknown throughout.
    """
    now: Section = "inclusion" if section == "full" else section  # type: ignore[assignment]
    if section not in ("inclusion", "exclusion", "full", "unknown"):
        raise ValueError(f"section must be inclusion, exclusion, full or unknown, not {section!r}")
    blocks: list[Block] = []
    start = 0
    heading: Span | None = None
    who: str | None = None
    outer: str | None = None
    aside = False
    for found in find(raw, now):
        at = found.start
        if (title := _title_before(raw, start, found, not blocks and heading is None)) is not None:
            at, outer = title
        if at > start or heading is not None:
            blocks.append(Block(now, who, start, at, heading, aside))
        if section != "unknown" and found.side in ("inclusion", "exclusion"):
            now = found.side
        aside = found.side == "aside"
        heading = (at, found.end)
        who = population(found.words) or (None if everyone(found.words) else outer)
        start = found.end
    if start < len(raw) or heading is not None:
        blocks.append(Block(now, who, start, len(raw), heading, aside))
    return blocks


def _title_before(raw: str, floor: int, found: _Found, first: bool) -> tuple[int, str] | None:
    """Start and population of a line "Cohort 2" that stands alone above "Inclusion criteria:".

    It heads this section and those that follow, until the next such line. Above an exclusion only the
    first line of the text can be one: elsewhere it may be the last criterion of the list before.
    """
    if found.side == "exclusion" and not first:
        return None
    end = found.start
    while end > floor and (raw[end - 1].isspace() or raw[end - 1] in "*_#"):
        end -= 1
    line = max(raw.rfind("\n", floor, end) + 1, floor)
    if end <= line or end - line > 80 or (entry := read_line(raw, line, end, False)) is None:
        return None
    alone = first or raw[floor:line].endswith(("\n\n", "\n \n", "\r\n\r\n"))
    if entry.bullet or entry.enum or not alone or not titles(words := raw[entry.start : entry.end]):
        return None
    return entry.start, population_of_line(words) or ""
