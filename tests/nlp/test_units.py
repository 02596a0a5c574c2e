"""The unit table: reading every spelling, and converting."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp import units, vocab
from nlp.errors import VocabularyError
from nlp.unit_reader import trie_pattern
from nlp.units import UnitMatch, UnitTable

VOCABULARY = vocab.load()
TABLE: UnitTable = VOCABULARY.units


def read(text: str) -> UnitMatch | None:
    """The unit behind the number that opens ``text`` ("5|mg" where the number's end is not clear)."""
    number, bar, rest = text.partition("|")
    if bar:
        return TABLE.match(number + rest, len(number))
    end = len(text) - len(text.lstrip("0123456789.,"))
    return TABLE.match(text, end)


CODES = {
    "1.5 x 109/L": "10*9/L",
    "1.5 *109 /L": "10*9/L",
    "1.5 10 9/L": "10*9/L",
    "1.5 10e9/L": "10*9/L",
    "1.5x10^9/L": "10*9/L",
    "1.5 x 10^9 cells/L": "10*9/L",
    "1.5|E9/L": "10*9/L",
    "1.5x10(9)/L": "10*9/L",
    "1.5 G/L": "10*9/L",
    "1.5 g/L": "g/L",
    "1.5 K/uL": "10*3/uL",
    "1.5 x 10^3/mm3": "10*3/uL",
    "1.5 thousand/mm3": "10*3/uL",
    "1500/mm3": "/uL",
    "1500 /cu mm": "/uL",
    "1500 cells/mm^3": "/uL",
    "1500 mm3": "/uL",
    "20 mm3": "mm3",
    "1500 per cubic millimeter": "/uL",
    "1500 cells/microliter": "/uL",
    "5 mg per deciliter": "mg/dL",
    "5 milligrams/deciliter (mg/dL)": "mg/dL",
    "5 mg/dl": "mg/dL",
    "5 mg%": "mg/dL",
    "9 gm%": "g/dL",
    "9 gm/dl": "g/dL",
    "100 umol/l": "umol/L",
    "5 mmol*L-1": "mmol/L",
    "40 mcg": "ug",
    "60 ML/min/1.73m2": "mL/min/{1.73_m2}",
    "60 ml/(min.1.73m2)": "mL/min/{1.73_m2}",
    "60 ml/min per 1.73 m2": "mL/min/{1.73_m2}",
    "60 mL/min/1,73 m2": "mL/min/{1.73_m2}",
    "60 ml/minute": "mL/min",
    "30 kg/m2": "kg/m2",
    "30 kg/m^2": "kg/m2",
    "30 kilograms per square meter": "kg/m2",
    "140 mm Hg at rest": "mm[Hg]",
    "140 mmHg": "mm[Hg]",
    "20 cm H2O": "cm[H2O]",
    "18 years old": "a",
    "18 years of age": "a",
    "18 y/o": "a",
    "18 yrs": "a",
    "12-month": "mo",
    "480 msec": "ms",
    "38℃": "Cel",
    "38.5 °C": "Cel",
    "38.5 C": "Cel",
    "100.4 F": "[degF]",
    "20 mg/day": "mg/d",
    "20 mg/d": "mg/d",
    "20 mg daily": "mg/d",
    "20 mg once daily": "mg/d",
    "1 mg/kg/d": "mg/kg/d",
    "15 mg weekly": "mg/wk",
    "20 hours/week": "h/wk",
    "50 copies/mL": "{copies}/mL",
    "3 log10 copies/mL": "{log_copies}/mL",
    "50 IU/mL": "[iU]/mL",
    "25 mIU/mL": "m[iU]/mL",
    "100 IU/L": "[iU]/L",
    "100 U/L": "U/L",
    "5 /HPF": "/[HPF]",
    "5 RBC/HPF": "/[HPF]",
    "70 letters": "{letters}",
    "8 points": "{score}",
    "60 beats per minute": "{beats}/min",
    "60 bpm": "{beats}/min",
    "30 breaths/min": "{breaths}/min",
    "10 pack-years": "{pack-years}",
    "10 cigarettes per day": "{cigarettes}/d",
    "14 drinks/week": "{drinks}/wk",
    "5 half-lives": "{half-life}",
    "1.5 g/24 h": "g/(24.h)",
    "2 mg/L FEU": "mg/L{FEU}",
    "4 U/g Hb": "U/g{Hb}",
    "110 lbs": "[lb_av]",
    "65 inches": "[in_i]",
    "50 dB HL": "dB{HL}",
    "60 Gy": "Gy",
    "10 mEq/L": "meq/L",
}


@pytest.mark.parametrize(("text", "code"), CODES.items())
def test_reads_spelling(text: str, code: str) -> None:
    found = read(text)
    assert found is not None
    assert found.ucum == code


RELATIVES = {
    "3 x ULN": "ULN",
    "3xULN": "ULN",
    "3*ULN": "ULN",
    "3 ULN": "ULN",
    "3X UNL": "ULN",
    "3 times the institutional upper limit of normal (ULN)": "ULN",
    "3 times upper limit of normal range": "ULN",
    "3 times higher than the upper limit of normal": "ULN",
    "3-fold the ULN": "ULN",
    "3 x normal": "ULN",
    "2 times the lower limit of normal": "LLN",
    "1 x baseline": "baseline",
}


@pytest.mark.parametrize(("text", "relative"), RELATIVES.items())
def test_reads_multiple_of_a_limit(text: str, relative: str) -> None:
    found = read(text)
    assert found is not None
    assert (found.ucum, found.relative_to) == (None, relative)
    assert text[found.start : found.end] == found.surface


def test_the_whole_phrase_of_the_limit_belongs_to_it() -> None:
    text = "2.5 times the upper limit of normal (ULN), unless"
    found = read(text)
    assert found is not None
    assert text[found.end :] == ", unless"


@pytest.mark.parametrize("text", ["60 % predicted", "60% of the predicted value", "60 percent of predicted"])
def test_percent_predicted(text: str) -> None:
    found = read(text)
    assert found is not None
    assert (found.ucum, found.relative_to) == ("%", "predicted")


@pytest.mark.parametrize(
    "text",
    ["3 banana", "3 and the other", "3, or 4", "3 or more", "3", "12 C", "5 magic", "10 Lines", "2 monkeys"],
)
def test_no_unit_where_there_is_none(text: str) -> None:
    found = read(text)
    assert found is None or found.ucum == "{lines}"


def test_case_decides_where_it_must() -> None:
    upper, lower = read("100 G/L"), read("100 g/L")
    assert upper is not None
    assert lower is not None
    assert (upper.ucum, lower.ucum) == ("10*9/L", "g/L")


def test_a_million_without_a_unit_is_a_scale() -> None:
    found = read("2 million")
    assert found is not None
    assert (found.ucum, found.scale) == (None, 1e6)


def test_scale_and_unit() -> None:
    found = read("2 million copies/mL")
    assert found is not None
    assert (found.ucum, found.scale) == ("{copies}/mL", 1e6)


def test_the_substance_may_stand_between_amount_and_time() -> None:
    text = "20 mg of prednisone per day"
    found = read(text)
    assert found is not None
    rate = TABLE.rate_after(text, found)
    assert rate is not None
    code, start, end = rate
    assert code == "mg/d"
    assert text[start:end] == "per day"


def test_no_rate_without_a_time() -> None:
    text = "20 mg of prednisone or equivalent"
    found = read(text)
    assert found is not None
    assert TABLE.rate_after(text, found) is None


@pytest.mark.parametrize("atom", TABLE.atoms.values(), ids=lambda atom: str(atom.code))
def test_every_surface_of_every_row_is_read(atom: units.Atom) -> None:
    for surface in (*atom.surfaces, *atom.cased):
        number = "5"
        if surface in atom.only_between:
            number = f"{sum(atom.only_between[surface]) / 2:g}"
        if atom.place == "denominator":
            text, want = f"{number} U/{surface}", f"U/{'uL' if atom.code == 'mm3' else atom.code}"
        elif atom.place == "before /":
            text = f"{number} {surface}/L"
            want = "/L" if atom.count else f"{atom.code}/L"
        elif atom.place.startswith("suffix"):
            text = f"{number} {'U/g' if 'g' in atom.place.split() else 'mg/L'} {surface}"
            want = f"{'U/g' if 'g' in atom.place.split() else 'mg/L'}{atom.code}"
        else:
            text, want = f"{number} {surface}", atom.code
        found = TABLE.match(text, len(number))
        assert found is not None, text
        assert found.ucum == want, text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.integers(0, 60))
