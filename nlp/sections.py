"""Section headings: which part of a text is inclusion, which is exclusion, and for whom."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from json import loads
from typing import Literal

from nlp.markers import LINE, WS, Entry, read_line
from nlp.model import Section, Span

Side = Literal["inclusion", "exclusion", "both"]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of raw text under one section heading. ``heading`` is that heading's raw span."""

    section: Section
    population: str | None
    start: int
    end: int
    heading: Span | None


@cache
def _populations() -> tuple[tuple[re.Pattern[str], str], ...]:
    text = files("nlp").joinpath("data/headings.jsonl").read_text(encoding="utf-8")
    rows = [loads(line) for line in text.splitlines() if line.strip()]
    return tuple(
        (re.compile(rf"\b(?:{row['words']})\b", re.IGNORECASE), row["name"])
        for row in rows
        if row["kind"] == "population"
    )


# "Cohort A1", "Arm 2b", "Part B", "Phase III", "LN cohort", "Sub-study A": the text's own name is kept.
_NAMED = re.compile(
    r"\b(?:(?:sub-?)?cohorts?|arms?|groups?|parts?|phases?|sub-?stud(?:y|ies)|strat(?:um|a)|stage)\s+"
    r"(?:[A-Z]?\d{1,2}[A-Za-z]?|[A-Z]\d{0,2}|[IVX]{1,4}[ab]?)\b"
    r"(?:\s?(?:,|and|&|or|/|to)\s?(?:[A-Z]?\d{1,2}[A-Za-z]?|[A-Z]\d{0,2}|[IVX]{1,4}[ab]?)\b){0,4}",
    re.IGNORECASE,
)
_OWN_NAME = re.compile(
    r"\b((?:[A-Za-z/\-]{1,24} ){1,3}(?:sub-?study|cohort|arm|group|patients|participants|subjects))\b",
    re.IGNORECASE,
)
_EVERYONE = re.compile(
    r"\b(?:all|both|each|every|any|the|these|those|enrolled|eligible|study|potential|our|general)\s+(?:\w+\s+)?(?:sub-?stud(?:y|ies)|cohorts?|arms?|"
    r"groups?|patients?|participants?|subjects?|volunteers|phases?|parts?)\b",
    re.IGNORECASE,
)


def population(words: str) -> str | None:
    """The population that a heading restricts its part to, or None ("all cohorts" restricts to none)."""
    if not words.strip():
        return None
    if named := _NAMED.search(words):
        return named[0][0].upper() + named[0][1:]
    for pattern, name in _populations():
        if pattern.search(words):
            return name
    if _EVERYONE.search(words):
        return None
    if own := _OWN_NAME.search(words):
        name = re.sub(
            r"^(?:(?:for|the|in|of|only|specific|to|with|related|additional|main|key)\s+)+",
            "",
            own[1],
            flags=re.I,
        )
        if " " in name:
            return name[0].upper() + name[1:]
    return None


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
_INLINE = re.compile(
    rf"(?P<before>[A-Za-z]*)(?P<at>[\s.;,)\]%\d]{{1,3}})"
    rf"(?P<q>(?:Key |Main |Major |Other |Additional |Patient |Donor |KEY |MAIN )?)"
    rf"(?P<side>Inclusion|Exclusion|INCLUSION|EXCLUSION|inclusion|exclusion){WS}{{1,3}}(?:Criteria|CRITERIA|criteria)"
    rf"(?P<stop>\s?[:：](?:\s?-)?|(?= (?:Partner|Patient|Donor)s?\s*$))",
)
_QUALIFIERS = re.compile(
    r"(?:key|main|major|study|general|principal|list|of|the|common|other|additional|further|specific|important|"
    r"primary|patient|subject|participant|core|overall|d\)|\s)+",
    re.IGNORECASE,
)
_CHEAP = re.compile(r"criteri|eligib|excluded|enrol|following", re.IGNORECASE)
_GENERIC = re.compile(
    r"(?:the\s+)?(?:presence\s+of\s+any|in order to|to be (?:eligible|included|enrolled)|(?:an?\s+|all\s+|each\s+|any\s+|potential\s+|eligible\s+|study\s+|"
    r"individual\s+|adult\s+)*(?:subjects?|patients?|participants?|candidates?|individuals?|persons?|people|volunteers?|wom[ae]n|m[ae]n|you|exclude)\b)"
    r"(?:\s*[:,]?\s*(?:participants|subjects|patients))?"
    r"\s+(?:(?:may|can|will|must|should|have|has|is|are|who|that|meeting|with|be|an?|not|need|if|any|one|satisfying|presenting)\b|participants?|individuals?|subjects?|patients?)",
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


def _inline(raw: str, entry: Entry) -> list[_Found]:
    """Headings in the middle of a line: "... relationship Exclusion Criteria:- ..."."""
    out = []
    for match in _INLINE.finditer(raw, entry.start, entry.end):
        before = match["before"].lower()
        glue = match["at"].strip()
        if not match["side"][0].isupper() and not (match["q"] and match["q"][0].isupper()):
            continue
        if not glue and (
            before
            in (
                "the",
                "following",
                "these",
                "those",
                "all",
                "any",
                "meet",
                "of",
                "per",
                "see",
                "protocol",
                "and",
                "or",
                "key",
                "main",
            )
        ):
            continue
        start = match.start("q")
        out.append(_Found(_side(match["side"], None), match["q"], start, match.end()))
    return out


def find(raw: str, now: Section) -> list[_Found]:
    """Every section heading of the text, in order; ``now`` is the side before the first."""
    found: list[_Found] = []
    if not _CHEAP.search(raw):
        return found
    side: Section = now
    last = 0
    for hit in _CHEAP.finditer(raw):
        if hit.start() < last:
            continue
        line = _line_around(raw, hit.start(), last)
        last = line[1]
        entry = read_line(raw, line[0], line[1], False)
        if entry is None:
            continue
        head = _criteria_heading(raw, entry) or _sentence_heading(raw, entry, side)
        if head:
            found.append(head)
            side = side if head.side == "both" else head.side
        more = [one for one in _inline(raw, entry) if head is None or one.start >= head.end]
        for one in more:
            found.append(one)
            side = one.side if one.side != "both" else side
    return found


_BREAK = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def _line_around(raw: str, at: int, floor: int) -> Span:
    match = LINE.match(raw, at)
    end = match.end() if match else at
    start = max(raw.rfind("\n", floor, at), raw.rfind("\r", floor, at)) + 1
    start = max(start, floor)
    for mark in "\v\f\x85\u2028\u2029\x1c\x1d\x1e":
        start = max(start, raw.rfind(mark, start, at) + 1)
    return start, end


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
    for found in find(raw, now):
        if found.start > start or heading is not None:
            blocks.append(Block(now, who, start, found.start, heading))
        if section != "unknown" and found.side != "both":
            now = found.side
        heading = (found.start, found.end)
        who = population(found.words)
        start = found.end
    if start < len(raw) or heading is not None:
        blocks.append(Block(now, who, start, len(raw), heading))
    return blocks
