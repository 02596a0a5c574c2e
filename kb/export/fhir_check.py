"""Checking FHIR: the models of ``fhir.resources``, and a strict walk over what they let pass.

``fhir.resources`` rejects unknown keys and missing elements, but takes any word for a code. The walk rejects
comparators, combination codes and statuses that FHIR does not have, units that are no UCUM (or UCUM that
means something else, as ``K/uL`` in kelvin), a characteristic with two definitions (invariant evv-1), and a multiple of
a limit of normal written as an ``offset``, which would add it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from kb.export.errors import MissingExtra

_COMPARATORS = ("<", "<=", ">=", ">", "ad")
_QUANTITIES = ("Quantity", "Duration", "Age", "Count", "Distance", "SimpleQuantity")
_DEFINITIONS = (
    "definitionReference", "definitionCanonical", "definitionCodeableConcept", "definitionExpression", "definitionId",
    "definitionByTypeAndValue", "definitionByCombination",
)  # fmt: skip
_OFFSET = "http://hl7.org/fhir/characteristic-offset"
_UCUM = "http://unitsofmeasure.org"

# UCUM by its grammar, with the atoms of laboratory and clinical measurement. Kelvin is left out: a "K" is always "thousand".
_METRIC = "|".join((
    "m[Hg]", "m[H2O]", "mol", "eq", "osm", "kat", "Cel", "Pa", "Hz", "Bq", "Ci", "Gy", "Sv", "bar", "cal", "dyn", "U", "g",
    "m", "L", "l", "s", "J", "W", "V", "A", "t", "[iU]", "[IU]", "[CFU]", "[PFU]",
))  # fmt: skip
_FIXED = "|".join((
    "10*", "10^", "%", "[ppth]", "[ppm]", "[ppb]", "[pH]", "[HPF]", "[LPF]", "[GPL'U]", "[MPL'U]", "[APL'U]", "[beth'U]",
    "[arb'U]", "[USP'U]", "[anti'Xa'U]", "[todd'U]", "[dye'U]", "[smgy'U]", "[bdsk'U]", "[ka'U]", "[tb'U]", "[wood'U]",
    "[ELU]", "[EU]", "[FFU]", "[BAU]", "[AU]", "[Lf]", "[PNU]", "[TCID_50]", "[CCID_50]", "[EID_50]", "[in_i]", "[ft_i]",
    "[mi_i]", "[lb_av]", "[oz_av]", "[foz_us]", "[degF]", "[drp]", "[diop]", "[p'diop]", "[Ch]", "B[SPL]", "dB", "min", "h",
    "d", "wk", "mo", "a", "deg",
))  # fmt: skip


def _any_of(atoms: str) -> str:
    """A pattern of the atoms, the longest first."""
    return "|".join(re.escape(atom) for atom in sorted(atoms.split("|"), key=len, reverse=True))


_PREFIX = "(?:da|[YZEPTGMkhdcmunpfazy])?"
_COMPONENT = rf"(?:(?:{_any_of(_FIXED)}|\d+|{_PREFIX}(?:{_any_of(_METRIC)}))(?:[+-]?\d+)?(?:\{{[!-z|~]*\}})?|\{{[!-z|~]*\}})"
_TERM = rf"/?{_COMPONENT}(?:[./]{_COMPONENT})*"
_CODE = re.compile(rf"/?(?:{_COMPONENT}|\({_TERM}\))(?:[./](?:{_COMPONENT}|\({_TERM}\)))*")
# "1.73.m2" is 1 times 73 square metres: a number beside a number is a decimal that was not meant so.
_DECIMAL = re.compile(r"(?<![\d*^])\d+\.\d+(?![\d]*[*^])")


def is_ucum(code: str) -> bool:
    """Whether a code is UCUM as laboratories mean it."""
    return _CODE.fullmatch(code) is not None and _DECIMAL.search(re.sub(r"\{.*?\}", "", code)) is None


def check_text(text: str, release: str) -> list[str]:
    """Every fault of a resource (R5 or R4B), with its path. Raises MissingExtra without ``fhir.resources``."""
    try:
        data = json.loads(text)
    except ValueError as error:
        return [f"not JSON: {error}"]
    if not isinstance(data, dict) or "resourceType" not in data:
        return ["no FHIR resource: resourceType is missing"]
    return check_resource(data, release)


def check_resource(data: dict[str, Any], release: str) -> list[str]:
    """As :func:`check_text`, of parsed JSON."""
    try:
        package = import_module("fhir.resources" if release == "R5" else f"fhir.resources.{release}")
    except ImportError as error:
        raise MissingExtra("checking FHIR needs fhir.resources: pip install 'trialkb[fhir]'") from error
    try:
        model = package.get_fhir_model_class(data["resourceType"]).model_validate(data)
    except KeyError:
        return [f"{data['resourceType']!r} is no resource of FHIR {release}"]
    except ValueError as error:
        return [" ".join(line.split()) for line in str(error).splitlines()[:6]]
    return list(_walk(model, data["resourceType"]))


def _walk(model: Any, path: str) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name, None)
        if value is None:
            continue
        words = (field.json_schema_extra or {}).get("enum_values")
        if words and isinstance(value, str) and value not in words:
            yield f"{path}.{name}: {value!r} is none of {', '.join(words)}"
        many = isinstance(value, list)
        for number, each in enumerate(value if many else [value]):
            if hasattr(type(each), "model_fields"):
                yield from _walk(each, f"{path}.{name}[{number}]" if many else f"{path}.{name}")
    kind = type(model).__name__
    if kind in _QUANTITIES:
        yield from _quantity(model, path)
    if kind.startswith("EvidenceVariableCharacteristic"):
        yield from _characteristic(kind, model, path)


def _characteristic(kind: str, model: Any, path: str) -> Iterator[str]:
    match kind.removeprefix("EvidenceVariableCharacteristic"):
        case "":
            count = sum(getattr(model, name) is not None for name in _DEFINITIONS)
            if count > 1:
                yield f"{path}: evv-1: {count} definitions in one characteristic"
        case "DefinitionByCombination":
            if model.code in ("at-least", "at-most") and model.threshold is None:
                yield f"{path}: {model.code} without a threshold"
        case "DefinitionByTypeAndValue":
            coding = (model.offset.coding or ()) if model.offset is not None else ()
            if any(each.system == _OFFSET for each in coding):
                yield f"{path}.offset: adds to the limit of normal; a multiple of it is the value's unit"


def _quantity(model: Any, path: str) -> Iterator[str]:
    if model.comparator and model.comparator not in _COMPARATORS:
        yield f"{path}.comparator: {model.comparator!r} is none of {', '.join(_COMPARATORS)}"
    if model.code and not model.system:
        yield f"{path}: a code without its system"
    if model.system == _UCUM and not is_ucum(model.code or ""):
        yield f"{path}.code: {model.code!r} is not UCUM as meant"
    if model.system == _OFFSET and model.code not in ("UNL", "LNL"):
        yield f"{path}.code: {model.code!r} is none of UNL, LNL"
