"""Build rate, size, memory and latency of the knowledge base, beside plain SQL for the same questions.

    python benchmarks/knowledge_base.py --trials 1000 20000 [--folder DIR] [--keep] [--records FILE.jsonl.gz]
    python benchmarks/knowledge_base.py --trials 560000 --folder DIR --resume --minutes 8 --keep   (again until it is built)

Trials are composed from the criteria of real records (:mod:`benchmarks.composed_trials`), sampled so that no
condition dominates; ``--distinct 0.6`` gives that share of the criteria words of their own. The plain side is
:mod:`benchmarks.plain_registry`. Both sides run warm in one process, in turns; processor time (what others
do on the machine does not count), medians and 95th percentiles over different trials. A build that ran out of ``--minutes`` ends with code 5 and is continued by ``--resume``.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.comparable import RECORDS, read_trials, sample  # noqa: E402
from benchmarks.composed_trials import Piece, compose, pieces_of  # noqa: E402
from benchmarks.plain_registry import PlainQuestions, fill, opened  # noqa: E402
from commands.knowledge_feed import the_reading  # noqa: E402
from harvest.model import Trial  # noqa: E402
from kb.axes import axis_index  # noqa: E402
from kb.comparable import comparable, nearest_by_thresholds, stored_subject  # noqa: E402
from kb.compare import compare_versions  # noqa: E402
from kb.concept_index import concept_index, sharing  # noqa: E402
from kb.find import matching  # noqa: E402
from kb.landscape import landscape_of  # noqa: E402
from kb.search import search  # noqa: E402
from kb.store import Store  # noqa: E402
from nlp import vocab  # noqa: E402

UNFINISHED = 5
CHUNK = 2000
"""Trials a transaction: what a build that is stopped loses."""

WORDS = ("lupus nephritis", "hepatitis", "creatinine clearance", "platelet count")
LIMITS = (20, 50, 75, 100, 150)


@dataclass(slots=True)
class Source:
    """What trials are composed from."""

    bases: list[Trial]
    pieces: list[Piece]
    vocabulary: str
    concepts: Any
    distinct: float

    def trial(self, number: int, version: int = 0) -> Any:
        """Trial ``number`` with its reading."""
        base = self.bases[number % len(self.bases)]
        return compose(number, version, base, self.pieces, self.vocabulary, self.distinct)


@dataclass(slots=True)
class Progress:
    """What has been built in a folder; kept beside it between runs."""

    trials: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    index: float = 0.0
    plain: float = 0.0

    @classmethod
    def of(cls, folder: Path) -> Progress:
        """That of a folder; none, where nothing was built."""
        path = folder / "progress.json"
        return cls(**json.loads(path.read_text("utf-8"))) if path.is_file() else cls()

    def save(self, folder: Path) -> None:
        """Keep it."""
        self.peak = max(self.peak, memory())
        (folder / "progress.json").write_text(json.dumps(asdict(self)), "utf-8")


def memory() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def the_source(records: Path, distinct: float) -> Source:
    """Bases and criteria, sampled from the records and read with this installation's rules."""
    reading = the_reading()
    bases = sample(read_trials(records), 10, 7)
    pieces = [piece for trial in bases for piece in pieces_of(reading.extract(trial.eligibility_text))]
    print(f"{len(pieces)} criteria of {len(bases)} real records", flush=True)
    return Source(bases, pieces, reading.vocabulary, reading.concepts, distinct)


def build(folder: Path, size: int, source: Source, until: float) -> bool:
    """Go on filling ``kb.sqlite`` up to ``size`` trials, then its indexes and ``plain.sqlite``; whether it is
    finished. Counts the time of storing only, not of composing."""
    progress = Progress.of(folder)
    with Store.open(folder / "kb.sqlite", "write") as store:
        store.set_vocabulary(source.vocabulary, source.concepts)
        progress.trials = store.connection.execute("SELECT count(*) FROM trial").fetchone()[0]
        while progress.trials < size and time.monotonic() < until:
            numbers = range(progress.trials, min(size, progress.trials + CHUNK))
            made = [source.trial(number) for number in numbers]
            began = time.perf_counter(), time.process_time()
            with store.transaction():
                for trial, extraction in made:
                    store.put(trial, extraction)
            progress.wall += time.perf_counter() - began[0]
            progress.cpu += time.process_time() - began[1]
            progress.trials = numbers.stop
            progress.save(folder)
        if progress.trials < size:
            return False
        store.connection.execute("PRAGMA optimize")
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if not progress.index:
            began_index = time.perf_counter()
            axis_index(store)
            concept_index(store)
            progress.index = time.perf_counter() - began_index
            progress.save(folder)
        if not progress.plain:
            began_plain = time.perf_counter()
            fill(folder / "plain.sqlite", store, axis_index(store))
            progress.plain = time.perf_counter() - began_plain
            progress.save(folder)
    return True


