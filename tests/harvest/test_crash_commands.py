"""Whole commands are killed (SIGKILL) at each fault point; the next one completes, with a clean run's content."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harvest import fault_points
from harvest.archive import Archive
from harvest.local_registry import LocalRegistry, load
from kb.digest import content_digest
from kb.moments import POINTS as KB_POINTS
from tests.harvest.sample_records import state_of

ROOT = Path(__file__).resolve().parents[2]
KILLED = -signal.SIGKILL
DATABASE = [point for point in fault_points.POINTS if point.startswith("database.")]
# A rebuild reaches these; the others belong to a refresh.
REBUILD = (
    "database.created",
    "database.after_version",
    "database.before_commit",
    "database.after_commit",
    "database.before_replace",
    "database.after_replace",
)
NOT_IN_A_REFRESH = ("database.before_replace", "database.after_replace")

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """``run("refresh", ..., point="archive.after_record:2")`` gives code, out and err."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.harvest.command_driver"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None

        def one(*words: str, point: str = "") -> dict[str, Any]:
            assert driver.stdin is not None
            assert driver.stdout is not None
            driver.stdin.write(json.dumps({"words": words, "point": point}) + "\n")
            driver.stdin.flush()
            answer: dict[str, Any] = json.loads(driver.stdout.readline())
            return answer

        yield one
        driver.stdin.close()


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[LocalRegistry]:
    with LocalRegistry(load(ROOT / "fixtures")) as running:
        yield running


def refresh(db: Path, server: LocalRegistry) -> tuple[str, ...]:
    return ("refresh", "--cond", "lupus", "--intr", "CAR-T", "--db", str(db), "--ctgov-url", server.url, "--pace", "0")  # fmt: skip


def content(db: Path) -> tuple[object, ...]:
    with Archive.open(db.with_name(f"{db.stem}.archive.sqlite")) as archive:
        assert list(archive.verify()) == []
        return content_digest(db), state_of(archive)


@pytest.fixture(scope="module")
def clean(run: Run, server: LocalRegistry, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """The content that a run has which nobody killed."""
    db = tmp_path_factory.mktemp("clean") / "kb.db"
    assert run(*refresh(db, server))["code"] == 0
    return content(db)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("point", [each for each in DATABASE if each not in NOT_IN_A_REFRESH])
def test_a_refresh_killed_in_the_knowledge_base_is_made_good(
    run: Run, server: LocalRegistry, tmp_path: Path, clean: tuple[object, ...], point: str, count: int
) -> None:
    db = tmp_path / "kb.db"
    once = ("database.created", "database.before_store", "database.after_store", "database.before_mark")
    killed = run(*refresh(db, server), point=f"{point}:{count}")
    assert killed["code"] == (0 if count == 2 and point in once else KILLED)
    again = run(*refresh(db, server))
    assert (again["code"], again["err"]) == (0, "")
    assert content(db) == clean


@pytest.mark.parametrize(
    "point",
    [each for each in fault_points.POINTS if each.split(".")[0] in ("network", "archive", "refresh")],
)
def test_a_refresh_killed_before_the_knowledge_base_is_made_good(
    run: Run, server: LocalRegistry, tmp_path: Path, clean: tuple[object, ...], point: str
) -> None:
    db = tmp_path / "kb.db"
    assert run(*refresh(db, server), point=point)["code"] == KILLED
    assert run(*refresh(db, server))["code"] == 0
    assert content(db) == clean


@pytest.mark.parametrize("point", REBUILD)
def test_a_rebuild_killed_at_a_point_leaves_a_whole_knowledge_base(
    run: Run, server: LocalRegistry, tmp_path: Path, clean: tuple[object, ...], point: str
) -> None:
    db = tmp_path / "kb.db"
    assert run(*refresh(db, server))["code"] == 0
    assert run("rebuild", "--db", str(db), point=point)["code"] == KILLED
    # Whatever of it stands, the old or the new, is whole, and both kinds of next command go on from there.
    assert content(db) == clean
    assert run(*refresh(db, server))["code"] == 0
    assert content(db) == clean
    assert run("rebuild", "--db", str(db))["code"] == 0
    assert content(db) == clean
    assert [path.name for path in tmp_path.iterdir() if ".rebuild" in path.name] == []


def test_a_restore_killed_between_its_two_files_is_told_and_made_good(
    run: Run, server: LocalRegistry, tmp_path: Path, clean: tuple[object, ...]
) -> None:
    db, saved = tmp_path / "kb.db", str(tmp_path / "saved.zip")
    assert run(*refresh(db, server))["code"] == 0
    assert run("backup", saved, "--db", str(db))["code"] == 0
    more = ("refresh", "--all", "--db", str(db), "--ctgov-url", server.url, "--pace", "0")
    assert run(*more)["code"] == 0
    restore = ("restore", saved, "--force", "--db", str(db))
    assert run(*restore, point="restore.between_files")["code"] == KILLED
    doctor = run("doctor", "--db", str(db))
    assert (doctor["code"], "a rebuild's is" in doctor["out"]) == (4, True)
    assert run(*restore)["code"] == 0
    assert content(db) == clean
    assert run("doctor", "--db", str(db))["code"] == 0


def test_each_point_of_the_knowledge_base_has_its_name_in_the_list() -> None:
    assert set(KB_POINTS) <= set(fault_points.POINTS)
    assert set(DATABASE) - set(KB_POINTS) == {
        "database.before_store",
        "database.after_store",
        "database.before_mark",
    }
