"""Groups and exceptions: for whom a demand holds, who has another limit, what an exclusion leaves out."""

from __future__ import annotations

import pytest

from nlp.expressions import Reading, combine, express, list_logic
from nlp.model import Expression, Fact, Not, Section
from tests.nlp.expression_marks import drafts_of, read, show

CONDITIONS = {
    "Patients who are {HBcAb} <<positive>> must have {HBV DNA} <<< 500>>": (
        "([HBcAb positive] ? [HBV DNA < 500] : yes)"
    ),
    "For participants {aged} <<≥ 18 years>>: {eGFR} <<≥ 45>>": "([aged ≥ 18 years] ? [eGFR ≥ 45] : yes)",
    "For {patients aged} <<12-17 years>>, {weight} <<≥ 40 kg>>": (
        "([patients aged 12-17 years] ? [weight ≥ 40 kg] : yes)"
    ),
    "For men: agreement to use a condom": "('men'=male ? 'agreement to use a condom' : yes)",
    "{ALT} <<≤ 3>>, {AST} <<≤ 3>>: both": "([ALT ≤ 3] & [AST ≤ 3])",
}

OTHER_LIMITS = {
    "{TBIL} <<≤ 1.5 x ULN>>, except for patients with Gilbert syndrome, in whom {TBIL} <<≤ 3 x ULN>>": (
        "('Gilbert syndrome'=gilbert ? [TBIL ≤ 3 x ULN] : [TBIL ≤ 1.5 x ULN])"
    ),
    "{ALT} <<≤ 2 x ULN>>, except for patients with liver metastases in whom {ALT} <<≤ 5 x ULN>> is allowed": (
        "('liver metastases'=liver_metastases ? [ALT ≤ 5 x ULN] : [ALT ≤ 2 x ULN])"
    ),
    "{ALT} <<≤ 2 x ULN>> (except patients with liver metastases, where {ALT} <<≤ 5 x ULN>> is allowed)": (
        "('liver metastases'=liver_metastases ? [ALT ≤ 5 x ULN] : [ALT ≤ 2 x ULN])"
    ),
}

TAKEN_OUT = {
    "Malignancy <<within 5 years>>, except for basal cell carcinoma": (
        "!('Malignancy' & [within 5 years] & !'basal cell carcinoma')"
    ),
    "History of malignancy except for cervical carcinoma in situ <<in the past 5 years>>": (
        "!('malignancy' & [in the past 5 years] & !'cervical carcinoma in situ')"
    ),
    "Any penile surgery except circumcision": "!('penile surgery' & !'circumcision')",
    "Cancer, except those who had a {remission} <<≥ 2 years>>": "!('Cancer' & ![remission ≥ 2 years])",
    "Cancer other than melanoma": "!'Cancer other than melanoma'",
    "{ALT} <<> 2 x ULN>>, except for patients with metastases, in whom {ALT} <<≤ 5 x ULN>> is allowed": (
        "!([ALT > 2 x ULN] & !('metastases' & [ALT ≤ 5 x ULN]))"
    ),
}


@pytest.mark.parametrize("marked", CONDITIONS)
def test_a_group_is_a_condition(marked: str) -> None:
    assert read(marked) == CONDITIONS[marked]


@pytest.mark.parametrize("marked", OTHER_LIMITS)
def test_an_exception_with_a_limit_of_its_own_is_another_branch(marked: str) -> None:
    assert read(marked) == OTHER_LIMITS[marked]


@pytest.mark.parametrize("marked", TAKEN_OUT)
def test_an_exclusion_holds_its_exception_inside(marked: str) -> None:
    assert read(marked, "exclusion") == TAKEN_OUT[marked]


def test_a_state_is_not_taken_apart_at_its_exception() -> None:
    text = "Tests within normal limits except for testosterone"
    assert read(text) == f"'{text}'"
    assert read("No prior therapy except biopsy") == "!('prior therapy' & !'biopsy')"


def test_an_allowed_limit_stays_a_requirement() -> None:
    text, drafts = drafts_of(
        "{ALT} <<≤ 2 x ULN>>, except for patients with metastases in whom {ALT} <<≤ 5 x ULN>> is allowed"
    )
    express(text, drafts, "inclusion")
    assert [draft.role for draft in drafts] == ["requirement", "requirement"]


def test_a_treatment_goal_is_no_requirement() -> None:
    text, drafts = drafts_of("{HbA1c} <<≥ 7.5%>> (the usual treatment goal is {HbA1c} <<< 7%>>)")
    assert show(express(text, drafts, "inclusion").expression, text, drafts) == "[HbA1c ≥ 7.5%]"
    assert [draft.role for draft in drafts] == ["requirement", "definition"]


def _list(marked: str, parts: list[str], section: Section, logic: str = "all") -> str:
    text, drafts = drafts_of(marked)
    joined = list_logic(text, drafts, logic, section)
    assert joined is not None
    own = express(text, drafts, section, logic=joined)
    below: list[Reading] = []
    for part in parts:
        fact: Expression = Fact(part, (len(text), len(text) + len(part)))
        text += part
        below.append(Reading(Not(fact) if section == "exclusion" else fact, 1.0))
    return show(combine(marked, below, joined, section, own), text, drafts)


def test_a_list_for_a_group_hangs_on_its_condition() -> None:
    parts = ["Stroke", "Angina"]
    group = "'HIV infection'"
    assert _list("For patients with HIV infection:", parts, "inclusion") == (
        f"({group} ? ('Stroke' & 'Angina') : yes)"
    )
    assert _list("For patients with HIV infection:", parts, "exclusion") == (
        f"(!('Stroke' & {group}) & !('Angina' & {group}))"
    )
    assert _list("If female, one of the following:", parts, "inclusion", "any") == (
        "('female'=female ? ('Stroke' | 'Angina') : yes)"
    )
    assert _list("Patients with one of the following:", parts, "inclusion", "any") == "('Stroke' | 'Angina')"


SEXES = {
    "Men {aged} <<≥ 18 years>>": "('Men'=male & [aged ≥ 18 years])",
    "Hemoglobin: men {Hb} <<≥ 13 g/dL>>, women {Hb} <<≥ 12 g/dL>>": (
        "('men'=male ? [Hb ≥ 13 g/dL] : [Hb ≥ 12 g/dL])"
    ),
    "Males or females {aged} <<≥ 18 years>>": "[aged ≥ 18 years]",
}


@pytest.mark.parametrize("marked", SEXES)
def test_the_sex_before_a_value_is_a_demand_or_a_condition(marked: str) -> None:
    assert read(marked) == SEXES[marked]


def test_words_before_a_value_that_nothing_read_lower_the_coverage() -> None:
    text, drafts = drafts_of("Plan to remain in the study area {stay} <<> 6 months>>")
    reading = express(text, drafts, "inclusion")
    assert show(reading.expression, text, drafts) == "[stay > 6 months]"
    assert reading.coverage < 0.6
    text, drafts = drafts_of("Patients must have {ALT} <<> 6>>")
    assert express(text, drafts, "inclusion").coverage == 1


def test_a_group_that_may_have_more_has_a_limit_of_its_own() -> None:
    marked = "{TBIL} <<≤ 1.5 x ULN>>. Patients with Gilbert syndrome may have {TBIL} <<≤ 3 x ULN>>."
    assert read(marked) == "('Gilbert syndrome'=gilbert ? [TBIL ≤ 3 x ULN] : [TBIL ≤ 1.5 x ULN])"