def test_a_match_is_its_own_text(text: str, pos: int) -> None:
    found = TABLE.match(text, min(pos, len(text)))
    if found is not None:
        assert pos <= found.start < found.end <= len(text)
        assert text[found.start : found.end] == found.surface


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(CODES)),
    st.sampled_from(["", " or more", ", or", ") and", " at screening", "; 4", "."]),
)
def test_what_follows_a_unit_does_not_change_it(text: str, rest: str) -> None:
    found, longer = read(text), read(text + rest)
    assert found is not None
    assert longer is not None
    assert longer.ucum == found.ucum


def test_a_long_run_of_units_is_read_in_linear_time() -> None:
    text = "5 " + "mg/kg/" * 3000
    assert TABLE.match(text, 1) is not None
    blank = "5" + " " * 20_000 + "mg"
    assert TABLE.match(blank, 1) is None


CONVERSIONS = [
    (1.5, "mg/dL", "umol/L", "scr", 132.6025),
    (2.0, "mg/dL", "umol/L", "tbil", 34.2079),
    (100, "mg/dL", "mmol/L", "glucose", 5.5507),
    (9, "g/dL", "g/L", "hgb", 90),
    (1500, "/uL", "10*9/L", "anc", 1.5),
    (1500, "10*6/L", "10*9/L", "anc", 1.5),
    (100.4, "[degF]", "Cel", "temp", 38.0),
    (120, "U/L", "[iU]/L", "alt", 120),
    (3.5, "meq/L", "mmol/L", "k", 3.5),
    (2.0, "meq/L", "mmol/L", "mg", 1.0),
    (75, "mmol/mol", "%", "hba1c", 9.013),
    (7.0, "%", "mmol/mol", "hba1c", 52.995),
    (500, "mg/(24.h)", "g/(24.h)", "prot_24h", 0.5),
    (1, "g/d", "g/(24.h)", "prot_24h", 1),
    (110, "[lb_av]", "kg", "weight", 49.89516),
    (5, "a", "mo", "disease_duration", 60),
    (0.5, "1", "%", "lvef", 50),
    (3, "{log_copies}/mL", "{copies}/mL", "hiv_rna", 1000),
    (100, "/min", "{beats}/min", "hr", 100),
]


