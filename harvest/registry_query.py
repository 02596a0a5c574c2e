"""What the embedded registry answers to a search: a small, honest part of the real one's query language.

Supported: ``query.cond``, ``query.intr``, ``query.term``, ``query.spons`` (words joined by AND, OR, NOT,
brackets and quotes; matched as whole words in the fields below, without synonyms and ranking),
``filter.ids`` (aliases too), ``filter.overallStatus``, and ``filter.advanced`` of ``AREA[Field]value`` and
``AREA[Field]RANGE[a,b]`` over :data:`AREAS`. Everything else is a 400, as in the real registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Record = Mapping[str, Any]
Test = Callable[[Record], bool]

STATUSES = frozenset(
    [
        "ACTIVE_NOT_RECRUITING",
        "COMPLETED",
        "ENROLLING_BY_INVITATION",
        "NOT_YET_RECRUITING",
        "RECRUITING",
        "SUSPENDED",
        "TERMINATED",
        "WITHDRAWN",
        "AVAILABLE",
        "NO_LONGER_AVAILABLE",
        "TEMPORARILY_NOT_AVAILABLE",
        "APPROVED_FOR_MARKETING",
        "WITHHELD",
        "UNKNOWN",
    ]
)
_ID = re.compile(r"[Nn][Cc][Tt]0*[1-9]\d{0,7}")
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|(?P<bracket>[()])|(?P<area>AREA\[\w+\](?:RANGE\[[^\]]*\]|"[^"]*"|[^\s()]+))|(?P<word>[^\s()",\[\]]+)|(?P<comma>,)'
)
_AREA = re.compile(
    r'AREA\[(?P<field>\w+)\](?:RANGE\[(?P<low>[^,\]]*),(?P<high>[^\]]*)\]|"(?P<quoted>[^"]*)"|(?P<value>\S+))'
)
_WORD = re.compile(r"\w+")


class BadParameter(ValueError):
    """A 400: the text is what the registry would say, in plain text."""


def values(record: Any, *path: str) -> Iterator[str]:
    """The texts at a path, through lists: ``values(r, "conditionsModule", "conditions")``."""
    if not path:
        if isinstance(record, str):
            yield record
        elif isinstance(record, (int, float)):
            yield str(record)
        elif isinstance(record, list):
            for item in record:
                yield from values(item)
    elif isinstance(record, list):
        for item in record:
            yield from values(item, *path)
    elif isinstance(record, dict) and path[0] in record:
        yield from values(record[path[0]], *path[1:])


P = "protocolSection"
D = "derivedSection"
_TITLES = ((P, "identificationModule", "briefTitle"), (P, "identificationModule", "officialTitle"))
_CONDITIONS = (
    (P, "conditionsModule", "conditions"),
    (P, "conditionsModule", "keywords"),
    (D, "conditionBrowseModule", "meshes", "term"),
    (D, "conditionBrowseModule", "ancestors", "term"),
    *_TITLES,
)
_INTERVENTIONS = (
    (P, "armsInterventionsModule", "interventions", "name"),
    (P, "armsInterventionsModule", "interventions", "otherNames"),
    (P, "armsInterventionsModule", "interventions", "description"),
    (P, "armsInterventionsModule", "armGroups", "label"),
    (P, "conditionsModule", "keywords"),
    (D, "interventionBrowseModule", "meshes", "term"),
    *_TITLES,
)
_SPONSORS = (
    (P, "sponsorCollaboratorsModule", "leadSponsor", "name"),
    (P, "sponsorCollaboratorsModule", "collaborators", "name"),
)
SEARCHED: dict[str, tuple[tuple[str, ...], ...]] = {
    "query.cond": _CONDITIONS,
    "query.intr": _INTERVENTIONS,
    "query.spons": _SPONSORS,
    "query.term": (
        *_CONDITIONS,
        *_INTERVENTIONS,
        *_SPONSORS,
        (P, "identificationModule", "nctId"),
        (P, "identificationModule", "acronym"),
        (P, "descriptionModule", "briefSummary"),
        (P, "eligibilityModule", "eligibilityCriteria"),
    ),
}
AREAS: dict[str, tuple[str, ...]] = {
    "LastUpdatePostDate": (P, "statusModule", "lastUpdatePostDateStruct", "date"),
    "StudyFirstPostDate": (P, "statusModule", "studyFirstPostDateStruct", "date"),
    "StartDate": (P, "statusModule", "startDateStruct", "date"),
    "OverallStatus": (P, "statusModule", "overallStatus"),
    "Phase": (P, "designModule", "phases"),
    "StudyType": (P, "designModule", "studyType"),
    "Sex": (P, "eligibilityModule", "sex"),
    "NCTId": (P, "identificationModule", "nctId"),
    "Condition": (P, "conditionsModule", "conditions"),
    "InterventionName": (P, "armsInterventionsModule", "interventions", "name"),
    "LeadSponsorName": (P, "sponsorCollaboratorsModule", "leadSponsor", "name"),
    "EligibilityCriteria": (P, "eligibilityModule", "eligibilityCriteria"),
}
# Pieces that ``fields`` may name. The client asks for ids only; the rest is for people who try it out.
FIELDS: dict[str, tuple[str, ...]] = {
    "NCTId": AREAS["NCTId"],
    "BriefTitle": _TITLES[0],
    "OverallStatus": AREAS["OverallStatus"],
}


def test_of(params: Mapping[str, str]) -> Test:
    """What a record must satisfy for these parameters. Raises BadParameter."""
    tests: list[Test] = []
    for name, value in params.items():
        if not value or name in (
            "pageSize",
            "pageToken",
            "countTotal",
            "fields",
            "format",
            "markupFormat",
            "sort",
        ):
            continue
        if name in SEARCHED:
            tests.append(_Expression(value, SEARCHED[name], name).test())
        elif name == "filter.ids":
            tests.append(_ids(value))
        elif name == "filter.overallStatus":
            tests.append(_statuses(value))
        elif name == "filter.advanced":
            tests.append(_Expression(value, SEARCHED["query.term"], name).test())
        else:
            raise BadParameter(f"Invalid prefix in parameter name: {name}")
    return lambda record: all(test(record) for test in tests)


def _ids(text: str) -> Test:
    wanted = set()
    for each in re.split(r"[,|\s]+", text):
        if not _ID.fullmatch(each):
            raise BadParameter(f"Invalid value in parameter `filter.ids`: `{each}` has incorrect format")
        wanted.add(f"NCT{int(each[3:]):08d}")

    def test(record: Record) -> bool:
        return any(
            each in wanted
            for path in (AREAS["NCTId"], (P, "identificationModule", "nctIdAliases"))
            for each in values(record, *path)
        )

    return test


def _statuses(text: str) -> Test:
    wanted = set(re.split(r"[,|]", text))
    for each in sorted(wanted - STATUSES):
        raise BadParameter(f"Invalid value in parameter `overallStatus`: `{each}`")
    return lambda record: any(each in wanted for each in values(record, *AREAS["OverallStatus"]))


def _words(text: str) -> str:
    """The words of a text between spaces, so that a whole-word match is a substring match."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


