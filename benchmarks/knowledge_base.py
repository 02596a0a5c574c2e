"""Build rate, size, memory and latency of the knowledge base, beside plain SQL for the same questions.

    python benchmarks/knowledge_base.py --sizes 1000 20000 [--folder DIR] [--keep] [--records FILE.jsonl.gz]

Trials are composed from criteria of real records (lognormal, 19.5 a trial on average), each with the
condition, interventions and title of a real trial, sampled so that no condition dominates. The plain side
is the flat schema of textbook SQL: one row a bound, with its logarithm, weight and spread ready, indexed for
each question. Both sides run warm in one process; medians and 95th percentiles over different trials.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.comparable import RECORDS, read_trials, sample  # noqa: E402
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
from nlp.model import (  # noqa: E402
    All,
    AnyOf,
    Criterion,
    Expression,
    Extraction,
    Fact,
    If,
    Item,
    Leaf,
    Not,
    Qualifier,
    Unread,
)

PLAIN = """
CREATE TABLE trial(id INTEGER PRIMARY KEY, cond INTEGER, total REAL);
CREATE INDEX trial_cond ON trial(cond);
CREATE TABLE axis(id INTEGER PRIMARY KEY, concept TEXT, side TEXT, scale TEXT, w REAL, tau REAL);
CREATE TABLE bound(trial INTEGER, axis INTEGER, concept TEXT, value REAL, pos REAL, line INTEGER);
CREATE TABLE has(trial INTEGER, concept TEXT);
CREATE TABLE line(id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE criterion(trial INTEGER, ord INTEGER, section TEXT, line INTEGER);
CREATE VIRTUAL TABLE fts USING fts5(text, content='line', content_rowid='id');
"""
PLAIN_INDEXES = """
CREATE INDEX bound_axis ON bound(axis, value, trial, pos);
CREATE INDEX bound_trial ON bound(trial, axis, value, pos);
CREATE INDEX has_concept ON has(concept, trial);
CREATE INDEX has_trial ON has(trial, concept);
CREATE INDEX criterion_line ON criterion(line, trial);
INSERT INTO fts(fts) VALUES ('rebuild');
ANALYZE;
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """One criterion of a real record with its items, at offset 0."""

    section: str
    criterion: Criterion
    items: tuple[Item, ...]


def pieces_of(extraction: Extraction) -> Iterator[Piece]:
    """The criteria that stand by themselves: no parent, no children."""
    parents = {(one.section, one.parent) for one in extraction.criteria if one.parent}
    for one in extraction.criteria:
        if one.parent is None and (one.section, one.path) not in parents:
            items = [i for i in extraction.items if (i.section, i.criterion) == (one.section, one.path)]
            names = {item.id: f"{number}" for number, item in enumerate(items)}
            moved = tuple(move_item(item, -one.span[0], names[item.id], "") for item in items)
            expression = move(one.expression, -one.span[0], names)
            yield Piece(one.section, replace(one, expression=expression, span=(0, len(one.text))), moved)


def move(expression: Expression, by: int, names: dict[str, str]) -> Expression:
    """The expression ``by`` characters further on, its items renamed."""
    match expression:
        case All(parts):
            return All(tuple(move(part, by, names) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(move(part, by, names) for part in parts))
        case Not(part):
            return Not(move(part, by, names))
        case If(condition, then, otherwise):
            return If(*(move(part, by, names) for part in (condition, then, otherwise)))
        case Leaf(item):
            return Leaf(names.get(item, item))
        case Fact(text, span, concept):
            return Fact(text, (span[0] + by, span[1] + by), concept)
        case Unread(span, why):
            return Unread((span[0] + by, span[1] + by), why)


def move_item(item: Item, by: int, name: str, path: str) -> Item:
    """The item ``by`` characters further on."""

    def qualifier(one: Qualifier | None) -> Qualifier | None:
        return None if one is None else Qualifier(one.text, (one.span[0] + by, one.span[1] + by))

    span = item.concept_span
    return replace(
        item, id=name, criterion=path, value_span=(item.value_span[0] + by, item.value_span[1] + by),
        concept_span=None if span is None else (span[0] + by, span[1] + by),
        condition=qualifier(item.condition), exception=qualifier(item.exception),
    )  # fmt: skip


def compose(
    number: int, version: int, base: Trial, pieces: Sequence[Piece], rng: random.Random, vocabulary: str
) -> tuple[Trial, Extraction]:
    """Trial ``number`` of the benchmark, with criteria drawn from ``pieces``."""
    count = max(3, min(90, round(rng.lognormvariate(math.log(16.5), 0.58))))
    drawn = sorted(rng.choices(pieces, k=count), key=lambda piece: piece.section, reverse=True)
    text, section = "", ""
    items: list[Item] = []
    criteria: list[Criterion] = []
    for place, piece in enumerate(drawn, start=1):
        if piece.section != section:
            section = piece.section
            text += f"{section.capitalize()} Criteria:\n\n"
        text += "* "
        names = {item.id: f"i{len(items) + number}" for number, item in enumerate(piece.items, start=1)}
        items += [move_item(item, len(text), names[item.id], str(place)) for item in piece.items]
        span = (len(text), len(text) + len(piece.criterion.text))
        expression = move(piece.criterion.expression, len(text), names)
        criteria.append(replace(piece.criterion, path=str(place), span=span, expression=expression))
        text += piece.criterion.text + "\n"
    trial = replace(
        base, source="benchmark", source_id=f"BENCH{number:08d}", version=f"{version:02d}{number:062d}",
        eligibility_text=text, aliases=(), synthetic=True, last_update_posted=f"202{version}-01-01",
    )  # fmt: skip
    return trial, Extraction(tuple(items), tuple(criteria), vocabulary)


def build(
    folder: Path, size: int, bases: Sequence[Trial], pieces: Sequence[Piece], vocabulary: str, concepts: Any
) -> dict[str, Any]:
    """Fill ``kb.sqlite`` and ``plain.sqlite``; seconds of storing only, not of composing."""
    rng = random.Random(size)
    spent = 0.0
    with Store.open(folder / "kb.sqlite", "write") as store:
        store.set_vocabulary(vocabulary, concepts)
        began = time.perf_counter()
        with store.bulk():
            for number in range(size):
                composing = time.perf_counter()
                made = compose(number, 0, bases[number % len(bases)], pieces, rng, vocabulary)
                spent += time.perf_counter() - composing
                store.put(*made)
        seconds = time.perf_counter() - began - spent
        began = time.perf_counter()
        index = axis_index(store)
        concept_index(store)
        indexing = time.perf_counter() - began
        rows = store.connection.execute("SELECT count(*) FROM threshold").fetchone()[0]
        lines = store.connection.execute("SELECT count(*) FROM criterion").fetchone()[0]
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        fill_plain(folder / "plain.sqlite", store, index)
    return {"build_s": seconds, "index_s": indexing, "thresholds": rows, "criteria": lines,
            "MB": (folder / "kb.sqlite").stat().st_size / 1e6, "build_peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}  # fmt: skip


def fill_plain(path: Path, store: Store, index: Any) -> None:
    """The same content in the flat schema."""
    plain = sqlite3.connect(path, isolation_level=None)
    plain.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + PLAIN)
    plain.execute("BEGIN")
    conditions = dict(
        store.connection.execute(
            "SELECT version_id, min(condition_id) FROM trial_condition WHERE relation = 'mesh' GROUP BY 1"
        )
    )
    plain.executemany("INSERT INTO trial VALUES (?, ?, ?)", (
        (int(version), conditions.get(int(version)), float(total)) for version, total in zip(index.versions, index.totals, strict=True)
    ))  # fmt: skip
    for number, (axis, data) in enumerate(index.axes.items()):
        plain.execute("INSERT INTO axis VALUES (?, ?, ?, ?, ?, ?)", (number, *axis, data.weight, data.tau))
        values = data.positions if data.linear else [math.exp(one) for one in data.positions]
        plain.executemany("INSERT INTO bound VALUES (?, ?, ?, ?, ?, NULL)", (
            (int(index.versions[place]), number, axis[0], float(value), float(position))
            for place, value, position in zip(data.places, values, data.positions, strict=True)
        ))  # fmt: skip
    plain.executemany("INSERT INTO has VALUES (?, ?)", store.connection.execute(
        "SELECT DISTINCT version_id, concept_id FROM threshold WHERE concept_id IS NOT NULL ORDER BY 1"))  # fmt: skip
    plain.executemany("INSERT INTO line VALUES (?, ?)", store.connection.execute("SELECT id, text FROM line"))
    plain.executemany("INSERT INTO criterion VALUES (?, ?, ?, ?)", store.connection.execute(
        "SELECT version_id, ordinal, section, line_id FROM criterion"))  # fmt: skip
    plain.execute("COMMIT")
    plain.executescript(PLAIN_INDEXES)
    plain.close()


NEAR = """
SELECT b.trial, sum(x.w * exp(-CASE WHEN abs(a.pos - b.pos) <= 0.01 THEN 0 ELSE abs(a.pos - b.pos) END / x.tau)) AS g, sum(x.w) AS s
FROM {source} WHERE a.trial = :trial AND b.trial != a.trial {block} GROUP BY b.trial
"""
OVERALL = "SELECT n.trial, n.g / (t.total + (SELECT total FROM trial WHERE id = :trial) - n.s + 5.0) AS score FROM ({near}) n JOIN trial t ON t.id = n.trial ORDER BY score DESC, n.trial LIMIT 20"
EVERYWHERE = OVERALL.format(near=NEAR.format(
    source="bound a JOIN axis x ON x.id = a.axis CROSS JOIN bound b ON b.axis = a.axis", block=""))  # fmt: skip
INSIDE = OVERALL.format(near=NEAR.format(
    source="trial t CROSS JOIN bound b ON b.trial = t.id CROSS JOIN bound a ON a.axis = b.axis AND a.trial = :trial JOIN axis x ON x.id = b.axis",
    block="AND t.cond = :cond"))  # fmt: skip


def quantiles(plain: sqlite3.Connection, cond: int) -> dict[tuple[str, ...], tuple[float, ...]]:
    """The plain landscape: rows of the block from SQL, quartiles in Python."""
    found: dict[tuple[str, ...], list[float]] = {}
    for concept, side, scale, value, _ in plain.execute(
        "SELECT x.concept, x.side, x.scale, b.value, b.trial FROM trial t CROSS JOIN bound b ON b.trial = t.id"
        " JOIN axis x ON x.id = b.axis WHERE t.cond = ?", (cond,)):  # fmt: skip
        found.setdefault((concept, side, scale), []).append(value)
    return {
        key: (min(values), *statistics.quantiles(values, n=4), max(values))
        for key, values in found.items()
        if len(values) > 1
    }


def measure(folder: Path, asked: int) -> list[tuple[str, list[float], list[float]]]:
    """(question, our milliseconds, the plain side's), over different trials."""
    store = Store.open(folder / "kb.sqlite")
    plain = sqlite3.connect(folder / "plain.sqlite", isolation_level=None)
    plain.execute("PRAGMA cache_size = -65536")
    plain.execute("PRAGMA temp_store = MEMORY")
    units = vocab.load().units
    rng = random.Random(3)
    trials = [row[0] for row in plain.execute("SELECT id FROM trial WHERE cond IS NOT NULL")]
    chosen = rng.sample(trials, min(asked, len(trials)))
    name = dict(store.connection.execute(
        "SELECT v.id, t.source_id FROM trial_version v JOIN trial t ON t.id = v.trial_id WHERE v.id IN (SELECT value FROM json_each(?))",
        (json.dumps(chosen),)))  # fmt: skip
    cond = {one: plain.execute("SELECT cond FROM trial WHERE id = ?", (one,)).fetchone()[0] for one in chosen}
    block = {
        one: [row[0] for row in plain.execute("SELECT id FROM trial WHERE cond = ?", (cond[one],))]
        for one in chosen
    }
    ten = {one: [one, *rng.sample(trials, 9)] for one in chosen}
    subjects = {one: stored_subject(store, name[one]) for one in chosen}
    words = ["lupus nephritis", "hepatitis", "creatinine clearance", "platelet count"]
    limits = [20, 50, 75, 100, 150]
    plt = plain.execute(
        "SELECT id FROM axis WHERE concept = 'plt' AND side = 'min' AND scale = 'absolute'"
    ).fetchone()[0]

    def text_of(one: int) -> str:
        return words[one % len(words)]

    def quoted(one: int) -> str:
        return " ".join(f'"{word}"' for word in text_of(one).split())

    questions: list[tuple[str, Callable[[int], Any], Callable[[int], Any]]] = [
        ("threshold range", lambda one: matching(store, f"plt min <= {limits[one % 5]} 10*9/L", units),
         lambda one: plain.execute("SELECT DISTINCT trial FROM bound WHERE axis = ? AND value <= ?", (plt, limits[one % 5])).fetchall()),
        ("sharing >= 5 concepts", lambda one: sharing(store, one),
         lambda one: plain.execute("SELECT b.trial, count(*) AS n FROM has a JOIN has b ON b.concept = a.concept AND b.trial != a.trial"
                                   " WHERE a.trial = ? GROUP BY b.trial HAVING n >= 5 ORDER BY n DESC, b.trial", (one,)).fetchall()),
        ("comparable 20, in a condition", lambda one: nearest_by_thresholds(store, subjects[one], 20, block[one]),
         lambda one: plain.execute(INSIDE, {"trial": one, "cond": cond[one]}).fetchall()),
        ("comparable 20, everything", lambda one: nearest_by_thresholds(store, subjects[one], 20),
         lambda one: plain.execute(EVERYWHERE, {"trial": one}).fetchall()),
        ("full-text, ranked in a condition", lambda one: search(store, text_of(one), versions=block[one]),
         lambda one: plain.execute("SELECT k.trial, k.section, k.ord, highlight(fts, 0, '«', '»') FROM fts JOIN criterion k ON k.line = fts.rowid"
                                   " JOIN trial t ON t.id = k.trial WHERE fts MATCH ? AND t.cond = ? ORDER BY bm25(fts) LIMIT 20", (quoted(one), cond[one])).fetchall()),
        ("full-text, unranked, everything", lambda one: search(store, text_of(one)),
         lambda one: plain.execute("SELECT k.trial, k.section, k.ord, highlight(fts, 0, '«', '»') FROM fts JOIN criterion k ON k.line = fts.rowid"
                                   " WHERE fts MATCH ? LIMIT 20", (quoted(one),)).fetchall()),
        ("compare 10", lambda one: compare_versions(store, ten[one]),
         lambda one: plain.execute("SELECT b.trial, x.concept, x.side, x.scale, b.value FROM bound b JOIN axis x ON x.id = b.axis"
                                   " WHERE b.trial IN (SELECT value FROM json_each(?)) ORDER BY x.concept", (json.dumps(ten[one]),)).fetchall()),
        ("landscape of a condition", lambda one: landscape_of(store, block[one]), lambda one: quantiles(plain, cond[one])),
        ("comparable by topic, explained", lambda one: comparable(store, subjects[one], limit=20), lambda one: None),
    ]  # fmt: skip
    worst = max(
        abs(mine - theirs)
        for one in chosen[:10]
        for (_, mine), (_, theirs) in zip(
            nearest_by_thresholds(store, subjects[one], 20),
            plain.execute(EVERYWHERE, {"trial": one}).fetchall(),
            strict=True,
        )
    )
    print(f"  both sides' top 20 over everything have the same scores: largest difference {worst:.1e}")
    results = []
    for label, ours, theirs in questions:
        times: tuple[list[float], list[float]] = ([], [])
        for one in chosen:
            for side, ask in zip(times, (ours, theirs), strict=True):
                began = time.perf_counter()
                ask(one)
                side.append((time.perf_counter() - began) * 1000)
        results.append((label, *times))
    store.close()
    plain.close()
    return results


def refresh(
    folder: Path, size: int, bases: Sequence[Trial], pieces: Sequence[Piece], vocabulary: str
) -> tuple[float, float]:
    """(ours, plain) seconds for 1,000 changed trials (or all of a smaller knowledge base)."""
    rng = random.Random(size + 1)
    changed = rng.sample(range(size), min(1000, size))
    made = [compose(number, 1, bases[number % len(bases)], pieces, rng, vocabulary) for number in changed]
    with Store.open(folder / "kb.sqlite", "write") as store:
        began = time.perf_counter()
        for trial, extraction in made:
            store.put(trial, extraction)
        ours = time.perf_counter() - began
    plain = sqlite3.connect(folder / "plain.sqlite", isolation_level=None)
    began = time.perf_counter()
    plain.execute("BEGIN")
    known = plain.execute("SELECT max(id) FROM line").fetchone()[0]
    for number, (_, extraction) in zip(changed, made, strict=True):
        key = number + 1
        for table in ("bound", "has"):
            plain.execute(f"DELETE FROM {table} WHERE trial = ?", (key,))
        for ordinal, one in enumerate(extraction.criteria):
            known += 1
            plain.execute("INSERT INTO line VALUES (?, ?)", (known, one.text))
            plain.execute("INSERT INTO fts(rowid, text) VALUES (?, ?)", (known, one.text))
            plain.execute("INSERT INTO criterion VALUES (?, ?, ?, ?)", (key, ordinal, one.section, known))
        plain.executemany("INSERT INTO bound VALUES (?, 0, ?, ?, ?, NULL)", [
            (key, item.concept, item.canonical_low or item.canonical_high, 0.0) for item in extraction.items if item.concept
        ])  # fmt: skip
    plain.execute("COMMIT")
    plain.close()
    return ours, time.perf_counter() - began


def report(folder: Path, asked: int) -> None:
    """Measure an existing folder in this process, and print the table."""
    print(
        f"  {'question':34s} {'ours ms: median':>15s} {'p95':>8s} {'plain: median':>14s} {'p95':>8s} {'ratio':>6s}"
    )
    for label, ours, theirs in measure(folder, asked):
        row = [
            statistics.median(ours),
            statistics.quantiles(ours, n=20)[-1],
            statistics.median(theirs),
            statistics.quantiles(theirs, n=20)[-1],
        ]
        ratio = row[0] / row[2] if row[2] > 0.001 else float("nan")
        print(f"  {label:34s} {row[0]:15.2f} {row[1]:8.2f} {row[2]:14.2f} {row[3]:8.2f} {ratio:6.2f}")
    print(
        f"  memory of the asking process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


def main() -> int:
    """Build and measure each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--folder", type=Path, help="where the files are built (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="leave the files, and measure no refresh")
    parser.add_argument("--asked", type=int, default=40, help="trials asked about")
    parser.add_argument("--measure", type=Path, help="only measure this folder, which an earlier run left")
    arguments = parser.parse_args()
    if arguments.measure:
        report(arguments.measure, arguments.asked)
        return 0
    if not arguments.records.is_file():
        print(f"skipped: {arguments.records} is not there; name a .jsonl.gz of v2 records with --records")
        return 0
    reading = the_reading()
    bases = sample(read_trials(arguments.records), 10, 7)
    pieces = [piece for trial in bases for piece in pieces_of(reading.extract(trial.eligibility_text))]
    print(f"{len(pieces)} criteria of {len(bases)} real records")
    for size in arguments.sizes:
        parent = arguments.folder or Path(tempfile.mkdtemp(prefix="trialkb-benchmark-"))
        folder = parent / str(size)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = build(folder, size, bases, pieces, reading.vocabulary, reading.concepts)
        print(f"{size} trials: stored in {made['build_s']:.1f} s ({size / made['build_s']:.0f} trials/s), indexes {made['index_s']:.1f} s,"
              f" {made['MB']:.0f} MB, {made['criteria']} criteria, {made['thresholds']} thresholds, peak {made['build_peak_MB']:.0f} MB", flush=True)  # fmt: skip
        subprocess.run(
            [sys.executable, __file__, "--measure", str(folder), "--asked", str(arguments.asked)], check=True
        )
        if arguments.keep:  # a refresh would make the two sides differ for --measure
            continue
        ours, plain = refresh(folder, size, bases, pieces, reading.vocabulary)
        print(
            f"  daily refresh of {min(1000, size)} changed trials: {ours:.2f} s, plain {plain:.2f} s",
            flush=True,
        )
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
