"""Kill -9 at random moments: ``python benchmarks/crash.py [--kills 200] [--seed 1]``.

Each round starts ``trialkb refresh`` on a fresh knowledge base (fetch, archive, extract, build), kills it with
SIGKILL at a moment drawn evenly over the time of a clean run, and starts it again. The second run must
complete, the archive must verify, and archive and knowledge base must equal those of a run that nobody
killed. Rounds are forked from a process that has loaded the vocabulary already, so that the moments fall
into the work and not into the start-up. Prints where the kills fell; exit code 1 if any round failed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import cli  # noqa: E402
from commands.knowledge_feed import the_reading  # noqa: E402
from harvest.archive import Archive  # noqa: E402
from harvest.local_registry import LocalRegistry, load  # noqa: E402
from kb.digest import content_digest  # noqa: E402

Content = tuple[str, list[tuple[Any, ...]]]


def serve(address: Any, stop: Any) -> None:
    """The registry, in a process of its own."""
    with LocalRegistry(load(ROOT / "fixtures")) as server:
        address.send(server.url)
        stop.wait()


def start(db: Path, url: str) -> int:
    """Fork a refresh on ``db``; gives the child's process id."""
    child = os.fork()
    if child:
        return child
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        cli.main(["refresh", "--all", "--db", str(db), "--ctgov-url", url, "--pace", "0"])
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    os._exit(99)


def finish(child: int) -> int:
    """Wait for a child; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def content(db: Path) -> Content:
    """The digest of the knowledge base, and what the archive holds."""
    with Archive.open(db.with_name(f"{db.stem}.archive.sqlite")) as archive:
        damage = list(archive.verify())
        rows = archive.connection.execute(
            "SELECT r.source, r.source_id, r.sha256, r.version, r.rest, h.record IS NOT NULL FROM record r"
            " LEFT JOIN head h ON h.record = r.id ORDER BY 1, 2, 3"
        ).fetchall()
    assert not damage, damage
    return content_digest(db), rows


def stage(db: Path) -> str:
    """How far the killed run had come."""
    path = db.with_name(f"{db.stem}.archive.sqlite")
    if not path.exists():
        return "before the archive"
    try:
        with Archive.open(path) as archive:
            if archive.connection.execute("SELECT count(*) FROM run WHERE state = 'complete'").fetchone()[0]:
                return "building the knowledge base" if db.exists() else "between archive and knowledge base"
            return "fetching" if archive.connection.execute("SELECT 1 FROM run").fetchone() else "opening"
    except Exception:
        return "making the archive"


def rounds(folder: Path, url: str, kills: int, chance: random.Random) -> int:
    """All rounds; gives the number of failed ones."""
    seconds = 60.0
    for number in range(3):
        clean = folder / f"clean{number}.db"
        started = time.perf_counter()
        assert finish(start(clean, url)) == 0, "the clean run failed"
        seconds = min(seconds, time.perf_counter() - started)
        expected = content(clean)
    print(f"a clean run takes {seconds:.2f} s, digest {expected[0][:16]}, {len(expected[1])} records")
    where: Counter[str] = Counter()
    failed = number = 0
    while where.total() < kills:
        number += 1
        db = folder / str(number) / "kb.db"
        child = start(db, url)
        time.sleep(chance.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        if finish(child) != -signal.SIGKILL:
            continue  # it had ended before: not a kill
        where[stage(db)] += 1
        code = finish(start(db, url))
        if code != 0 or content(db) != expected:
            failed += 1
            print(f"round {number}: exit code {code}: FAILED", flush=True)
        if where.total() % 20 == 0:
            print(f"{where.total()} kills, {failed} failed", flush=True)
    for name, count in where.most_common():
        print(f"{count:>5} killed: {name}")
    print(f"{kills - failed} of {kills} rounds gave the content of the clean run")
    return failed


def main() -> None:
    """Run all rounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    here, there = multiprocessing.Pipe()
    stop = multiprocessing.Event()
    process = multiprocessing.Process(target=serve, args=(there, stop), daemon=True)
    process.start()
    the_reading()
    with tempfile.TemporaryDirectory(prefix="trialkb-") as name:
        failed = rounds(Path(name), here.recv(), arguments.kills, random.Random(arguments.seed))
    stop.set()
    process.join()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
