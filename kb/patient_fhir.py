"""A patient from a FHIR Bundle (R4 to R5): Patient, Observation, Condition, medications, Procedure.

Only the JSON is read, with the elements that screening uses
(https://hl7.org/fhir/R4/observation.html, https://hl7.org/fhir/R4/condition.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from kb.patient import Event, Measurement, Patient, Result, by_concept
from kb.patient_formats import Catalogue, PatientInvalid, as_result, ucum

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
# SNOMED CT qualifier values used for results (SNOMED International, Global Patient Set).
_SNOMED_RESULTS: Mapping[str, Result] = {
    "10828004": "positive",
    "260385009": "negative",
    "260373001": "detectable",
    "260415000": "undetectable",
}
# https://hl7.org/fhir/R4/valueset-observation-status.html: those that state no result to rely on.
_NO_RESULT = frozenset({"registered", "cancelled", "entered-in-error", "unknown"})
_TREATMENTS = frozenset({"MedicationStatement", "MedicationRequest", "MedicationAdministration", "Procedure"})
_NOT_TAKEN = frozenset(
    {"entered-in-error", "not-taken", "not-done", "draft", "cancelled", "intended", "preparation"}
)


def from_bundle(data: Mapping[str, Any], name: str, catalogue: Catalogue, today: date) -> tuple[Patient, ...]:
    """The patients of a Bundle, by the subject that its resources name.

    Raises PatientInvalid for anything but a Bundle that holds at least one of the resources above.
    """
    if data.get("resourceType") != "Bundle":
        raise PatientInvalid(f"{name}: a FHIR {data.get('resourceType')}; a Bundle is needed")
    entries = data.get("entry")
    resources = [
        (str(entry.get("fullUrl", "")), entry["resource"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    ]
    subjects = _Subjects(resources)
    read: dict[str, _Reading] = {}
    for _, resource in resources:
        kind = resource.get("resourceType")
        if kind == "Patient" or kind == "Observation" or kind == "Condition" or kind in _TREATMENTS:
            whose = subjects.of(resource)
            reading = read.setdefault(whose, _Reading(whose, name, catalogue))
            try:
                reading.take(str(kind), resource)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                where = f"{kind}/{resource.get('id', '?')}"
                raise PatientInvalid(f"{name}: {where} is not as FHIR has it ({error!r})") from error
    if not read:
        raise PatientInvalid(f"{name}: the Bundle holds no Patient, Observation or Condition")
    return tuple(reading.patient(today) for reading in read.values())


class _Subjects:
    """Which patient a resource is about, under one name however it is referred to."""

    def __init__(self, resources: list[tuple[str, Any]]) -> None:
        self._ids: dict[str, str] = {}
        for url, resource in resources:
            if resource.get("resourceType") == "Patient":
                given = str(resource.get("id") or url or "patient")
                self._ids |= {f"Patient/{given}": given, given: given}
                if url:
                    self._ids[url] = given

    def of(self, resource: Mapping[str, Any]) -> str:
        if resource.get("resourceType") == "Patient":
            return str(resource.get("id") or next(iter(self._ids.values()), "patient"))
        subject = resource.get("subject") or resource.get("patient") or {}
        reference = str(subject.get("reference", "")) if isinstance(subject, dict) else ""
        if reference in self._ids:
            return self._ids[reference]
        known = set(self._ids.values())
        if not reference and len(known) == 1:
            return known.pop()
        return reference.rsplit("/", 1)[-1] or "patient"


class _Reading:
    """What the resources of one patient add up to."""

    def __init__(self, given: str, name: str, catalogue: Catalogue) -> None:
        self._given, self._name, self._catalogue = given, name, catalogue
        self._measurements: list[Measurement] = []
        self._events: list[Event] = []
        self._unmatched: list[str] = []
        self._sex: str | None = None
        self._birth: date | None = None

    def patient(self, today: date) -> Patient:
        return Patient(
            id=self._given,
            as_of=today,
            birth_date=self._birth,
            sex="female" if self._sex == "female" else "male" if self._sex == "male" else None,
            measurements=by_concept(self._measurements),
            events=tuple(self._events),
            unmatched=tuple(self._unmatched),
        )

    def take(self, kind: str, resource: Mapping[str, Any]) -> None:
        if kind == "Patient":
            self._sex = resource.get("gender")
            born = resource.get("birthDate")
            # A birth year alone decides no bound of age; only a whole date is taken.
            self._birth = date.fromisoformat(born) if isinstance(born, str) and len(born) == 10 else None
        elif kind == "Observation":
            self._observation(resource)
        elif kind == "Condition":
            self._condition(resource)
        else:
            self._treatment(resource)

    def _observation(self, resource: Mapping[str, Any]) -> None:
        if resource.get("status") in _NO_RESULT:
            return
        day = _day(
            resource.get("effectiveDateTime")
            or resource.get("effectiveInstant")
            or (resource.get("effectivePeriod") or {}).get("end")
        )
        specimen = (resource.get("specimen") or {}).get("display")
        for part in (resource, *resource.get("component", ())):
            measurement = self._value(part)
            if measurement is None:
                continue
            label, concept = self._concept(part.get("code") or {})
            if concept is None:
                self._unmatched.append(label)
            self._measurements.append(
                replace(measurement, concept=concept or label, day=day, specimen=specimen)
            )

    def _concept(self, code: Mapping[str, Any]) -> tuple[str, str | None]:
        """What the code is called, and the concept: by a LOINC code, else by its words."""
        codings = code.get("coding", ())
        for coding in codings:
            if coding.get("system") == LOINC:
                concept = self._catalogue.concept(str(coding.get("code", "")))
                if concept is not None:
                    return str(coding["code"]), concept
        words = [code.get("text"), *(coding.get("display") for coding in codings)]
        named = [str(word) for word in words if word]
        for word in named:
            concept = self._catalogue.concept(word)
            if concept is not None:
                return word, concept
        return (named or [str(coding.get("code")) for coding in codings] or ["?"])[0], None

    def _value(self, part: Mapping[str, Any]) -> Measurement | None:
        if "valueQuantity" in part:
            quantity = part["valueQuantity"]
            if quantity.get("value") is None:
                return None
            unit = self._unit(quantity)
            limits = self._limits(part, unit)
            return Measurement(
                "", float(quantity["value"]), unit, quantity.get("comparator"), uln=limits[1], lln=limits[0]
            )
        if "valueInteger" in part:
            return Measurement("", float(part["valueInteger"]), "1")
        if "valueBoolean" in part:
            return Measurement("", result="positive" if part["valueBoolean"] else "negative")
        result = _coded_result(part.get("valueCodeableConcept") or {}) or as_result(
            str(part.get("valueString", ""))
        )
        return None if result is None else Measurement("", result=result)

    def _unit(self, quantity: Mapping[str, Any]) -> str | None:
        if quantity.get("system") == UCUM and quantity.get("code"):
            return str(quantity["code"])
        return ucum(quantity.get("unit") or quantity.get("code"), self._catalogue)

    def _limits(self, part: Mapping[str, Any], unit: str | None) -> tuple[float | None, float | None]:
        """The laboratory's limits of normal, where exactly one normal range is given in the value's unit."""
        normal = []
        for found in part.get("referenceRange", ()):
            codes = {coding.get("code") for coding in (found.get("type") or {}).get("coding", ())}
            if not codes or "normal" in codes:
                normal.append(found)
        if len(normal) != 1:
            return None, None
        ends: list[float | None] = []
        for end in ("low", "high"):
            quantity = normal[0].get(end) or {}
            own = self._unit(quantity) if quantity.get("unit") or quantity.get("code") else unit
            usable = quantity.get("value") is not None and own == unit
            ends.append(float(quantity["value"]) if usable else None)
        return ends[0], ends[1]

    def _condition(self, resource: Mapping[str, Any]) -> None:
        verification = _codes(resource.get("verificationStatus"))
        clinical = _codes(resource.get("clinicalStatus"))
        if verification & {"entered-in-error", "provisional", "differential", "unconfirmed"}:
            return
        start = _day(resource.get("onsetDateTime") or (resource.get("onsetPeriod") or {}).get("start"))
        end = _day(resource.get("abatementDateTime") or (resource.get("abatementPeriod") or {}).get("end"))
        over = bool(clinical & {"resolved", "inactive", "remission"})
        for label in _names(resource.get("code") or {}):
            self._events.append(Event(label, "refuted" not in verification, start, end, over))

    def _treatment(self, resource: Mapping[str, Any]) -> None:
        if resource.get("status") in _NOT_TAKEN or resource.get("doNotPerform"):
            return
        coded = resource.get("medicationCodeableConcept") or resource.get("code") or {}
        if "concept" in (resource.get("medication") or {}):
            coded = resource["medication"]["concept"]
        period = (
            resource.get("effectivePeriod")
            or resource.get("performedPeriod")
            or resource.get("occurrencePeriod")
            or {}
        )
        once = _day(
            resource.get("effectiveDateTime")
            or resource.get("performedDateTime")
            or resource.get("occurrenceDateTime")
        )
        for label in _names(coded):
            self._events.append(
                Event(label, True, _day(period.get("start")) or once, _day(period.get("end")) or once)
            )


def _names(code: Mapping[str, Any]) -> Iterator[str]:
    """Every name that a CodeableConcept gives, once."""
    words = [code.get("text"), *(coding.get("display") for coding in code.get("coding", ()))]
    yield from dict.fromkeys(str(word) for word in words if word)


def _codes(concept: Any) -> set[str]:
    return {str(coding.get("code")) for coding in (concept or {}).get("coding", ())}


def _coded_result(concept: Mapping[str, Any]) -> Result | None:
    for coding in concept.get("coding", ()):
        if coding.get("code") in _SNOMED_RESULTS:
            return _SNOMED_RESULTS[coding["code"]]
    return next((found for word in _names(concept) if (found := as_result(word)) is not None), None)


def _day(text: Any) -> date | None:
    """The day of a FHIR dateTime; one of a year or a month only is no day."""
    if not isinstance(text, str) or len(text) < 10:
        return None
    return date.fromisoformat(text[:10])
