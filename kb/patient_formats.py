"""Patients from files: JSON after ``data/patient.schema.json``, CSV, or a FHIR Bundle.

What a concept or a unit is called is settled by a :class:`Catalogue` that the caller passes in. A test
that no concept is known for is kept by name in ``Patient.unmatched``; nothing is dropped in silence.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema

from kb.errors import BadQuestion
from kb.patient import RESULTS, Event, Measurement, Patient, Result, by_concept


class PatientInvalid(BadQuestion):
    """A patient file that cannot be read; the text says where and what is expected there."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """How files call things: ``concept`` gives a concept's id for an id, a name, an alias or a LOINC code
    (None: unknown), ``unit`` the UCUM code for a unit as written (None: unknown)."""

    concept: Callable[[str], str | None]
    unit: Callable[[str], str | None]


@cache
def patient_schema() -> Mapping[str, Any]:
    """The published JSON Schema (draft 2020-12) of a patient file."""
    loaded: dict[str, Any] = json.loads(files("kb").joinpath("data/patient.schema.json").read_text("utf-8"))
    return loaded


def read_patients(text: str, name: str, catalogue: Catalogue, today: date) -> tuple[Patient, ...]:
    """The patients in a file's ``text``; ``name`` is the file's name, for its suffix and for messages.

    A name ending in ``.csv`` is read as CSV, JSON with ``resourceType`` as FHIR, other JSON after the
    schema. ``today`` is the day of screening where the file names none. Raises PatientInvalid.
    """
    if name.casefold().endswith(".csv"):
        return from_csv(text, name, catalogue, today)
    try:
        data = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
    except ValueError as error:
        raise PatientInvalid(
            f"{name}: not JSON ({error}); give JSON, a FHIR Bundle, or a file called *.csv"
        ) from error
    if isinstance(data, dict) and "resourceType" in data:
        from kb.patient_fhir import from_bundle

        return from_bundle(data, name, catalogue, today)
    return from_json(data, name, catalogue, today)


def _no_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


# ----------------------------------------------------------------------- JSON


def from_json(data: Any, name: str, catalogue: Catalogue, today: date) -> tuple[Patient, ...]:
    """Patients from parsed JSON. Raises PatientInvalid with the path of the first fault."""
    _check(data, name)
    rows = data.get("patients", [data])
    patients = []
    for number, row in enumerate(rows, start=1):
        body = row.get("patient", row)
        given = row.get("id") or body.get("id") or (f"patient {number}" if len(rows) > 1 else "patient")
        patients.append(_patient(body, str(given), name, catalogue, today))
    return tuple(patients)


def _check(data: Any, name: str) -> None:
    schema = patient_schema()
    validator = jsonschema.Draft202012Validator(schema)
    if validator.is_valid(data):
        return
    # Said against the part that was meant, not against "one of two shapes".
    rows = [("", data)]
    if isinstance(data, dict) and isinstance(data.get("patients"), list):
        rows = [(f"patients[{place}]", row) for place, row in enumerate(data["patients"])]
    narrow = validator.evolve(schema={"$ref": "#/$defs/patient", "$defs": schema["$defs"]})
    for where, row in rows:
        body = row.get("patient", row) if isinstance(row, dict) else row
        error = jsonschema.exceptions.best_match(narrow.iter_errors(body))
        if error is not None:
            path = "".join(f"[{step!r}]" for step in error.absolute_path)
            place = f"{where}{path}" or "the whole file"
            raise PatientInvalid(f"{name}: {place}: {error.message[:200]}; see `trialkb screen --schema`")
    raise PatientInvalid(f"{name}: no patient in it; see `trialkb screen --schema`")


def _day(text: str | None, where: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PatientInvalid(f"{where}: {text!r} is no day; write YYYY-MM-DD") from None


def _patient(body: Mapping[str, Any], given: str, name: str, catalogue: Catalogue, today: date) -> Patient:
    where = f"{name}: {given}"
    found: list[Measurement] = []
    unmatched: list[str] = []
    for key, values in body.get("labs", {}).items():
        for value in values if isinstance(values, list) else [values]:
            _keep(_measurement(key, value, f"{where}: labs {key!r}", catalogue), found, unmatched, catalogue)
    for key, value in body.get("results", {}).items():
        row = {"result": value} if isinstance(value, str) else value
        _keep(_measurement(key, row, f"{where}: results {key!r}", catalogue), found, unmatched, catalogue)
    events = [
        _event(key, value, f"{where}: {kind} {key!r}")
        for kind in ("conditions", "treatments")
        for key, value in body.get(kind, {}).items()
    ]
    age = body.get("age")
    return Patient(
        id=given,
        as_of=_day(body.get("as_of"), f"{where}: as_of") or today,
        age=(float(age["value"]), age["unit"]) if age else None,
        birth_date=_day(body.get("birth_date"), f"{where}: birth_date"),
        sex=body.get("sex"),
        measurements=by_concept(found),
        events=tuple(events),
        populations=body.get("populations", {}),
        answers=body.get("answers", {}),
        unmatched=tuple(unmatched),
    )


def _keep(
    measurement: Measurement, found: list[Measurement], unmatched: list[str], catalogue: Catalogue
) -> None:
    concept = catalogue.concept(measurement.concept)
    if concept is None:
        unmatched.append(measurement.concept)
        concept = measurement.concept
    found.append(replace(measurement, concept=concept))


def ucum(text: str | None, catalogue: Catalogue) -> str | None:
    """The UCUM code of a unit as written; one that is not known stays as it is, and converts to nothing."""
    if text is None or not text.strip():
        return None
    return catalogue.unit(text.strip()) or text.strip()


def _measurement(key: str, row: Mapping[str, Any], where: str, catalogue: Catalogue) -> Measurement:
    return Measurement(
        concept=key,
        value=row.get("value"),
        unit=ucum(row.get("unit"), catalogue),
        comparator=row.get("comparator"),
        uln=row.get("uln"),
        lln=row.get("lln"),
        lod=row.get("lod"),
        baseline=row.get("baseline"),
        predicted=row.get("predicted"),
        multiple_of=row.get("multiple_of"),
        result=row.get("result"),
        day=_day(row.get("date"), f"{where}: date"),
        specimen=row.get("specimen"),
        about=row.get("about"),
    )


def _event(key: str, value: Any, where: str) -> Event:
    if isinstance(value, bool):
        return Event(key, value)
    day = _day(value.get("date"), f"{where}: date")
    return Event(
        key,
        value.get("present", True),
        _day(value.get("start"), f"{where}: start") or day,
        _day(value.get("end"), f"{where}: end") or day,
    )


# ------------------------------------------------------------------------ CSV

CSV_COLUMNS = (
    "patient", "kind", "name", "value", "unit", "uln", "lln", "lod", "baseline", "predicted", "date", "end",
    "specimen", "about",
)  # fmt: skip
CSV_KINDS = (
    "lab", "condition", "treatment", "age", "birth_date", "sex", "as_of", "population", "answer",
)  # fmt: skip
YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def from_csv(text: str, name: str, catalogue: Catalogue, today: date) -> tuple[Patient, ...]:
    """Patients from CSV: a row a fact, with the columns ``name`` and ``value`` and any other of
    :data:`CSV_COLUMNS`; ``kind`` (default ``lab``) is one of :data:`CSV_KINDS`.

    A lab's value is a number, a censored number (``<20``) or a result (``positive``); that of a
    condition, treatment, population or answer is yes or no. Raises PatientInvalid with the row's number.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    columns = [(column or "").strip().casefold() for column in reader.fieldnames or ()]
    unknown = [column for column in columns if column not in CSV_COLUMNS]
    if unknown or "name" not in columns or "value" not in columns:
        fault = f"column {unknown[0]!r} is not known" if unknown else "the columns name and value are needed"
        raise PatientInvalid(f"{name}: {fault}; the columns are {', '.join(CSV_COLUMNS)}")
    reader.fieldnames = columns
    bodies: dict[str, dict[str, Any]] = {}
    for row in reader:
        where = f"{name}: row {reader.line_num}"
        if None in row or None in row.values():
            raise PatientInvalid(f"{where}: not as many cells as columns")
        cells = {column: cell.strip() for column, cell in row.items() if cell.strip()}
        if cells:
            given = cells.get("patient", "patient")
            _csv_row(cells, bodies.setdefault(given, {"id": given}), where)
    if not bodies:
        raise PatientInvalid(f"{name}: no rows; give one row a value")
    return tuple(patient for body in bodies.values() for patient in from_json(body, name, catalogue, today))


