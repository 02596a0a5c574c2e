"""A sentence in, its thresholds out."""

from __future__ import annotations

import functools

import pytest

from nlp import lexicon
from nlp.model import Item
from nlp.pipeline import Extractor, build


@functools.cache
def extractor() -> Extractor:
    return build()


def items(text: str, section: str = "inclusion") -> list[Item]:
    return list(extractor().extract(text, section).items)


def short(item: Item) -> str:
    """concept comparator numbers unit, as the tables below write them."""
    numbers = list(item.values) if item.values else [n for n in (item.low, item.high) if n is not None]
    if item.comparator == "=":
        numbers = numbers[:1]
    concept = item.concept or item.concept_text or "-"
    said = "/".join(f"{number:g}" for number in numbers)
    return " ".join(
        str(part)
        for part in (concept, item.comparator, said, item.relative_to or item.unit or "")
        if part != ""
    )


ONE = [
    ("Platelets ≥ 100 x 10^9/L", "plt >= 100 10*9/L"),
    ("Platelets ≥ 50 × 109/L", "plt >= 50 10*9/L"),
    ("Hemoglobin ≥ 60g/L", "hgb >= 60 g/L"),
    ("ALT<2.5xULN", "alt < 2.5 ULN"),
    ("ALT no more than 3 times the upper limit of normal (ULN)", "alt <= 3 ULN"),
    ("ALT above the ULN", "alt > 1 ULN"),
    ("SpO2 not less than 92%", "spo2 >= 92 %"),
    ("creatinine not > 3 mg/dL", "scr <= 3 mg/dL"),
    ("BMI 18 to 32 kg/m2", "bmi range 18/32 kg/m2"),
    ("18 ≤ BMI ≤ 32 kg/m2", "bmi range 18/32 kg/m2"),
    ("6.5 % < HbA1c < 11 %", "hba1c range 6.5/11 %"),
    ("HbA1c > 7 % and not to exceed 10.5 %", "hba1c range 7/10.5 %"),
    ("HbA1c > or = 7 %", "hba1c >= 7 %"),
    ("HbA1c =/> 7 %", "hba1c >= 7 %"),
    ("LVEF of 50% or more", "lvef >= 50 %"),
    ("SpO2 greater than (>) 93 percent", "spo2 > 93 %"),
    ("Age 18-65 years", "age range 18/65 a"),
    ("Aged between 18 and 65 years old (inclusive)", "age range 18/65 a"),
    ("18 years of age or older", "age >= 18 a"),
    ("Patients under the age of 5", "age < 5 a"),
    ("Minimum age: 18 years", "age >= 18 a"),
    ("14≤ age < 18", "age range 14/18 a"),
    ("Patient older than six months", "age > 6 mo"),
    ("ECOG performance status 0, 1 or 2", "ecog set 0/1/2"),
    ("NYHA class III or IV", "nyha set 3/4"),
    ("life expectancy of at least 3 months", "life_expectancy >= 3 mo"),
    ("QTc interval\\>480 ms", "qtc > 480 ms"),
    ("T-score < -2.5", "t_score < -2.5"),
    ("Prednisone (or equivalent) ≥ 7.5 mg/day and ≤ 60 mg/day", "prednisone_eq range 7.5/60 mg/d"),
    ("serum creatinine > 300 micromol/L (3.39 mg/dL)", "scr > 300 umol/L"),
    ("White blood cells ≥ 3,000/mm3", "wbc >= 3000 /uL"),
    ("HBsAg positive", "hbsag positive"),
    ("a negative blood pregnancy test", "pregnancy_test negative"),
    ("HCV-RNA above the detection limit", "hcv_rna > LLOD"),
]


@pytest.mark.parametrize(("text", "reads"), ONE)
def test_one_threshold(text: str, reads: str) -> None:
    assert [short(item) for item in items(text)] == [reads]


