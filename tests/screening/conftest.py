"""What the tests over real readings share: the extractor, built once, and the vocabulary's knowledge."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import patient_files
from kb.judging import Knowledge
from kb.store import Store
from nlp import pipeline
from nlp.pipeline import Extractor
from tests.kb.samples import CONCEPTS, VOCABULARY, platelets_trial

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"


@pytest.fixture(scope="session")
def extractor() -> Extractor:
    return pipeline.build()


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return patient_files.knowledge()


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED.name} is not at hand: this test reads its records")
    return SHARED


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A knowledge base with three trials, two of which share their platelet line."""
    path = tmp_path / "kb.sqlite"
    with Store.open(path, "write") as store:
        store.set_vocabulary(VOCABULARY, CONCEPTS)
        for number, value in ((1, 50), (2, 50), (3, 75)):
            store.put(*platelets_trial(number, value))
    return path