def _csv_row(cells: Mapping[str, str], body: dict[str, Any], where: str) -> None:
    kind = cells.get("kind", "lab").casefold()
    if kind not in CSV_KINDS:
        raise PatientInvalid(f"{where}: kind {kind!r} is not one of {', '.join(CSV_KINDS)}")
    value = cells.get("value")
    if value is None:
        raise PatientInvalid(f"{where}: no value")
    if kind == "age":
        body["age"] = {"value": _number(value, where), "unit": cells.get("unit", "a")}
    elif kind in ("birth_date", "sex", "as_of"):
        body[kind] = value.casefold()
    elif "name" not in cells:
        raise PatientInvalid(f"{where}: no name")
    elif kind == "lab":
        body.setdefault("labs", {}).setdefault(cells["name"], []).append(_csv_lab(cells, value, where))
    else:
        if value.casefold() not in YES_NO:
            raise PatientInvalid(f"{where}: {value!r} is neither yes nor no")
        answer: Any = YES_NO[value.casefold()]
        if kind in ("condition", "treatment"):
            dates = {
                key: cells[column] for key, column in (("start", "date"), ("end", "end")) if column in cells
            }
            answer = {"present": answer, **dates}
        body.setdefault(f"{kind}s", {})[cells["name"]] = answer


