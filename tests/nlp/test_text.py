"""Folding keeps the way back: every folded character leads to the raw ones it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.text import fold

MARKDOWN = st.text(alphabet="ab 1.<>=≥≤&;\\*^#gtl9_()\u00b3\u00a3\u2265\uff1e\ud800\u0130", max_size=60)


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        (r"Platelets \> 100", "Platelets > 100"),
        (r"\>= 17", ">= 17"),
        (r"3\*ULN", "3*ULN"),
        (r"\&gt; 6.5%", "> 6.5%"),
        (r"\&#8805; 100 bpm", "≥ 100 bpm"),
        ("ALT ≦ 2.5×ULN", "ALT ≤ 2.5xULN"),
        ("＞18 岁", ">18 岁"),
        ("10⁹/L", "109/L"),
        ("5 µmol – 7 μmol", "5 umol - 7 umol"),
        ("³ 18 years", "≥ 18 years"),
        ("£70", "≤70"),
        ("m³ of air", "m3 of air"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_fold(raw: str, folded: str) -> None:
    assert fold(raw).text == folded


@pytest.mark.parametrize(
    ("raw", "part"), [(r"ALT \>= 2.5\* ULN", ">= 2.5"), (r"x \&gt; 6.5 &amp; y", "> 6.5")]
)
def test_span_leads_back(raw: str, part: str) -> None:
    folded = fold(raw)
    at = folded.text.index(part)
    start, end = folded.span(at, at + len(part))
    assert fold(raw[start:end]).text == part


@given(st.one_of(MARKDOWN, st.text(max_size=60)))
def test_each_folded_character_leads_to_its_own_raw_characters(raw: str) -> None:
    folded = fold(raw)
    before = 0
    for at in range(len(folded.text)):
        start, end = folded.span(at, at + 1)
        assert before <= start < end <= len(raw)
        before = end
    assert folded.span(0, len(folded.text))[1] <= len(raw)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_part_folds_as_it_does_alone(before: str, raw: str) -> None:
    text = before + raw
    part = fold(text, len(before))
    assert part.text == fold(raw).text
    for at in range(len(part.text)):
        assert part.to_raw(at) == fold(raw).to_raw(at) + len(before)