def told(folder: Path, size: int) -> str:
    """One line on a finished build."""
    done = Progress.of(folder)
    connection = sqlite3.connect(folder / "kb.sqlite")
    criteria, lines = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("trial_criterion", "line")
    )
    thresholds = connection.execute(
        "SELECT count(*) FROM trial_criterion k JOIN line_threshold h ON h.reading_id = k.reading_id").fetchone()[0]  # fmt: skip
    connection.close()
    MB, plain = ((folder / name).stat().st_size / 1e6 for name in ("kb.sqlite", "plain.sqlite"))
    return (
        f"{size} trials: {size / done.wall:.0f} trials/s ({size / done.cpu:.0f} a CPU second), {MB:.0f} MB ({MB * 1000 / size:.1f} kB a trial),"
        f" {criteria} criteria of {lines} lines, {thresholds} thresholds, peak {done.peak:.0f} MB; indexes {done.index:.1f} s;"
        f" plain side {plain:.0f} MB in {done.plain:.0f} s"
    )


@dataclass(slots=True)
class Asked:
    """The trials that are asked about, with what the questions need of them."""

    trials: list[int]
    cond: dict[int, int]
    block: dict[int, list[int]]
    ten: dict[int, list[int]]


def choose(plain: sqlite3.Connection, number: int) -> Asked:
    """Trials with a condition, at random."""
    rng = random.Random(3)
    known = [row[0] for row in plain.execute("SELECT id FROM trial WHERE cond IS NOT NULL")]
    trials = rng.sample(known, min(number, len(known)))
    cond = {one: plain.execute("SELECT cond FROM trial WHERE id = ?", (one,)).fetchone()[0] for one in trials}
    block = {
        one: [row[0] for row in plain.execute("SELECT id FROM trial WHERE cond = ?", (cond[one],))]
        for one in trials
    }
    return Asked(trials, cond, block, {one: [one, *rng.sample(known, 9)] for one in trials})


Question = tuple[str, Callable[[int], Any], Callable[[int], Any]]


def questions(store: Store, plain: PlainQuestions, asked: Asked) -> list[Question]:
    """(question, ours, plain SQL), each asked by a trial's id."""
    units = vocab.load().units
    name = dict(store.connection.execute(
        "SELECT v.id, t.source_id FROM trial_version v JOIN trial t ON t.id = v.trial_id WHERE v.id IN (SELECT value FROM json_each(?))",
        (json.dumps(asked.trials),)))  # fmt: skip
    subjects = {one: stored_subject(store, name[one]) for one in asked.trials}
    cond, block, ten = asked.cond, asked.block, asked.ten

    def text(one: int) -> str:
        return WORDS[one % len(WORDS)]

    def quoted(one: int) -> str:
        return " ".join(f'"{word}"' for word in text(one).split())

    worst = max(
        abs(mine - theirs)
        for one in asked.trials[:10]
        for (_, mine), (_, theirs) in zip(
            nearest_by_thresholds(store, subjects[one], 20), plain.nearest(one), strict=True
        )
    )
    print(f"  both sides' top 20 over everything have the same scores: largest difference {worst:.1e}")
    counts = [
        (len(matching(store, f"plt min <= {limit} 10*9/L", units)), len(plain.below(limit)))
        for limit in LIMITS
    ]
    print(
        f"  trials in each threshold range, ours and plain (which holds only each trial's strictest): {counts}"
    )
    return [
        ("threshold range", lambda one: matching(store, f"plt min <= {LIMITS[one % 5]} 10*9/L", units), lambda one: plain.below(LIMITS[one % 5])),
        ("sharing >= 5 concepts", lambda one: sharing(store, one), plain.sharing),
        ("comparable 20, in a condition", lambda one: nearest_by_thresholds(store, subjects[one], 20, block[one]), lambda one: plain.nearest(one, cond[one])),
        ("comparable 20, everything", lambda one: nearest_by_thresholds(store, subjects[one], 20), plain.nearest),
        ("full-text, ranked in a condition", lambda one: search(store, text(one), versions=block[one]), lambda one: plain.words(quoted(one), cond[one])),
        ("full-text, unranked, everything", lambda one: search(store, text(one)), lambda one: plain.words(quoted(one))),
        ("compare 10", lambda one: compare_versions(store, ten[one]), lambda one: plain.compare(ten[one])),
        ("landscape of a condition", lambda one: landscape_of(store, block[one]), lambda one: plain.landscape(cond[one])),
        ("comparable by topic, explained", lambda one: comparable(store, subjects[one], limit=20), lambda one: None),
    ]  # fmt: skip