SEVERAL = [
    ("ALT and AST ≤ 3 x ULN", ["alt <= 3 ULN", "ast <= 3 ULN"]),
    (
        "Alanine aminotransferase (ALT) or aspartate aminotransferase (AST) > 5 x ULN",
        ["alt > 5 ULN", "ast > 5 ULN"],
    ),
    ("Liver dysfunction (>3x ULN SGOT / SGPT)", ["alt > 3 ULN", "ast > 3 ULN"]),
    ("blood pressure > 160/90 mmHg", ["sbp > 160 mm[Hg]", "dbp > 90 mm[Hg]"]),
    ("BMI < 18 or > 30 kg/m2", ["bmi < 18 kg/m2", "bmi > 30 kg/m2"]),
    ("age less than 18 or more than 80", ["age < 18 a", "age > 80 a"]),
    ("hemoglobin < 8.5 g/dL or > or = to 17 g/dL", ["hgb < 8.5 g/dL", "hgb >= 17 g/dL"]),
    (
        "positive for ANA, anti-dsDNA or anti-Smith antibodies",
        ["ana positive", "anti_dsdna positive", "anti_sm positive"],
    ),
]


@pytest.mark.parametrize(("text", "reads"), SEVERAL)
def test_several_thresholds(text: str, reads: list[str]) -> None:
    assert sorted(short(item) for item in items(text)) == sorted(reads)


@pytest.mark.parametrize(
    "text",
    [
        "Version 2022 of the guideline",
        "CD19 positive cells of clone 4G7 on day 1",
        "the 2019 European League Against Rheumatism criteria",
        "protocols 2012-0112 and 2009-0976",
        "Articles L. 1121-5 to L. 1121-8",
        "at least one of the following",
        "a sample size (n=20)",
        "data from 10/01/2018 to 10/31/2019",
        "pain rated on a 0-10 scale",
    ],
)
def test_numbers_that_are_no_thresholds(text: str) -> None:
    bounds = [item for item in items(text) if item.low is not None or item.high is not None or item.values]
    assert [item for item in bounds if item.role == "requirement"] == []


@pytest.mark.parametrize(
    ("text", "event", "amount"),
    [
        ("stroke within 6 months prior to screening", "stroke", (6.0, "mo")),
        (
            "Treatment with any investigational drug within 90 days before enrolment",
            "investigational drug",
            (90.0, "d"),
        ),
        ("alcohol abuse within the past year", "alcohol abuse", (1.0, "a")),
        ("Within the past 3 months, a myocardial infarction", "myocardial infarction", (3.0, "mo")),
    ],
)
def test_windows_govern_their_event(text: str, event: str, amount: tuple[float, str]) -> None:
    (item,) = [item for item in items(text, "exclusion") if item.comparator == "within"]
    assert (item.high, item.unit) == amount
    assert event in (item.concept_text or "")
    assert item.window is not None
    assert (item.window.value, item.window.unit) == amount


def test_a_lost_comparator_is_flagged_and_not_invented() -> None:
    (item,) = items("SpO2 94 %")
    assert (item.comparator, item.low, item.high) == ("=", 94.0, 94.0)
    assert item.flags == ("lost_comparator",)


def test_an_implausible_value_is_flagged_and_kept() -> None:
    (item,) = items("Hb ≥ 90 g/dL")
    assert (item.low, item.unit) == (90.0, "g/dL")
    assert "implausible_value" in item.flags


def test_a_restated_bound_is_one_item() -> None:
    (item,) = items("triglycerides > 400 mg/dL (> 4.52 mmol/L)")
    assert (item.low, item.unit) == (400.0, "mg/dL")
    assert "restated_unit" in item.flags
    assert item.value_text.endswith("4.52 mmol/L")


def test_an_unknown_concept_keeps_its_threshold_with_its_text() -> None:
    (item,) = items("Kwx Line Test at 60 dBA under earphones ≥ 85%")
    assert item.concept is None
    assert (item.concept_text or "").startswith("Kwx Line Test")
    assert (item.comparator, item.low, item.unit) == (">=", 85.0, "%")


