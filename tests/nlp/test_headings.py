"""Section headings in other words than "inclusion criteria"."""

from __future__ import annotations

import pytest

from nlp.criteria import parse
from nlp.pipeline import Extractor
from nlp.sections import split


def side_below(heading: str, first: str = "Inclusion Criteria:") -> list[str]:
    raw = f"{first}\n\n* A one\n\n{heading}\n\n* B two\n"
    return [block.section for block in split(raw, "full") if raw[block.start : block.end].strip()]


@pytest.mark.parametrize(
    "heading",
    [
        "Exclusion:", "EXCLUSION", "Key Exclusion", "Main criteria for exclusion", "Criteria for Exclusion:", "Reasons for exclusion:",
        "Additional Exclusions:", "Not eligible if:", "Participants are excluded if:", "Ineligibility criteria", "Exclusion Citeria:",
        "Exclusion criterias:", "**Exclusion:**", "* Exclusion:", "Donor exclusion:", "主要排除标准：", "Exclusion requirements",
    ],
)  # fmt: skip
def test_headings_of_an_exclusion(heading: str) -> None:
    assert side_below(heading) == ["inclusion", "exclusion"]


@pytest.mark.parametrize(
    "heading",
    [
        "Inclusion:", "Key Inclusion", "Main criteria for inclusion:", "Participants eligible if:", "Eligible if:", "Inclution Criteria:",
        "Randomization criteria:", "Criteria for CAR-T infusion:", "Lymphodepletion criteria", "Phase 2a Inclusion", "入选标准：",
    ],
)  # fmt: skip
def test_headings_of_an_inclusion(heading: str) -> None:
    assert side_below(heading, "Exclusion Criteria:") == ["exclusion", "inclusion"]


@pytest.mark.parametrize(
    "line",
    [
        "* Other Exclusions", "* Healthy at inclusion", "Inclusion of vulnerable participants:", "* Exclusion for medical reasons",
        "Anticoagulants (aspirin excluded)", "Both sexes will be included.", "* Exit from a nursing home", "Medical exclusion",
    ],
)  # fmt: skip
def test_lines_that_are_no_heading(line: str) -> None:
    assert side_below(line, "Exclusion Criteria:") == ["exclusion"]


def test_text_behind_the_colon_belongs_to_the_section() -> None:
    raw = "Inclusion: adults with lupus\nExclusion: pregnancy"
    assert [(node.section, raw[node.start : node.end]) for node in parse(raw, "full")] == [
        ("inclusion", "adults with lupus"),
        ("exclusion", "pregnancy"),
    ]


def test_a_heading_that_names_a_group() -> None:
    raw = "Phase 2a Inclusion:\n\n* A\n\nExclusion for donors:\n\n* B"
    assert [(node.section, node.population) for node in parse(raw, "full")] == [
        ("inclusion", "Phase 2a"),
        ("exclusion", "Donor"),
    ]


@pytest.mark.parametrize(
    "heading",
    ["Withdrawal criteria:", "Dropout Criteria", "Discontinuation criteria:", "Criteria for withdrawal from the study:", "Re-treatment criteria:"],
)  # fmt: skip
def test_what_decides_who_leaves_asks_nothing_of_who_enters(extractor: Extractor, heading: str) -> None:
    raw = f"Exclusion Criteria:\n\n* Smoker\n\n{heading}\n\n* ALT > 5 x ULN\n\nExclusion Criteria for donors:\n\n* HIV"
    assert [node.kind for node in parse(raw, "full")] == ["criterion", "note", "criterion"]
    read = extractor.extract(raw)
    assert [item.role for item in read.items if item.concept == "alt"] == ["definition"]
    assert read.criteria[1].to_json()["expression"] == {"all": []}
