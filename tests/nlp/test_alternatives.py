"""A line "OR" of its own: the lines around it are alternatives, never demanded both."""

from __future__ import annotations

import pytest

from nlp.criteria import parse
from nlp.model import AnyOf, Leaf, Unread, leaves
from nlp.pipeline import Extractor


def parents(raw: str, section: str = "inclusion") -> list[tuple[str, str | None]]:
    nodes = {node.path: node for node in parse(raw, section)}
    return [
        (raw[n.start : n.end], None if n.parent is None else raw[nodes[n.parent].start : nodes[n.parent].end])
        for n in sorted(nodes.values(), key=lambda n: n.start)
    ]


@pytest.mark.parametrize("word", ["OR", "or", "Or", "OR:", "and/or"])
def test_the_lines_around_it_are_its_parts(word: str) -> None:
    assert parents(f"* A\n\n{word}\n\n* B\n* C") == [("A", word), (word, None), ("B", word), ("C", None)]


def test_it_stands_before_its_parts_and_carries_no_demand() -> None:
    nodes = parse("* A\n\nOR\n\n* B", "inclusion")
    assert [(node.kind, node.logic) for node in nodes] == [
        ("heading", "any"),
        ("criterion", None),
        ("criterion", None),
    ]


def test_runs_of_lines_that_begin_alike_are_one_alternative_each() -> None:
    raw = "* Untreated X\n* Age 60\nOR\n* Untreated Y\n* Age 18\n* Consent"
    assert parents(raw) == [
        ("Untreated X", "OR"), ("Age 60", "Untreated X"), ("OR", None),
        ("Untreated Y", "OR"), ("Age 18", "Untreated Y"), ("Consent", None),
    ]  # fmt: skip


def test_three_alternatives() -> None:
    raw = "* A\nOR\n* B\nOR\n* C"
    nodes = parse(raw, "inclusion")
    assert sorted(raw[n.start : n.end] for n in nodes if n.parent == nodes[0].path) == ["A", "B", "C"]
    assert [n.kind for n in nodes if raw[n.start : n.end] == "OR"] == ["heading", "note"]


@pytest.mark.parametrize("raw", ["* A\nOR\n* B", "* One of the following:\n  * A\n  * OR\n  * B"])
def test_where_each_line_stands_by_itself_it_says_nothing(raw: str) -> None:
    section = "exclusion" if raw.startswith("* A") else "inclusion"
    assert [n.kind for n in parse(raw, section) if raw[n.start : n.end] == "OR"] == ["note"]


@pytest.mark.parametrize("raw", ["OR\n* A", "* A\nOR"])
def test_without_a_neighbour_it_stays(raw: str) -> None:
    assert len(parse(raw, "inclusion")) == 2


def test_the_alternatives_are_one_expression(extractor: Extractor) -> None:
    text = "Age ≥ 60 years\nOR\nECOG 0-1"
    read = extractor.extract(text, "inclusion")
    assert [criterion.text for criterion in read.criteria] == [text]
    assert isinstance(read.criteria[0].expression, AnyOf)


def test_where_its_reach_is_not_sure_an_unread_leaf_says_so(extractor: Extractor) -> None:
    text = "* Consent given\n* Age ≥ 60 years\nOR\n* ECOG 0-1\n* Male sex"
    joined = extractor.extract(text, "inclusion").criteria[1]
    found = list(leaves(joined.expression))
    assert [type(leaf) for leaf in found] == [Unread, Leaf, Leaf]


def test_two_lone_words_behind_each_other_join_nothing() -> None:
    assert [node.start for node in parse("0\rOR\rOR", "full")]