def test_a_number_without_a_concept_is_never_lost() -> None:
    (item,) = items("≥ 12 mg/L")
    assert item.concept_text is None
    assert item.low == 12.0


@pytest.mark.parametrize(
    ("rule", "text", "reads"),
    [(rule.id, text, reads) for rule in lexicon.load_rules() for text, reads in rule.examples],
)
def test_each_rule_reads_its_examples(rule: str, text: str, reads: str) -> None:
    """An example's reading is "concept comparator numbers unit"; the first item must agree with it."""
    words = reads.split()
    numbers = [float(number) for word in words for number in word.split(",") if _is_number(number)]
    unit = words[-1]
    found = items(text)
    assert any(item.rule == rule for item in found), [item.rule for item in found]
    item = next(item for item in found if item.rule == rule)
    said = list(item.values) if item.values else sorted({n for n in (item.low, item.high) if n is not None})
    assert said == sorted(numbers)
    if unit != "null" and not _is_number(unit.split(",")[0]):
        assert unit in (item.unit, item.relative_to)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("ANA titer ≥ 1:80", "ana >= 80 {titer}"),
        ("maximum dose of prednisone is 30 mg/day", "prednisone_eq <= 30 mg/d"),
        ("the disease activity score (SLEDAI-2000) should be ≥ 8 points", "sledai_2k >= 8 {score}"),
        ("Apgar score at 5 minutes > 7", "apgar > 7"),
        ("respiratory rate 20 or greater breaths/min", "resp_rate >= 20 {breaths}/min"),
        ("14-70 years old (including 14, 70 years old)", "age range 14/70 a"),
    ],
)
def test_one_threshold_in_a_turn_of_phrase(text: str, reads: str) -> None:
    assert [short(item) for item in items(text)] == [reads]


@pytest.mark.parametrize("text", ["Age: = 18 years", "hemoglobin = 9 g/dL"])
def test_a_measured_quantity_is_never_asked_to_equal_a_number(text: str) -> None:
    (item,) = items(text)
    assert (item.comparator, item.flags) == ("=", ("lost_comparator",))


def test_a_limit_under_a_condition_belongs_to_the_test_before_it() -> None:
    found = items("ALT <= 2.5 x ULN (Gilbert syndrome: <= 5 x ULN)")
    assert [short(item) for item in found] == ["alt <= 2.5 ULN", "alt <= 5 ULN"]


def test_a_collective_name_that_lists_its_members_is_one_item_each() -> None:
    found = items("AST and ALT below 2 times the upper limit of normal")
    assert sorted(short(item) for item in found) == ["alt < 2 ULN", "ast < 2 ULN"]


def test_a_negative_test_keeps_its_demand_beside_the_assays_sensitivity() -> None:
    found = items("a negative serum pregnancy test (minimum sensitivity 25 IU/L) within 72 hours")
    assert ("pregnancy_test", "negative", "requirement") in [(i.concept, i.comparator, i.role) for i in found]


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("> 18 years old", "age > 18 a"),
        ("less than 18 years old or under guardianship", "age < 18 a"),
        ("pregnant women between (16-24) weeks of gestation", "gest_age range 16/24 wk"),
    ],
)
def test_signs_that_look_like_something_else(text: str, reads: str) -> None:
    assert [short(item) for item in items(text)] == [reads]


