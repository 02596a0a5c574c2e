"""Fixtures of the export tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.export.model import Context, TrialRecord
from tests.export.bench import Bench, every_kind, fill, make_context, small_record


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def context() -> Context:
    return make_context()


@pytest.fixture
def record() -> TrialRecord:
    return every_kind()


@pytest.fixture
def db(tmp_path: Path, record: TrialRecord) -> Path:
    """A knowledge base with the record of every kind, and two small trials."""
    path = tmp_path / "kb.db"
    fill(path, record, small_record("NCT99000002", 50), small_record("NCT99000003", 75))
    return path
