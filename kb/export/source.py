"""What an export reads from the knowledge base: the selected trials as records, one after another.

Everything is read inside one read transaction, so that an export made during a refresh is of one state.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from kb.concepts import UnitConverter, load_concepts
from kb.export.model import ConceptFacts, Context, Options, TrialRecord
from kb.lines import line_hash
from kb.review import all_reviews, reviewed
from kb.store import Store


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """One read transaction over the whole export."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def select(store: Store, trial_ids: Sequence[str] | None) -> list[int]:
    """The version ids that answer for these trials (None: all that are stored), sorted by trial id.

    Raises BadQuestion for a malformed id, TrialNotFound.
    """
    if trial_ids is None:
        return [version for version, _ in store.current_versions()]
    chosen = {store.version_id(trial_id) for trial_id in trial_ids}
    known = dict(store.current_versions()) if len(chosen) > 500 else {}
    names = {version: known.get(version) or store.trial(version).source_id for version in chosen}
    return sorted(chosen, key=lambda version: (names[version], version))


def records(store: Store, versions: Sequence[int]) -> Iterator[TrialRecord]:
    """The versions as records, in this order, one in memory at a time."""
    decided = all_reviews(store.connection, undone=True)
    for version in versions:
        row = store.connection.execute(
            "SELECT data_timestamp FROM trial_version WHERE id = ?", (version,)
        ).fetchone()
        extraction, said = reviewed(store.connection, store.extraction(version))
        hashes = {line_hash(criterion.text) for criterion in extraction.criteria}
        yield TrialRecord(
            trial=store.trial(version),
            items=extraction.items,
            criteria=extraction.criteria,
            vocabulary=extraction.vocabulary,
            data_timestamp=row[0],
            reviews=tuple(review for review in decided if review.line_hash in hashes),
            said=said,
        )


def context(
    store: Store,
    versions: Sequence[int],
    units: UnitConverter | None,
    tool_version: str,
    options: Options,
    members: Mapping[str, tuple[str, ...]] | None = None,
) -> Context:
    """What is common to these versions: the vocabulary's concepts, the registries, the time of their data.

    ``members`` says of collective concepts what they stand for.
    """
    rows = store.connection.execute(
        "SELECT DISTINCT t.source, v.data_timestamp, v.synthetic FROM trial_version v"
        " JOIN trial t ON t.id = v.trial_id WHERE v.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(versions)),),
    ).fetchall()
    concepts = {
        row.id: ConceptFacts(
            row.id, row.name, row.category, row.canonical_unit, row.loinc, (members or {}).get(row.id, ())
        )
        for row in load_concepts(store.connection).values()
    }
    return Context(
        concepts=concepts,
        convert=units.convert if units else None,
        tool_version=tool_version,
        data_timestamp=max((row[1] for row in rows if row[1]), default=None),
        sources=tuple(sorted({row[0] for row in rows})),
        synthetic=any(row[2] for row in rows),
        options=options,
    )
