"""What doctor checks, and what a backup holds."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from commands.knowledge_feed import sync_vanished, the_reading, trial_records
from commands.output import CommandError, Output, atomic_write
from harvest import feed
from harvest.archive import Archive
from harvest.canonical import file_sha256
from harvest.fault_points import reach
from harvest.sources.ctgov_record import utc_now
from kb.build import rebuild
from kb.digest import content_digest
from kb.store import Store, write_lock

ARCHIVE, KNOWLEDGE, MANIFEST = "archive.sqlite", "knowledge.db", "manifest.json"
FORMAT = 1


def checks(output: Output, *, quick: bool) -> Iterator[tuple[str, list[str]]]:
    """Each check by name, with what it found wrong. Raises the errors of both rooms for unusable files."""
    with Archive.open(output.archive) as archive:
        yield "archive: content fits its hashes, references hold", list(archive.verify())
        with Store.open(output.db) as store:
            yield "knowledge base: references hold", _store_problems(store)
            token, vocabulary = store.meta("made") or "", store.meta("vocabulary") or ""
        mark = feed.read_mark(archive, token, vocabulary)
        due = feed.due_records(archive, mark)
        behind = [f"{len(due)} records not read yet: 'trialkb rebuild' reads them"] if due else []
        yield "knowledge base: has read the whole archive", behind
        if not quick:
            yield "knowledge base: equals a rebuild", _rebuild_problems(output, archive)


def _store_problems(store: Store) -> list[str]:
    found = [
        f"{table} row {row}: refers to a row of {parent} that is not there"
        for table, row, parent, _ in store.connection.execute("PRAGMA foreign_key_check")
    ]
    checked = store.connection.execute("PRAGMA integrity_check").fetchall()
    return found + [f"sqlite: {row[0]}" for row in checked if row[0] != "ok"]


def _rebuild_problems(output: Output, archive: Archive) -> list[str]:
    """Rebuild a copy, so that reviews are carried over as in a real rebuild, and compare the digests."""
    reading = the_reading()
    with tempfile.TemporaryDirectory(prefix="trialkb-") as folder:
        copy = Path(folder) / "copy.db"
        copy_database(output.db, copy)
        with Store.open(copy) as store:
            if store.meta("vocabulary") != reading.vocabulary:
                return [
                    "was read with another vocabulary or other rules: 'trialkb rebuild --preview' shows which thresholds move"
                ]
        before = content_digest(copy)
        rebuild(copy, trial_records(archive), reading)
        with Store.open(copy, "write", purpose="doctor") as store:
            sync_vanished(store, archive)
        after = content_digest(copy)
    return [] if before == after else [f"content digest {before[:16]}, a rebuild's is {after[:16]}"]


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of an SQLite file, also while it is being read, with its log folded in."""
    if not source.is_file():
        raise CommandError(f"{source}: no such file; 'trialkb refresh' or 'import' makes one")
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as origin,
        closing(sqlite3.connect(target)) as copy,
    ):
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def write_backup(output: Output, target: Path) -> dict[str, Any]:
    """Copy both files, check the copy, and write the zip with its manifest. Gives the manifest.

    Raises CommandError where the archive is damaged: a backup of it would be worth nothing.
    """
    with tempfile.TemporaryDirectory(prefix="trialkb-") as folder:
        archive_copy, knowledge_copy = Path(folder) / ARCHIVE, Path(folder) / KNOWLEDGE
        copy_database(output.archive, archive_copy)
        copy_database(output.db, knowledge_copy)
        with Archive.open(archive_copy) as archive:
            damage = next(archive.verify(), None)
            if damage is not None:
                raise CommandError(f"{output.archive}: {damage}; not backed up, keep your older backups")
            trials = sum(1 for _ in archive.heads())
        manifest = {
            "format": FORMAT,
            "made_at": utc_now(),
            "trials": trials,
            "digest": content_digest(knowledge_copy),
            "sha256": {ARCHIVE: file_sha256(archive_copy), KNOWLEDGE: file_sha256(knowledge_copy)},
        }
        with (
            atomic_write(target, binary=True) as handle,
            zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as bundle,
        ):
            bundle.writestr(MANIFEST, json.dumps(manifest, indent=1))
            bundle.write(archive_copy, ARCHIVE)
            bundle.write(knowledge_copy, KNOWLEDGE)
    return manifest


def read_backup(output: Output, source: Path, *, force: bool) -> dict[str, Any]:
    """Check a backup whole, then put its files in place. Gives its manifest.

    Raises CommandError for what is no backup, a hash that does not fit, or files in the way.
    """
    present = [path for path in (output.archive, output.db) if path.exists()]
    if present and not force:
        raise CommandError(f"{present[0]} is there already: --force replaces it, or name another --db")
    output.db.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the files can be moved into place in one step each.
    with tempfile.TemporaryDirectory(prefix=".trialkb-restore-", dir=output.db.parent) as folder:
        try:
            with zipfile.ZipFile(source) as bundle:
                manifest: dict[str, Any] = json.loads(bundle.read(MANIFEST))
                # Only these two names are ever unpacked, whatever else the zip holds.
                for name in (ARCHIVE, KNOWLEDGE):
                    with bundle.open(name) as packed, (Path(folder) / name).open("wb") as unpacked:
                        shutil.copyfileobj(packed, unpacked)
            if manifest["format"] != FORMAT:
                raise CommandError(
                    f"{source}: a backup of format {manifest['format']}, this trialkb reads {FORMAT}"
                )
            sums = manifest["sha256"]
        except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise CommandError(f"{source}: not a trialkb backup ({error}); nothing was changed") from error
        for name in (ARCHIVE, KNOWLEDGE):
            if file_sha256(Path(folder) / name) != sums.get(name):
                raise CommandError(f"{source}: {name} does not fit its hash; nothing was changed")
        with Archive.open(Path(folder) / ARCHIVE) as archive:
            damage = next(archive.verify(), None)
        if damage is not None:
            raise CommandError(f"{source}: {damage}; nothing was changed")
        with write_lock(output.db, "restore"):
            for name, place in ((ARCHIVE, output.archive), (KNOWLEDGE, output.db)):
                for suffix in ("-wal", "-shm"):
                    place.with_name(place.name + suffix).unlink(missing_ok=True)
                os.replace(Path(folder) / name, place)
                if place == output.archive:
                    reach("restore.between_files")
    return manifest
