from __future__ import annotations

from itertools import cycle, islice

import numpy as np
import pytest

from kb.comparable import comparable, stored_subject
from kb.store import Store
from kb.terms import terms, trial_text
from kb.textual import frequencies
from kb.themes import LEAST, _by_rows, _directions, related, related_words, themes
from nlp.model import Extraction
from tests.kb.samples import VOCABULARY, trial

BLOOD = ["leukemia", "blast", "marrow", "relapse", "transplant", "cytarabine", "neutropenia"]
HEART = ["ventricle", "ejection", "stent", "angina", "infarction", "statin", "echocardiogram"]


def fill(store: Store, count: int) -> None:
    """Trials of two subjects; each text holds four of its subject's seven words and a word of its own."""
    for number in range(count):
        words = (BLOOD, HEART)[number % 2]
        text = " ".join(islice(cycle(words), number, number + 4)) + f" own{chr(97 + number % 26)}"
        store.put(
            trial(number + 1, title="", official_title=None, brief_summary=None, eligibility_text=text),
            Extraction((), (), VOCABULARY),
        )


@pytest.fixture
def two_subjects(store: Store) -> Store:
    fill(store, LEAST + 10)
    return store


def test_words_of_one_company_are_near_without_a_shared_word(two_subjects: Store) -> None:
    versions = [version for version, _ in two_subjects.current_versions()]
    texts = [set(two_subjects.trial(version).eligibility_text.split()) for version in versions]
    near = related(two_subjects, ["leukemia", "blast"], versions)
    blood = [
        near[i] for i, text in enumerate(texts) if text & set(BLOOD) and not text & {"leukemia", "blast"}
    ]
    heart = [near[i] for i, text in enumerate(texts) if text & set(HEART)]
    assert len(blood) > 5
    assert np.mean(blood) > 2 * np.mean(heart)


def test_the_shares_of_words_are_parts_of_the_nearness(two_subjects: Store) -> None:
    version, _ = next(iter(two_subjects.current_versions()))
    others = terms(trial_text(two_subjects.trial(version)))
    found = related_words(two_subjects, ["relapse"], others, most=100)
    assert {word for word, _ in found} <= set(others) - {"relapse"}
    assert 0 < sum(share for _, share in found) <= related(two_subjects, ["relapse"], [version])[0] + 1e-6


def test_from_few_texts_nothing_is_learned(store: Store) -> None:
    fill(store, LEAST - 1)
    assert not themes(store).learned
    found = comparable(store, stored_subject(store, "NCT99000001"), limit=1)
    assert "themes" not in {reason.part for reason in found[0].reasons}


def test_the_reasons_with_themes_add_up(two_subjects: Store) -> None:
    found = comparable(two_subjects, stored_subject(two_subjects, "NCT99000001"), limit=5)
    for match in found:
        assert "themes" in {reason.part for reason in match.reasons}
        assert sum(reason.contribution for reason in match.reasons) == pytest.approx(match.score)
    assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)


def test_themes_follow_the_content(two_subjects: Store) -> None:
    before = len(themes(two_subjects).hashes)
    fill_more = "kidney dialysis kidney dialysis"
    for number in (901, 902):
        two_subjects.put(
            trial(number, title="", official_title=None, brief_summary=None, eligibility_text=fill_more),
            Extraction((), (), VOCABULARY),
        )
    assert len(themes(two_subjects).hashes) == before + 2
    assert frequencies(two_subjects).documents == LEAST + 12


def test_the_directions_are_the_strongest_singular_vectors() -> None:
    random = np.random.default_rng(3)
    matrix = random.random((30, 40)) * (random.random((30, 40)) < 0.4)
    rows, columns = np.nonzero(matrix)
    values = matrix[rows, columns]
    found = _directions(_by_rows(rows, columns, values), _by_rows(columns, rows, values), 4)
    exact = np.linalg.svd(matrix, full_matrices=False)[2][:4].T
    assert np.abs(exact.T @ found).max(axis=1) == pytest.approx(np.ones(4), abs=0.02)
