from __future__ import annotations

import os

import pytest

from kb.concept_index import concept_index, sharing
from kb.kept_index import kept_index
from kb.store import Store
from tests.kb.samples import platelets_trial, renal_extraction, trial


@pytest.fixture
def some(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("kb.kept_index.KEPT_FROM", 1)
    store.put(*platelets_trial(1))
    store.put(*platelets_trial(2))
    line = "creatinine <= 1.5 x ULN or CrCl >= 40 mL/min"
    store.put(trial(3, line), renal_extraction(line, line))
    return store


def test_an_index_is_made_once(some: Store) -> None:
    concept_index(some)
    with Store.open(some.path) as other:
        arrays = kept_index(other, "concepts", lambda: pytest.fail("made again"))
    assert "postings" not in arrays


def test_a_write_makes_it_stale(some: Store) -> None:
    assert len(concept_index(some).versions) == 3
    some.put(*platelets_trial(4))
    assert len(concept_index(some).versions) == 4


def test_a_rebuilt_file_is_another_one(some: Store) -> None:
    concept_index(some)
    kept = some.path.with_name(some.path.name + ".concepts.npz").read_bytes()
    with Store.open(some.path.with_name("other.sqlite"), "write") as other:
        for number in (1, 2, 3):
            other.put(*platelets_trial(number))
        other.path.with_name(other.path.name + ".concepts.npz").write_bytes(kept)
        assert "inclusion:crcl" not in concept_index(other).postings


def test_a_damaged_file_is_made_anew(some: Store) -> None:
    concept_index(some)
    some.path.with_name(some.path.name + ".concepts.npz").write_bytes(b"PK damaged")
    with Store.open(some.path) as other:
        assert len(concept_index(other).versions) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_costs_only_time(some: Store) -> None:
    some.path.parent.chmod(0o555)
    try:
        with Store.open(some.path) as other:
            assert len(concept_index(other).versions) == 3
    finally:
        some.path.parent.chmod(0o755)


def test_trials_that_share_concepts(some: Store) -> None:
    first = some.version_id("NCT99000001")
    assert sharing(some, first, least=2) == [(some.version_id("NCT99000002"), 2)]
    assert sharing(some, first, least=3) == []


def test_the_jaccard_of_concepts(some: Store) -> None:
    index = concept_index(some)
    values = index.jaccard(["inclusion:plt", "exclusion:qtc"])
    assert values.tolist() == [1.0, 1.0, 0.0]
    assert 0 < index.jaccard(["inclusion:plt"])[0] < 1


def test_an_empty_knowledge_base_has_an_empty_index(store: Store) -> None:
    assert len(concept_index(store).versions) == 0
    assert concept_index(store).jaccard(["inclusion:plt"]).tolist() == []