class _Expression:
    """AND, OR, NOT, brackets, quotes and AREA[...] over words; terms side by side are AND-ed."""

    def __init__(self, text: str, paths: tuple[tuple[str, ...], ...], name: str) -> None:
        self.paths = paths
        self.name = name
        self.tokens: list[tuple[str, str]] = []
        end = 0
        for match in _TOKEN.finditer(text):
            if text[end : match.start()].strip():
                raise BadParameter(
                    f"Error parsing query in {name}: no viable alternative at `{text[end : match.start()]}`"
                )
            end = match.end()
            kind = str(match.lastgroup)
            if kind != "comma":  # the registry reads a comma as AND
                self.tokens.append((kind, str(match.group(kind))))
        if text[end:].strip():
            raise BadParameter(f"Error parsing query in {name}: no viable alternative at `{text[end:]}`")

    def test(self) -> Test:
        """The whole expression. Raises BadParameter."""
        result = self._any()
        if self.tokens:
            raise BadParameter(f"Error parsing query in {self.name}: mismatched input `{self.tokens[0][1]}`")
        return result

    def _next(self, *words: str) -> bool:
        if self.tokens and self.tokens[0] in [("word", word) for word in words]:
            self.tokens.pop(0)
            return True
        return False

    def _any(self) -> Test:
        parts = [self._all()]
        while self._next("OR"):
            parts.append(self._all())
        return lambda record: any(part(record) for part in parts)

    def _all(self) -> Test:
        parts = [self._one()]
        while self._next("AND") or (self.tokens and self.tokens[0] not in [("bracket", ")"), ("word", "OR")]):
            parts.append(self._one())
        return lambda record: all(part(record) for part in parts)

    def _one(self) -> Test:
        if self._next("NOT"):
            inner = self._one()
            return lambda record: not inner(record)
        if not self.tokens:
            raise BadParameter(f"Error parsing query in {self.name}: mismatched input '<EOF>'")
        kind, text = self.tokens.pop(0)
        if (kind, text) == ("bracket", "("):
            inner = self._any()
            if not self.tokens or self.tokens.pop(0) != ("bracket", ")"):
                raise BadParameter(f"Error parsing query in {self.name}: missing ')' at '<EOF>'")
            return inner
        if kind == "bracket":
            raise BadParameter(f"Error parsing query in {self.name}: mismatched input ')'")
        return _area(text, self.name) if kind == "area" else self._term(text)

    def _term(self, text: str) -> Test:
        wanted = _words(text)
        if not wanted.strip():
            return lambda record: True
        return lambda record: any(
            wanted in _words(each) for path in self.paths for each in values(record, *path)
        )


def _area(text: str, name: str) -> Test:
    match = _AREA.fullmatch(text)
    if match is None:
        raise BadParameter(f"Error parsing query in {name}: no viable alternative at `{text}`")
    field = match["field"]
    if field not in AREAS:
        raise BadParameter(f"Error parsing query in {name}: Unknown area name: `{field}`")
    path = AREAS[field]
    if match["low"] is None:
        wanted = _words(match["quoted"] or match["value"])
        return lambda record: any(wanted in _words(each) for each in values(record, *path))
    low, high = match["low"].strip(), match["high"].strip()
    low = "" if low == "MIN" else low
    # A partial date stands for its whole span: 2026 reaches to its last day.
    high = "\uffff" if high == "MAX" else f"{high}\uffff"
    return lambda record: any(low <= each <= high for each in values(record, *path))
