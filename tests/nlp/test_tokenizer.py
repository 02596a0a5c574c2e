"""Words and their offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.tokenizer import split


@given(st.text(alphabet=st.sampled_from("aB²½é1,.<>=/_- \t\n()≥"), max_size=30))
def test_words_are_the_texts_own_characters_in_order(text: str) -> None:
    words, starts, ends = split(text)
    assert [text[start:end] for start, end in zip(starts, ends, strict=True)] == words
    assert all(words)
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    left = "".join(text[end:start] for end, start in zip([0, *ends], [*starts, len(text)], strict=True))
    assert not left.replace("-", "").strip()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ALT<2.5xULN", ["ALT", "<", "2.5", "xULN"]),
        ("anti-Smith", ["anti", "Smith"]),
        ("II-IV", ["II", "-", "IV"]),
        ("- 5", ["-", "5"]),
        ("100,000 =/> 3", ["100,000", "=/>", "3"]),
        ("  a  b ", ["a", "b"]),
    ],
)
def test_words_of(text: str, words: list[str]) -> None:
    assert split(text)[0] == words
