"""The quick ways of express() and of a phrase's frame give what the general ones give."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nlp.expressions import express, whole
from nlp.facts import frame, read_frame
from nlp.model import Section
from tests.nlp.expression_marks import drafts_of

NAMES = (
    "stroke", "history of type 2 diabetes", "active hepatitis (B)", "pregnant", "hepatic", "renal impairment",
    "no known allergy to latex", "patients who have had a transplant", "must not smoke", "able to walk", "the like",
    "positive", "e.g. asthma", "women of childbearing potential", "use of insulin (any dose", "CD19) lymphoma",
)  # fmt: skip
JOINS = (
    ", ", " or ", " and ", ", or ", " and/or ", " with ", " who have ", " such as ", ", e.g., ", " and the ", " or ",
    " for ", "; ", ": ", ". ", " if ", " unless ", ", which is ",
)  # fmt: skip
ITEMS = (
    "{ALT} <<≤ 3 x ULN>>",
    " - {Hb} <<≥ 9 g/dL>>;",
    "<<≥ 18 years>> of {age}.",
    "{NYHA} <<~= 3>>",
    "<<within 6 months>>",
)
FRAMES = (
    "patients",
    "who",
    "have",
    "no",
    "not",
    "must",
    "must not",
    "history of",
    "known",
    "a",
    "without",
    "cancer",
    "-",
    ",",
)
SECTIONS = st.sampled_from(("inclusion", "exclusion", "unknown"))


@st.composite
def texts(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5))
    joins = [draw(st.sampled_from(JOINS)) for _ in names]
    text = "".join(name + join for name, join in zip(names, joins, strict=True))
    return text if draw(st.booleans()) else text[: -len(joins[-1])]


@given(texts(), SECTIONS)
@settings(deadline=None, max_examples=400, derandomize=True)
def test_a_text_that_names_things_reads_the_same(text: str, section: Section) -> None:
    assert express(text, [], section) == whole(text, [], section)


@given(st.sampled_from(ITEMS), st.sampled_from(("", "  ", "for ", " if")), SECTIONS)
def test_a_single_item_reads_the_same(marked: str, more: str, section: Section) -> None:
    text, drafts = drafts_of(marked + more)
    again = drafts_of(marked + more)[1]
    assert express(text, drafts, section) == whole(text, again, section)
    assert [draft.role for draft in drafts] == [draft.role for draft in again]


@given(st.lists(st.sampled_from(FRAMES), max_size=8))
def test_a_frame_is_the_same_at_once_and_cue_by_cue(words: list[str]) -> None:
    text = " ".join(words)
    assert frame(text, 0, len(text)) == read_frame(text, 0, len(text))