def test_brackets_nested_without_end_are_read_in_bounded_depth() -> None:
    found = extractor().extract("(" * 3000 + "ALT <= 3 x ULN" + ")" * 3000, "inclusion")
    assert [short(item) for item in found.items] == ["alt <= 3 ULN"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hemoglobin from the last blood draw < 7 g/dL", ["hgb < 7 g/dL"]),
        ("mRS before the encephalitis > 3", ["mrs > 3"]),
        ("HBsAg positive and < 1500 IU/mL", ["hbsag < 1500 [iU]/mL"]),
        ("No more than one HIV-1 plasma RNA ≥ 50 copies/mL", ["hiv_rna >= 50 {copies}/mL"]),
        ("Past-month alcohol use (> 7 drinks/week)", ["alcohol > 7 {drinks}/wk"]),
        ("Cirrhosis or > 3 x ULN for AST or ALT", ["alt > 3 ULN", "ast > 3 ULN"]),
        ("Hemoglobin ≥ 12 g/dL for men and 11 g/dL for women", ["hgb >= 12 g/dL", "hgb >= 11 g/dL"]),
        ("AST ≤ 2.5 x ULN (5 x ULN with liver metastases)", ["ast <= 2.5 ULN", "ast <= 5 ULN"]),
        ("130 mmHg = SBP < 180 mmHg", ["sbp = 130 mm[Hg]", "sbp < 180 mm[Hg]"]),
        ("90% oxygen saturation or 94% oxygen saturation on oxygen", ["spo2 = 90 %", "spo2 = 94 %"]),
        ("Comorbidity index adjusted to age < 4", ["- < 4"]),
        ("24-hour urine protein ≥ 1 g", ["prot_24h >= 1 g/(24.h)"]),
        ("Proteinuria > 1 g", ["prot_24h > 1 g/(24.h)"]),
        ("Lupus nephritis class III, IV or V", ["ln_class set 3/4/5"]),
        ("Positive ANA (titer ≥ 1:80)", ["ana >= 80 {titer}"]),
        ("Platelets ≥ 50 × 10 ⁹/L", ["plt >= 50 10*9/L"]),
        ("Between 14 and 70 years old (including 14 and 70 years old)", ["age range 14/70 a"]),
    ],
)
def test_the_name_stands_where_a_reader_would_look_for_it(text: str, said: list[str]) -> None:
    read = [short(item) for item in items(text) if item.entity_type in ("Measurement", "Age")]
    assert sorted(read) == sorted(said)


def test_a_scale_named_behind_its_score_is_what_the_score_is_of() -> None:
    (item,) = items("Baseline pain assessed at screening of ≥ 5 on the pain numeric rating scale")
    assert "rating scale" in (item.concept_text or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Prednisone, if taken: ≤ 20 mg/day", ["prednisone_eq <= 20 mg/d"]),
        ("> 20 mg of prednisone per day", ["prednisone_eq > 20 mg/d"]),
        ("≥ 10 mg prednisone or equivalent daily", ["prednisone_eq >= 10 mg/d"]),
        ("At least 1 BILAG A or 2 BILAG B", ["BILAG A >= 1", "BILAG B >= 2"]),
    ],
)
def test_doses_are_by_the_day_and_a_row_of_counts_shares_its_comparator(text: str, said: list[str]) -> None:
    assert [short(item) for item in items(text)] == said


@pytest.mark.parametrize("text", ["Mutations of ESR1", "APACHE IV was used", "Antibodies to HIV 1/2"])
def test_a_number_that_belongs_to_a_name_is_no_threshold(text: str) -> None:
    assert not [item for item in items(text) if item.low is not None or item.values]


def test_a_tolerance_is_kept_but_asks_nothing() -> None:
    assert {item.role for item in items("Controls matched for age (± 3 years)")} == {"definition"}


def test_how_many_is_a_count_and_no_measurement() -> None:
    assert [item.entity_type for item in items("History of recurrent (> 1) thrombosis")] == ["Count"]
    assert [item.entity_type for item in items("At least 2 of the 3 signs below")] == ["Count"]


def test_abbreviations_are_known_in_lower_case() -> None:
    assert [short(item) for item in items("bmi < 30 kg / m2, alt > 3 x uln")] == [
        "bmi < 30 kg/m2",
        "alt > 3 ULN",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("At least three of the following four criteria", "the following >= 3"),
        ("Meets one of the following", "the following = 1"),
        ("Blood pressure ≥ 160 mmHg on two occasions", "Blood pressure = 2"),
    ],
)
def test_how_many_of_a_list_is_kept_but_the_list_speaks_for_it(text: str, said: str) -> None:
    (count,) = (item for item in items(text) if item.entity_type == "Count")
    assert short(count).startswith(said)
    assert count.role == "definition"


