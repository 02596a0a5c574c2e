"""Section headings: which part of a text is inclusion, which is exclusion, and for whom."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from nlp.populations import population
from nlp.sections import split

LEFT_MARKER = re.compile(r"\s*(?:[•#-]+|2\.)$")  # the bullet of the heading that follows a block


def sides(raw: str, section: str = "full") -> list[tuple[str, str]]:
    blocks = [(block.section, raw[block.start : block.end].strip()) for block in split(raw, section)]
    return [(side, LEFT_MARKER.sub("", body)) for side, body in blocks if body]


@pytest.mark.parametrize(
    "heading",
    [
        "Exclusion Criteria:", "Exclusion Criteria", "Key Exclusion Criteria", "EXCLUSION CRITERIA :", "• Exclusion Criteria:",
        "- Exclusion Criteria:", "2. Exclusion Criteria", "**Exclusion Criteria:**", "## Exclusion criteria",
        "Exclusion criteria include:", "Exclusion criteria are as follows:", "Non-inclusion Criteria:",
        "EXCLUSION CRITERIA FOR DONORS", "Exclusion Criteria (all cohorts):", "Exclusion criteria specific to Cohort A1:",
        "Exclusion Criteria：", "Main exclusion criteria for all groups:", "Angiographic exclusion criteria",
        "Participants are excluded from the study if any of the following criteria apply:",
        "Subjects will not be eligible if they meet any of the following criteria:",
    ],
)  # fmt: skip
def test_headings_of_an_exclusion(heading: str) -> None:
    assert sides(f"Inclusion Criteria:\n* A\n\n{heading}\n\n* B") == [
        ("inclusion", "* A"),
        ("exclusion", "* B"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "* Not meeting inclusion criteria",
        "* Patient meets the inclusion criteria for trial entry",
        "* Other exclusion criteria apply according to the US Product Information",
        "* Pregnancy will not be considered as exclusion criteria.",
        "Untreated hypertension is not an exclusion criterion and should be treated.",
        "* Meeting any exclusion criteria for beta blocker use",
        "7. Subjects with brain metastases are eligible provided they meet the following criteria:",
        "* No evidence of disease in more discs than defined in the Inclusion Criteria",
        "* Other Inclusion/Exclusion criteria apply",
    ],
)
def test_a_mention_of_criteria_is_no_heading(line: str) -> None:
    assert sides(f"* A\n{line}\n* B", "exclusion") == [("exclusion", f"* A\n{line}\n* B")]


@pytest.mark.parametrize("glue", [" ", ". ", "; ", ".- "])
def test_a_heading_in_the_middle_of_a_line(glue: str) -> None:
    assert [side for side, _ in sides(f"* Stable relationship{glue}Exclusion Criteria:\n* B")] == [
        "inclusion",
        "exclusion",
    ]


def test_text_before_any_heading_of_a_full_text_is_inclusion() -> None:
    assert sides("* A\nExclusion Criteria:\n* B") == [("inclusion", "* A"), ("exclusion", "* B")]


def test_text_behind_the_heading_on_its_line() -> None:
    assert sides("Inclusion Criteria: all men\nExclusion criteria: none") == [
        ("inclusion", "all men"),
        ("exclusion", "none"),
    ]


def test_a_row_may_hold_the_other_section_too() -> None:
    assert sides("* A\nInclusion Criteria:\n* B", "exclusion") == [("exclusion", "* A"), ("inclusion", "* B")]


def test_an_unknown_text_stays_unknown() -> None:
    assert sides("Exclusion Criteria:\n* B", "unknown") == [("unknown", "* B")]


def test_inclusion_and_exclusion_in_one_heading_change_nothing() -> None:
    assert [side for side, _ in sides("Inclusion/Exclusion Criteria:\n* A\nExclusion Criteria:\n* B")] == [
        "inclusion",
        "exclusion",
    ]


def test_an_empty_section_still_has_its_heading() -> None:
    raw = "* A\nExclusion Criteria:"
    assert [raw[block.heading[0] : block.heading[1]] for block in split(raw, "full") if block.heading] == [
        "Exclusion Criteria:"
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"])
def test_every_line_break(end: str) -> None:
    raw = end.join(["Inclusion Criteria:", "* A", "Exclusion Criteria:", "* B"])
    assert sides(raw) == [("inclusion", "* A"), ("exclusion", "* B")]


def test_a_letter_whose_lower_case_is_longer_shifts_nothing() -> None:
    assert sides("İ İ\nExclusion Criteria:\n* B") == [("inclusion", "İ İ"), ("exclusion", "* B")]


def test_wrong_section_is_refused() -> None:
    with pytest.raises(ValueError, match="section must be"):
        split("x", "both")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Cohort A", "Cohort A"),
        ("all cohorts", None),
        ("COVID-19 Survivor Group", "COVID-19 Survivor Group"),
        ("We will exclude patients", None),
        ("Subjects who are enrolled", None),
        ("", None),
    ],
)
def test_population(words: str, name: str | None) -> None:
    assert population(words) == name


ROWS = [
    json.loads(line) for line in files("nlp").joinpath("data/headings.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_every_row_of_the_data_reads_its_own_examples(row: dict[str, Any]) -> None:
    assert row["yes"]
    assert all(population(example) == row["name"] for example in row["yes"])
    assert all(population(example) != row["name"] for example in row["no"])
