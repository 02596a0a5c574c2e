"""Facts, populations and dated events: yes, no, or unknown."""

from __future__ import annotations

from datetime import date

import pytest

from kb.leaf_fact import applies, judge_fact, judge_recency
from kb.patient import Event, Patient, event_key
from nlp.model import Fact
from tests.screening.making import KNOWLEDGE, item, patient


def judge(text: str, who: Patient, concept: str | None = None) -> bool | None:
    return judge_fact(Fact(text, (0, 1), concept), who, KNOWLEDGE).value


@pytest.mark.parametrize(
    "text",
    ["Gilbert syndrome", "subjects with Gilbert syndrome", "for Gilbert's disease"[4:], "known Gilbert’s syndrome",
     "history of Gilbert syndrome", "GILBERT"],
)  # fmt: skip
def test_one_condition_under_its_many_wordings(text: str) -> None:
    assert judge(text, patient(events={"gilbert": True})) is True
    assert judge(text, patient(events={"gilbert": False})) is False
    assert judge(text, patient()) is None


def test_concept_of_the_fact_is_looked_up_first() -> None:
    assert judge("HBV", patient(events={"hbv_infection": True}), "hbv_infection") is True


def test_negated_text_is_another_question() -> None:
    assert judge("no history of stroke", patient(events={"stroke": True})) is None
    assert event_key("no stroke") != event_key("stroke")


def test_who_has_not_the_disease_has_no_form_of_it() -> None:
    assert judge("severe asthma", patient(events={"asthma": False})) is False
    assert judge("severe asthma", patient(events={"asthma": True})) is None
    assert judge("asthma", patient(events={"severe asthma": True})) is True
    assert judge("asthma", patient(events={"severe asthma": False})) is None


@pytest.mark.parametrize(
    "text",
    ["systemic lupus erythematosus who meet the 2019 criteria", "active systemic lupus erythematosus with nephritis",
     "systemic lupus erythematosus, which requires dialysis"],
)  # fmt: skip
def test_who_has_not_the_disease_meets_nothing_said_of_it(text: str) -> None:
    assert judge(text, patient(events={"systemic lupus erythematosus": False})) is False
    assert judge(text, patient(events={"systemic lupus erythematosus": True})) is None


def test_what_the_text_counts_among_it_is_it() -> None:
    text = "previously received gene modified cell therapy, such as TCR-T therapy, CAR-T therapy, etc."
    assert judge(text, patient(events={"CAR-T therapy": True})) is True
    assert judge(text, patient(events={"CAR-T therapy": False})) is None
    assert judge("live vaccines (e.g. measles or mumps)", patient(events={"mumps": True})) is True
    assert judge("uncontrolled infection, such as pneumonia", patient(events={"pneumonia": True})) is None
    assert judge("disease that needs oxygen, such as COPD", patient(events={"COPD": True})) is None


def test_fact_with_a_window_needs_a_date() -> None:
    text = "myocardial infarction within the past 6 months"
    dated = [patient(events=(Event("myocardial infarction", True, day, day),))
             for day in (date(2025, 3, 1), date(2024, 3, 1))]  # fmt: skip
    assert [judge(text, who) for who in dated] == [True, False]
    assert judge(text, patient(events={"myocardial infarction": True})) is None
    assert judge(text, patient(events={"myocardial infarction": False})) is False
    assert judge(text, patient(events=(Event("myocardial infarction", True, date(2020, 1, 1)),))) is None


def test_what_is_over_counts_as_history_only() -> None:
    over = patient(events=(Event("tuberculosis", True, date(2010, 1, 1), date(2011, 1, 1)),))
    assert judge("history of tuberculosis", over) is True
    assert judge("tuberculosis", over) is None


def test_callers_answer_comes_before_the_record() -> None:
    who = patient(events={"asthma": False}, answers={"Severe ASTHMA!": True})
    assert judge("severe asthma", who) is True


def test_sex_answers_what_is_a_matter_of_sex_alone() -> None:
    he, she = patient(sex="male"), patient(sex="female")
    assert (judge("women of childbearing potential", he), judge("women of childbearing potential", she)) == (
        False,
        None,
    )
    assert (judge("pregnant or breastfeeding", he), judge("pregnant or breastfeeding", she)) == (False, None)
    assert (judge("female patients", he), judge("female patients", she)) == (False, True)
    assert judge("male patients with a pregnant partner", he) is None


def test_populations() -> None:
    he = patient(sex="male", age=(40, "a"), populations={"Cohort A": True, "arm 2": False})
    assert applies(None, he) is True
    assert applies("women", he) is False
    assert applies("Males", he) is True
    assert applies("cohort a", he) is True
    assert applies("Arm 2", he) is False
    assert applies("Arm 3", he) is None
    assert applies("donor", he) is None
    assert applies("adults", he) is True
    assert applies("age >= 65 years", he) is False
    assert applies("under 18 years", he) is False
    assert applies("18 years and older", he) is True
    assert applies("patients with liver metastases", he) is None


def test_recent_event() -> None:
    wanted = item("mi", "within", 6, unit="mo", concept_text="myocardial infarction")

    def answer(who: Patient) -> bool | None:
        verdict = judge_recency(wanted, who, KNOWLEDGE)
        assert verdict is not None
        return verdict.value

    assert answer(patient(events=(Event("Myocardial infarction", True, None, date(2025, 5, 1)),))) is True
    assert answer(patient(events=(Event("mi", True, None, date(2024, 5, 1)),))) is False
    assert answer(patient(events={"mi": False})) is False
    assert answer(patient()) is None
    assert judge_recency(item("plt", ">=", 50), patient(), KNOWLEDGE) is None