def _csv_lab(cells: Mapping[str, str], value: str, where: str) -> dict[str, Any]:
    row: dict[str, Any] = {key: cells[key] for key in ("unit", "date", "specimen", "about") if key in cells}
    for key in ("uln", "lln", "lod", "baseline", "predicted"):
        if key in cells:
            row[key] = _number(cells[key], f"{where}: {key}")
    found = lab_value(value)
    if found is None:
        raise PatientInvalid(f"{where}: {value!r} is no number (a decimal point, no separators)")
    return {**row, **found}


def lab_value(text: str) -> dict[str, Any] | None:
    """A laboratory's cell as a number (``45``), a censored one (``<20``) or a result (``positive``).

    The keys are ``value`` and ``comparator``, or ``result``; None where it is nothing of the kind.
    """
    result = as_result(text)
    if result is not None:
        return {"result": result}
    sign = next((one for one in ("<=", ">=", "<", ">") if text.startswith(one)), None)
    try:
        number = float(text[len(sign or "") :].strip())
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return {"value": number} | ({"comparator": sign} if sign else {})


RESULT_WORDS: Mapping[str, Result] = {
    **{word: word for word in RESULTS},
    "pos": "positive", "reactive": "positive", "neg": "negative", "nonreactive": "negative",
    "non-reactive": "negative", "detected": "detectable", "not detected": "undetectable",
}  # fmt: skip


def as_result(text: str) -> Result | None:
    """The qualitative result that a laboratory's word says, or None where it says none."""
    return RESULT_WORDS.get(text.strip().casefold())


def _number(text: str, where: str) -> float:
    try:
        number = float(text.strip())
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise PatientInvalid(f"{where}: {text!r} is no number (a decimal point, no separators)")
    return number


def one_patient(patients: Iterable[Patient], wanted: str | None, name: str) -> Patient:
    """The patient called ``wanted``, or the only one. Raises PatientInvalid where that is nobody."""
    listed = list(patients)
    chosen = [patient for patient in listed if wanted is None or patient.id == wanted]
    if len(chosen) == 1:
        return chosen[0]
    ids = ", ".join(patient.id for patient in listed[:10]) + (", ..." if len(listed) > 10 else "")
    if wanted is None:
        raise PatientInvalid(f"{name}: {len(listed)} patients; choose one with --patient: {ids}")
    raise PatientInvalid(f"{name}: no patient {wanted!r}; there are: {ids}")
