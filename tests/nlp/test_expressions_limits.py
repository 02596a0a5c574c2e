"""Limits under conditions, with exceptions, among alternatives. See expression_marks.py for the notation."""

from __future__ import annotations

import pytest

from tests.nlp.expression_marks import read

INCLUSION = {
    "{ANC} <<≥ 1.0>> if bone marrow is involved": "('bone marrow is involved' ? [ANC ≥ 1.0] : yes)",
    "{ECOG} <<0-2>> (if {aged} <<≥ 18 years>>)": "([aged ≥ 18 years] ? [ECOG 0-2] : yes)",
    "{ALT} <<≤ 2.5 x ULN>> (<<≤ 5 x ULN>> if known liver metastases)": "('liver metastases'=liver_metastases ? [ALT ≤ 5 x ULN] : [ALT ≤ 2.5 x ULN])",
    "{TBIL} <<≤ 1.5 x ULN>>; patients with Gilbert syndrome are allowed with {TBIL} <<≤ 3 x ULN>>": "('Gilbert syndrome'=gilbert ? [TBIL ≤ 3 x ULN] : [TBIL ≤ 1.5 x ULN])",
    "{TBIL} <<≤ 1.5 x ULN>> (patients with Gilbert syndrome are allowed with {TBIL} <<≤ 3 x ULN>>)": "('Gilbert syndrome'=gilbert ? [TBIL ≤ 3 x ULN] : [TBIL ≤ 1.5 x ULN])",
    "{TBIL} <<≤ 1.5 x ULN>> (except in patients with Gilbert syndrome)": "([TBIL ≤ 1.5 x ULN] | 'Gilbert syndrome'=gilbert)",
    "If {age} <<≥ 65 years>>, {creatinine} <<≤ 1.2>>": "([age ≥ 65 years] ? [creatinine ≤ 1.2] : yes)",
    "{platelets} <<≥ 50>> without transfusion": "([platelets ≥ 50] & !'transfusion')",
    "In women of childbearing potential, {pregnancy test} <<negative>>": "('women of childbearing potential'=childbearing_potential ? [pregnancy test negative] : yes)",
    "{HbA1c} <<≤ 8>> and, if receiving insulin, {glucose} <<≤ 10>>": "([HbA1c ≤ 8] & ('receiving insulin' ? [glucose ≤ 10] : yes))",
    "Adequate renal function: {creatinine} <<≤ 1.5 x ULN>>": "[creatinine ≤ 1.5 x ULN]",
    "{Hb} <<≥ 9>>, as determined by the local laboratory": "[Hb ≥ 9]",
    "{SpO2} <<≥ 92>> on room air": "[SpO2 ≥ 92]",
    "hypertension (defined as {SBP} <<> 140>> or {DBP} <<> 90>>)": "('hypertension' & ([SBP > 140] | [DBP > 90]))",
    "{FVC} <<≥ 60>> OR {FEV1} <<≥ 60>>": "([FVC ≥ 60] | [FEV1 ≥ 60])",
    "{A} <<≥ 1>> or {B} <<≥ 2>>, and {C} <<≥ 3>>": "(([A ≥ 1] | [B ≥ 2]) & [C ≥ 3])",
    "positive for {ANA}<<positive>>, {dsDNA}<<positive>>, or {Sm}<<positive>>": "([ANA positive] | [dsDNA positive] | [Sm positive])",
}

EXCLUSION = {
    "{TBL} <<> 1.5>> ({TBL} <<> 1.5>> is allowed if {direct bilirubin} <<< 1.5 x ULN>>)": "!([TBL > 1.5] & ![direct bilirubin < 1.5 x ULN])",
    "{QTc}<<> 480>> or long QT syndrome": "(![QTc > 480] & !'long QT syndrome')",
    "{ALT} or {AST} <<> 3 x ULN>>": "(![ALT > 3 x ULN] & ![AST > 3 x ULN])",
    "{ALT} and {AST} <<> 3 x ULN>>": "!([ALT > 3 x ULN] & [AST > 3 x ULN])",
    "{ALT}, {AST} <<> 3 x ULN>>": "(![ALT > 3 x ULN] & ![AST > 3 x ULN])",
    "{SBP} <<> 160>> {QTc} <<> 480>>": "(![SBP > 160] & ![QTc > 480])",
    "Chronic heart failure and {NYHA} <<≥ 3>> with {EF} <<< 50>>": "!('Chronic heart failure' & [NYHA ≥ 3] & [EF < 50])",
    "{IgM} <<positive or negative>> but {CMV-DNA} <<detectable>>": "![CMV-DNA detectable]",
    "{steroids} <<> 10 mg>> unless stable for 4 weeks": "!([steroids > 10 mg] & !'stable for 4 weeks')",
    "{HBsAg} <<positive>>; {HIV} <<positive>>": "(![HBsAg positive] & ![HIV positive])",
    "If female, {pregnancy test} <<positive>>": "!('female'=female & [pregnancy test positive])",
    "heart failure ({NYHA} <<≥ 3>>)": "!('heart failure' & [NYHA ≥ 3])",
    "{Bleeding} of <<≥ grade 2>> <<within 30 days>>": "!([Bleeding ≥ grade 2] & [within 30 days])",
    "{age} <<< 18>> or <<> 80>>": "(![age < 18] & ![age > 80])",
    "{age} <<< 18>> and <<> 70>>": "(![age < 18] & ![age > 70])",
}


@pytest.mark.parametrize("marked", INCLUSION)
def test_limits_of_an_inclusion(marked: str) -> None:
    assert read(marked) == INCLUSION[marked]


@pytest.mark.parametrize("marked", EXCLUSION)
def test_limits_of_an_exclusion(marked: str) -> None:
    assert read(marked, "exclusion") == EXCLUSION[marked]
