"""A generated cohort for ``trialkb whatif``, and what asking it costs.

    python benchmarks/cohort.py generate cohort.csv 1000000
    python benchmarks/cohort.py measure 250000 500000 1000000
    python benchmarks/cohort.py measure --parquet 250000 500000 1000000

The patients are invented: independent draws from log-normal or normal distributions about the middle of
usual laboratory ranges, some cells empty. Nobody's data is in it.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEADER = (
    "patient", "age", "sex", "plt", "anc", "hgb (g/dL)", "alt", "alt uln", "ast", "ast uln", "tbil", "tbil uln", "scr",
    "scr uln", "crcl", "inr", "inr uln", "lvef", "spo2", "qtc", "sledai_2k", "hbsag", "gilbert",
)  # fmt: skip


def generate(path: Path, count: int, seed: int = 1) -> None:
    """Write ``count`` patients to a CSV file."""
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(HEADER)
        for number in range(count):
            row = (
                f"p{number}", int(chance.triangular(12, 85, 40)), chance.choice(("female", "male")),
                round(chance.lognormvariate(5.0, 0.6), 1), round(chance.lognormvariate(1.0, 0.6), 2),
                round(chance.gauss(12, 2), 1), round(chance.lognormvariate(3.4, 0.6), 1), 40,
                round(chance.lognormvariate(3.3, 0.5), 1), 40, round(chance.lognormvariate(2.4, 0.5), 1), 21,
                round(chance.lognormvariate(4.4, 0.4), 1), 97, round(chance.gauss(85, 25), 1),
                round(chance.gauss(1.05, 0.15), 2), 1.2, round(chance.gauss(60, 8)), round(chance.gauss(97, 2)),
                round(chance.gauss(420, 28)), chance.randint(0, 24), "positive" if chance.random() < 0.03 else "negative",
                "yes" if chance.random() < 0.05 else "no",
            )  # fmt: skip
            writer.writerow(
                "" if place > 2 and chance.random() < 0.04 else cell for place, cell in enumerate(row)
            )


def as_parquet(path: Path) -> Path:
    """The same cohort as Parquet, every column as text, beside the CSV file.

    Made by another process: the peak of a child begins with what its parent holds when it starts.
    """
    target = path.with_suffix(".parquet")
    source = f"read_csv('{path}', header = true, all_varchar = true)"
    sql = f"COPY (SELECT * FROM {source}) TO '{target}' (FORMAT parquet)"
    subprocess.run([sys.executable, "-c", f"import duckdb; duckdb.connect().execute({sql!r})"], check=True)
    return target


def measure(counts: list[int], parquet: bool = False) -> None:
    """Seconds, seconds of the processors (in all, and microseconds a patient), and peak memory of whatif on
    the headline trial, for each size of cohort."""
    root = Path(__file__).resolve().parents[1]
    tool = Path(sys.executable).with_name("trialkb")
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "kb.db"
        subprocess.run(
            [tool, "import", "--db", db, root / "fixtures/ctgov"], check=False, capture_output=True
        )
        print("patients  seconds  of the processor  microseconds a patient  peak MB", flush=True)
        for count in counts:
            cohort = Path(folder) / "cohort.csv"
            generate(cohort, count)
            asked = as_parquet(cohort) if parquet else cohort
            command: list[str | Path] = [tool, "whatif", "NCT06886919", "--db", db, "--cohort", asked, "--json",
                       "--set", "platelets >= 30 10*9/L", "--set", "qtc <= 500 ms"]  # fmt: skip
            start = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            seconds, processor = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
            each = processor / count * 1e6
            peak = usage.ru_maxrss / 1024
            print(f"{count:8}  {seconds:7.2f}  {processor:16.2f}  {each:22.1f}  {peak:7.0f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["generate"] and len(sys.argv) == 4:
        generate(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["measure"] and len(sys.argv) > 2:
        sizes = [int(one) for one in sys.argv[2:] if one.isdigit()]
        measure(sizes, "--parquet" in sys.argv)
    else:
        sys.exit(__doc__)
