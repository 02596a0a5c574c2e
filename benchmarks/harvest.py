"""How fast records are taken in: ``python benchmarks/harvest.py [--records N] [--refresh N]``.

1. Parse, hash and archive N records from a .jsonl file, against bare ``json.loads`` of the same bytes in the
   same process, measured in turns so that a busy machine slows both. The target is a ratio of at least 0.25.
2. Import the same file again: a no-op.
3. Read a zip and a folder of as many small documents: the peak memory must not grow with their number.
4. A full refresh against the embedded registry (a process of its own, pace 0) into an empty archive, and one
   more after the registry's data has moved on by a day with one record in a hundred amended.

Records are made from those in ../shared where it is at hand, else from the project's fixtures: each copy gets
an id and a title of its own, so that nothing is deduplicated. Each size is measured in a fresh process:
"peak MB" is that of the process that imports, "worker MB" that of the largest process beside it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import re
import resource
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Run as a script, this file's own folder would come first, and this file be taken for the package harvest.
sys.path[0] = str(ROOT)

from harvest.archive import Archive  # noqa: E402
from harvest.bulk import import_path, pieces  # noqa: E402
from harvest.http import Client, Politeness  # noqa: E402
from harvest.local_registry import LocalRegistry, load  # noqa: E402
from harvest.refresh import refresh_query  # noqa: E402
from harvest.sources.base import Query  # noqa: E402
from harvest.sources.ctgov import ClinicalTrialsGov  # noqa: E402

REAL = ROOT.parent / "shared" / "data" / "registry" / "ctgov-v2-studies.jsonl.gz"


def originals() -> list[dict[str, Any]]:
    """The records that copies are made from."""
    if REAL.exists():
        with gzip.open(REAL) as stream:
            return [json.loads(line) for line in stream]
    return [json.loads(path.read_bytes()) for path in sorted((ROOT / "fixtures" / "ctgov").glob("*.json"))]


def copies(count: int) -> Iterator[bytes]:
    """``count`` records as JSON lines, each with an id of its own."""
    for number, record in enumerate(islice(cycle(originals()), count)):
        identification = record["protocolSection"]["identificationModule"]
        copy = {
            **record,
            "protocolSection": {
                **record["protocolSection"],
                "identificationModule": {
                    **{key: value for key, value in identification.items() if key != "nctIdAliases"},
                    "nctId": f"NCT{10_000_000 + number:08d}",
                    "briefTitle": f"{identification['briefTitle']} ({number})",
                },
            },
        }
        yield json.dumps(copy, ensure_ascii=False).encode() + b"\n"


def write_records(path: Path, count: int) -> int:
    """Write the file of copies; gives its bytes."""
    with path.open("wb") as stream:
        stream.writelines(copies(count))
    return path.stat().st_size


def bare_loads(path: Path) -> float:
    """Seconds to read the file and json.loads each line."""
    started = time.perf_counter()
    with path.open("rb") as stream:
        for line in stream:
            json.loads(line)
    return time.perf_counter() - started


def timed_import(path: Path, archive_path: Path) -> tuple[float, int]:
    """Seconds of an import, and how many records were new."""
    started = time.perf_counter()
    with Archive.open(archive_path, write=True) as archive:
        report = import_path(archive, path)
    return time.perf_counter() - started, len(report.new)


def cpu_seconds() -> float:
    """What this process and its ended children have used of the processors."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_mb() -> float:
    """The peak memory of this process in MB. Where there is no /proc, that of its parent may hide it."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text("ascii"))):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def largest_child_mb() -> float:
    """The peak memory of the largest of the children that have ended, in MB; never less than this process had
    when it started them."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measure(path: Path, archive_path: Path, size: int) -> tuple[float, ...]:
    """Seconds of json.loads, of the import and of its repetition, CPU seconds of the import, both peaks."""
    before = bare_loads(path)
    used = cpu_seconds()
    seconds, new = timed_import(path, archive_path)
    used = cpu_seconds() - used
    assert new == size, f"{new} of {size} were new"
    after = bare_loads(path)
    again, none = timed_import(path, archive_path)
    assert none == 0
    return (before + after) / 2, seconds, again, used, peak_mb(), largest_child_mb()


