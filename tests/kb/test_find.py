from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from kb.errors import QueryInvalid
from kb.find import find, parse
from kb.store import Store
from nlp.model import Extraction, Fact, If, Leaf
from tests.kb.samples import VOCABULARY, criterion, item, platelets_trial, renal_extraction, trial


class Units:
    """Two conversions, enough for these tests."""

    def convert(self, value: float, from_unit: str, to_unit: str, concept: str | None = None) -> float | None:
        factors = {("/uL", "10*9/L"): 0.001, ("mg/dL", "umol/L"): 88.42}
        factor = factors.get((from_unit, to_unit))
        return None if factor is None else value * factor


@pytest.fixture
def some(store: Store) -> Store:
    """Platelets >= 50 (lupus), >= 75 (lupus), >= 100 (leukemia); creatinine or CrCl; ALT under a condition."""
    store.put(*platelets_trial(1, value=50))
    store.put(*platelets_trial(2, value=75, phases=("PHASE1", "PHASE2"), status="COMPLETED"))
    store.put(
        *platelets_trial(
            3,
            value=100,
            conditions=("Leukemia",),
            condition_mesh=(),
            condition_ancestors=(),
            interventions=(),
        )
    )
    line = "creatinine <= 1.5 x ULN or CrCl >= 40 mL/min"
    store.put(trial(4, line), renal_extraction(line, line))
    text = "with Gilbert syndrome ALT <= 5 x ULN"
    limit = item(text, "<= 5 x ULN", "alt", "<=", 5, relative_to="ULN")
    gilbert = If(Fact("Gilbert syndrome", (5, 21)), Leaf("i1"), Leaf("none"))
    store.put(trial(5, text), Extraction((limit,), (criterion(text, text, gilbert),), VOCABULARY))
    return store


def numbers(store: Store, query: str) -> list[int]:
    return [int(one.trial.trial[-4:]) for one in find(store, query, Units()).found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("platelets min <= 50 10*9/L", [1]),
        ("platelets min <= 50000 /uL", [1]),
        ("platelets min > 50 10*9/L", [2, 3]),
        ("platelets min ≥ 75 10*9/L", [2, 3]),
        ("platelets min = 75 10*9/L", [2]),
        ("plt min <= 75 10*9/L and cond lupus", [1, 2]),
        ("platelets min <= 75 10*9/L and not cond lupus", []),
        ("not platelets", [4, 5]),
        ("platelets and not csf_wbc", [1, 2, 3]),
        ("qtc max <= 480 ms in exclusion", [1, 2, 3]),
        ("qtc max <= 480 ms in inclusion", []),
        ("crea max <= 1.5 xULN", [4]),
        ("crea max <= 1.5 × ULN", [4]),
        ("creatinine max <= 1.5 mg/dL", []),
        ("crcl min >= 40 mL/min", [4]),
        ("alt max >= 5 xULN", []),
        ("alt max >= 5 xULN if any", [5]),
        ("alt max >= 5 xULN if gilbert", [5]),
        ("alt max >= 5 xULN if pregnant", []),
        ("alt", [5]),
        ("cond leukemia or phase 2", [2, 3]),
        ("(cond leukemia or phase 2) and status completed", [2]),
        ("intr CAR-T and target cd19 and modality car-t", [1, 2, 3, 4, 5]),
        ('sponsor "ward hospital" and platelets min < 60 10*9/L', [1]),
        ('text "creatinine"', [4]),
        ('"Platelet count" min <= 50 10*9/L', [1]),
        ("NOT (platelets OR alt)", [4]),
    ],
)
def test_queries(some: Store, query: str, expected: list[int]) -> None:
    assert numbers(some, query) == expected


@pytest.mark.parametrize(
    ("query", "column", "words"),
    [
        ("", 1, "empty"),
        ("platelets min <=", 17, "expected a number"),
        ("platelets min <= 50", 18, "needs a unit: 10*9/L"),
        ("platelets min <= 50 furlong", 21, "cannot be converted"),
        ("cond lupus and platlets", 16, "near it: plt"),
        ("platelets mn <= 50", 14, "cannot read '<= 50'"),
        ("(platelets", 11, "expected"),
        ("platelets or", 13, "ends too early"),
        ("cond ???", 6, "cannot read"),
        ("platelets min <= fifty", 18, "expected a number"),
    ],
)
def test_an_error_points_at_its_column(some: Store, query: str, column: int, words: str) -> None:
    with pytest.raises(QueryInvalid, match=re.escape(words)) as caught:
        find(some, query, Units())
    assert caught.value.column == column


def test_the_answer_quotes_the_limits_asked_for(some: Store) -> None:
    (one,) = find(some, "platelets min <= 50 10*9/L", Units()).found
    assert [limit.evidence.quote for limit in one.limits] == [">= 50 x 10^9/L"]


def test_the_number_of_all_answers_is_told(some: Store) -> None:
    findings = find(some, "platelets", Units(), limit=1)
    assert (findings.total, len(findings.found)) == (3, 1)


def test_as_of_finds_in_the_past(some: Store) -> None:
    some.put(*platelets_trial(1, value=20, version="b" * 64, last_update_posted="2026-06-01"))
    with Store.open(some.path, as_of="2026-02-01") as past:
        assert numbers(past, "platelets min <= 20 10*9/L") == []
    assert numbers(some, "platelets min <= 20 10*9/L") == [1]


def test_and_binds_closer_than_or() -> None:
    tree = parse("alt or plt and anc")
    assert tree.data == "either"


class ReadsUnits(Units):
    """Also reads one unit as people write it."""

    def match(self, text: str, pos: int) -> SimpleNamespace | None:
        known = {"per microliter": ("/uL", 1.0), "thousand/uL": ("/uL", 1000.0)}
        return (
            SimpleNamespace(ucum=known[text][0], end=len(text), scale=known[text][1])
            if text in known
            else None
        )


@pytest.mark.parametrize("bound", ['50000 "per microliter"', "50 thousand/uL", "50 10*9/L"])
def test_units_may_be_worded(some: Store, bound: str) -> None:
    found = find(some, f"platelets min <= {bound} and cond lupus", ReadsUnits()).found
    assert [one.trial.trial for one in found] == ["NCT99000001"]


def test_a_unit_that_nobody_knows_is_told(some: Store) -> None:
    with pytest.raises(QueryInvalid, match="column 21: parsecs cannot be converted"):
        find(some, "platelets min <= 50 parsecs", ReadsUnits())


@pytest.mark.parametrize(
    "query", ["platelets mn <= 50 10*9/L", "platelets <= 50", "platelets between 50 and 100"]
)
def test_a_missing_side_is_named(query: str) -> None:
    with pytest.raises(QueryInvalid, match="min or max before the sign"):
        parse(query)
