"""Numbers that no item reader took: a threshold or a time that the words of a fact would hide."""

from __future__ import annotations

import re

# A comparator with a number: a threshold that would be lost.
_COMPARED = (
    r"(?:[<>≥≤=]|\b(?:at least|more than|less than|greater than|fewer than|lower than|higher than|longer than"
    r"|shorter than|not exceed\w*|exceed\w*|over|under|above|below|up to|minimum(?: of)?|maximum(?: of)?|no more than"
    r"|no less than|within(?: the)?(?: last| past)?|between))"
)
_NUMBER = r"(?:grade |class |stage )?(?:\d|one|two|three|four|five|six|[ivx]{1,3}\b)"
_SIGN = re.compile(r"[<>≥≤]")
_BARE = re.compile(r"(?<![\w.,/$#§:)\]-])\d+(?:[.,]\d+)?(?![\w/°-])(?![.,:]\d)")
_YEAR = re.compile(r"(?:19|20)\d\d")
# What a number in a name follows: a word that counts, an abbreviation (RECIST 1.1), another such number.
_NAMED = re.compile(
    r"(?:\b(?i:types?|grades?|stages?|phases?|class|classes|parts?|groups?|cohorts?|arms?|days?|visits?|weeks?|cycles?"
    r"|levels?|appendix|sections?|items?|questions?|figure|table|no\.?|numbers?|steps?|periods?|version|edition|chapter"
    r"|criterion|criteria|factors?|omega|vitamin|interleukin|category|categories|chromosome|exon|module|protocol|study"
    r"|stratum|genotypes?|schedule|scale|alpha|beta|strain|serotypes?|subtypes?|receptors?|inhibitors?|code|annex|coronavirus)"
    r"|\b[A-Z][A-Za-z]*[A-Z](?:[\w-]*[A-Z\d])?|\b\d+)(?:\s?\(?|(?:\s?(?:,|or|and|/|&|to)\s?){1,2})\Z"
)
_TIME = re.compile(r"\)?\s?(?:minutes?|min|hours?|h|days?|weeks?|months?|years?)\b")
_ADJECTIVAL_TIME = re.compile(r"\s(?:minute|hour|day|week|month|year)\s[a-z]")
_AFTERWARDS = re.compile(
    r"\)?\s?(?:minutes|hours|days?|weeks?|months?|years?)\b(?:\s[a-z]+){0,2}?\s(?:after|following|from|post)\b"
)
_LASTING = re.compile(r"\bfor(?: (?:the next|another|about|approximately|up to))? \(?\Z")
_NUMBER_LEFT = re.compile(rf"{_COMPARED}\s*{_NUMBER}")
_COMPARING = (
    "=", "than", "least", "exceed", "over", "under", "above", "below", "up to", "imum", "within", "between",
)  # fmt: skip
"""One of these is in all that a comparison in words can begin with."""


def number_left(lower: str) -> bool:
    """Whether a comparator stands in the words, before a number if it is a word itself."""
    if _SIGN.search(lower):
        return True
    for word in _COMPARING:
        if word in lower:
            return _NUMBER_LEFT.search(lower) is not None
    return False


def bare_number(words: str) -> bool:
    """Whether a number stands by itself: in no name, date, list number or promise for the time to come."""
    for match in _BARE.finditer(words):
        start, end = match.span()
        if _YEAR.fullmatch(match[0]) or _NAMED.search(words, max(0, start - 24), start):
            continue
        if start == 0 and words[end : end + 1] in (",", ")"):
            continue  # what a list was numbered with
        if words[:start].endswith(("(", "( ")) and words[end : end + 2].startswith((")", " )")):
            continue  # "(1) a condom or (2) a diaphragm", "twelve (12) months"
        if re.match(rf"\s?\([^()\d]*{re.escape(match[0])}\)", words[end : end + 40]):
            continue  # "death receptor ligand 1 (PD-L1)"
        if _ADJECTIVAL_TIME.match(words, end) or _AFTERWARDS.match(words, end):
            continue
        if _LASTING.search(words, 0, start) and _TIME.match(words, end):
            continue
        return True
    return False
