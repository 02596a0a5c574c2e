"""Each named fault point is killed (SIGKILL); the next run completes, and the content is a clean run's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harvest import fault_points, run_log
from harvest.archive import Archive
from harvest.canonical import encode
from harvest.local_registry import LocalRegistry
from tests.harvest import crash_driver
from tests.harvest.sample_records import holdings, sample, sample_id, state_of

ROOT = Path(__file__).resolve().parents[2]
HARVEST_POINTS = [
    point for point in fault_points.POINTS if point.split(".")[0] in ("network", "archive", "refresh")
]
# Reached once only in a run.
ONCE = ("archive.created", "refresh.before_end", "refresh.after_end")


def run(archive: Path, where: str, point: str = "") -> int:
    return subprocess.run(
        [sys.executable, "-m", "tests.harvest.crash_driver", str(archive), where],
        cwd=ROOT,
        env={**os.environ, "TRIALKB_FAULT_POINT": point},
        check=False,
    ).returncode


def clean_state(path: Path, where: str) -> list[tuple[object, ...]]:
    crash_driver.main(path, where)
    with Archive.open(path) as archive:
        return state_of(archive)


@pytest.mark.parametrize("count", [3])  # the first time: test_crash_commands.py
@pytest.mark.parametrize("point", HARVEST_POINTS)
def test_a_refresh_killed_at_a_point_is_made_good_by_the_next(tmp_path: Path, point: str, count: int) -> None:
    held = holdings(*map(sample, range(1, 36)))
    with LocalRegistry(held) as server:
        crashed = tmp_path / "crashed.sqlite"
        code = run(crashed, server.url, f"{point}:{count}")
        assert code == (0 if count == 3 and point in ONCE else -signal.SIGKILL)
        assert run(crashed, server.url) == 0
        expected = clean_state(tmp_path / "clean.sqlite", server.url)
    with Archive.open(crashed) as archive:
        assert state_of(archive) == expected
        assert list(archive.verify()) == []
        assert run_log.runs(archive)[0].state == "complete"
        key = run_log.runs(archive)[0].key
        assert run_log.known_ids(archive, key) == {sample_id(n) for n in range(1, 36)}


@pytest.mark.parametrize("point", [each for each in HARVEST_POINTS if not each.startswith("network.")])
def test_an_import_killed_at_a_point_is_made_good_by_the_next(tmp_path: Path, point: str) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    for number in range(1, 6):
        record = encode(sample(number))
        (folder / f"{number}.json").write_bytes(record)
    crashed = tmp_path / "crashed.sqlite"
    assert run(crashed, str(folder), f"{point}:1") == -signal.SIGKILL
    assert run(crashed, str(folder)) == 0
    expected = clean_state(tmp_path / "clean.sqlite", str(folder))
    with Archive.open(crashed) as archive:
        assert state_of(archive) == expected


def test_every_point_is_one_that_the_code_reaches() -> None:
    named = set()
    for folder in ("harvest", "commands", "kb"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            named |= {point for point in fault_points.POINTS if f'reach("{point}")' in text}
    assert named == set(fault_points.POINTS)


def test_a_killed_run_leaves_no_lock_behind(tmp_path: Path) -> None:
    with LocalRegistry(holdings(sample(1))) as server:
        path = tmp_path / "a.sqlite"
        assert run(path, server.url, "refresh.after_page:1") == -signal.SIGKILL
        assert run(path, server.url) == 0
