"""Criteria that only name things: the plain questions they put. See expression_marks.py for the notation."""

from __future__ import annotations

import pytest

from tests.nlp.expression_marks import read

INCLUSION = {
    "Patients with a history of known asthma": "'asthma'",
    "Subjects who have signed informed consent": "'signed informed consent'=consent",
    "Able to give written informed consent": "'Able to give written informed consent'=consent",
    "No evidence of active infection": "!'active infection'",
    "Patients must not have received CAR-T therapy": "!'received CAR-T therapy'",
    "Patients who are able and willing to comply": "'able and willing to comply'",
    "Male or female patients with lupus": "'lupus'",
    "Not applicable": "yes",
    "Gender not limited": "yes",
    "hypertension, diabetes, and obesity": "('hypertension' & 'diabetes' & 'obesity')",
    "History of stroke; no history of epilepsy": "('stroke' & !'epilepsy')",
    "allergy to aspirin or ibuprofen": "'allergy to aspirin or ibuprofen'",
    "Diagnosis of lupus confirmed by biopsy": "'lupus'",
    "Ability to provide written informed consent.": "'Ability to provide written informed consent'=consent",
    "Women of childbearing potential must use contraception": "('Women of childbearing potential'=childbearing_potential ? 'use contraception'=contraception : yes)",
    "Male participants must agree to use contraception": "('Male participants'=male ? 'use contraception'=contraception : yes)",
    "Patients with diabetes must take metformin": "('diabetes' ? 'take metformin' : yes)",
    "Patients who can swallow tablets": "'swallow tablets'",
    "The disease should still be active": "'disease should still be active'",
    "Follow-up for 15 years is possible": "'Follow-up for 15 years is possible'",
    "Surgery at least 4 weeks before enrolment": "??Surgery at least 4 weeks before enrolment",
    "Willing to comply (see Appendix 2)": "'Willing to comply (see Appendix 2)'",
    "Absence of distant metastases": "!'distant metastases'",
    "Patients will be included if they have failed methotrexate": "'failed methotrexate'",
}

EXCLUSION = {
    "Pregnancy or breastfeeding": "(!'Pregnancy'=pregnancy & !'breastfeeding'=lactation)",
    "stroke, angina or asthma": "(!'stroke' & !'angina' & !'asthma')",
    "Pregnancy and lactation": "(!'Pregnancy'=pregnancy & !'lactation'=lactation)",
    "hepatic or renal impairment": "!'hepatic or renal impairment'",
    "allergy to aspirin or ibuprofen": "!'allergy to aspirin or ibuprofen'",
    "History of asthma or history of stroke": "(!'asthma' & !'stroke')",
    "Patients who have a spinal injury or have had a prostatectomy": "(!'spinal injury' & !'prostatectomy')",
    "Infections that require antibiotics or are uncontrollable": "!'Infections that require antibiotics or are uncontrollable'",
    "Lack of informed consent": "'informed consent'=consent",
    "Patients with HIV are excluded": "!'HIV'",
    "Known HIV infection, active hepatitis, or uncontrolled diabetes": "(!'HIV infection' & !'active hepatitis' & !'uncontrolled diabetes')",
    "Men and women of childbearing potential who do not use contraception": "!'Men and women of childbearing potential who do not use contraception'",
    "Autoimmune diseases such as Crohn's disease, lupus, and psoriasis": "!'Autoimmune diseases such as Crohn's disease, lupus, and psoriasis'",
    "Diseases that must be treated with steroids": "!'Diseases that must be treated with steroids'",
    "The investigator should judge that participation is unsafe": "!'investigator should judge that participation is unsafe'",
    "No informed consent": "'informed consent'=consent",
    "Cancer other than basal cell carcinoma of the skin": "!'Cancer other than basal cell carcinoma of the skin'",
    "Diabetes unless well controlled": "!('Diabetes' & !'well controlled')",
    "Cancer. Patients with basal cell carcinoma are eligible.": "!('Cancer' & !'basal cell carcinoma')",
    "Refusing to be included in the study": "!'Refusing to be included in the study'",
    "Subjects must have been tested negative for tuberculosis": "'tested negative for tuberculosis'",
    "Active (<<within the past 3 months>>) suicidal ideation": "!('Active suicidal ideation' & [within the past 3 months])",
    "Use of any agent <<within 28 days>> or 5 half-lives before enrolment": "??Use of any agent within 28 days or 5 half-lives before enrolment",
    "Vaccination <<within 30 days>> or <<within 5 half-lives>>": "!('Vaccination' & ([within 30 days] | [within 5 half-lives]))",
    "Vaccination <<within 30 days>> or <<within 5 half-lives>>, whichever is shorter": "!('Vaccination' & [within 30 days] & [within 5 half-lives])",
    "Stroke <<within 6 months>> or with ongoing symptoms": "(!('Stroke' & [within 6 months]) & !'ongoing symptoms')",
    "cirrhosis, without ascites": "!('cirrhosis' & !'ascites')",
    "Cancer <<within 5 years>> or stroke <<within 6 months>>": "(!('Cancer' & [within 5 years]) & !('stroke' & [within 6 months]))",
    "myocardial infarction, stroke or angina <<within 6 months>>": "(!('myocardial infarction' & [within 6 months]) & !('stroke' & [within 6 months]) & !('angina' & [within 6 months]))",
}


@pytest.mark.parametrize("marked", INCLUSION)
def test_facts_of_an_inclusion(marked: str) -> None:
    assert read(marked) == INCLUSION[marked]


@pytest.mark.parametrize("marked", EXCLUSION)
def test_facts_of_an_exclusion(marked: str) -> None:
    assert read(marked, "exclusion") == EXCLUSION[marked]


NEGATED_LISTS = {
    "No history of stroke, angina or asthma": "(!'stroke' & !'angina' & !'asthma')",
    "Not pregnant or lactating": "(!'pregnant'=pregnancy & !'lactating'=lactation)",
    "Has not had a stroke or uncontrolled seizures": "(!'stroke' & !'uncontrolled seizures')",
    "Able to swallow capsules intact, without chewing, crushing, or opening them": (
        "('Able to swallow capsules intact' & !'chewing' & !'crushing' & !'opening them')"
    ),
    "No diabetes and able to walk": "(!'diabetes' & 'able to walk')",
    "Absence of diabetes, asthma, stroke": "!'diabetes, asthma, stroke'",
    "No bleeding and thrombosis": "!'bleeding and thrombosis'",
    "Never smoker or former smoker": "(!'smoker' | 'former smoker')",
}


@pytest.mark.parametrize("text", NEGATED_LISTS)
def test_a_negation_holds_for_the_list_behind_it(text: str) -> None:
    assert read(text) == NEGATED_LISTS[text]


def test_a_negation_in_an_exclusion_holds_where_a_verb_says_it() -> None:
    assert read("Does not speak or understand English", "exclusion") == "('speak' | 'understand English')"
    assert read("Lack of consent, asthma or stroke", "exclusion") == ("('consent' & !'asthma' & !'stroke')")
