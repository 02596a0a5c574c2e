"""``trialkb extract``, ``explain``, ``vocabulary``: what the readers make of a text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import click

from commands.output import CommandError

if TYPE_CHECKING:
    from nlp.pipeline import Extractor

_SECTIONS = ("inclusion", "exclusion", "full", "unknown")


def _row(line: str) -> tuple[str, str, str]:
    """One input line as (doc_id, section, text). Raises ValueError that says what is wrong with it."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("not a row: nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    doc_id, section, text = row.get("doc_id"), row.get("section"), row.get("text")
    if not isinstance(doc_id, str):
        raise ValueError('"doc_id" must be a string')
    if section not in _SECTIONS:
        raise ValueError(f'"section" must be one of {", ".join(_SECTIONS)}')
    if not isinstance(text, str):
        raise ValueError('"text" must be a string')
    return doc_id, section, text


class _Faults:
    """Lines that were no rows: each is said once on stderr, and counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def say(self, number: int, error: str) -> None:
        """Report the line with this number."""
        self.count += 1
        click.echo(f"{self.name}, line {number}: {error}; the line was left out", err=True)


def rows(lines: IO[bytes], faults: _Faults) -> Iterator[tuple[str, str, str]]:
    """The rows of a JSON Lines stream as (doc_id, section, text); what is no row goes to ``faults``."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _row(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            faults.say(number, f"not UTF-8: byte {error.start + 1}")
        except ValueError as error:
            faults.say(number, str(error))


def _printed(extractor: Extractor, found: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    names: list[str] = []

    def texts() -> Iterator[tuple[str, str]]:
        for doc_id, section, text in found:
            names.append(doc_id)
            yield text, section

    for extraction in extractor.stream(texts()):
        yield json.dumps(extraction.to_json(names.pop(0)), separators=(",", ":"))


_WORKER: dict[str, Any] = {}


def _start_worker() -> None:
    from nlp.pipeline import build

    _WORKER["extractor"] = build()


def _read_batch(batch: list[tuple[str, str, str]]) -> list[str]:
    return list(_printed(_WORKER["extractor"], iter(batch)))


def _batches(found: Iterator[tuple[str, str, str]], size: int = 64) -> Iterator[list[tuple[str, str, str]]]:
    batch: list[tuple[str, str, str]] = []
    for row in found:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _in_processes(found: Iterator[tuple[str, str, str]], processes: int) -> Iterator[str]:
    """The same lines in the same order from several processes.

    A pool of our own: spaCy's ``nlp.pipe(n_process=2)`` sends whole Docs back and is slower than one
    process. At most a few batches are in flight, so memory does not grow with the input.
    """
    from collections import deque
    from concurrent.futures import Future, ProcessPoolExecutor

    with ProcessPoolExecutor(processes, initializer=_start_worker) as pool:
        waiting: deque[Future[list[str]]] = deque()
        for batch in _batches(found):
            waiting.append(pool.submit(_read_batch, batch))
            if len(waiting) > 3 * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


@click.command()
@click.option(
    "--jsonl", is_flag=True, required=True, help="Read and write JSON Lines (the one machine interface)."
)
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="How many processes read."
)
@click.argument("source", type=click.File("rb", lazy=False), default="-")
def extract(jsonl: bool, processes: int, source: IO[bytes]) -> None:
    """Read criteria texts: every threshold, and what each criterion demands.

    SOURCE (a file, or - for standard input) holds one object a line:
    {"doc_id": "...", "section": "inclusion|exclusion|full|unknown", "text": "..."}. Out comes one object a
    line, in the same order: {"doc_id", "items", "criteria"}, as docs/extract.md describes.

    \b
    Example:
      echo '{"doc_id": "a", "section": "inclusion", "text": "Platelets >= 50 x 10^9/L"}' | trialkb extract --jsonl
    """
    del jsonl
    faults = _Faults(getattr(source, "name", "-"))
    found = rows(source, faults)
    if processes > 1:
        lines = _in_processes(found, processes)
    else:
        from nlp.pipeline import build

        lines = _printed(build(), found)
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    if faults.count:
        raise CommandError(f"{faults.count} line(s) of {faults.name} are no rows; all others were read")


COMMANDS: tuple[click.Command, ...] = (extract,)