@pytest.mark.parametrize(("value", "source", "target", "concept", "expected"), CONVERSIONS)
def test_converts(value: float, source: str, target: str, concept: str, expected: float) -> None:
    converted = TABLE.convert(value, source, target, concept)
    assert converted == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("source", "target", "concept"),
    [
        ("mL/min", "mL/min/{1.73_m2}", "egfr"),
        ("mL/min/{1.73_m2}", "mL/min", "crcl"),
        ("mg/dL", "umol/L", None),
        ("mg/dL", "mmol/L", "crp"),
        ("meq/L", "mmol/L", "crp"),
        ("U/mL", "[arb'U]/mL", "anti_dsdna"),
        ("{copies}/mL", "{log_copies}/mL", "hiv_rna"),
        ("mg", "mg/d", "prednisone_eq"),
        ("{copies}/mL", "[iU]/mL", "hbv_dna"),
        ("mg/L{FEU}", "mg/L", "d_dimer"),
        ("no such unit", "g", None),
    ],
)
def test_refuses_what_is_not_sure(source: str, target: str, concept: str | None) -> None:
    assert TABLE.convert(1.0, source, target, concept) is None


PAIRS = [
    (a, b)
    for concept in VOCABULARY.concepts.values()
    if concept.unit is not None
    for a in [concept.unit]
    for b in concept.units
    if b != a
    and TABLE.convert(1.0, a, b, concept.id) is not None
    and TABLE.convert(1.0, b, a, concept.id) is not None
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(set(PAIRS))), st.floats(0.001, 1e6))
def test_there_and_back_is_the_same(pair: tuple[str, str], value: float) -> None:
    source, target = pair
    there = TABLE.convert(value, source, target)
    if there is not None:
        back = TABLE.convert(there, target, source)
        assert back is not None
        assert math.isclose(back, value, rel_tol=1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["scr", "tbil", "glucose", "chol", "tg", "vit_d", "testosterone"]), st.floats(0.01, 1e4)
)
def test_molar_conversion_goes_back(concept: str, value: float) -> None:
    there = TABLE.convert(value, "mg/dL", "mmol/L", concept)
    assert there is not None
    back = TABLE.convert(there, "mmol/L", "mg/dL", concept)
    assert back is not None
    assert math.isclose(back, value, rel_tol=1e-9)


