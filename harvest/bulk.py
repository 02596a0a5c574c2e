"""Records from files: the registry's whole-download zip, folders, JSON, JSON Lines, ClinConnect pages.

Everything is streamed: one record is in memory at a time. What a name inside a zip says never becomes a path.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from harvest import run_log
from harvest.archive import Archive
from harvest.archive import Outcome as PutOutcome
from harvest.canonical import decode
from harvest.errors import HarvestError, InvalidTrialId, UnexpectedShape, UnreadableFile
from harvest.fault_points import reach
from harvest.file_entries import files_of, unpacked, zip_entries
from harvest.intake import Outcome, in_order, packed
from harvest.report import REPORTED, Report, in_short, make_report
from harvest.sources import clinconnect, ctgov_record
from harvest.sources.base import Prepared, Storable
from harvest.sources.ctgov_record import utc_now

# The largest record of the registry with results is about 8 MB; one larger than this is no record.
MAX_RECORD_BYTES = 64 * 1024 * 1024
# A file that is one JSON document is read whole, so it has a limit; larger ones come as .jsonl or .zip.
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
# Documents, and bytes of them, stored in one transaction.
BATCH = 500
BATCH_BYTES = 16 * 1024 * 1024
# From this size of a file on, records are prepared in processes beside the one that stores them.
PARALLEL_BYTES = 24 * 1024 * 1024
SUFFIXES = (".json", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".zip", ".html", ".htm")


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one document and where they are from ("dump.jsonl.gz line 17", "all.zip NCT1.json").

    ``position`` is how far into the file, ``size`` the file's length, both in bytes, for a progress bar.
    """

    where: str
    body: bytes
    is_html: bool = False
    position: int = 0
    size: int = 0


def pieces(path: Path) -> Iterator[Piece]:
    """The documents of a file or folder, one by one, folders in the order of names.

    Raises UnreadableFile for a missing path, an unknown kind of file, a broken zip or gzip, or a
    document that is too large.
    """
    if path.is_dir():
        yield from _read_folder(path)
        return
    if not path.exists():
        raise UnreadableFile(f"{path}: no such file or folder")
    kind = _kind(path)
    if kind is None:
        raise UnreadableFile(f"{path}: import takes folders and {', '.join(SUFFIXES)}")
    try:
        yield from READERS[kind](path)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UnreadableFile(
            f"{path}: cannot be read to its end ({error}); what came before is stored"
        ) from error


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)


def _read_folder(path: Path) -> Iterator[Piece]:
    found = False
    try:
        for each in files_of(path):
            if _kind(each):
                found = True
                yield from pieces(each)
    except OSError as error:
        raise UnreadableFile(
            f"{path}: cannot be read to its end ({error}); what came before is stored"
        ) from error
    if not found:
        raise UnreadableFile(f"{path}: no {', '.join(SUFFIXES)} in this folder")


def _unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    """The stream behind a .gz, or the file itself."""
    return cast(IO[bytes], gzip.open(raw)) if path.name.lower().endswith(".gz") else raw


def _read_lines(path: Path) -> Iterator[Piece]:
    size = path.stat().st_size
    with path.open("rb") as raw, _unpacked(path, raw) as stream:
        number = 0
        while line := stream.readline(MAX_RECORD_BYTES + 1):
            number += 1
            where = f"{path} line {number}"
            if len(line) > MAX_RECORD_BYTES:
                raise UnreadableFile(
                    f"{where}: longer than {MAX_RECORD_BYTES} bytes, so no record; nothing of it was stored"
                )
            if line.strip():
                yield Piece(where, line, position=raw.tell(), size=size)


def _read_document(path: Path) -> Iterator[Piece]:
    with path.open("rb") as raw, _unpacked(path, raw) as stream:
        body = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(body) > MAX_DOCUMENT_BYTES:
        raise UnreadableFile(
            f"{path}: over {MAX_DOCUMENT_BYTES} bytes in one document; give it as .jsonl or .zip"
        )
    size = path.stat().st_size
    yield Piece(str(path), body, _kind(path) in (".html", ".htm"), size, size)