def measure(folder: Path, number: int, only: str) -> None:
    """Ask both sides in this process, in turns, and print the table."""
    store = Store.open(folder / "kb.sqlite")
    plain = opened(folder / "plain.sqlite")
    asked = choose(plain, number)
    sizes = sorted(map(len, asked.block.values()))
    print(
        f"  {len(asked.trials)} trials asked about; trials of a condition: median {sizes[len(sizes) // 2]}, at most {sizes[-1]}"
    )
    print(
        f"  {'question':34s} {'ours ms: median':>15s} {'p95':>8s} {'plain: median':>14s} {'p95':>8s} {'ratio':>6s}"
    )
    for label, ours, theirs in questions(store, PlainQuestions(plain), asked):
        if only not in label:
            continue
        times: tuple[list[float], list[float]] = ([], [])
        for one in asked.trials:
            for side, ask in zip(times, (ours, theirs), strict=True):
                began = time.process_time()  # warm, so all of it: wall time on a busy machine tells of others
                ask(one)
                side.append((time.process_time() - began) * 1000)
        mine, theirs_ms = ((statistics.median(side), statistics.quantiles(side, n=20)[-1]) for side in times)
        ratio = f"{mine[0] / theirs_ms[0]:.2f}" if theirs_ms[0] > 0.001 else "-"
        print(
            f"  {label:34s} {mine[0]:15.2f} {mine[1]:8.2f} {theirs_ms[0]:14.2f} {theirs_ms[1]:8.2f} {ratio:>6s}",
            flush=True,
        )
    print(f"  memory of the asking process: {memory():.0f} MB")
    store.close()
    plain.close()


def refresh(folder: Path, size: int, source: Source) -> tuple[float, float]:
    """(ours, plain) processor seconds for 1,000 changed trials (or all of a smaller knowledge base), one transaction each side."""
    changed = random.Random(size + 1).sample(range(size), min(1000, size))
    made = [source.trial(number, 1) for number in changed]
    with Store.open(folder / "kb.sqlite", "write") as store:
        began = time.process_time()
        with store.transaction():
            for trial, extraction in made:
                store.put(trial, extraction)
        ours = time.process_time() - began
    plain = PlainQuestions(opened(folder / "plain.sqlite"))
    plain.plain.execute("PRAGMA journal_mode = WAL")
    began = time.process_time()
    plain.plain.execute("BEGIN")
    for number, (_, extraction) in zip(changed, made, strict=True):
        plain.replace(number + 1, extraction.criteria, extraction.items)
    plain.plain.execute("COMMIT")
    seconds = time.process_time() - began
    plain.plain.close()
    return ours, seconds


def run(folder: Path, size: int, source: Source, arguments: argparse.Namespace) -> int:
    """Build one size, ask, refresh, and take it away again."""
    if not arguments.resume:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if not build(folder, size, source, time.monotonic() + 60 * arguments.minutes):
        print(f"{Progress.of(folder).trials} of {size} trials are stored; --resume goes on")
        return UNFINISHED
    print(told(folder, size), flush=True)
    if arguments.asked:
        ask = [sys.executable, __file__, "--measure", str(folder), "--asked", str(arguments.asked)]
        subprocess.run(ask, check=True)
    if arguments.keep:  # a refresh would make the two sides differ for --measure
        return 0
    ours, plain = refresh(folder, size, source)
    print(
        f"  daily refresh of {min(1000, size)} changed trials: {ours:.2f} s, plain {plain:.2f} s, ratio {ours / plain:.2f}",
        flush=True,
    )
    shutil.rmtree(folder)
    return 0


def main() -> int:
    """Build and measure each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 20_000], metavar="N")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--folder", type=Path, help="where the files are built (default: a temporary folder)")
    parser.add_argument(
        "--distinct", type=float, default=0.0, help="share of the criteria that no other trial says"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what stands in the folder")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop building after so long")
    parser.add_argument("--keep", action="store_true", help="leave the files, and measure no refresh")
    parser.add_argument("--asked", type=int, default=40, help="trials asked about; 0: build only")
    parser.add_argument("--measure", type=Path, help="only ask in this folder, which an earlier run left")
    parser.add_argument("--only", default="", help="with --measure: questions with these words")
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.asked, arguments.only)
        return 0
    if not arguments.records.is_file():
        print(f"skipped: {arguments.records} is not there; name a .jsonl.gz of v2 records with --records")
        return 0
    source = the_source(arguments.records, arguments.distinct)
    parent = arguments.folder or Path(tempfile.mkdtemp(prefix="trialkb-benchmark-"))
    return max(run(parent / str(size), size, source, arguments) for size in arguments.trials)


if __name__ == "__main__":
    sys.exit(main())