def bulk(folder: Path, count: int) -> None:
    """Parts 1 and 2 at a tenth, a third and the whole of ``count``."""
    print(
        f"{'records':>9} {'MB':>7} {'loads s':>8} {'import s':>9} {'ratio':>6} {'cpu s':>6} {'rec/s':>7}"
        f" {'again s':>8} {'peak MB':>8} {'worker MB':>9}"
    )
    for size in sorted({max(1, count // 100), max(1, count // 10), count}):
        path, archive_path = folder / "records.jsonl", folder / f"{size}.sqlite"
        total = write_records(path, size)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            loads, seconds, again, used, peak, worker = pool.submit(
                measure, path, archive_path, size
            ).result()
        print(
            f"{size:>9} {total / 1e6:>7.0f} {loads:>8.1f} {seconds:>9.1f} {loads / seconds:>6.2f}"
            f" {used:>6.1f} {size / seconds:>7.0f} {again:>8.1f} {peak:>8.0f} {worker:>9.0f}",
            flush=True,
        )
        archive_path.unlink()


def read_all(path: Path) -> tuple[int, float]:
    """How many documents a zip or folder has, and the peak memory of this process after reading them."""
    return sum(1 for _ in pieces(path)), peak_mb()


def entries(folder: Path, count: int) -> None:
    """Part 3, at the sizes of :func:`bulk`."""
    print(f"\n{'documents':>9} {'zip, peak MB':>13} {'folder, peak MB':>16}")
    for size in sorted({max(1, count // 100), max(1, count // 10), count}):
        bundle, files = folder / "documents.zip", folder / f"documents{size}"
        files.mkdir()
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as stream:
            for number in range(size):
                body = b'{"protocolSection": {"identificationModule": {"nctId": "NCT%08d"}}}' % number
                stream.writestr(f"NCT{number:08d}.json", body)
                (files / f"NCT{number:08d}.json").write_bytes(body)
        peaks = []
        for path in (bundle, files):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                found, peak = pool.submit(read_all, path).result()
            assert found == size
            peaks.append(peak)
        print(f"{size:>9} {peaks[0]:>13.0f} {peaks[1]:>16.0f}", flush=True)
        shutil.rmtree(files)


def serve(path: Path, address: Any, stop: Any) -> None:
    """The registry's process: amends one record in a hundred when it is told to, then serves on."""
    held = load(path)
    with LocalRegistry(held) as server:
        address.send(server.url)
        address.recv()
        for number, entry in enumerate(list(held.entries.values())):
            if number % 100 == 0:
                record = json.loads(entry.body)
                record["protocolSection"]["statusModule"]["lastUpdatePostDateStruct"] = {"date": "2027-01-05"}
                record["protocolSection"]["identificationModule"]["acronym"] = "AMENDED"
                held.put(record)
        held.data_timestamp = "2027-01-05T09:00:00"
        address.send("moved")
        stop.wait()


def refreshes(folder: Path, count: int) -> None:
    """Part 4."""
    path = folder / "registry.jsonl"
    write_records(path, count)
    here, there = multiprocessing.Pipe()
    stop = multiprocessing.Event()
    process = multiprocessing.Process(target=serve, args=(path, there, stop), daemon=True)
    process.start()
    url = here.recv()
    print(f"\n{'refresh':>22} {'records':>8} {'seconds':>8} {'rec/s':>7} {'requests':>9} {'req/record':>11}")
    with (
        Archive.open(folder / "refresh.sqlite", write=True) as archive,
        Client((url,), Politeness(pace=0)) as client,
    ):
        source = ClinicalTrialsGov(client, url)

        def once(name: str) -> None:
            started = time.perf_counter()
            report = refresh_query(archive, source, Query(everything=True))
            seconds = time.perf_counter() - started
            assert report.state == "complete", report.message
            print(
                f"{name:>22} {count:>8} {seconds:>8.1f} {count / seconds:>7.0f} {report.requests:>9}"
                f" {report.requests / count:>11.4f}   new {len(report.new)}, changed {len(report.changed)}",
                flush=True,
            )

        once("first, whole")
        once("same data")
        here.send("move")
        here.recv()
        once("next day, 1 % amended")
    stop.set()
    process.join()


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--records", type=int, default=10_000, help="for the bulk import (the issue's size: 100000)"
    )
    parser.add_argument("--refresh", type=int, default=5_000, help="for the refresh")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trialkb-") as name:
        bulk(Path(name), arguments.records)
        entries(Path(name), arguments.records)
        refreshes(Path(name), arguments.refresh)


if __name__ == "__main__":
    main()
