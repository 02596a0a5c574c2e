"""One run at a time on one archive, and a second one is told who holds the lock."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from harvest.errors import ArchiveLocked
from harvest.sources.ctgov_record import utc_now
from harvest.sqlite_errors import sqlite_errors


@contextmanager
def run_lock(archive: Path, task: str) -> Iterator[None]:
    """Hold the archive for ``task`` ("refresh", "import", ...).

    The operating system frees the lock when the process ends, however it ends. Raises ArchiveLocked, with
    the process that holds it, its task and since when; ArchiveUnwritable in a read-only folder.
    """
    lock_path = archive.with_name(archive.name + ".lock")
    holder_path = archive.with_name(archive.name + ".lock.json")
    with sqlite_errors(archive):
        archive.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise ArchiveLocked(f"{archive}: {_holder(holder_path)}; wait for it to end") from error
    try:
        note = {"pid": os.getpid(), "host": socket.gethostname(), "task": task, "since": utc_now()}
        with sqlite_errors(archive):
            holder_path.write_text(json.dumps(note), "utf-8")
        yield
    finally:
        with suppress(OSError):
            holder_path.unlink()
        lock.release()


def is_held(archive: Path) -> bool:
    """Whether a run goes on at this archive now; False also where that cannot be found out (read-only)."""
    lock = FileLock(archive.with_name(archive.name + ".lock"))
    if not Path(lock.lock_file).exists():
        return False
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text("utf-8"))
        return f"'trialkb {note['task']}' of process {note['pid']} on {note['host']} holds it since {note['since']}"
    except (OSError, ValueError, KeyError):
        return "another trialkb holds it"
