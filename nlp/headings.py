"""Section headings in other words than "inclusion criteria": "Key Exclusion:", "Not eligible if:", "Dropout criteria".

All but one must be the whole line; "Inclusion:" and "Exclusion:" may have text behind their colon.
"""

from __future__ import annotations

import re
from typing import Literal

Side = Literal["inclusion", "exclusion", "both", "aside"]
"""``both`` changes nothing; ``aside`` opens a part that sets no condition of entry."""

_FIRST = (
    r"(?:(?:key|main|major|general|principal|other|additional|further|specific|important|primary|study|patient|subject|"
    r"participant|core|overall|common|trial|basic|summary of|list of|the|early|treatment)\s+){0,3}"
)
_END = r"\s*(?P<colon>[:：]\s?[-–]?)?$"
_PLAIN = re.compile(
    rf"{_FIRST}(?P<side>inclu[st]ions?|exclusions?)(?:\s+(?:requirements?|conditions?|factors?|list))?"
    rf"(?P<words>\s+for\s+[^:：;.]{{2,60}})?{_END}",
    re.IGNORECASE,
)
# The name of a phase, an arm or of donors before the side.
_OF_GROUP = re.compile(
    rf"(?P<words>(?:phase|cohort|arm|part|group|stage)\s+\w{{1,3}}|donors?|recipients?|healthy\s+(?:volunteers?|subjects?|participants?|controls?))\s+(?P<side>inclusions?|exclusions?){_END}",
    re.IGNORECASE,
)
_BEFORE_TEXT = re.compile(rf"{_FIRST}(?P<side>inclusions?|exclusions?)\s*[:：]\s*(?=\S)", re.IGNORECASE)
# "Exclusion Citeria", "Inclution criterias"
_MISSPELT = re.compile(
    rf"{_FIRST}(?P<side>inclu[st]ion|exclu[st]ion)\s+c(?:r?it[ei]?r?[ei]r?(?:i?a|ion|ions|ium|ias)|reteria){_END}",
    re.IGNORECASE,
)
_CRITERIA_FOR = re.compile(
    rf"{_FIRST}(?:criteria|reasons?|grounds|requirements?)\s+(?:for|of)\s+(?:(?:the|study|patient|subject|participant|trial)\s+)?"
    rf"(?P<side>inclusion|exclusion|eligibility|ineligibility|participation|non-?inclusion){_END}",
    re.IGNORECASE,
)
_ABLE = re.compile(
    r"(?:(?:participants?|patients?|subjects?|volunteers?|individuals?|people|you)\s+)?(?:(?:are|is|will\s+be|may\s+be|must\s+be)\s+)?"
    r"(?P<out>not\s+(?:be\s+)?|in-?\s?|non-?\s?)?(?P<word>eligible|excluded?|included?)"
    r"(?:\s+(?:if|are|were|when|participants|patients|subjects))?(?:\s+(?:any|all|one)\s+of\s+the\s+following.{0,40})?\s*[:：]$",
    re.IGNORECASE,
)
_INELIGIBLE = re.compile(
    rf"{_FIRST}(?:ineligibility|non-?eligibility)\s+criteri(?:a|on){_END}", re.IGNORECASE
)
# What decides who leaves a trial, or enters its later parts again, is asked of nobody who enters it.
_ASIDE = re.compile(
    rf"{_FIRST}(?:(?:withdrawal|discontinuation|drop-?\s?out|exit|elimination|removal|stopping|termination|suspension|re-?treatment|"
    rf"retention)(?:\s*(?:and|or|/)\s*\w+)?\s+criteria|criteria\s+for\s+(?:(?:the|study|subject|patient|treatment|early)\s+)*"
    rf"(?:withdrawal|discontinuation|removal|stopping|termination|re-?treatment|leaving)\b[^:：.;]{{0,40}}){_END}",
    re.IGNORECASE,
)
# Criteria of a later gate of the trial, which are met, not avoided.
_GATE = re.compile(
    rf"{_FIRST}(?:(?:randomi[sz]ation|(?:pre-?\s?)?infusion|lympho-?\s?depletion|(?:leuk)?apheresis|dosing|registration)\s+criteria|"
    rf"criteria\s+for\s+(?:randomi[sz]ation|(?:CAR-?T\s+|cell\s+)?infusion|lympho-?\s?depletion|(?:leuk)?apheresis|dosing|registration)){_END}",
    re.IGNORECASE,
)
_CHINESE = re.compile(r"(?:主要)?(?P<side>入选|纳入|入组|排除)(?:标准|条件)\s*[:：]?$")


def heading(text: str, marked: bool) -> tuple[Side, str, int] | None:
    """The side that a line opens, the words that may name a population, and how much of it is heading.

    ``marked``: a bullet or a number stands before it; then only a colon makes it a heading.
    """
    if len(text) > 120:
        return _leading(text) if not marked else None
    for pattern in (_PLAIN, _OF_GROUP, _MISSPELT, _CRITERIA_FOR, _INELIGIBLE, _ASIDE, _GATE):
        found = pattern.match(text)
        if found is None:
            continue
        groups = found.groupdict()
        if groups["colon"] is None and (marked or (groups.get("words") and pattern is _PLAIN)):
            return None
        if pattern is _ASIDE or pattern is _GATE:
            return ("aside" if pattern is _ASIDE else "inclusion"), "", len(text)
        side = "exclusion" if pattern is _INELIGIBLE else groups["side"].lower()
        return _side(side), groups.get("words") or "", len(text)
    if able := _ABLE.match(text):
        out = bool(able["out"]) != able["word"].lower().startswith("exclu")
        return ("exclusion" if out else "inclusion"), "", len(text)
    if not text.isascii() and (chinese := _CHINESE.match(text)):
        return ("exclusion" if chinese["side"] == "排除" else "inclusion"), "", len(text)
    return _leading(text) if not marked else None


def _leading(text: str) -> tuple[Side, str, int] | None:
    found = _BEFORE_TEXT.match(text)
    return (_side(found["side"].lower()), "", found.end()) if found else None


def _side(word: str) -> Side:
    return "exclusion" if word.startswith(("excl", "inelig", "non")) else "inclusion"
