from __future__ import annotations

import pytest

from nlp.sections import population, split


def sides(raw: str, section: str = "full") -> list[tuple[str, str]]:
    return [(block.section, raw[block.start : block.end].strip()) for block in split(raw, section)]


def test_two_sections() -> None:
    assert sides("Inclusion Criteria:\n* A\nKey Exclusion Criteria\n* B") == [
        ("inclusion", "* A"),
        ("exclusion", "* B"),
    ]


def test_heading_in_the_middle_of_a_line() -> None:
    assert sides("* Stable relationship Exclusion Criteria:\n* B") == [
        ("inclusion", "* Stable relationship"),
        ("exclusion", "* B"),
    ]


def test_mention_of_criteria_is_no_heading() -> None:
    assert sides("* Not meeting inclusion criteria", "exclusion") == [
        ("exclusion", "* Not meeting inclusion criteria")
    ]


def test_wrong_section_is_refused() -> None:
    with pytest.raises(ValueError, match="section must be"):
        split("x", "both")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("For donors:", "Donor"),
        ("Cohort A", "Cohort A"),
        ("all cohorts", None),
        ("Healthy subjects", "Healthy volunteers"),
    ],
)
def test_population(words: str, name: str | None) -> None:
    assert population(words) == name
