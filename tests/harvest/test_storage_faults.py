"""A full disk, a read-only database, two runs at once: real ones, each a clear error that changes nothing."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harvest.local_registry import LocalRegistry, load
from harvest.registry_faults import Fault, FaultPlan
from kb.digest import content_digest
from tests.harvest.command_line import content

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
# linux/prctl.h and linux/capability.h: what lets root write where its rights do not.
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def can_mount() -> bool:
    try:
        test = [*NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", "/mnt"]
        return subprocess.run(test, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def complaint(result: dict[str, Any]) -> str:
    """The one line on stderr of a command that failed."""
    assert result["err"].count("\n") == 1, result["err"]
    assert "Traceback" not in result["err"]
    return str(result["err"])


@pytest.mark.skipif(not can_mount(), reason="no right to mount a small disk in a namespace here")
def test_a_full_disk_is_one_clear_line_and_the_next_run_completes(tmp_path: Path, fixtures: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with LocalRegistry(load(fixtures)) as server:
        driver = [*NAMESPACE, sys.executable, "-m", "tests.harvest.full_disk_driver", str(disk), server.url]
        done = subprocess.run(driver, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    sizes = [each for each in told if "size" in each]
    *small, large = sizes
    assert large["first"]["code"] == 0
    for each in small:
        assert each["first"]["code"] == 4, each
        words = complaint(each["first"])
        assert str(disk) in words
        assert "free space and run again" in words
        assert (each["again"]["code"], each["again"]["err"]) == (0, ""), each
        assert each["content"] == large["content"]
    filled = {each["command"]: each for each in told if "command" in each}
    for name in ("refresh", "rebuild", "backup"):
        assert filled[name]["filled"]["code"] == 4, filled[name]
        words = complaint(filled[name]["filled"])
        assert str(disk) in words
        assert "free space and run again" in words
        assert filled[name]["content"] == large["content"]
    assert filled["doctor"]["filled"]["code"] == 0


def without_root_rights() -> None:
    """Take from the process to come what lets root write where nobody may."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def start(db: Path, url: str, *words: str, drop: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *words, "--db", str(db)],
        cwd=ROOT,
        env={**os.environ, "TRIALKB_CTGOV_URL": url, "TRIALKB_PACE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=without_root_rights if drop else None,
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=60)
    return {"code": process.returncode, "out": out, "err": err}


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
@pytest.mark.parametrize("what", ["files", "folder and files"])
def test_a_read_only_database_is_one_clear_line_and_is_still_read(
    tmp_path: Path, fixtures: Path, what: str
) -> None:
    folder = tmp_path / "kept"
    db = folder / "kb.db"
    drop = os.geteuid() == 0
    with LocalRegistry(load(fixtures)) as server:
        assert finish(start(db, server.url, "refresh", "NCT06886919"))["code"] == 0
        before = content(db)
        for path in folder.iterdir():
            path.chmod(0o444)
        if what != "files":
            folder.chmod(0o555)
        try:
            refused = finish(start(db, server.url, "refresh", "NCT99000001", drop=drop))
            shown = finish(start(db, server.url, "runs", drop=drop))
        finally:
            folder.chmod(0o755)
    assert refused["code"] == 4, refused
    assert str(folder) in complaint(refused)
    assert (shown["code"], "complete" in shown["out"]) == (0, True), shown
    assert content(db) == before


def test_of_two_runs_at_once_the_second_says_who_holds_the_lock(tmp_path: Path, fixtures: Path) -> None:
    db = tmp_path / "kb.db"
    slow = Fault("slow", path="/studies", seconds=60)
    note = tmp_path / "kb.archive.sqlite.lock.json"
    with LocalRegistry(load(fixtures), plan=FaultPlan([slow])) as server:
        first = start(db, server.url, "refresh", "--cond", "lupus")
        try:
            until = time.monotonic() + 30
            while not (slow.struck and note.exists()) and time.monotonic() < until:
                time.sleep(0.05)
            second = finish(start(db, server.url, "refresh", "NCT06886919"))
            held = complaint(second)
        finally:
            first.terminate()
            finish(first)
        assert second["code"] == 4
        assert f"'trialkb refresh' of process {first.pid}" in held
        assert "since 20" in held
        # The first one was ended in the middle: its lock went with it.
        assert finish(start(db, server.url, "refresh", "NCT06886919"))["code"] == 0
    assert content_digest(db)
