from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harvest.archive import Archive
from harvest.bulk import import_path
from harvest.conflicts import archived_conflicts, conflicts_of, words
from harvest.model import Sponsor, Trial

RECORD = Trial(
    source="ctgov", source_id="NCT99000001", url="", version="", title="A Trial", status="RECRUITING", sex="ALL",
    eligibility_text="Inclusion Criteria:\n\n1. Platelets \\>= 50 x 10\\^9/L\n2. Age 18 to 70",
    sponsors=(Sponsor("Harbour Clinic"),), first_posted="2025-01-02", last_update_posted="2025-03-01",
)  # fmt: skip
PAGE = replace(
    RECORD, source="clinconnect", eligibility_text="• Inclusion Criteria:\n• 1. Platelets >= 50 x 10^9/L\n• 2. Age 18 to 70",
    sponsors=(Sponsor("HARBOUR CLINIC"),), last_update_posted="2025-07-27",
)  # fmt: skip


def test_bullets_numbering_escapes_and_capitals_are_no_conflict() -> None:
    assert list(conflicts_of(RECORD, PAGE)) == []


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("status", {"status": "COMPLETED"}),
        ("title", {"title": "Another Trial"}),
        ("sex", {"sex": "FEMALE"}),
        ("sponsor", {"sponsors": (Sponsor("North Cell AS"),)}),
        ("first posted / launched", {"first_posted": "2025-01-09"}),
        ("last update / current as of", {"last_update_posted": "2024-12-01"}),
        ("criteria", {"eligibility_text": PAGE.eligibility_text.replace("50 x", "75 x")}),
        ("criteria", {"eligibility_text": PAGE.eligibility_text.replace(">=", "<=")}),
    ],
)
def test_each_difference_is_told_with_both_sides(field: str, changes: dict[str, object]) -> None:
    found = list(conflicts_of(RECORD, replace(PAGE, **changes)))  # type: ignore[arg-type]
    assert {each.field for each in found} == {field}
    assert all(each.registry != each.page for each in found)


def test_the_words_around_a_changed_limit_are_shown() -> None:
    page = replace(PAGE, eligibility_text=PAGE.eligibility_text.replace("50 x", "75 x"))
    (found,) = conflicts_of(RECORD, page)
    assert "[50]" in found.registry
    assert "[75]" in found.page


def test_decimals_stay_numbers() -> None:
    assert words("1. Hb \\>= 7.5 g/dL") == ["hb", ">", "=", "7.5", "g", "dl"]


def test_the_fixtures_that_disagree(archive: Archive, fixtures: Path) -> None:
    import_path(archive, fixtures / "ctgov")
    import_path(archive, fixtures / "clinconnect")
    found = list(archived_conflicts(archive))
    assert {each.source_id for each in found} == {"NCT99000007"}
    assert [each.field for each in found] == ["status", "last update / current as of", "criteria"]
    assert list(archived_conflicts(archive, "NCT99000009")) == []
