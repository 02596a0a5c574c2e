"""The machine interface of ``trialkb extract --jsonl``: lines of bytes in, lines of JSON out, in order.

Lines go to the processes as they came in and come back as finished text, so that hardly anything is
converted on the way; a row is parsed, read and written in one place, :func:`answer`.
"""

from __future__ import annotations

import gc
import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from commands.output import CommandError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from nlp.pipeline import Extractor

SECTIONS = ("inclusion", "exclusion", "full", "unknown")
_BATCH_BYTES = 64_000
"""Bytes of input to a batch: some tenths of a second, so that no process waits long at the end."""
_BATCH_LINES = 256
_WARM = "Inclusion Criteria:\n- ALT <= 3 x ULN within 28 days, or no history of stroke\n- Able to consent"

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Answers(NamedTuple):
    """What became of some lines: the output, and (line number, what is wrong with it) of each that is no row."""

    output: str
    faults: list[tuple[int, str]]


def row(line: str) -> tuple[str, str, str]:
    """One input line as (doc_id, section, text). Raises ValueError that says what is wrong with it."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("not a row: nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    doc_id, section, text = found.get("doc_id"), found.get("section"), found.get("text")
    if not isinstance(doc_id, str):
        raise ValueError('"doc_id" must be a string')
    if section not in SECTIONS:
        raise ValueError(f'"section" must be one of {", ".join(SECTIONS)}')
    if not isinstance(text, str):
        raise ValueError('"text" must be a string')
    return doc_id, section, text


def answer(extractor: Extractor, lines: Iterable[bytes], first: int) -> Answers:
    """Read the lines, the first of which has the number ``first``; empty ones count and say nothing."""
    out: list[str] = []
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        try:
            doc_id, section, text = row(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            faults.append((number, f"not UTF-8: byte {error.start + 1}"))
        except ValueError as error:
            faults.append((number, str(error)))
        else:
            out.append(_encode(extractor.extract(text, section).to_json(doc_id)) + "\n")
    return Answers("".join(out), faults)


def in_one(extractor: Extractor, lines: Iterable[bytes]) -> Iterator[Answers]:
    """Each line's answer as soon as it is there."""
    for number, line in enumerate(lines, 1):
        yield answer(extractor, (line,), number)


_READER: list[Extractor] = []
"""A worker's extractor: inherited from the parent where processes are forked, else built at its start."""


def _start() -> None:
    from nlp.pipeline import build

    if not _READER:
        extractor = build()
        extractor.extract(_WARM, "full")  # builds what is built on first use, once for all forks
        _READER.append(extractor)


def _work(batch: list[bytes], first: int) -> Answers:
    return answer(_READER[0], batch, first)


def _batches(lines: Iterable[bytes]) -> Iterator[tuple[list[bytes], int]]:
    """Batches of lines with the number of their first."""
    batch: list[bytes] = []
    size, first = 0, 1
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _BATCH_BYTES or len(batch) == _BATCH_LINES:
            yield batch, first
            first += len(batch)
            batch, size = [], 0
    if batch:
        yield batch, first


def in_processes(lines: Iterable[bytes], processes: int) -> Iterator[Answers]:
    """The same answers in the same order from several processes.

    A pool of our own: spaCy's ``nlp.pipe(n_process=2)`` sends whole Docs back and is slower than one
    process. Where the system can fork, the extractor is built once and shared, and what exists by then is
    kept out of garbage collection so that its pages stay shared. At most a few batches are in flight, so
    memory does not grow with the input. Raises CommandError where a process dies.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    forks = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if forks else None)
    if forks:
        _start()
        gc.collect()
        gc.freeze()
    waiting: deque[Future[Answers]] = deque()
    try:
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_start) as pool:
            for batch, first in _batches(lines):
                waiting.append(pool.submit(_work, batch, first))
                if len(waiting) > 3 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool:
        raise CommandError(
            "a reading process was ended from outside (out of memory?); what was printed stands, "
            "the rest was not read; try fewer --processes"
        ) from None
    finally:
        _READER.clear()
        if forks:
            gc.unfreeze()
