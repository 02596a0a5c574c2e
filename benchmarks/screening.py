"""One patient against many trials, beside the plain SQL range check, in one run.

    python benchmarks/screening.py [--trials 100000] [--records FILE.jsonl.gz] [--db FILE]

The trials are the readings of real records, each stored many times over under invented ids with its
limits moved by up to 20 % (not ages and grades), so that no two copies are alike. The plain range check asks, for each of 15
values, which stored trials state a limit (absolute, canonical unit) on the wrong side of it. Both answers are
fetched into Python. Best of five for both; one patient well inside usual ranges, one sick in many ways.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from commands import patient_files  # noqa: E402
from commands.knowledge_feed import concept_row  # noqa: E402
from harvest.sources import ctgov_record  # noqa: E402
from kb.judging import Knowledge  # noqa: E402
from kb.patient import Measurement, Patient, by_concept  # noqa: E402
from kb.prefilter import Overview, statuses  # noqa: E402
from kb.screen import read_trial, screen_trial  # noqa: E402
from kb.store import Store  # noqa: E402
from nlp import pipeline  # noqa: E402

RECORDS = ROOT.parent / "shared" / "data" / "registry" / "ctgov-v2-studies.jsonl.gz"
# (concept, value, unit, ULN): a healthy adult, and one who is ill
WELL = (
    ("anc", 4.0, "10*9/L", None), ("plt", 220, "10*9/L", None), ("hgb", 140, "g/L", None), ("alt", 25, "U/L", 40),
    ("ast", 24, "U/L", 40), ("tbil", 10, "umol/L", 21), ("scr", 75, "umol/L", 97), ("crcl", 100, "mL/min", None),
    ("inr", 1.0, "1", 1.2), ("lvef", 62, "%", None), ("qtc", 410, "ms", None), ("alb", 42, "g/L", None),
    ("hba1c", 5.4, "%", None), ("bmi", 24, "kg/m2", None), ("ecog", 0, "{score}", None),
)  # fmt: skip
ILL = (
    ("anc", 0.8, "10*9/L", None), ("plt", 45, "10*9/L", None), ("hgb", 78, "g/L", None), ("alt", 160, "U/L", 40),
    ("ast", 150, "U/L", 40), ("tbil", 48, "umol/L", 21), ("scr", 190, "umol/L", 97), ("crcl", 32, "mL/min", None),
    ("inr", 2.1, "1", 1.2), ("lvef", 42, "%", None), ("qtc", 490, "ms", None), ("alb", 26, "g/L", None),
    ("hba1c", 9.1, "%", None), ("bmi", 37, "kg/m2", None), ("ecog", 2, "{score}", None),
)  # fmt: skip


def patient(values: tuple[tuple[str, float, str, float | None], ...], sex: str) -> Patient:
    measured = [Measurement(concept, value, unit, uln=uln) for concept, value, unit, uln in values]
    known = "female" if sex == "female" else "male"
    return Patient(sex, date.today(), (45.0, "a"), None, known, by_concept(measured))  # type: ignore[arg-type]


def fill(db: Path, records: Path, count: int) -> None:
    """Store the real readings, then copies of their rows under invented ids, limits moved alike in every table."""
    extractor = pipeline.build()
    concepts = [concept_row(one) for one in extractor.vocabulary.concepts.values()]
    with Store.open(db, "write", purpose="benchmark") as store:
        store.set_vocabulary(extractor.vocabulary.digest, concepts)
        with store.bulk(), gzip.open(records, "rt", encoding="utf-8") as lines:
            for line in lines:
                trial = ctgov_record.prepare(json.loads(line), where=records.name).trial
                store.put(trial, extractor.extract(trial.eligibility_text))
        connection = store.connection
        connection.create_function("factor", 2, factor, deterministic=True)
        step = connection.execute("SELECT max(id) FROM trial_version").fetchone()[0]
        with store.transaction():
            for number in range(1, -(-count // step)):
                copy(connection, step, number, count)
        connection.execute("ANALYZE")


def factor(version: int, concept: str | None) -> float:
    """By how much a copy's limits on a concept are moved; ages and grades stay."""
    if concept in (None, "", "age", "sex"):
        return 1.0
    return 0.8 + random.Random(f"{version} {concept}").random() * 0.4


