"""Runs commands on a disk that is too small, a real one: a tmpfs in a mount namespace of its own.

``unshare --user --map-root-user --mount python -m tests.harvest.full_disk_driver FOLDER URL``. For each size of
the disk a refresh, then, on a disk that has grown, another; at last commands on a disk that was filled up
behind them. Prints one JSON object a line. Run by test_storage_faults.py.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from commands.knowledge_feed import the_reading
from harvest.archive import Archive
from kb.digest import content_digest
from tests.harvest.command_driver import run
from tests.harvest.sample_records import state_of

# Kilobytes: from less than an empty archive to a little less than what the run needs.
SIZES = (40, 300, 700, 1500)
LARGE = 60_000


def mount(folder: Path, kilobytes: int, *more: str) -> None:
    """A tmpfs of this size on the folder, or the one there made larger or smaller."""
    options = ",".join([*more, f"size={kilobytes}k"])
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def content(db: Path) -> str | None:
    """A hash of all that archive and knowledge base hold; None where there is none yet."""
    if not db.exists():
        return None
    # Copied to another disk: reading, too, needs a little space for SQLite's log.
    with tempfile.TemporaryDirectory() as name:
        for path in db.parent.glob("kb.*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, name)
        with Archive.open(Path(name) / f"{db.stem}.archive.sqlite") as archive:
            damage = list(archive.verify())
            held = [content_digest(Path(name) / db.name), damage, state_of(archive)]
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()


def main(folder: Path, url: str) -> None:
    """All sizes, then the filled disk."""
    the_reading()
    db = folder / "kb.db"
    place = ["--db", str(db), "--ctgov-url", url, "--pace", "0"]
    refresh = ["refresh", "--cond", "lupus", "--intr", "CAR-T", *place]
    for size in (*SIZES, LARGE):
        mount(folder, size)
        first = run(refresh, "")
        mount(folder, LARGE, "remount")
        again = run(refresh, "")
        print(json.dumps({"size": size, "first": first, "again": again, "content": content(db)}), flush=True)
        if size != LARGE:
            subprocess.run(["umount", str(folder)], check=True)
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            pass
    for words in (
        ["refresh", "--all", *place],
        ["rebuild", *place[:2]],
        ["backup", str(folder / "b.zip"), *place[:2]],
    ):
        filled = run(words, "")
        print(json.dumps({"command": words[0], "filled": filled, "content": content(db)}), flush=True)
    filler.unlink()
    print(
        json.dumps({"command": "doctor", "filled": run(["doctor", *place[:2]], ""), "content": content(db)})
    )
    subprocess.run(["umount", str(folder)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
