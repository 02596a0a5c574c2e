"""Sentences with marked items in, one-line expressions out. See expression_marks.py for the notation."""

from __future__ import annotations

import pytest

from tests.nlp.expression_marks import read

INCLUSION = {
    "{Neutrophils} <<≥ 1 x 10^9/L>>": "[Neutrophils ≥ 1 x 10^9/L]",
    "Patients with a history of type 2 diabetes.": "'type 2 diabetes'",
    "No history of stroke": "!'stroke'",
    "{ALT} and {AST} <<≤ 3 x ULN>>": "([ALT ≤ 3 x ULN] & [AST ≤ 3 x ULN])",
    "{WBC}<<≥2.5>> {NEUT}<<≥1>>": "([WBC ≥2.5] & [NEUT ≥1])",
    "{creatinine} <<≤ 1.5 x ULN>> or {clearance} <<≥ 40 mL/min>>": (
        "([creatinine ≤ 1.5 x ULN] | [clearance ≥ 40 mL/min])"
    ),
    "Cardiac function: good stability, {LVEF} <<≥ 50%>>;": "[LVEF ≥ 50%]",
    "{ALT} <<≤ 2.5 x ULN>>; {TBIL} <<≤ 1.5 x ULN>> (for subjects with Gilbert syndrome, {ALT} <<≤ 5 x ULN>>)": (
        "(('Gilbert syndrome'=gilbert ? [ALT ≤ 5 x ULN] : [ALT ≤ 2.5 x ULN]) & [TBIL ≤ 1.5 x ULN])"
    ),
    "{AST} <<≤ 2.5 x ULN>>, or <<≤ 5 x ULN>> in patients with liver metastases": (
        "('liver metastases'=liver_metastases ? [AST ≤ 5 x ULN] : [AST ≤ 2.5 x ULN])"
    ),
    "{AST} <<≤ 2.5 x ULN>>; <<≤ 5 x ULN>> in the presence of liver metastases": (
        "('liver metastases'=liver_metastases ? [AST ≤ 5 x ULN] : [AST ≤ 2.5 x ULN])"
    ),
    "{Hb} <<≥ 12 g/dL>> for women and <<≥ 13 g/dL>> for men": (
        "('women'=female ? [Hb ≥ 12 g/dL] : [Hb ≥ 13 g/dL])"
    ),
    "{ECOG} <<0-1>> ({age} <<≥ 16 years>>) or {Lansky} <<≥ 50>> ({age} <<< 16 years>>)": (
        "([age ≥ 16 years] ? [ECOG 0-1] : [Lansky ≥ 50])"
    ),
    "{Bilirubin} <<≤ 1.5 x ULN>> unless documented Gilbert syndrome": (
        "([Bilirubin ≤ 1.5 x ULN] | 'Gilbert syndrome'=gilbert)"
    ),
    "{Age} <<18-70 years>> (including threshold), gender not limited;": "[Age 18-70 years]",
    "If female, must not be pregnant": "('female'=female ? !'pregnant'=pregnancy : yes)",
    "For participants with HIV infection: {CD4} <<≥ 350>>": "('HIV infection' ? [CD4 ≥ 350] : yes)",
    "{testosterone} <<300 - 1000 ng/dL>> <<within 1 month>> prior to enrollment": "[testosterone 300 - 1000 ng/dL]",
    "Patients with brain metastases are eligible if treated": "('brain metastases' ? 'treated' : yes)",
    "{Hb} <<~= 9 g/dL>>": "??Hb = 9 g/dL",
}

EXCLUSION = {
    "{NYHA} <<≥ 3>> with {EF} <<< 50 %>>": "!([NYHA ≥ 3] & [EF < 50 %])",
    "Hypertension with poor control ({SBP}<<>160>> and/or {DBP}<<>90>>)": (
        "!('Hypertension with poor control' & ([SBP >160] | [DBP >90]))"
    ),
    "any of the following <<within 6 months>>: long QT syndrome or {QTc}<<>480 ms>>; angina": (
        "(!('long QT syndrome' & [within 6 months]) & ![QTc >480 ms] & !('angina' & [within 6 months]))"
    ),
    "positive for {HBsAg}<<positive>> or {HBcAb}<<positive>> and whose {HBV-DNA} is <<detectable>>": (
        "!(([HBsAg positive] | [HBcAb positive]) & [HBV-DNA detectable])"
    ),
    "Vaccination <<within 6 weeks>> prior to screening": "!('Vaccination' & [within 6 weeks])",
    "Pregnant or lactating women": "(!'Pregnant'=pregnancy & !'lactating women'=lactation)",
    "severe hepatic or renal impairment": "!'severe hepatic or renal impairment'",
    "{prednisone} <<> 10 mg/day>>; <<≤ 10 mg/day>> is allowed": "![prednisone > 10 mg/day]",
    "Women must have a {pregnancy test} <<negative>>": "('Women'=female ? [pregnancy test negative] : yes)",
    "Not willing to use contraception": "'willing to use contraception'=contraception",
    "Study drugs <<within 3 months>>. But if the disease progresses, it is allowed": (
        "!('Study drugs' & [within 3 months] & !'disease progresses')"
    ),
}


@pytest.mark.parametrize("marked", INCLUSION)
def test_inclusion(marked: str) -> None:
    assert read(marked) == INCLUSION[marked]


@pytest.mark.parametrize("marked", EXCLUSION)
def test_exclusion(marked: str) -> None:
    assert read(marked, "exclusion") == EXCLUSION[marked]
