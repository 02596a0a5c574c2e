"""The gate lets through what can hold an item; it decides as its pattern alone would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.gate import Gate
from nlp.lexicon import load_words

GATE = Gate(load_words())
_BITS = [
    "past",
    "year",
    " ",
    "  ",
    "-",
    "within the",
    "negative",
    "II",
    "iv",
    "below",
    "LLN",
    "s",
    "ſ",
    "K",
    "three",
    ".",
]


@pytest.mark.parametrize(
    "text",
    ["age 18", "NYHA class III", "HBsAg negative", "within the past year", "above the ULN", "three drugs"],
)
def test_what_can_hold_an_item_passes(text: str) -> None:
    assert GATE.search(text)


@pytest.mark.parametrize(
    "text", ["", "history of stroke", "able to give consent", "nineteenths of vivid ivory"]
)
def test_what_cannot_does_not(text: str) -> None:
    assert GATE.search(text) is None


@given(st.lists(st.sampled_from(_BITS), max_size=6).map("".join))
def test_the_words_only_spare_the_pattern_work(text: str) -> None:
    assert bool(GATE.search(text)) == bool(GATE._pattern.search(text))
