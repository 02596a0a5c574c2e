"""What holds for every text: nothing is lost, spans are sound, time is linear."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp.criteria import Node, parse
from nlp.markers import INVISIBLE
from nlp.sections import split

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
# Between nodes only white space, bullets, and numbers or letters with their delimiters may stand.
BETWEEN = re.compile(
    rf"(?:[\s{INVISIBLE}\\*+\-–—−‐‑§Øo>#_•●○◦▪▫■□◆◇►▶▷➢➤➔→✓✔✗✘☐☑☒‣⃁∙⋅・·※★☆\uf0b7\uf0a7\uf0d8\uf0fc\uf076\uf06e]"
    r"|[(（\[]?\s?(?:\d{1,3}(?:\.\d{1,2}){0,3}|[A-Za-z]|[ivxIVX]{2,5}|[一二三四五六七八九十]{1,2})\s?\\?-?[.)）．、:：\]]*|[①-⑳])*"
)


def check(raw: str, section: str) -> list[Node]:
    nodes = parse(raw, section)
    assert len({(node.section, node.path) for node in nodes}) == len(nodes)
    known: set[tuple[str, str]] = set()
    for node in nodes:
        text = raw[node.start : node.end]
        assert text == text.strip()
        assert text
        assert node.parent is None or (node.section, node.parent) in known
        known.add((node.section, node.path))
    parents = {(node.section, node.parent) for node in nodes if node.parent}
    assert all((node.logic is not None) == ((node.section, node.path) in parents) for node in nodes)
    spans = [(node.start, node.end) for node in nodes] + [b.heading for b in split(raw, section) if b.heading]
    at = 0
    for start, end in [*sorted(spans), (len(raw), len(raw))]:
        assert start >= at
        assert BETWEEN.fullmatch(raw[at:start]), raw[at:start]
        at = end
    return nodes


LINE = st.text(
    alphabet=st.sampled_from("abcIE .:;,()[]*-•1234567890\\≤×年（）、\t\u00a0\u200b\r"), max_size=40
)
WORDS = st.sampled_from(
    ["Inclusion Criteria:", "Exclusion Criteria", "1. ", "* ", "   - ", "a) ", "any of the following:", "; 2. ", "ii. ", "Cohort A:",
     "(1) ", "Age 18", "donors", "\n", "\n\n", "\r\n", " ", "①", "OR", "AND", "2.1 ", "一、", "E. coli"]
)  # fmt: skip
SECTIONS = st.sampled_from(["full", "inclusion", "exclusion", "unknown"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(LINE, max_size=12).map("\n".join)), SECTIONS)
def test_nothing_is_lost_in_any_text(raw: str, section: str) -> None:
    check(raw, section)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=40).map("".join), SECTIONS)
def test_nothing_is_lost_in_texts_made_of_markers(raw: str, section: str) -> None:
    check(raw, section)


@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS, max_size=30).map("".join))
def test_the_same_text_gives_the_same_tree(raw: str) -> None:
    assert parse(raw, "full") == parse(raw, "full")


def _registry() -> Iterator[str]:
    with gzip.open(SHARED / "data/registry/ctgov-v2-studies.jsonl.gz") as lines:
        for line in lines:
            yield (
                json.loads(line)["protocolSection"]
                .get("eligibilityModule", {})
                .get("eligibilityCriteria", "")
            )


def test_nothing_is_lost_in_the_registry_records() -> None:
    if not (SHARED / "data/registry/ctgov-v2-studies.jsonl.gz").exists():
        pytest.skip("the registry records for development are not beside the project")
    assert sum(len(check(raw, "full")) for raw in _registry()) > 10_000


def test_nothing_is_lost_in_the_development_gold() -> None:
    gold = sorted((SHARED / "data/gold").glob("*.jsonl.gz"))
    if not gold:
        pytest.skip("the development gold is not beside the project")
    for path in gold:
        with gzip.open(path) as lines:
            for line in lines:
                row = json.loads(line)
                check(row["text"], row["section"])


HOSTILE: dict[str, Callable[[int], str]] = {
    "one word": lambda n: "a" * n,
    "one line": lambda n: "word " * (n // 5),
    "white space": lambda n: " " * n + "x",
    "stars": lambda n: "*" * n,
    "dots": lambda n: "." * n,
    "numbers in one line": lambda n: "1. " * (n // 3),
    "letters in one line": lambda n: "x: " + "a) b) c) " * (n // 9),
    "run-on restarts": lambda n: "x: " + "(1) aa; (2) bb; " * (n // 16),
    "headings": lambda n: "Exclusion criteria: x\n" * (n // 22),
    "carriage returns": lambda n: "criteria\r" * (n // 9),
    "bullets": lambda n: "* item text\n" * (n // 12),
    "colon lines": lambda n: "item following:\n" * (n // 16),
    "restarts": lambda n: "1. x\n2. y:\n" * (n // 11),
    "deep nesting": lambda n: "\n".join(" " * (i % 1000) + "* x" for i in range(n // 500)),
    "wrapped": lambda n: ("* " + "w" * 70 + "\n  and " + "x" * 40 + "\n") * (n // 120),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_linear(name: str) -> None:
    def cost(size: int) -> float:
        raw = HOSTILE[name](size)
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            parse(raw, "full")
            best = min(best, time.process_time() - start)
        return best

    small, large = cost(30_000), cost(240_000)  # 8 times the text; quadratic would be 64 times the time
    assert large < 24 * max(small, 0.002)


def test_a_hundred_thousand_bullets() -> None:
    assert len(parse("* item\n" * 100_000, "inclusion")) == 100_000


def test_a_thousandfold_nesting_keeps_every_line() -> None:
    nodes = parse("\n".join(" " * i + "* item" for i in range(1000)), "inclusion")
    assert len(nodes) == 1000
    assert max(node.path.count(".") for node in nodes) < 40


def test_the_headline_page() -> None:
    page = SHARED / "seed/clinconnect-NCT06886919.txt"
    if not page.exists():
        pytest.skip("the headline page's text is not beside the project")
    text = page.read_text(encoding="utf-8")
    raw = text[text.index("Eligibility criteria") + 21 : text.index("\nAbout Beijing")]
    nodes = check(raw, "full")
    assert [node.path for node in nodes if node.section == "inclusion"] == [
        "1", "2", "2.h1", "2.1", "2.2", "3", "4", "5", "6", "7", "7.1", "7.1.a", "7.1.b", "7.1.c", "7.2", "7.3", "7.4",
        "7.5", "7.6", "8", "9",
    ]  # fmt: skip
    assert [node.path for node in nodes if node.section == "exclusion"] == [str(i) for i in range(1, 21)]
    assert [node.path for node in nodes if node.kind == "heading"] == ["2.h1", "7", "7.1"]
