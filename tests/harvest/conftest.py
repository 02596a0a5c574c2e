"""What the tests of the harvest share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harvest.archive import Archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty archive."""
    with Archive.open(tmp_path / "kb.archive.sqlite", write=True) as opened:
        yield opened
