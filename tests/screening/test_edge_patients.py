"""Patients at the edges of the headline trial: each answer was worked out by hand from the page's words."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from commands import patient_files
from harvest.sources.ctgov_record import trial_of
from kb.judging import Knowledge
from kb.patient_formats import from_json
from kb.screen import TrialCriteria, screen_trial
from nlp.pipeline import Extractor

RECORD = Path(__file__).resolve().parents[2] / "fixtures/ctgov/NCT06886919.json"
NAMES = {True: "true", False: "false", None: "unknown"}


@pytest.fixture(scope="module")
def trial(extractor: Extractor) -> TrialCriteria:
    one = trial_of(json.loads(RECORD.read_text("utf-8")), "fixture", "NCT06886919")
    text = one.eligibility_text
    return TrialCriteria(
        one.source_id,
        "ctgov",
        "",
        "",
        text,
        extractor.extract(text),
        one.minimum_age,
        one.maximum_age,
        one.sex,
    )


def lab(value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "unit": unit, **more}


def labs(**values: Any) -> dict[str, Any]:
    return {"labs": values}


GILBERT = {"conditions": {"gilbert": True}}
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("70 completed years", {"age": {"value": 70.9, "unit": "a"}}, "inclusion 5", "true"),
    ("71", {"age": {"value": 71, "unit": "a"}}, "inclusion 5", "false"),
    ("the 18th birthday", {"birth_date": "2007-07-27"}, "inclusion 5", "true"),
    ("the day before it", {"birth_date": "2007-07-28"}, "inclusion 5", "false"),
    ("216 months", {"age": {"value": 216, "unit": "mo"}}, "inclusion 5", "true"),
    ("platelets in K/uL", labs(plt=lab(49.9, "K/uL")), "inclusion 7.1.b", "false"),
    ("a unit of something else", labs(plt=lab(120, "mg/dL")), "inclusion 7.1.b", "unknown"),
    ("haemoglobin at its limit", labs(hgb=lab(6.0, "g/dL")), "inclusion 7.1.c", "true"),
    ("haemoglobin in mmol/L", labs(hgb=lab(3.7, "mmol/L")), "inclusion 7.1.c", "false"),
    ("two values of a day", labs(plt=[lab(49, "10*9/L", date="2025-07-20"), lab(51, "10*9/L", date="2025-07-20")]),
     "inclusion 7.1.b", "unknown"),
    ("the newest value", labs(plt=[lab(40, "10*9/L", date="2025-06-20"), lab(60, "10*9/L", date="2025-07-20")]),
     "inclusion 7.1.b", "true"),
    ("after the day of screening", labs(plt=lab(120, "10*9/L", date="2025-08-20")), "inclusion 7.1.b", "unknown"),
    ("creatinine in mg/dL, no way out", labs(scr=lab(1.9, "mg/dL", uln=1.2), crcl=lab(39, "mL/min")), "inclusion 7.3", "false"),
    ("creatinine without ULN", labs(scr=lab(70, "umol/L"), crcl=lab(39, "mL/min")), "inclusion 7.3", "unknown"),
    ("creatinine in urine", labs(scr=lab(70, "umol/L", uln=97, specimen="urine")), "inclusion 7.3", "unknown"),
    ("both branches hold", labs(alt=lab(80, "U/L", uln=40), ast=lab(80, "U/L", uln=40), tbil=lab(20, "umol/L", uln=21)),
     "inclusion 7.2", "true"),
    ("neither branch holds", labs(alt=lab(240, "U/L", uln=40)), "inclusion 7.2", "false"),
    ("it hangs on Gilbert", labs(alt=lab(120, "U/L", uln=40), ast=lab(30, "U/L", uln=40), tbil=lab(20, "umol/L", uln=21)),
     "inclusion 7.2", "unknown"),
    ("beyond the test's range", {**labs(alt=lab(200, "U/L", uln=40, comparator=">")), **GILBERT}, "inclusion 7.2", "false"),
    ("QTc in seconds", labs(qtc=lab(0.481, "s")), "exclusion 14", "false"),
    ("hepatitis C antibody and RNA", {"results": {"hcv_ab": "positive", "hcv_rna": "detectable"}}, "exclusion 11", "false"),
    ("HIV", {"results": {"hiv": "positive"}}, "exclusion 11", "false"),
    ("no antibody of the three", {"results": {"ana": "negative", "anti_dsdna": "negative", "anti_sm": "negative"}},
     "inclusion 4", "false"),
    ("one antibody is not all", {"results": {"ana": "negative"}}, "inclusion 4", "unknown"),
    ("another score of that family", labs(sledai=lab(8, "{score}")), "inclusion 3", "unknown"),
    ("CAR-T cells before", {"treatments": {"CAR-T therapy": True}}, "exclusion 7", "false"),
    ("no lupus", {"conditions": {"systemic lupus erythematosus": False}}, "inclusion 1", "false"),
    ("lupus alone is not its criteria", {"conditions": {"systemic lupus erythematosus": True}}, "inclusion 1", "unknown"),
    ("a pregnancy test that is positive", {"sex": "female", "results": {"pregnancy_test": "positive"},
     "conditions": {"women of childbearing age": True}}, "inclusion 8", "false"),
    ("a crisis long over", {"conditions": {"uncontrolled lupus crisis": {"start": "2024-01-01", "end": "2024-02-01"}}},
     "exclusion 3", "true"),
]  # fmt: skip


@pytest.mark.parametrize(("about", "body", "where", "expected"), CASES, ids=[case[0] for case in CASES])
def test_at_the_edge(
    about: str, body: dict[str, Any], where: str, expected: str, trial: TrialCriteria, knowledge: Knowledge
) -> None:
    who = from_json({"id": "p", **body}, about, patient_files.catalogue(), date(2025, 7, 27))[0]
    answer = screen_trial(trial, who, knowledge)
    section, path = where.split()
    (value,) = {one.value for one in answer.criteria if (one.section, one.path) == (section, path)}
    assert NAMES[value] == expected
    assert answer.status == ("not eligible" if value is False else "undetermined")
