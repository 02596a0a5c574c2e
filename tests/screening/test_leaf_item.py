"""One item against one patient: the value, or unknown and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from kb.leaf_age import completed
from kb.leaf_item import judge_item, shift
from kb.patient import Measurement
from nlp.model import Item, Window
from tests.screening.making import KNOWLEDGE, item, patient

GIGA = "10*9/L"


def judge(wanted: Item, *measurements: Measurement, **fields: Any) -> bool | None:
    return judge_item(wanted, patient(*measurements, **fields), KNOWLEDGE).value


@pytest.mark.parametrize(
    ("comparator", "value", "expected"),
    [
        (">=", 50, True), (">=", 49, False), (">", 50, False), (">", 50.1, True),
        ("<=", 50, True), ("<=", 51, False), ("<", 50, False), ("<", 49, True), ("=", 50, True), ("=", 51, False),
    ],
)  # fmt: skip
def test_bounds(comparator: str, value: float, expected: bool) -> None:
    assert judge(item("plt", comparator, 50, unit=GIGA), Measurement("plt", value, GIGA)) is expected


def test_range_with_one_open_end() -> None:
    wanted = item("plt", "range", low=10, high=20, low_inclusive=False, high_inclusive=True, unit=GIGA)
    answers = [judge(wanted, Measurement("plt", value, GIGA)) for value in (10, 10.5, 20, 20.5)]
    assert answers == [False, True, True, False]


def test_value_in_another_unit_is_converted_before_it_is_compared() -> None:
    wanted = item("plt", ">=", 50, unit=GIGA)
    assert judge(wanted, Measurement("plt", 50000, "/uL")) is True
    assert judge(wanted, Measurement("plt", 49999, "/uL")) is False


def test_no_sure_conversion_is_unknown() -> None:
    verdict = judge_item(
        item("alt", "<=", 80, unit="U/L"), patient(Measurement("alt", 1, "mg/dL")), KNOWLEDGE
    )
    assert verdict.value is None
    assert "no sure conversion from mg/dL to U/L" in verdict.why


@pytest.mark.parametrize(("text_unit", "own_unit"), [("U/L", None), (None, "U/L")])
def test_a_missing_unit_is_never_guessed(text_unit: str | None, own_unit: str | None) -> None:
    assert judge(item("alt", "<=", 80, unit=text_unit), Measurement("alt", 30, own_unit)) is None


def test_bare_numbers_compare_with_scores_and_ratios() -> None:
    assert judge(item("inr", "<=", 1.5, unit="{INR}"), Measurement("inr", 1.0, "1")) is True


def test_a_score_of_a_hundred_points_may_be_given_in_percent() -> None:
    wanted = item("karnofsky", ">", 60, unit=None, canonical_low=60.0, canonical_unit="{score}")
    assert judge(wanted, Measurement("karnofsky", 70, "%")) is True
    assert judge(wanted, Measurement("karnofsky", 60, "%")) is False
    assert judge(wanted, Measurement("karnofsky", 60, "kg")) is None


def test_multiple_of_uln_needs_the_laboratorys_own() -> None:
    wanted = item("alt", "<=", 2.5, relative_to="ULN")
    assert judge(wanted, Measurement("alt", 100, "U/L", uln=40)) is True
    assert judge(wanted, Measurement("alt", 101, "U/L", uln=40)) is False
    assert judge(wanted, Measurement("alt", 1, "U/L")) is None
    assert judge(wanted, Measurement("alt", 2.4, multiple_of="ULN")) is True


def test_percent_predicted_needs_the_predicted_value_or_says_so_itself() -> None:
    wanted = item("fev1_l", ">=", 60, unit="%", relative_to="predicted")
    assert judge(wanted, Measurement("fev1_l", 1.9, "L", predicted=3.0)) is True
    assert judge(wanted, Measurement("fev1_l", 59, "%{predicted}")) is False
    assert judge(wanted, Measurement("fev1_l", 61, "%")) is None


def test_set_of_grades() -> None:
    wanted = item("ecog", "set", values=(0.0, 1.0), kind="ordinal")
    assert [judge(wanted, Measurement("ecog", value, "{score}")) for value in (0, 1, 2)] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("wanted", "result", "expected"),
    [
        ("positive", "positive", True), ("positive", "negative", False), ("negative", "undetectable", True),
        ("detectable", "positive", True), ("undetectable", "detectable", False),
        ("positive_or_negative", "negative", True),
    ],
)  # fmt: skip
def test_qualitative_results(wanted: str, result: Any, expected: bool) -> None:
    assert judge(item("hbsag", wanted, kind="qualitative"), Measurement("hbsag", result=result)) is expected


def test_limit_of_detection_is_answered_by_the_result_or_by_the_limit() -> None:
    above = item("hbv_dna", ">", 1, relative_to="LLOD")
    assert judge(above, Measurement("hbv_dna", result="detectable")) is True
    assert judge(above, Measurement("hbv_dna", result="undetectable")) is False
    assert judge(above, Measurement("hbv_dna", 30, "[IU]/mL", lod=20)) is True
    assert judge(above, Measurement("hbv_dna", 30, "[IU]/mL")) is None
    assert (
        judge(item("hbv_dna", "<", relative_to="LLOD"), Measurement("hbv_dna", result="undetectable")) is True
    )


def test_a_number_does_not_answer_a_demand_for_a_result_nor_the_reverse() -> None:
    assert judge(item("ana", "positive"), Measurement("ana", 80, "{titer}")) is None
    assert judge(item("ana", ">=", 80, unit="{titer}"), Measurement("ana", result="positive")) is None


def test_censored_value_answers_only_what_it_decides() -> None:
    below = Measurement("crp", 5, "mg/L", comparator="<")
    assert judge(item("crp", "<=", 10, unit="mg/L"), below) is True
    assert judge(item("crp", ">=", 5, unit="mg/L"), below) is False
    assert judge(item("crp", "<=", 3, unit="mg/L"), below) is None


def test_value_outside_the_window_does_not_count() -> None:
    wanted = item("plt", ">=", 50, unit=GIGA, window=Window(28, "d", "before", "enrolment"))
    old, new = date(2025, 6, 1), date(2025, 7, 20)
    assert judge(wanted, Measurement("plt", 90, GIGA, day=old)) is None
    assert (
        judge(wanted, Measurement("plt", 90, GIGA, day=old), Measurement("plt", 40, GIGA, day=new)) is False
    )
    assert judge(wanted, Measurement("plt", 90, GIGA)) is True


def test_window_in_half_lives_cannot_be_computed_for_a_dated_value() -> None:
    wanted = item("plt", ">=", 50, unit=GIGA, window=Window(5, "{half-life}", "before", "screening"))
    assert judge(wanted, Measurement("plt", 90, GIGA, day=date(2025, 7, 20))) is None


def test_the_newest_value_counts_and_one_from_the_future_does_not() -> None:
    wanted = item("plt", ">=", 50, unit=GIGA)
    first, last = (
        Measurement("plt", 90, GIGA, day=date(2025, 1, 1)),
        Measurement("plt", 20, GIGA, day=date(2025, 2, 1)),
    )
    assert judge(wanted, first, last) is False
    assert judge(wanted, Measurement("plt", 90, GIGA, day=date(2026, 1, 1))) is None


def test_values_of_one_day_that_disagree_are_unknown() -> None:
    wanted = item("plt", ">=", 50, unit=GIGA)
    assert judge(wanted, Measurement("plt", 90, GIGA), Measurement("plt", 20, GIGA)) is None


def test_another_specimen_does_not_count() -> None:
    wanted = item("scr", "<=", 100, unit="umol/L")
    assert judge(wanted, Measurement("scr", 80, "umol/L", specimen="urine")) is None
    assert judge(wanted, Measurement("scr", 80, "umol/L", specimen="blood")) is True


def test_narrower_concept_answers_the_broader_demand_only() -> None:
    value = Measurement("sledai_2k", 12, "{score}")
    assert judge(item("sledai", ">=", 8), value) is True
    assert judge(item("sledai_2k", ">=", 8), Measurement("sledai", 12, "{score}")) is None


def test_grade_answers_only_for_the_event_it_is_of() -> None:
    wanted = item("ctcae_grade", ">=", 2, kind="ordinal", concept_text="bleeding")
    assert judge(wanted, Measurement("ctcae_grade", 3, about="Bleeding")) is True
    assert judge(wanted, Measurement("ctcae_grade", 3)) is None


@pytest.mark.parametrize("flag", ["lost_comparator", "implausible_value", "contradiction"])
def test_nobody_is_judged_by_a_suspect_threshold(flag: str) -> None:
    assert judge(item("hgb", ">=", 90, unit="g/dL", flags=(flag,)), Measurement("hgb", 120, "g/dL")) is None


def test_concept_outside_the_vocabulary_is_unknown() -> None:
    assert judge(item(None, ">=", 3, concept_text="frobnication index"), Measurement("frob", 4)) is None


def test_age_compares_in_completed_years() -> None:
    wanted = item("age", "range", low=18, high=70, low_inclusive=True, high_inclusive=True, unit="a")
    assert judge(wanted, age=(70.5, "a")) is True
    assert judge(wanted, age=(71, "a")) is False
    assert judge(wanted, birth_date=date(2007, 7, 28)) is False
    assert judge(wanted, birth_date=date(2007, 7, 27)) is True
    assert judge(wanted) is None


def test_age_in_years_leaves_open_what_only_months_would_say() -> None:
    assert judge(item("age", ">=", 6, unit="mo"), age=(2, "a")) is True
    assert judge(item("age", "<=", 26, unit="mo"), age=(2, "a")) is None
    assert judge(item("age", ">=", 2, unit="a"), age=(23, "mo")) is False
    assert judge(item("age", ">=", 2, unit="a"), age=(24, "mo")) is True


def test_calendar() -> None:
    assert shift(date(2025, 3, 31), -1, "mo") == date(2025, 2, 28)
    assert shift(date(2024, 2, 29), 1, "a") == date(2025, 2, 28)
    assert shift(date(2025, 7, 27), -4, "wk") == date(2025, 6, 29)
    assert shift(date(2025, 7, 27), 3, "{half-life}") is None
    assert shift(date(2025, 7, 27), -9e9, "d") is None
    assert completed(date(2000, 2, 29), date(2025, 2, 28), "a") == 24


def test_collective_concept_is_answered_by_its_members() -> None:
    knowledge = replace(KNOWLEDGE, members={"transaminases": ("alt", "ast")})

    def answer(comparator: str, *measurements: Measurement) -> bool | None:
        wanted = item("transaminases", comparator, 2, relative_to="ULN")
        return judge_item(wanted, patient(*measurements), knowledge).value

    low, high = Measurement("alt", 30, "U/L", uln=40), Measurement("ast", 200, "U/L", uln=40)
    assert (answer("<=", low, high), answer("<=", low), answer("<=", high)) == (False, None, False)
    assert (answer(">", high), answer(">", low, high)) == (None, None)
    assert answer("<=", low, replace(high, value=35)) is True
