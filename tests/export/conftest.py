"""Fixtures of the export tests."""

from __future__ import annotations

import pytest

from kb.export.model import Context, TrialRecord
from tests.export.bench import Bench, every_kind, make_context


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def context() -> Context:
    return make_context()


@pytest.fixture
def record() -> TrialRecord:
    return every_kind()
