from __future__ import annotations

from itertools import product

import pytest

from harvest.model import Intervention
from kb.terms import decode, encode, term_hash, terms
from kb.topics import _rules, read_topics, topics_of
from tests.kb.samples import trial


def read(text: str) -> set[tuple[str, str]]:
    return {(topic.kind, topic.value) for topic in read_topics(text)}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("CD19 CAR-T cells", "modality", "CAR-T"),
        ("CD19 CAR-T cells", "target", "CD19"),
        ("anti-CD19 chimeric antigen receptor T cells", "modality", "CAR-T"),
        ("UCAR-T targeting BCMA", "modality", "CAR-T"),
        ("CD19/BCMA CAR-T", "target", "BCMA"),
        ("CAR-NK cells", "modality", "CAR-NK"),
        ("blinatumomab", "target", "CD19"),
        ("Blinatumomab 15 ug", "modality", "T-cell engager"),
        ("a CD20xCD3 bispecific antibody", "modality", "T-cell engager"),
        ("Rituximab", "target", "CD20"),
        ("teclistamab", "target", "BCMA"),
        ("Kymriah", "product", "tisagenlecleucel"),
        ("empagliflozin 10 mg", "modality", "SGLT2 inhibitor"),
        ("sildenafil citrate", "target", "PDE5"),
        ("telitacicept", "target", "APRIL"),
    ],
)
def test_topics_are_read(text: str, kind: str, value: str) -> None:
    assert (kind, value) in read(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("eGFR >= 60 mL/min", "EGFR"),
        ("scar tissue", "CAR-T"),
        ("CAR-NK cells", "CAR-T"),
        ("in April 2024", "APRIL"),
        ("heart failure care team", "CAR-T"),
    ],
)
def test_what_only_looks_alike_is_not_read(text: str, value: str) -> None:
    assert value not in {name for _, name in read(text)}


def test_every_rule_is_found_where_its_runs_of_letters_are() -> None:
    """The quick look for a run of letters may never hide a match: each literal alternative is tried."""
    for rule in _rules():
        for run, tail in product(rule.needed, ("", " cells", "-1 ")):
            text = f"a {run}{tail}"
            if rule.pattern.search(text):
                assert (rule.kind, rule.value) in read(text)


def test_what_conditions_a_cell_product_is_not_the_product() -> None:
    drugs = (Intervention("DRUG", "Fludarabine"), Intervention("DRUG", "Cyclophosphamide"))
    topics = topics_of(trial(1, interventions=(*drugs, Intervention("BIOLOGICAL", "CD19 CAR-T"))))
    assert {topic.value for topic in topics if topic.kind == "product"} == {"cd19 car t"}


def test_placebo_is_no_product() -> None:
    topics = topics_of(
        trial(1, interventions=(Intervention("DRUG", "Placebo tablets"),), title="x", keywords=())
    )
    assert [topic for topic in topics if topic.kind == "product"] == []


def test_terms_fold_plurals_and_leave_stop_words_out() -> None:
    assert terms("The patients with biopsies and doses") == ["biopsy", "dose"]


def test_parts_of_a_hyphenated_word_count_apart() -> None:
    assert terms("CD19-directed CAR-T, 109/L") == ["cd19", "directed", "car"]


def test_vectors_come_back() -> None:
    hashes, counts = decode(encode(["lupus", "lupus", "kidney"]))
    assert dict(zip(hashes.tolist(), counts.tolist(), strict=True)) == {
        term_hash("lupus"): 2,
        term_hash("kidney"): 1,
    }
