"""Accuracy on the annotated corpora may not fall below what was pinned; see benchmarks/accuracy.py --pin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import accuracy
from nlp.pipeline import build

PINNED = json.loads(accuracy.FLOOR.read_text(encoding="utf-8"))


def test_no_figure_is_below_the_pinned_floor(shared: Path) -> None:
    digests = {corpus: accuracy.digest(accuracy.gold_path(shared, corpus)) for corpus in accuracy.CORPORA}
    if digests != PINNED["gold"]:
        pytest.skip("the gold files of the shared folder are not those that the floor was pinned on")
    extractor = build()
    page, _ = accuracy.headline(extractor, shared)
    values = accuracy.figures(accuracy.measure(extractor, shared, errors=False), page)
    assert accuracy.fallen(PINNED["figures"], values) == {}


def test_every_corpus_and_the_headline_page_are_pinned() -> None:
    assert set(PINNED["gold"]) == set(accuracy.CORPORA)
    for corpus in ("lct", "chia", "covic"):
        assert {f"{corpus}/Measurement,Age/{level}" for level in "abncd"} <= set(PINNED["figures"])
    assert {"c2sql/all/n", "c2sql/all/c", "headline/right"} <= set(PINNED["figures"])


def test_pinning_refuses_a_lower_value(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    accuracy.pin(path, {"x": "1"}, {"x/all/c": 0.9}, None)
    with pytest.raises(ValueError, match="would lower the floor: x/all/c"):
        accuracy.pin(path, {"x": "1"}, {"x/all/c": 0.8999}, None)
    assert json.loads(path.read_text())["figures"] == {"x/all/c": 0.9}


def test_pinning_refuses_to_forget_a_value_or_to_change_the_gold(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    accuracy.pin(path, {"x": "1"}, {"x/all/c": 0.9, "x/all/d": 0.8}, None)
    with pytest.raises(ValueError, match="x/all/d"):
        accuracy.pin(path, {"x": "1"}, {"x/all/c": 0.95}, None)
    with pytest.raises(ValueError, match="gold files"):
        accuracy.pin(path, {"x": "2"}, {"x/all/c": 0.9, "x/all/d": 0.8}, None)


def test_a_lowered_floor_keeps_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    accuracy.pin(path, {"x": "1"}, {"x/all/c": 0.9}, None)
    accuracy.pin(path, {"x": "1"}, {"x/all/c": 0.8}, "a wrong rule went")
    accuracy.pin(path, {"x": "1"}, {"x/all/c": 0.85}, None)
    (kept,) = json.loads(path.read_text())["lowered"]
    assert kept["reason"] == "a wrong rule went"
    assert "0.9 -> 0.8" in kept["what"][0]
