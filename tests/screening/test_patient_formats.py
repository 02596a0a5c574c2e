"""Patients from JSON, CSV and FHIR Bundles; faults in one line; what is not known is kept."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import jsonschema
import pytest

from kb.patient import Measurement, Patient
from kb.patient_formats import (
    Catalogue,
    PatientInvalid,
    one_patient,
    patient_schema,
    read_patients,
)
from tests.screening.making import TODAY

_NAMES = {"plt": "plt", "platelets": "plt", "777-3": "plt", "alt": "alt", "1742-6": "alt", "hbsag": "hbsag",
          "hbv_dna": "hbv_dna", "sbp": "sbp", "8480-6": "sbp", "dbp": "dbp", "8462-4": "dbp"}  # fmt: skip
_UNITS = {"K/uL": "10*3/uL", "10*9/L": "10*9/L", "U/L": "U/L", "IU/mL": "[IU]/mL", "mmHg": "mm[Hg]"}
CATALOGUE = Catalogue(lambda name: _NAMES.get(name.casefold()), _UNITS.get)


def read(data: Any, name: str = "p.json") -> Patient:
    text = data if isinstance(data, str) else json.dumps(data)
    return one_patient(read_patients(text, name, CATALOGUE, TODAY), None, name)


def fault(data: Any, name: str = "p.json") -> str:
    with pytest.raises(PatientInvalid) as caught:
        read(data, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(patient_schema())


def test_json() -> None:
    who = read(
        {
            "id": "x", "as_of": "2025-01-31", "age": {"value": 35, "unit": "a"}, "sex": "female",
            "labs": {"Platelets": [{"value": 120, "unit": "K/uL", "date": "2025-01-01"}],
                     "ALT": {"value": 30, "unit": "U/L", "uln": 40}},
            "results": {"hbsag": "negative", "hbv_dna": {"result": "undetectable", "date": "2025-01-02"}},
            "conditions": {"gilbert": False, "stroke": {"date": "2020-05-05"}},
            "treatments": {"rituximab": {"start": "2024-01-01", "end": "2024-06-01"}},
        }
    )  # fmt: skip
    assert who.as_of == date(2025, 1, 31)
    assert who.measurements["plt"] == (Measurement("plt", 120, "10*3/uL", day=date(2025, 1, 1)),)
    assert who.measurements["alt"][0].uln == 40
    assert who.measurements["hbv_dna"][0].result == "undetectable"
    assert [(event.name, event.present, event.end) for event in who.events] == [
        ("gilbert", False, None), ("stroke", True, date(2020, 5, 5)), ("rituximab", True, date(2024, 6, 1)),
    ]  # fmt: skip


def test_unknown_names_and_units_are_kept() -> None:
    who = read({"labs": {"snark index": {"value": 3, "unit": "boojums"}}})
    assert who.unmatched == ("snark index",)
    assert who.measurements["snark index"][0].unit == "boojums"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("{", "not JSON"),
        ([], "whole file"),
        ({}, "whole file"),
        ({"labs": {"plt": {"unit": "10*9/L"}}}, "['labs']['plt']"),
        ({"labs": {"plt": {"value": "high"}}}, "['labs']['plt']"),
        ({"sex": "unknowable"}, "['sex']"),
        ({"patients": []}, "no patient"),
        ({"patients": [{"age": 3}]}, "patients[0]"),
        ({"birth_date": "2025-02-30"}, "2025-02-30"),
        ('{"age": {"value": NaN, "unit": "a"}}', "NaN"),
        ({"lab": {}}, "lab"),
    ],
)
def test_faults_name_their_place(data: Any, named: str) -> None:
    assert named in fault(data)


def test_one_of_several_must_be_chosen() -> None:
    rows = {"patients": [{"id": "a", "patient": {"sex": "male"}}, {"id": "b", "sex": "female"}]}
    patients = read_patients(json.dumps(rows), "p.json", CATALOGUE, TODAY)
    assert one_patient(patients, "b", "p.json").sex == "female"
    with pytest.raises(PatientInvalid, match="2 patients; choose one with --patient: a, b"):
        one_patient(patients, None, "p.json")
    with pytest.raises(PatientInvalid, match="no patient 'c'"):
        one_patient(patients, "c", "p.json")


def test_csv() -> None:
    who = read(
        "kind,name,value,unit,uln,date\n"
        "age,,35,a,,\nsex,,Female,,,\nlab,ALT,30,U/L,40,2025-01-01\n,hbv_dna,<20,IU/mL,,\n,hbsag,Negative,,,\n"
        "condition,Gilbert,no,,,\n\n",
        "p.csv",
    )
    assert (who.age, who.sex) == ((35, "a"), "female")
    assert who.measurements["alt"] == (Measurement("alt", 30, "U/L", uln=40, day=date(2025, 1, 1)),)
    assert who.measurements["hbv_dna"][0].comparator == "<"
    assert who.measurements["hbsag"][0].result == "negative"
    assert not who.events[0].present


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name,wert\nplt,3\n", "'wert'"),
        ("name\nplt\n", "name and value"),
        ("name,value\nplt,a lot\n", "row 2: 'a lot' is no number"),
        ("name,value\nplt\n", "row 2: not as many cells"),
        ("kind,name,value\nmood,plt,3\n", "row 2: kind 'mood'"),
        ("kind,name,value\ncondition,asthma,maybe\n", "row 2: 'maybe'"),
        ("name,value\nplt,nan\n", "'nan' is no number"),
        ("name,value\n", "no rows"),
        ("", "name and value"),
    ],
)
def test_csv_faults_name_their_row(text: str, named: str) -> None:
    assert named in fault(text, "p.csv")


def observation(code: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {
        "resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "valueQuantity": quantity, **more,
    }  # fmt: skip


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources]}


WHO = {"resourceType": "Patient", "id": "1", "gender": "male", "birthDate": "1980-03-02"}


def test_fhir_values_dates_and_the_laboratorys_range() -> None:
    alt = observation(
        "1742-6", 30, "U/L", effectiveDateTime="2025-07-01T08:00:00Z", specimen={"display": "Serum"},
        referenceRange=[{"low": {"value": 5, "unit": "U/L"}, "high": {"value": 40, "unit": "U/L"}}],
    )  # fmt: skip
    who = read(bundle(WHO, alt, observation("777-3", 10, "10*9/L", status="entered-in-error")))
    assert (who.id, who.sex, who.birth_date) == ("1", "male", date(1980, 3, 2))
    expected = Measurement("alt", 30, "U/L", uln=40, lln=5, day=date(2025, 7, 1), specimen="Serum")
    assert dict(who.measurements) == {"alt": (expected,)}


def test_fhir_reference_range_in_another_unit_or_of_another_kind_is_no_uln() -> None:
    other = observation("1742-6", 30, "U/L", referenceRange=[{"high": {"value": 0.7, "unit": "ukat/L"}}])
    therapeutic = {"coding": [{"code": "therapeutic"}]}
    kind = observation("1742-6", 30, "U/L", referenceRange=[{"type": therapeutic, "high": {"value": 9}}])
    for one in (other, kind):
        assert read(bundle(WHO, one)).measurements["alt"][0].uln is None


def test_fhir_components_coded_results_and_conditions() -> None:
    pressure = observation("85354-9", 0, "mm[Hg]")
    del pressure["valueQuantity"]
    pressure["component"] = [observation("8480-6", 121, "mm[Hg]"), observation("8462-4", 80, "mm[Hg]")]
    coded = observation("?", 0, "")
    del coded["valueQuantity"]
    coded["code"] = {"text": "HBsAg"}
    coded["valueCodeableConcept"] = {"coding": [{"code": "260385009"}]}
    resolved = {
        "resourceType": "Condition", "code": {"text": "Tuberculosis"},
        "clinicalStatus": {"coding": [{"code": "resolved"}]},
    }  # fmt: skip
    refuted = {
        "resourceType": "Condition", "code": {"coding": [{"display": "Asthma"}]},
        "verificationStatus": {"coding": [{"code": "refuted"}]},
    }  # fmt: skip
    who = read(bundle(WHO, pressure, coded, resolved, refuted))
    assert (who.measurements["sbp"][0].value, who.measurements["dbp"][0].value) == (121, 80)
    assert who.measurements["hbsag"][0].result == "negative"
    found = [(event.name, event.present, event.over) for event in who.events]
    assert found == [("Tuberculosis", True, True), ("Asthma", False, False)]


def test_fhir_medication_and_two_patients() -> None:
    drug = {
        "resourceType": "MedicationStatement", "status": "active", "subject": {"reference": "urn:uuid:2"},
        "medicationCodeableConcept": {"text": "warfarin"}, "effectivePeriod": {"start": "2025-01-01"},
    }  # fmt: skip
    data = bundle(WHO, drug)
    data["entry"].append({"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Patient", "id": "2"}})
    patients = read_patients(json.dumps(data), "b.json", CATALOGUE, TODAY)
    assert {who.id: [event.name for event in who.events] for who in patients} == {"1": [], "2": ["warfarin"]}


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"resourceType": "Observation"}, "a Bundle is needed"),
        ({"resourceType": "Bundle"}, "no Patient"),
        (bundle(WHO, observation("1742-6", 1, "U/L") | {"valueQuantity": 3}), "Observation/?"),
        (bundle(WHO | {"birthDate": "1980-13-02"}), "Patient/1"),
    ],
)
def test_fhir_faults(data: dict[str, Any], named: str) -> None:
    assert named in fault(data)