def test_canonical() -> None:
    assert TABLE.canonical("anc", 1500, "/uL") == (1.5, "10*9/L")
    assert TABLE.canonical("ecog", 2, None) == (2, "{score}")
    assert TABLE.canonical("anc", 1.5, None) is None
    assert TABLE.canonical("no_such_concept", 1.5, "g/L") is None


def _row(tmp_path: Path, **changes: object) -> Path:
    row = {"code": "g", "surfaces": ["g"], "factor": 1.0, "dimension": {"mass": 1}, **changes}
    path = tmp_path / "units.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"color": "red"}, "key color"),
        ({"factor": 0}, "key factor"),
        ({"factor": "1"}, "key factor"),
        ({"place": "anywhere"}, "key place"),
        ({"surfaces": ["Gram"]}, "key surfaces"),
        ({"code": 5}, "key code"),
    ],
)
def test_a_wrong_row_names_file_line_and_key(tmp_path: Path, changes: dict[str, object], key: str) -> None:
    with pytest.raises(VocabularyError) as error:
        units.read_rows(_row(tmp_path, **changes))
    assert "units.jsonl line 1" in str(error.value)
    assert key in str(error.value)


def test_a_spelling_belongs_to_one_row(tmp_path: Path) -> None:
    path = _row(tmp_path)
    path.write_text(path.read_text() + json.dumps({"code": "mg", "surfaces": ["g"], "factor": 1}) + "\n")
    with pytest.raises(VocabularyError, match=r"line 2.*also on line 1"):
        units.read_rows(path)


def test_not_json(tmp_path: Path) -> None:
    path = tmp_path / "units.jsonl"
    path.write_text("{\n", encoding="utf-8")
    with pytest.raises(VocabularyError, match="line 1: not JSON"):
        units.read_rows(path)


def test_the_trie_matches_the_longest_word() -> None:
    import re

    pattern = re.compile(trie_pattern(["mg", "mg/d", "m", "mm hg"]))
    for text, want in (("mg/dL", "mg/d"), ("mm  hg", "mm  hg"), ("mx", "m")):
        found = pattern.match(text)
        assert found is not None
        assert found[0] == want


@pytest.mark.parametrize(
    ("concept", "expected"),
    [("karnofsky", 60.0), ("lansky", 60.0), ("bmi_percentile", 60.0), ("her2_ihc", None), (None, None)],
)
def test_a_percentage_of_a_score_is_points_where_the_score_has_a_hundred(
    concept: str | None, expected: float | None
) -> None:
    table = vocab.load().units
    scale = "{percentile}" if concept == "bmi_percentile" else "{score}"
    assert table.convert(60.0, "%", scale, concept) == expected
    assert table.convert(60.0, scale, "%", concept) == expected
