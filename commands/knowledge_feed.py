"""From the archive into the knowledge base: what is stored there and not yet read, extracted and put.

The harvest and the knowledge base are two files, and a process can be killed between them. So the build
does not go by what a run reported but by how far the knowledge base has read the archive: whatever was
missed is made good by the next command that writes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from commands.output import EXIT_INCOMPLETE, CommandError
from harvest import feed
from harvest.archive import Archive
from harvest.fault_points import reach
from kb import moments
from kb.build import BuildReport, Reading, TrialRecord, build
from kb.concepts import ConceptRow
from kb.store import Store

log = logging.getLogger(__name__)

# Records read and put in one go, with a step of the progress bar after each.
BATCH = 200

# What this process is told to be killed at (in the tests) counts for the knowledge base's writes too.
moments.listen(reach)


@cache
def the_reading() -> Reading:
    """The reader of this installation: its rules, vocabulary and concepts. Loaded once a process."""
    # Imported here: spaCy takes a second, which commands that do not read text should not pay.
    from nlp import pipeline

    extractor = pipeline.build()
    rows = tuple(concept_row(concept) for concept in extractor.vocabulary.concepts.values())
    return Reading(extractor.extract, extractor.vocabulary.digest, rows)


def concept_row(concept: Any) -> ConceptRow:
    """A concept of the vocabulary as the knowledge base takes it."""
    low, high = concept.plausible or (None, None)
    return ConceptRow(
        id=concept.id,
        name=concept.name,
        category=concept.category,
        canonical_unit=concept.unit,
        loinc=tuple(entry["code"] for entry in concept.loinc),
        plausible_low=low,
        plausible_high=high,
        molar_mass=concept.molar_mass,
        aliases=(*concept.aliases, *concept.cased_aliases),
    )


def trial_records(archive: Archive, due: Iterable[int] | None = None) -> Iterator[TrialRecord]:
    """The archive's records (all, or these numbers) as the knowledge base takes them."""
    numbers = feed.due_records(archive) if due is None else list(due)
    for each in feed.read(archive, numbers):
        yield TrialRecord(
            each.trial,
            fetched_at=each.raw.fetched_at,
            data_timestamp=each.raw.data_timestamp,
            version_date=each.record_date,
        )


def catch_up(
    db: Path, archive: Archive, reading: Reading, progress: Callable[[int, int], None] | None = None
) -> BuildReport:
    """Read into the knowledge base at ``db`` whatever the archive holds and it does not.

    Raises the errors of both rooms; what was put before stays, and the next call goes on there. Raises
    CommandError (exit code 5) where the knowledge base was read with another vocabulary: mixing two would
    make differences that no trial made, and a new one should be looked at before it is accepted.
    """
    with Store.open(db, "write", purpose="reading the archive") as store:
        if store.meta("vocabulary") not in ("", reading.vocabulary):
            raise CommandError(
                f"what was fetched is stored, but {db} was read with another vocabulary or other rules: 'trialkb rebuild --preview'"
                " shows which thresholds move, 'trialkb rebuild' accepts it and reads what is new",
                EXIT_INCOMPLETE,
            )
        token = store.meta("made") or ""
        due = feed.due_records(archive, feed.read_mark(archive, token, reading.vocabulary))
        report = BuildReport()
        for start in range(0, len(due), BATCH):
            batch = due[start : start + BATCH]
            reach("database.before_store")
            part = build(store, trial_records(archive, batch), reading)
            reach("database.after_store")
            report.counts.update(part.counts)
            report.changed.extend(part.changed)
            if progress is not None:
                progress(start + len(batch), len(due))
        log.info("criteria read", extra={"due": len(due), "read": dict(report.counts)})
        if due:
            _settle(store)
            reach("database.before_mark")
            feed.write_mark(archive, token, reading.vocabulary, feed.end_mark(archive))
        sync_vanished(store, archive)
    return report


def _settle(store: Store) -> None:
    """Bring what was put onto the disk itself. The mark stands in another file: after a loss of power it must
    never say that records were read which the knowledge base then does not have."""
    store.connection.execute("PRAGMA wal_checkpoint(FULL)")


def sync_vanished(store: Store, archive: Archive) -> None:
    """Let the knowledge base know which trials the registry no longer has, and which are back."""
    gone = {
        (head.source, head.source_id): head.vanished_at
        for head in archive.heads()
        if head.vanished_at is not None
    }
    marked = {
        (str(row[0]), str(row[1]))
        for row in store.connection.execute("SELECT source, source_id FROM trial WHERE vanished IS NOT NULL")
    }
    for source, source_id in marked - gone.keys():
        store.mark_vanished(source, source_id, None)
    for (source, source_id), when in gone.items():
        if (source, source_id) not in marked:
            store.mark_vanished(source, source_id, when)
