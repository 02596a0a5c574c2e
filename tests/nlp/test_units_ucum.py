"""Each row of the unit table, and the compounds that the concepts use, against ucumvert and pint.

They are an oracle for the tests only: at run time they would be slow, and they take ``K/uL`` for kelvin.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from ucumvert import PintUcumRegistry

from nlp import vocab

VOCABULARY = vocab.load()
TABLE = VOCABULARY.units

# Special UCUM units (logarithms, a tangent, a temperature): no factor to compare.
SPECIAL = {"dB", "dB{HL}", "dB[SPL]", "dB{A}", "dB/m", "[p'diop]", "Cel", "[degF]"}
CODES = sorted(
    {code for concept in VOCABULARY.concepts.values() for code in (concept.unit, *concept.units) if code}
)


@pytest.fixture(scope="module")
def registry() -> Any:
    return PintUcumRegistry()


def is_annotation(code: str) -> bool:
    return code.startswith("{") and code.endswith("}")


@pytest.mark.parametrize("code", [code for code in TABLE.atoms if not is_annotation(code)])
def test_the_code_is_ucum(registry: Any, code: str) -> None:
    assert hasattr(registry.from_ucum(code), "to_base_units")


def test_the_factors_of_one_dimension_agree(registry: Any) -> None:
    by_dimension: dict[tuple[tuple[str, int], ...], list[tuple[str, float, float]]] = {}
    for code, atom in TABLE.atoms.items():
        if is_annotation(code) or code in SPECIAL:
            continue
        base = float(registry.from_ucum(code).to_base_units().magnitude)
        key = tuple(sorted(atom.dimension.items()))
        by_dimension.setdefault(key, []).append((code, atom.factor, base))
    compared = 0
    for rows in by_dimension.values():
        first, factor, base = rows[0]
        for code, other_factor, other_base in rows[1:]:
            assert math.isclose(other_factor / factor, other_base / base, rel_tol=1e-9), (first, code)
            compared += 1
    assert compared > 70


@pytest.mark.parametrize("code", [c for c in CODES if not is_annotation(c) and c not in SPECIAL])
def test_the_units_of_the_concepts_are_ucum(registry: Any, code: str) -> None:
    assert hasattr(registry.from_ucum(code), "to_base_units")


def test_conversions_between_a_concepts_units_agree(registry: Any) -> None:
    compared = 0
    for concept in VOCABULARY.concepts.values():
        for code in concept.units:
            if concept.unit is None or code in SPECIAL or concept.unit in SPECIAL:
                continue
            ours = TABLE.convert(1.0, code, concept.unit)  # without the concept: dimension alone
            if ours is None or is_annotation(code) or is_annotation(concept.unit) or "{log" in code:
                continue
            source, target = registry.from_ucum(code), registry.from_ucum(concept.unit)
            if source.dimensionality != target.dimensionality:
                # U/L and [iU]/L: a laboratory's habit, not UCUM
                assert ("[iU]" in code) != ("[iU]" in concept.unit), (code, concept.unit)
                continue
            theirs = float(source.to_base_units().magnitude / target.to_base_units().magnitude)
            assert math.isclose(ours, theirs, rel_tol=1e-9), (code, concept.unit)
            compared += 1
    assert compared > 300


@pytest.mark.parametrize(("fahrenheit", "celsius"), [(100.4, 38.0), (212.0, 100.0), (32.0, 0.0)])
def test_fahrenheit(registry: Any, fahrenheit: float, celsius: float) -> None:
    ours = TABLE.convert(fahrenheit, "[degF]", "Cel")
    theirs = registry.Quantity(fahrenheit, "degF").to("degC").magnitude
    assert ours == pytest.approx(theirs)
    assert ours == pytest.approx(celsius)


@pytest.mark.parametrize(
    ("concept", "formula"),
    [
        ("scr", {"C": 4, "H": 7, "N": 3, "O": 1}),
        ("glucose", {"C": 6, "H": 12, "O": 6}),
        ("tbil", {"C": 33, "H": 36, "N": 4, "O": 6}),
        ("chol", {"C": 27, "H": 46, "O": 1}),
        ("uric_acid", {"C": 5, "H": 4, "N": 4, "O": 3}),
        ("urea", {"C": 1, "H": 4, "N": 2, "O": 1}),
        ("testosterone", {"C": 19, "H": 28, "O": 2}),
        ("estradiol", {"C": 18, "H": 24, "O": 2}),
        ("cortisol", {"C": 21, "H": 30, "O": 5}),
        ("vit_d", {"C": 27, "H": 44, "O": 2}),
        ("lactate", {"C": 3, "H": 6, "O": 3}),
        ("progesterone", {"C": 21, "H": 30, "O": 2}),
        ("folate", {"C": 19, "H": 19, "N": 7, "O": 6}),
        ("homocysteine", {"C": 4, "H": 9, "N": 1, "O": 2, "S": 1}),
    ],
)
def test_molar_mass_follows_from_the_formula(concept: str, formula: dict[str, int]) -> None:
    atomic = {"C": 12.011, "H": 1.008, "N": 14.007, "O": 15.999, "S": 32.06}  # IUPAC 2021, abridged
    mass = sum(atomic[element] * count for element, count in formula.items())
    assert VOCABULARY.concepts[concept].molar_mass == pytest.approx(mass, rel=2e-3)
