"""The key whitelist of a cohort definition: what every known importer lets pass, this rejects.

A mistyped key makes a limit silently vanish in circe-be and in its ports; so does a concept set number that
does not exist. The shapes are those of circe-be 1.11 as far as :mod:`kb.export.circe` uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_OPERATORS = ("lt", "lte", "eq", "!eq", "gt", "gte", "bt", "!bt")

Checker = Callable[[Any, str, "_Known"], Iterator[str]]


class _Known:
    """The concept set numbers of the cohort being checked."""

    def __init__(self, numbers: set[int]) -> None:
        self.numbers = numbers


def _scalar(*types: type) -> Checker:
    def check(value: Any, path: str, known: _Known) -> Iterator[str]:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield f"{path}: {value!r} is no {' or '.join(each.__name__ for each in types)}"

    return check


def _word(*words: str) -> Checker:
    def check(value: Any, path: str, known: _Known) -> Iterator[str]:
        if value not in words:
            yield f"{path}: {value!r} is none of {', '.join(words)}"

    return check


def _number(*numbers: int) -> Checker:
    def check(value: Any, path: str, known: _Known) -> Iterator[str]:
        if isinstance(value, bool) or value not in numbers:
            yield f"{path}: {value!r} is none of {numbers}"

    return check


def _codeset(value: Any, path: str, known: _Known) -> Iterator[str]:
    if value not in known.numbers:
        yield f"{path}: there is no concept set {value!r}"


def _list(each: Checker, least: int = 0) -> Checker:
    def check(value: Any, path: str, known: _Known) -> Iterator[str]:
        if not isinstance(value, list) or len(value) < least:
            yield f"{path}: not a list of at least {least}"
            return
        for number, item in enumerate(value):
            yield from each(item, f"{path}[{number}]", known)

    return check


def _object(required: dict[str, Checker], optional: dict[str, Checker] | None = None) -> Checker:
    allowed = required | (optional or {})

    def check(value: Any, path: str, known: _Known) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: not an object"
            return
        for key in value:
            if key not in allowed:
                yield f"{path}: unknown key {key!r}"
            else:
                yield from allowed[key](value[key], f"{path}.{key}", known)
        for key in required:
            if key not in value:
                yield f"{path}: key {key!r} is missing"

    return check


def _one_of(kinds: dict[str, Checker]) -> Checker:
    """A wrapper object with exactly one key, which names its type."""

    def check(value: Any, path: str, known: _Known) -> Iterator[str]:
        if not isinstance(value, dict) or len(value) != 1:
            yield f"{path}: not an object with one key"
            return
        yield from _object({}, kinds)(value, path, known)

    return check


def _range(value: Any, path: str, known: _Known) -> Iterator[str]:
    number = _scalar(int, float)
    yield from _object({"Value": number, "Op": _word(*_OPERATORS)}, {"Extent": number})(value, path, known)
    between = isinstance(value, dict) and str(value.get("Op", "")).endswith("bt")
    if isinstance(value, dict) and between != ("Extent" in value):
        yield f"{path}: Extent belongs to bt and !bt, and to them only"


def _group(value: Any, path: str, known: _Known) -> Iterator[str]:
    yield from _object(
        {
            "Type": _word("ALL", "ANY"),
            "CriteriaList": _list(_criterion),
            "DemographicCriteriaList": _list(_one_of({"Age": _range, "Gender": _list(_ID, 1)})),
            "Groups": _list(_group),
        }
    )(value, path, known)
    lists = ("CriteriaList", "DemographicCriteriaList", "Groups")
    if isinstance(value, dict) and not any(value.get(name) for name in lists):
        yield f"{path}: an empty group holds for everyone"


_TEXT = _scalar(str)
_BOOL = _scalar(bool)
_INT = _scalar(int)
_ID = _object({"CONCEPT_ID": _INT})
_MEASUREMENT = _object(
    {"CodesetId": _codeset},
    {
        "ValueAsNumber": _range,
        "RangeHighRatio": _range,
        "RangeLowRatio": _range,
        "Unit": _list(_ID, 1),
        "ValueAsConcept": _list(_ID, 1),
    },
)
_CONDITION = _object({"CodesetId": _codeset})
_END = _object({"Coeff": _number(-1, 1)}, {"Days": _INT})
_criterion = _object(
    {
        "Criteria": _one_of({"Measurement": _MEASUREMENT, "ConditionOccurrence": _CONDITION}),
        "StartWindow": _object({"Start": _END, "End": _END, "UseIndexEnd": _BOOL, "UseEventEnd": _BOOL}),
        "Occurrence": _object({"Type": _number(0, 1, 2), "Count": _INT, "IsDistinct": _BOOL}),
    }
)
_LIMIT = _object({"Type": _word("All", "First", "Last")})
_CONCEPT = _object(
    {"CONCEPT_ID": _INT}, {"CONCEPT_NAME": _TEXT, "CONCEPT_CODE": _TEXT, "VOCABULARY_ID": _word("LOINC")}
)
_ITEM = _object(
    {"concept": _CONCEPT, "isExcluded": _BOOL, "includeDescendants": _BOOL, "includeMapped": _BOOL}
)
_COHORT = _object(
    {
        "cdmVersionRange": _TEXT,
        "PrimaryCriteria": _object(
            {
                "CriteriaList": _list(
                    _one_of(
                        {
                            "ConditionOccurrence": _CONDITION,
                            "VisitOccurrence": _object({"VisitTypeExclude": _BOOL}),
                        }
                    ),
                    1,
                ),
                "ObservationWindow": _object({"PriorDays": _INT, "PostDays": _INT}),
                "PrimaryCriteriaLimit": _LIMIT,
            }
        ),
        "ConceptSets": _list(
            _object({"id": _INT, "name": _TEXT, "expression": _object({"items": _list(_ITEM, 1)})})
        ),
        "QualifiedLimit": _LIMIT,
        "ExpressionLimit": _LIMIT,
        "InclusionRules": _list(_object({"name": _TEXT, "description": _TEXT, "expression": _group})),
        "CensoringCriteria": _list(_criterion),
        "CollapseSettings": _object({"CollapseType": _word("ERA"), "EraPad": _INT}),
        "CensorWindow": _object({}),
    }
)
_ENVELOPE = _object(
    {
        "name": _TEXT,
        "description": _TEXT,
        "expressionType": _word("SIMPLE_EXPRESSION"),
        "expression": _COHORT,
    }
)


def check_cohort(envelope: Any) -> list[str]:
    """Every fault of a cohort definition in its envelope, with its path; empty where there is none."""
    numbers: set[int] = set()
    expression = envelope.get("expression") if isinstance(envelope, dict) else None
    if isinstance(expression, dict) and isinstance(expression.get("ConceptSets"), list):
        numbers = {
            each["id"] for each in expression["ConceptSets"] if isinstance(each, dict) and "id" in each
        }
    return list(_ENVELOPE(envelope, "cohort", _Known(numbers)))
