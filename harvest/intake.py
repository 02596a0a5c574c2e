"""Preparing records in worker processes, for imports that are large enough to be worth it.

Parsing, hashing and compressing take most of the time of an import and need nothing of the archive, so they
run beside it, one batch a worker; the results come back in the order of the file. A worker that loses its
parent (kill -9) ends by itself.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from harvest.archive_rows import Blob
from harvest.model import RawRecord
from harvest.sources.base import Prepared, Storable

Given = TypeVar("Given")
Sent = TypeVar("Sent")
Made = TypeVar("Made")

# Seconds after which a worker notices that its parent is gone.
PARENT_CHECK = 1.0


@dataclass(frozen=True, slots=True)
class Packed:
    """A prepared record as it waits to be stored: without the trial, the body only as the archive keeps it."""

    raw: RawRecord
    version: str
    rest: str
    record_date: str | None
    validators: dict[str, str]
    aliases: tuple[str, ...]
    blob: Blob


# What became of one document: its records, and the error that ended it (its message), if any.
Outcome = tuple[Sequence[Storable], Exception | None]


def packed(prepared: Prepared) -> Packed:
    """The small form of a prepared record: ``raw`` is without its body, which is in ``blob``."""
    raw = prepared.raw
    bare = RawRecord(
        raw.source, raw.source_id, raw.url, raw.fetched_at, raw.sha256, raw.media_type, b"",
        raw.data_timestamp, raw.redacted,
    )  # fmt: skip
    return Packed(
        bare, prepared.version, prepared.rest, prepared.record_date,
        prepared.validators, prepared.aliases, prepared.blob,
    )  # fmt: skip


def in_order(
    batches: Iterable[Given], send: Callable[[Given], Sent], work: Callable[[Sent], Made], workers: int
) -> Iterator[tuple[Given, Made]]:
    """Each batch with its result, in order; at most two batches a worker are under way.

    ``send`` gives what of a batch a worker gets. Raises what ``work`` raises. ``work`` must be a module's function, and everything it takes and gives
    must be picklable.
    """
    # spawn, not fork: a forked worker would inherit open database files and locks.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_watch, initargs=(os.getpid(),)
    ) as pool:
        under_way: deque[tuple[Given, Future[Made]]] = deque()
        try:
            for batch in batches:
                under_way.append((batch, pool.submit(work, send(batch))))
                if len(under_way) >= 2 * workers:
                    done, future = under_way.popleft()
                    yield done, future.result()
            while under_way:
                done, future = under_way.popleft()
                yield done, future.result()
        finally:
            for _, future in under_way:
                future.cancel()


def _watch(parent: int) -> None:
    """End this worker when its parent has gone: a killed parent cannot tell it to."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()
