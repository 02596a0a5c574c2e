from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvest.errors import InvalidTrialId
from harvest.trial_id import holds_only_ids, is_synthetic, nct_id, nct_ids


@pytest.mark.parametrize("text", ["NCT06886919", "nct06886919", " Nct06886919\n"])
def test_id_is_given_back_in_capitals(text: str) -> None:
    assert nct_id(text) == "NCT06886919"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NCT",
        "NCT1",
        "NCT068869190",
        "NCT0688691٩",
        "../NCT06886919",
        "NCT06886919/..",
        "NCT06886919\x00",
        "NCT 6886919",
        "NCT00000000",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidTrialId, match="eight digits"):
        nct_id(text)


@given(st.text())
def test_what_is_accepted_holds_no_character_that_steers_a_path(text: str) -> None:
    try:
        accepted = nct_id(text)
    except InvalidTrialId:
        return
    assert accepted.isascii()
    assert accepted.isalnum()
    assert len(accepted) == 11


def test_ids_are_taken_once_in_their_order() -> None:
    assert nct_ids(["nct00000002", "NCT00000001", "NCT00000002"]) == ("NCT00000002", "NCT00000001")


def test_synthetic_ids_are_told_by_their_number() -> None:
    assert is_synthetic("NCT99000001")
    assert not is_synthetic("NCT06886919")


@pytest.mark.parametrize("text", ["NCT06886919", " nct06886919 ", "NCT06886919,NCT05858684", "NCT1 OR NCT2"])
def test_a_search_that_is_nothing_but_ids_is_told(text: str) -> None:
    assert holds_only_ids(text)


@pytest.mark.parametrize("text", ["", "lupus", "NCT06886919 lupus", "NCT123456789", "OR"])
def test_any_other_search_is_one(text: str) -> None:
    assert not holds_only_ids(text)