def _read_zip(path: Path) -> Iterator[Piece]:
    size = path.stat().st_size
    with path.open("rb") as directory, path.open("rb") as content:
        for entry in zip_entries(directory):
            name = entry.name.lower()
            if not name.endswith((".json", ".html", ".htm")):
                continue
            where = f"{path} {entry.name}"
            # The size that the directory claims may lie: what counts is what comes out.
            body = unpacked(content, entry, MAX_RECORD_BYTES)
            if len(body) > MAX_RECORD_BYTES:
                raise UnreadableFile(f"{where}: over {MAX_RECORD_BYTES} bytes unpacked, so no record")
            yield Piece(where, body, name.endswith((".html", ".htm")), entry.offset, size)


READERS: dict[str, Callable[[Path], Iterator[Piece]]] = {
    ".json": _read_document,
    ".json.gz": _read_document,
    ".html": _read_document,
    ".htm": _read_document,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
    ".jsonl.gz": _read_lines,
    ".ndjson.gz": _read_lines,
    ".zip": _read_zip,
}


def records(piece: Piece) -> Iterator[tuple[str, Any]]:
    """``(where, record)`` for each v2 record in a JSON document: one record, a list, or a page of a search.

    Raises UnexpectedShape for what is not JSON.
    """
    document = decode(piece.body, piece.where)
    if isinstance(document, dict) and isinstance(document.get("studies"), list):
        document = document["studies"]
    if isinstance(document, list):
        for index, record in enumerate(document):
            yield f"{piece.where} record {index + 1}", record
    else:
        yield piece.where, document


def prepare_piece(piece: Piece, *, keep_contacts: bool = False, now: str | None = None) -> Iterator[Prepared]:
    """Every record of a document made ready for the archive, as of ``now``. Raises UnexpectedShape."""
    if piece.is_html:
        yield clinconnect.prepare_page(piece.body, where=piece.where, keep_contacts=keep_contacts)
        return
    now = now or utc_now()
    for where, record in records(piece):
        try:
            prepared = ctgov_record.prepare(record, where=where, fetched_at=now, keep_contacts=keep_contacts)
        except InvalidTrialId as error:
            raise UnexpectedShape(f"{where}: {error}", piece.body, where) from error
        yield prepared


def prepare_batch(batch: Sequence[Piece], keep_contacts: bool) -> list[Outcome]:
    """Every document of a batch made ready; a document that is no trial gives its error."""
    outcomes: list[Outcome] = []
    now = utc_now()
    for piece in batch:
        made: list[Storable] = []
        try:
            made.extend(packed(each) for each in prepare_piece(piece, keep_contacts=keep_contacts, now=now))
            outcomes.append((made, None))
        except (UnexpectedShape, InvalidTrialId) as error:
            outcomes.append((made, error))
    return outcomes


@dataclass(frozen=True, slots=True)
class Document:
    """A piece, the digest under which the archive remembers it, and whether it does."""

    piece: Piece
    digest: bytes
    known: bool


def _unknown(batch: Sequence[Document]) -> list[Piece]:
    """What of a batch must be read."""
    return [document.piece for document in batch if not document.known]


def _prepared(
    batches: Iterator[list[Document]], size: int, keep_contacts: bool
) -> Generator[tuple[list[Document], list[Outcome]], None, None]:
    """Each batch with the outcomes of its unknown documents: in this process, or, for a large import on
    several cores, beside it."""
    workers = (os.cpu_count() or 1) if size >= PARALLEL_BYTES else 1
    work = partial(prepare_batch, keep_contacts=keep_contacts)
    if workers > 1:
        yield from in_order(batches, _unknown, work, workers)
    else:
        for batch in batches:
            yield batch, work(_unknown(batch))


def intake_digest(keep_contacts: bool) -> bytes:
    """What, beside its bytes, decides what becomes of a document: this room's own code, and the option."""
    total = hashlib.sha256(b"contacts" if keep_contacts else b"")
    for each in sorted(Path(__file__).parent.rglob("*.py")):
        total.update(each.read_bytes())
    return total.digest()


