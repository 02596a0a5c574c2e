"""The digest tells readers apart whose vocabulary is the same and whose code is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nlp import vocab


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the room's sources, taken for the room."""
    for path in Path(vocab.__file__).parent.glob("*.py"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(vocab, "__file__", str(tmp_path / "vocab.py"))
    vocab._code_digest.cache_clear()
    monkeypatch.setattr(vocab, "_code_digest", vocab._code_digest.__wrapped__)
    return tmp_path


def test_a_changed_rule_changes_the_digest(room: Path) -> None:
    before = vocab.digest()
    assert vocab.digest() == before
    (room / "limits.py").write_bytes((room / "limits.py").read_bytes() + b"\nMORE = 1\n")
    assert vocab.digest() != before
