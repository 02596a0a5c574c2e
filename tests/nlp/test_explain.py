"""``trialkb explain``: each stage of reading, in words a stranger follows."""

from __future__ import annotations

import pytest

from commands.explained import explained
from nlp.explain import FLAG_WORDS, explain, sections, worded
from nlp.model import Item
from nlp.pipeline import Extractor

TEXT = (
    "Inclusion Criteria:\n\n1. Cohort B: ANC ≥ 1.5 × 10\\^9/L（中性粒细胞）\n2. Age: = 18 years\n\n"
    "Exclusion Criteria:\n\n* Any of the following:\n  * QTc > 480 ms\n  * Donor lymphocyte infusion\n\n"
    "Withdrawal criteria:\n\n* ALT > 8 x ULN\n"
)


@pytest.fixture(scope="module")
def shown(extractor: Extractor) -> str:
    extraction, rows = explain(extractor, TEXT)
    return explained(sections(TEXT), extraction, rows, TEXT)


@pytest.mark.parametrize(
    "line",
    [
        "opened by the heading “Exclusion Criteria:”",
        "opened by the heading “Withdrawal criteria:”; sets no condition of entry",
        "normalised  Cohort B: ANC ≥ 1.5 x 10^9/L(中性粒细胞)",
        "structure   for Cohort B only",
        "structure   part of 1; under “Any of the following:”",
        "| ANC (concept) | ≥ (comparator) | 1.5 (number)",
        "item i1     Absolute neutrophil count >= 1.5 10*9/L   <- “≥ 1.5 × 10\\^9/L”, rule before",
        "link: “ANC” is anc (",
        "flags: lost_comparator",
        "expression  NOT READ “Age: = 18 years”",
        "expression  not (“Donor lymphocyte infusion”)",
        "mentions    none: it holds no number, result or limit",
        "structure   a note: no demand",
        "role: definition",
        "coverage    100% of the words were understood",
        "rule before: A comparator before its number",
        "flag lost_comparator: the sign before the number was lost",
    ],
)
def test_each_stage_is_told(shown: str, line: str) -> None:
    assert line in shown


def test_text_without_a_heading_says_so(extractor: Extractor) -> None:
    extraction, rows = explain(extractor, "Adults", "inclusion")
    assert "no heading" in explained(sections("Adults", "inclusion"), extraction, rows, "Adults")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hb > 9 g/dL or platelets > 50 x 10^9/L", "any of (Haemoglobin > 9 g/dL [i1]; Platelet count > 50 10*9/L [i2])"),
        ("AST ≤ 3 × ULN (≤ 5 × ULN if liver metastases)", "if “liver metastases” then "),
        ("Signed consent", "“Signed consent”"),
    ],
)  # fmt: skip
def test_an_expression_in_words(extractor: Extractor, text: str, words: str) -> None:
    read = extractor.extract(text, "inclusion")
    items: dict[str, Item] = {item.id: item for item in read.items}
    assert words.lower() in worded(read.criteria[0].expression, items, text).lower()


def test_every_stage_is_data_too(extractor: Extractor) -> None:
    _, rows = explain(extractor, TEXT)
    row = rows[0].to_json()
    assert row["raw"].startswith("Cohort B")
    assert row["folded"] == "Cohort B: ANC ≥ 1.5 x 10^9/L(中性粒细胞)"
    assert row["items"][0]["concept"] == "anc"


def test_every_flag_of_the_interface_has_its_words() -> None:
    assert {
        "lost_comparator", "implausible_value", "restated_unit", "implicit_multiple", "unit_assumed", "ambiguous_concept", "contradiction",
    } == set(FLAG_WORDS)  # fmt: skip
