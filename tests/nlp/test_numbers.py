from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.numbers import read


@pytest.mark.parametrize(
    ("token", "numbers"),
    [
        ("18", (18.0,)),
        ("2.5", (2.5,)),
        ("100,000", (100000.0,)),
        ("1,500.5", (1500.5,)),
        ("0,8", (0.8,)),
        ("18,5", (18.5,)),
        ("0,1", (0.0, 1.0)),
        ("0,1,2", (0.0, 1.0, 2.0)),
        ("1.2.3", None),
        ("9" * 50, None),
        ("٣", None),
    ],
)
def test_read(token: str, numbers: tuple[float, ...] | None) -> None:
    assert read(token) == numbers


@given(st.integers(0, 10**9))
def test_whole_numbers_round_trip(number: int) -> None:
    assert read(str(number)) == (float(number),)


@given(st.integers(1000, 10**9))
def test_thousands_round_trip(number: int) -> None:
    assert read(f"{number:,}") == (float(number),)


@given(st.decimals(0, 1000, places=2, allow_nan=False))
def test_decimals_round_trip(number: object) -> None:
    assert read(str(number)) == (float(str(number)),)
