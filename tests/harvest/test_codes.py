from __future__ import annotations

import pytest

from harvest import codes


@pytest.mark.parametrize(
    ("field", "token", "canonical"),
    [
        ("status", "Not yet recruiting", "NOT_YET_RECRUITING"),
        ("status", "Active, not recruiting", "ACTIVE_NOT_RECRUITING"),
        ("status", "RECRUITING", "RECRUITING"),
        ("phase", "N/A", "NA"),
        ("phase", "Phase 2", "PHASE2"),
        ("sex", "Both", "ALL"),
        ("study_type", "Expanded Access", "EXPANDED_ACCESS"),
    ],
)
def test_known_spellings(field: str, token: str, canonical: str) -> None:
    assert codes.canonical(field, token) == (canonical, True)


def test_an_unknown_token_is_kept_as_it_stands() -> None:
    assert codes.canonical("status", "Paused for review") == ("Paused for review", False)


def test_an_unknown_field_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        codes.canonical("colour", "RED")


@pytest.mark.parametrize("field", codes.FIELDS)
def test_every_canonical_token_stands_for_itself(field: str) -> None:
    for token in set(codes.code_list(field).values()):
        assert codes.canonical(field, token) == (token, True)
