"""The main path as a whole: provenance, sections, interface, flat memory, hostile text."""

from __future__ import annotations

import functools
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp.model import All, Extraction, Fact, Leaf, Unread, leaves
from nlp.pipeline import Extractor, build
from nlp.text import fold

KEYS = [
    "id",
    "section",
    "criterion",
    "concept",
    "concept_name",
    "concept_text",
    "concept_span",
    "role",
    "entity_type",
    "kind",
    "comparator",
    "low",
    "high",
    "low_inclusive",
    "high_inclusive",
    "values",
    "unit",
    "unit_text",
    "canonical_low",
    "canonical_high",
    "canonical_unit",
    "relative_to",
    "value_text",
    "value_span",
    "condition",
    "exception",
    "population",
    "window",
    "rule",
    "flags",
]


@functools.cache
def extractor() -> Extractor:
    return build()


def hold_spans(text: str, extraction: Extraction) -> None:
    """Every span points into the raw text, to the item's own words."""
    ids = [item.id for item in extraction.items]
    assert len(ids) == len(set(ids))
    for item in extraction.items:
        assert text[slice(*item.value_span)] == item.value_text
        if item.concept_span is not None:
            assert text[slice(*item.concept_span)] == item.concept_text
        for qualifier in (item.condition, item.exception):
            if qualifier is not None:
                assert text[slice(*qualifier.span)] == qualifier.text
    for criterion in extraction.criteria:
        assert text[slice(*criterion.span)] == criterion.text
        assert 0.0 <= criterion.coverage <= 1.0
        for leaf in leaves(criterion.expression):
            match leaf:
                case Leaf(item=key):
                    assert key in ids
                case Fact(span=span) | Unread(span=span):
                    assert 0 <= span[0] <= span[1] <= len(text)


TRIALISH = st.lists(
    st.sampled_from(
        [
            "ALT",
            "AST",
            "platelets",
            "age",
            "≥",
            "<=",
            ">",
            "\\>",
            "2.5",
            "18",
            "109/L",
            "x10^9/L",
            "×",
            "ULN",
            "mg/dL",
            "years",
            "and",
            "or",
            ",",
            ";",
            "(",
            ")",
            ".",
            "-",
            "*",
            "\n",
            "*",
            "1.",
            "2)",
            "within",
            "months",
            "prior",
            "unless",
            "Gilbert",
            "positive",
            "HBsAg",
            "Inclusion",
            "Exclusion",
            "Criteria:",
            "µ",
            "＞",
            "&gt;",
            "\\&gt;",
            "0-2",
            "III",
        ]
    ),
    max_size=40,
).map(" ".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(TRIALISH, st.text(max_size=120)), st.sampled_from(["full", "inclusion", "exclusion", "unknown"])
)
def test_spans_hold_on_any_text(text: str, section: str) -> None:
    extraction = extractor().extract(text, section)
    hold_spans(text, extraction)
    json.dumps(extraction.to_json("x"))


def test_spans_hold_on_every_registry_record(registry_texts: list[str]) -> None:
    for extraction, text in zip(
        extractor().stream((text, "full") for text in registry_texts), registry_texts, strict=True
    ):
        hold_spans(text, extraction)


def test_every_key_is_always_there() -> None:
    (item,) = extractor().extract("Age ≥ 18 years", "inclusion").items
    assert list(item.to_json()) == KEYS


@pytest.mark.parametrize(
    ("section", "said"), [("inclusion", "inclusion"), ("exclusion", "exclusion"), ("unknown", "unknown")]
)
def test_items_say_their_section(section: str, said: str) -> None:
    (item,) = extractor().extract("ALT > 3 x ULN", section).items
    assert item.section == said


def test_a_full_text_finds_its_sections() -> None:
    found = extractor().extract(
        "Inclusion Criteria:\n* Age ≥ 18 years\n\nExclusion Criteria:\n* ALT > 3 x ULN", "full"
    )
    assert [(item.section, item.concept) for item in found.items] == [
        ("inclusion", "age"),
        ("exclusion", "alt"),
    ]


def test_another_section_is_refused() -> None:
    with pytest.raises(ValueError, match="section"):
        extractor().extract("x", "both")


def test_text_in_another_language_stays_unread_and_says_why() -> None:
    (criterion,) = extractor().extract("泼尼松每日剂量不少于七点五毫克", "inclusion").criteria
    assert isinstance(criterion.expression, Unread)
    assert "language" in criterion.expression.why


def test_the_gate_lets_nothing_through_unread_that_a_word_could_begin() -> None:
    gate = extractor().gate
    for text in (
        "ALT above the upper limit of normal",
        "HBsAg positive",
        "at least one prior line",
        "stroke in the past year",
    ):
        assert gate.search(fold(text).text)


def test_streaming_reads_as_one_by_one() -> None:
    rows = [("Age ≥ 18 years", "inclusion"), ("ALT > 3 x ULN", "exclusion")] * 3
    assert list(extractor().stream(iter(rows))) == [extractor().extract(*row) for row in rows]


@pytest.mark.parametrize(
    "piece",
    [
        "ALT <= 2.5 x ULN and ",
        "1,",
        "((((",
        ") (",
        "> < = ",
        "A\\",
        "18-",
        "within 6 months ",
        "ALT, ",
        "0 or ",
    ],
)
def test_time_grows_linearly_with_hostile_text(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        best = float("inf")
        for _ in range(2):
            start = time.process_time()
            extractor().extract(text, "inclusion")
            best = min(best, time.process_time() - start)
        return best

    seconds(2_000)
    small, large = seconds(8_000), seconds(64_000)
    assert large < 8 * small * 3 + 0.3


def test_the_ages_of_a_group_in_its_heading_are_no_demand(extractor: Extractor) -> None:
    text = "Adults:\n- Hb ≥ 9 g/dL\nPediatric participants (12 to 17 years):\n- Hb ≥ 8 g/dL"
    read = extractor.extract(text, "inclusion")
    assert [(item.concept, item.role, item.population) for item in read.items] == [
        ("hgb", "requirement", "Adult patients"),
        ("age", "definition", "Pediatric patients"),
        ("hgb", "requirement", "Pediatric patients"),
    ]
    assert read.criteria[2].expression == All(())