def copy(connection: sqlite3.Connection, step: int, number: int, count: int) -> None:
    """The rows of the first ``step`` versions once more, as versions ``number * step`` and up: with readings of
    their own, since their limits are their own."""
    shift = step * number
    if number == 1:
        connection.execute(
            "CREATE TEMP TABLE origin AS SELECT row_number() OVER (ORDER BY version_id, ordinal) AS k, version_id, reading_id,"
            " ordinal FROM trial_criterion"
        )
        connection.execute("CREATE INDEX temp.origin_place ON origin(version_id, ordinal)")
    first = connection.execute("SELECT max(id) FROM line_reading").fetchone()[0]
    own = f"o.k + {first}"
    new = f"factor(o.version_id + {shift}, x.concept_id)"
    ordinal = f"x.concept_id IN ({ORDINAL})"
    moved: dict[str, dict[str, str]] = {
        "line_reading": {"id": own, "key": f"CAST({own} AS BLOB)"},
        "line_threshold": {"id": "NULL", "reading_id": own}
        | {
            name: f"x.{name} * CASE WHEN x.kind = 'ordinal' THEN 1 ELSE {new} END"
            for name in ("low", "high", "canonical_low", "canonical_high", "min_value", "max_value")
        },
        "screen_literal": {"reading_id": own}
        | {
            name: f"x.{name} * CASE WHEN x.scale IN ('grades', 'result', 'sex', '?') OR {ordinal} THEN 1 ELSE {new} END"
            for name in ("low", "high")
        },
        "screen_fact": {"reading_id": own},
    }
    for table, values in moved.items():
        key = "id" if table == "line_reading" else "reading_id"
        cells = ", ".join(values.get(name, f"x.{name}") for name in columns(connection, table))
        connection.execute(
            f"INSERT INTO {table} SELECT {cells} FROM origin o JOIN {table} x ON x.{key} = o.reading_id"
            f" WHERE o.version_id + {shift} <= ? ORDER BY o.k", (count,),
        )  # fmt: skip
    places: dict[str, dict[str, str]] = {
        "trial": {"id": f"id + {shift}", "source_id": f"printf('NCT99%06d', id + {shift})"},
        "trial_version": {"id": f"id + {shift}", "trial_id": f"trial_id + {shift}", "synthetic": "1"},
        "trial_detail": {"version_id": f"version_id + {shift}"},
        "trial_criterion": {
            "version_id": f"version_id + {shift}",
            "reading_id": f"{first} + (SELECT k FROM origin o WHERE o.version_id = trial_criterion.version_id"
            " AND o.ordinal = trial_criterion.ordinal)",
        },
        "screen_open": {"version_id": f"version_id + {shift}"},
    }
    for table, values in places.items():
        key = "id" if table in ("trial", "trial_version") else "version_id"
        cells = ", ".join(values.get(name, name) for name in columns(connection, table))
        connection.execute(
            f"INSERT INTO {table} SELECT {cells} FROM {table} WHERE {key} <= ? AND {key} + {shift} <= ?",
            (step, count),
        )


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


ORDINAL = "SELECT concept_id FROM line_threshold WHERE kind = 'ordinal' AND concept_id IS NOT NULL"


def range_check(
    connection: sqlite3.Connection, who: Patient, canonical: Mapping[str, str | None]
) -> set[int]:
    """The plain check of 15 values: trials that state a limit on the wrong side of one."""
    units = patient_files.vocabulary().units
    found: set[int] = set()
    for concept, (one, *_) in who.measurements.items():
        target = canonical.get(concept)
        same = one.unit == target or target is None or target.startswith("{")
        value = one.value if same else units.convert(one.value or 0.0, str(one.unit), str(target), concept)
        if value is None:
            continue
        for side, sign in (("min", ">"), ("max", "<")):
            found.update(
                row[0]
                for row in connection.execute(
                    f"SELECT version_id FROM threshold WHERE current = 1 AND concept_id = ? AND scale = 'absolute'"
                    f" AND {side}_value {sign} ?",
                    (concept, value),
                )
            )
    return found


def best(call: Callable[[], object], times: int = 5) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def report(
    name: str,
    store: Store,
    versions: list[int],
    who: Patient,
    knowledge: Knowledge,
    canonical: Mapping[str, str | None],
) -> None:
    def plain() -> set[int]:
        return range_check(store.connection, who, canonical)

    def whole() -> Overview:
        return statuses(store.connection, versions, who, knowledge, canonical)

    seconds, ours, made = best(plain), best(whole), whole()
    print(
        f"{name}: {len(versions)} trials; range check {seconds * 1e3:.0f} ms ({len(plain())} ruled out);"
        f" screen {ours * 1e3:.0f} ms, {ours / seconds:.2f} times; {made.counts()};"
        f" evaluated whole {len(made.evaluated)}"
    )
    chosen = random.Random(2).sample(versions, 300)
    for version in chosen:
        assert (
            made.statuses[version]
            == screen_trial(read_trial(store.connection, version), who, knowledge).status
        )
    print(f"  {len(chosen)} trials drawn at random: the same answer by whole evaluation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--db", type=Path, help="keep the knowledge base here, and use it if it is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = given.db or Path(folder) / "kb.db"
        if not db.exists():
            start = time.perf_counter()
            fill(db, given.records, given.trials)
            print(
                f"stored {given.trials} trials in {time.perf_counter() - start:.0f} s, {db.stat().st_size / 1e6:.0f} MB"
            )
        knowledge = patient_files.knowledge()
        with Store.open(db) as store:
            canonical = dict(store.connection.execute("SELECT id, canonical_unit FROM concept"))
            versions = [version for version, _ in store.current_versions()]
            for name, who in (("well", patient(WELL, "female")), ("ill", patient(ILL, "male"))):
                report(name, store, versions, who, knowledge, canonical)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
