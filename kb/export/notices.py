"""The notices that travel with every export: licences, sources, and what this is not."""

from __future__ import annotations

from collections.abc import Iterable

NOT_A_DEVICE = (
    "Made by software from registry text; it may be incomplete or wrong. Not a medical device: no decision "
    "about a patient may rest on it without a qualified person reading the trial's own criteria."
)
# The wording LOINC asks for with any use of its codes (https://loinc.org/license).
LOINC = (
    "This material contains content from LOINC (http://loinc.org). LOINC is copyright (c) 1995-2026, Regenstrief "
    "Institute, Inc. and the Logical Observation Identifiers Names and Codes (LOINC) Committee and is available "
    "at no cost under the license at http://loinc.org/license. LOINC(R) is a registered United States trademark "
    "of Regenstrief Institute, Inc."
)
UCUM = (
    "Units are written in UCUM, the Unified Code for Units of Measure (https://ucum.org), copyright (c) 1999-2026 "
    "Regenstrief Institute, Inc. and the UCUM Organization."
)
MESH = (
    "MeSH terms (2026) are those the registry derives, courtesy of the U.S. National Library of Medicine, "
    "which does not endorse this material."
)
OMOP = (
    "OMOP concept ids are identifiers only; their meaning is in the OHDSI Standardized Vocabularies "
    "(https://athena.ohdsi.org), which each site licenses for itself."
)
SYNTHETIC = "Contains synthetic trials, invented for tests: they do not exist."
ATTRIBUTION = {
    "ctgov": "Trial data from ClinicalTrials.gov, U.S. National Library of Medicine",
    "clinconnect": "Trial data from ClinConnect, which republishes registry data",
}


def attribution(source: str, data_timestamp: str | None) -> str:
    """Where the trial data come from and as of when."""
    origin = ATTRIBUTION.get(source, f"Trial data from the registry {source}")
    return f"{origin}; data timestamp: {data_timestamp or 'not stated'}."


def notices(sources: Iterable[str], data_timestamp: str | None, *, synthetic: bool = False) -> list[str]:
    """Every notice of an export, in a fixed order; ``sources`` are the registries its trials are from."""
    out = [NOT_A_DEVICE, LOINC, UCUM, MESH, OMOP]
    out.extend(attribution(source, data_timestamp) for source in sorted(set(sources)))
    if synthetic:
        out.append(SYNTHETIC)
    return out