def test_a_finding_that_is_old_is_no_age() -> None:
    assert [item.entity_type for item in items("The diagnosis is older than 12 months")] == ["Temporal"]


def test_a_class_set_off_by_a_comma_is_of_what_stands_before_it() -> None:
    (item,) = items("Decompensated heart failure, usually class 3 or 4")
    assert item.concept_text == "Decompensated heart failure"


def test_what_lies_apart_is_the_measurement_said_before() -> None:
    found = items("Diastolic blood pressure ≥ 110 mmHg on two occasions at least four hours apart")
    assert found[-1].concept_text == "Diastolic blood pressure"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Pain (NRS 0-10 ≥ 4)", ["nrs_pain >= 4"]),
        ("Symptomatic hypotension or SBP < 90 mmHg", ["sbp < 90 mm[Hg]"]),
        ("Thrombocytopenia or ANC < 1000/uL", ["anc < 1000 /uL"]),
        ("Pregnancy ≥ 33 gestational weeks", ["gest_age >= 33 wk"]),
    ],
)
def test_a_finding_or_a_scale_s_extent_takes_no_bound(text: str, said: list[str]) -> None:
    assert [short(item) for item in items(text)] == said


def test_a_normal_range_is_a_definition() -> None:
    found = items("HbA1c < 7 % (normal range 4-6 %)")
    assert [item.role for item in found] == ["requirement", "definition"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PT > ULN x 1.5", ["pt > 1.5 ULN"]),
        ("Weight less than 154 lbs / 70 kg", ["weight < 154 [lb_av]"]),
        ("Palpable spleen measuring ≥ 5 cm", ["spleen_size >= 5 cm"]),
        ("Contraception with a failure rate < 1 %", ["failure rate < 1 %"]),
        ("PT > ULN + 4 s", []),
    ],
)
def test_what_real_records_were_read_wrongly(text: str, said: list[str]) -> None:
    assert [short(item) for item in items(text)] == said


def test_a_share_of_the_limit_that_nobody_exceeds_is_flagged() -> None:
    (item,) = items("Serum creatinine exceeds 20 % of the ULN")
    assert "implausible_value" in item.flags


def test_a_window_is_no_duration_and_grades_no_event() -> None:
    assert [item.concept for item in items("Treated for a malignancy within 5 years")] == [None]
    assert [item.concept for item in items("Treatment of GVHD within 4 weeks")] == [None]


def test_a_method_is_not_what_a_bound_is_of() -> None:
    text = "CD19 on > 15% of malignant cells by immunohistochemistry or > 30% by flow cytometry"
    assert {item.concept for item in items(text)} == {"malignant_cells"}


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("Less than 21 years at the time of inclusion", ["Age"]),
        ("Disease duration > 5 years at the time of screening", ["Temporal"]),
        ("Karnofsky ≥ 60 if ≥ 16 years", ["Measurement", "Age"]),
    ],
)
def test_years_at_entry_and_for_whom_are_ages(text: str, types: list[str]) -> None:
    assert [item.entity_type for item in items(text)] == types


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("Hepatitis B virus (HBV) DNA < 500 IU/mL", "hbv_dna"),
        ("Toxicities of prior systemic therapies resolved to grade ≤ 1", None),
    ],
)
def test_a_concept_is_asked_only_in_values_of_its_kind(text: str, concept: str | None) -> None:
    assert [item.concept for item in items(text) if item.concept != "unresolved_toxicity"] in (
        [concept],
        [],
    )


def test_a_count_of_a_list_without_a_name_for_it_has_no_name() -> None:
    (count,) = (item for item in items("At least one of a rash or a fever") if item.entity_type == "Count")
    assert count.concept_text is None