def _batches(archive: Archive, path: Path, salt: bytes) -> Iterator[list[Document]]:
    """The documents in batches of at most BATCH documents and BATCH_BYTES."""
    batch: list[Document] = []
    held = 0
    for piece in pieces(path):
        digest = hashlib.sha256(salt + (b"html" if piece.is_html else b"json"))
        digest.update(piece.body)
        key = digest.digest()
        batch.append(Document(piece, key, archive.known_piece(key) is not None))
        held += len(piece.body)
        if len(batch) >= BATCH or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def import_path(
    archive: Archive,
    path: Path,
    *,
    keep_contacts: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Store every record of a file or folder; records that are there already change nothing.

    A document that is no trial record is named in the report, which is then incomplete, and the others
    are stored. Raises UnreadableFile, and UnexpectedShape where nothing in it was a trial.
    """
    run = run_log.begin(
        archive, "import", "files", f"import:{path.name}", {"path": path.name}, utc_now(), None
    )
    importer = _Importer(archive, run, keep_contacts)
    batches = _batches(archive, path, intake_digest(keep_contacts))
    size = path.stat().st_size if path.is_file() else 0
    try:
        with closing(_prepared(batches, size, keep_contacts)) as prepared:
            for batch, outcomes in prepared:
                importer.store(batch, outcomes)
                if progress is not None:
                    progress(batch[-1].piece.position, batch[-1].piece.size)
        if not importer.stored:
            raise importer.first_problem or UnreadableFile(f"{path}: no record in it")
    except HarvestError as error:
        with archive.transaction():
            run_log.end(archive, run, "failed", utc_now(), data=None, requests=0, message=str(error))
        raise
    return importer.finish()


class _Importer:
    """One import: stores batches, counts what they were, remembers what was no trial."""

    def __init__(self, archive: Archive, run: int, keep_contacts: bool) -> None:
        self.archive = archive
        self.run = run
        self.keep_contacts = keep_contacts
        self.stored = 0
        self.data_version: str | None = None
        self.problems: list[str] = []
        self.first_problem: Exception | None = None

    def store(self, batch: Sequence[Document], outcomes: Sequence[Outcome]) -> None:
        """Store a batch in one transaction; ``outcomes`` are those of its unknown documents, in order."""
        made = iter(outcomes)
        with self.archive.transaction():
            for document in batch:
                if not document.known:
                    self._put(document, *next(made))
                # Asked again: a document before it may have put another record in the place of its own.
                elif seen := self.archive.known_piece(document.digest):
                    self._note(seen[0], "unchanged", seen[1])
                else:
                    self._put(document, *prepare_batch([document.piece], self.keep_contacts)[0])
        reach("refresh.after_page")

    def _put(self, document: Document, made: Sequence[Storable], error: Exception | None) -> None:
        for record in made:
            outcome = self.archive.put(record, run=self.run, origin="import")
            self._note(record.raw.source_id, outcome, record.raw.data_timestamp)
            if len(made) == 1 and error is None and outcome != "older":
                self.archive.put_piece(document.digest, record.raw.source, record.raw.source_id)
        if error is not None:
            self.problems.append(str(error))
            self.first_problem = self.first_problem or error

    def _note(self, source_id: str, outcome: PutOutcome, stamp: str | None) -> None:
        run_log.note(self.archive, self.run, source_id, outcome)
        self.stored += 1
        self.data_version = max(self.data_version or "", stamp or "") or None

    def finish(self) -> Report:
        """End the run and report it."""
        reach("refresh.before_end")
        message = in_short(self.problems)
        complete = not self.problems
        with self.archive.transaction():
            ids = {name: run_log.found(self.archive, self.run, name) for name in REPORTED}
            counts = run_log.end(
                self.archive, self.run, "complete" if complete else "incomplete", utc_now(),
                data=None, requests=0, message=message,
            )  # fmt: skip
        reach("refresh.after_end")
        return make_report(self.run, "files", complete, self.data_version, ids, counts, 0, message)
