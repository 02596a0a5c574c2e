from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kb.store import Store
from tests.kb.samples import CONCEPTS, VOCABULARY


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty knowledge base, open for writing, with the sample concepts."""
    with Store.open(tmp_path / "kb.sqlite", "write") as opened:
        opened.set_vocabulary(VOCABULARY, CONCEPTS)
        yield opened
