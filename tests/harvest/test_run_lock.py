from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harvest.errors import ArchiveLocked
from harvest.run_lock import run_lock

ROOT = Path(__file__).resolve().parents[2]


def test_a_second_run_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    archive = tmp_path / "a.archive.sqlite"
    code = f"""
from pathlib import Path
from harvest.run_lock import run_lock
try:
    with run_lock(Path({str(archive)!r}), "import"):
        print("got it")
except Exception as error:
    print(type(error).__name__, error)
"""
    with run_lock(archive, "refresh"):
        told = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    assert told.startswith("ArchiveLocked")
    assert f"'trialkb refresh' of process {os.getpid()}" in told
    after = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert after == "got it\n"


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with run_lock(tmp_path / "a", "refresh"):
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    with run_lock(tmp_path / "a", "refresh"):
        pass


def test_a_note_that_cannot_be_read_still_gives_a_clear_error(tmp_path: Path) -> None:
    archive = tmp_path / "a.sqlite"
    with run_lock(archive, "refresh"):
        (tmp_path / "a.sqlite.lock.json").write_text("{")
        with pytest.raises(ArchiveLocked, match="another trialkb holds it"), run_lock(archive, "import"):
            pass
