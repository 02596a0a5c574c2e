"""What the tests of the harvest share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from harvest.archive import Archive
from harvest.local_registry import LocalRegistry, load
from tests.harvest.command_line import Command, Result, serve


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty archive."""
    with Archive.open(tmp_path / "kb.archive.sqlite", write=True) as opened:
        yield opened


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Where a knowledge base may be made."""
    return tmp_path / "kb.db"


@pytest.fixture
def trialkb(db: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command line in this process, on an empty knowledge base."""
    monkeypatch.setenv("TRIALKB_DB", str(db))
    monkeypatch.setenv("TRIALKB_PACE", "0")

    def run(*words: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        out, err = capsys.readouterr()
        return Result(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def server(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalRegistry]:
    """A running registry of the fixtures, which the commands ask."""
    with serve(monkeypatch, load(fixtures)) as running:
        yield running
