"""Writes one version of a trial: its record, its criteria, its thresholds and what is derived from them."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import asdict
from typing import Any

from harvest.model import Trial
from kb.eligible import Eligible, eligible_ranges
from kb.lines import item_key, line_hash, name_key
from kb.moments import reach
from kb.rows import NEWEST_FIRST, PLAIN, THRESHOLD_COLUMNS, PutResult, compact, flag, record_digest
from kb.screen_index import index_version
from kb.terms import encode, terms, trial_text
from kb.topics import topics_of
from nlp.model import Criterion, Extraction, Item, Qualifier, Unread, expression_to_json, leaves

SOURCE_PREFERENCE = ("ctgov",)
"""The registries whose word wins where several sources state one trial; the others follow by name."""

_INSERT_THRESHOLD = f"INSERT INTO threshold({', '.join(THRESHOLD_COLUMNS)}) VALUES ({', '.join('?' * len(THRESHOLD_COLUMNS))})"


class TrialWriter:
    """Writes versions. It never commits: :class:`kb.store.Store` owns the transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.index_lines = True
        self._concepts: set[str] | None = None
        self._plausible: dict[str, tuple[float | None, float | None]] = {}

    def forget_concepts(self) -> None:
        """Read the stored concepts again at the next write."""
        self._concepts = None

    def put(
        self,
        trial: Trial,
        extraction: Extraction,
        fetched_at: str | None,
        data_timestamp: str | None,
        version_date: str | None,
    ) -> PutResult:
        """See :meth:`kb.store.Store.put`."""
        trial_id, known_trial = self._trial_row(trial)
        row = self.connection.execute(
            "SELECT id, vocabulary, record FROM trial_version WHERE trial_id = ? AND version = ?",
            (trial_id, trial.version),
        ).fetchone()
        record = record_digest(trial)
        if row is not None and row[1] == extraction.vocabulary and row[2] == record:
            self.connection.execute(
                "UPDATE trial_version SET data_timestamp = max(coalesce(data_timestamp, ''), ?) WHERE id = ? AND ? != ''",
                (data_timestamp or "", row[0], data_timestamp or ""),
            )
            return "unchanged"
        if row is not None:
            old = self.connection.execute(
                "SELECT fetched_at, data_timestamp FROM trial_version WHERE id = ?", (row[0],)
            ).fetchone()
            fetched_at = old[0] or fetched_at
            data_timestamp = max(filter(None, (old[1], data_timestamp)), default=None)
            self.delete_version(row[0])
        version_id = self._version_row(
            trial_id, trial, extraction.vocabulary, record, fetched_at, data_timestamp, version_date
        )
        reach("database.after_version")
        self._links(version_id, trial)
        self._criteria(version_id, extraction)
        index_version(self.connection, version_id, trial, extraction)
        self.choose_current(trial.source_id)
        if row is not None:
            return "reread"
        return "changed" if known_trial else "new"

    def delete_version(self, version_id: int) -> None:
        """Remove a version and all that hangs on it."""
        for table in ("threshold", "criterion"):
            self.connection.execute(f"DELETE FROM {table} WHERE version_id = ?", (version_id,))
        self.connection.execute("DELETE FROM trial_version WHERE id = ?", (version_id,))

    def choose_current(self, source_id: str) -> None:
        """Set the current version of a trial: the newest one of the most trusted source."""
        rows = self.connection.execute(
            "SELECT t.id, t.source, v.id, v.current FROM trial t JOIN trial_version v ON v.trial_id = t.id"
            f" WHERE t.source_id = ? ORDER BY {NEWEST_FIRST}",
            (source_id,),
        ).fetchall()
        rank = {name: place for place, name in enumerate(SOURCE_PREFERENCE)}
        best = min({row[1] for row in rows}, key=lambda name: (rank.get(name, len(rank)), name))
        chosen = next(row[2] for row in rows if row[1] == best)
        self.connection.execute(
            "UPDATE trial SET preferred = (source = ?) WHERE source_id = ?", (best, source_id)
        )
        for _, _, version_id, current in rows:
            wanted = int(version_id == chosen)
            if current != wanted:
                self.connection.execute(
                    "UPDATE trial_version SET current = ? WHERE id = ?", (wanted, version_id)
                )
                self.connection.execute(
                    "UPDATE threshold SET current = ? WHERE version_id = ?", (wanted, version_id)
                )

    # ------------------------------------------------------------------ rows

    def _trial_row(self, trial: Trial) -> tuple[int, bool]:
        row = self.connection.execute(
            "SELECT id FROM trial WHERE source_id = ? AND source = ?", (trial.source_id, trial.source)
        ).fetchone()
        if row is not None:
            trial_id = int(row[0])
            self.connection.execute(
                "UPDATE trial SET vanished = NULL WHERE id = ? AND vanished IS NOT NULL", (trial_id,)
            )
        else:
            trial_id = self._insert(
                "INSERT INTO trial(source, source_id) VALUES (?, ?)", (trial.source, trial.source_id)
            )
        self.connection.executemany(
            "INSERT OR IGNORE INTO trial_alias(alias, trial_id) VALUES (?, ?)",
            [(alias, trial_id) for alias in trial.aliases],
        )
        return trial_id, row is not None

    def _insert(self, sql: str, values: tuple[Any, ...]) -> int:
        cursor = self.connection.execute(sql, values)
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _id_of(self, select: str, insert: str, key: tuple[Any, ...], values: tuple[Any, ...]) -> int:
        row = self.connection.execute(select, key).fetchone()
        return int(row[0]) if row is not None else self._insert(insert, values)

    def _version_row(
        self,
        trial_id: int,
        trial: Trial,
        vocabulary: str,
        record: str,
        fetched_at: str | None,
        data_timestamp: str | None,
        version_date: str | None,
    ) -> int:
        text = trial.eligibility_text
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        text_id = self._id_of(
            "SELECT id FROM criteria_text WHERE sha256 = ?",
            "INSERT INTO criteria_text(sha256, text) VALUES (?, ?)",
            (sha256,),
            (sha256, text),
        )
        columns: dict[str, Any] = {name: getattr(trial, name) for name in PLAIN}
        columns |= {
            "trial_id": trial_id,
            "version": trial.version,
            "version_date": version_date or trial.last_update_posted or trial.first_posted,
            "url": trial.url,
            "fetched_at": fetched_at,
            "data_timestamp": data_timestamp,
            "vocabulary": vocabulary,
            "phases": compact(trial.phases),
            "healthy_volunteers": flag(trial.healthy_volunteers),
            "countries": compact(trial.countries),
            "arms": compact([asdict(arm) for arm in trial.arms]),
            "unknown_tokens": compact(trial.unknown_tokens),
            "synthetic": int(trial.synthetic),
            "reconstruction": int(trial.reconstruction),
            "criteria_text_id": text_id,
            "record": record,
        }
        return self._insert(
            f"INSERT INTO trial_version({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            tuple(columns.values()),
        )

    def _links(self, version_id: int, trial: Trial) -> None:
        self.connection.executemany(
            "INSERT INTO trial_condition(version_id, relation, ordinal, condition_id) VALUES (?, ?, ?, ?)",
            [
                (version_id, relation, ordinal, self._condition(name, mesh_id))
                for relation, entries in (
                    ("condition", [(name, "") for name in trial.conditions]),
                    ("keyword", [(name, "") for name in trial.keywords]),
                    ("mesh", [(mesh.term, mesh.id) for mesh in trial.condition_mesh]),
                    ("ancestor", [(mesh.term, mesh.id) for mesh in trial.condition_ancestors]),
                )
                for ordinal, (name, mesh_id) in enumerate(entries)
            ],
        )
        tested = [
            (
                "intervention",
                number,
                self._intervention(one.name, one.type or "", ""),
                one.description,
                compact(one.other_names),
            )
            for number, one in enumerate(trial.interventions)
        ]
        for relation, meshes in (
            ("mesh", trial.intervention_mesh),
            ("ancestor", trial.intervention_ancestors),
        ):
            tested += [
                (relation, number, self._intervention(mesh.term, "", mesh.id), None, "[]")
                for number, mesh in enumerate(meshes)
            ]
        self.connection.executemany(
            "INSERT INTO trial_intervention(version_id, relation, ordinal, intervention_id, description,"
            " other_names) VALUES (?, ?, ?, ?, ?, ?)",
            [(version_id, *row) for row in tested],
        )
        self.connection.executemany(
            "INSERT INTO trial_sponsor(version_id, ordinal, sponsor_id, role, sponsor_class) VALUES (?, ?, ?, ?, ?)",
            [
                (version_id, number, self._sponsor(one.name), one.role, one.sponsor_class)
                for number, one in enumerate(trial.sponsors)
            ],
        )
        self.connection.executemany(
            "INSERT INTO trial_topic(version_id, kind, value, evidence) VALUES (?, ?, ?, ?)",
            [(version_id, topic.kind, topic.value, topic.evidence) for topic in topics_of(trial)],
        )
        self.connection.execute(
            "INSERT INTO term_vector(version_id, terms) VALUES (?, ?)",
            (version_id, encode(terms(trial_text(trial)))),
        )

    def _condition(self, name: str, mesh_id: str) -> int:
        return self._id_of(
            "SELECT id FROM condition WHERE name = ? AND mesh_id = ?",
            "INSERT INTO condition(name, name_key, mesh_id) VALUES (?, ?, ?)",
            (name, mesh_id),
            (name, name_key(name), mesh_id),
        )

    def _intervention(self, name: str, kind: str, mesh_id: str) -> int:
        return self._id_of(
            "SELECT id FROM intervention WHERE name = ? AND type = ? AND mesh_id = ?",
            "INSERT INTO intervention(name, type, mesh_id, name_key) VALUES (?, ?, ?, ?)",
            (name, kind, mesh_id),
            (name, kind, mesh_id, name_key(name)),
        )

    def _sponsor(self, name: str) -> int:
        return self._id_of(
            "SELECT id FROM sponsor WHERE name = ?", "INSERT INTO sponsor(name) VALUES (?)", (name,), (name,)
        )

    def line_id(self, text: str) -> int:
        """The id of a line, stored and indexed where it is new."""
        digest = line_hash(text)
        row = self.connection.execute("SELECT id FROM line WHERE hash = ?", (digest,)).fetchone()
        if row is not None:
            return int(row[0])
        line_id = self._insert("INSERT INTO line(hash, text) VALUES (?, ?)", (digest, text))
        if self.index_lines:
            self.connection.execute("INSERT INTO line_fts(rowid, text) VALUES (?, ?)", (line_id, text))
        return line_id

    def _criteria(self, version_id: int, extraction: Extraction) -> None:
        ids: dict[tuple[str, str], int] = {}
        by_place: dict[tuple[str, str], Criterion] = {}
        for ordinal, criterion in enumerate(extraction.criteria):
            place = (criterion.section, criterion.path)
            unread = sum(isinstance(leaf, Unread) for leaf in leaves(criterion.expression))
            ids[place] = self._insert(
                "INSERT INTO criterion(version_id, ordinal, section, path, parent_id, heading, population, line_id,"
                " start_char, end_char, expression, coverage, unread) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    version_id,
                    ordinal,
                    criterion.section,
                    criterion.path,
                    ids.get((criterion.section, criterion.parent)) if criterion.parent else None,
                    criterion.heading,
                    criterion.population,
                    self.line_id(criterion.text),
                    *criterion.span,
                    compact(expression_to_json(criterion.expression)),
                    criterion.coverage,
                    unread,
                ),
            )
            by_place[place] = criterion
        self._check_concepts(extraction)
        ranges = eligible_ranges(extraction, self._plausible)
        self.connection.executemany(
            _INSERT_THRESHOLD,
            [
                self._threshold_row(
                    version_id,
                    ordinal,
                    item,
                    ids.get((item.section, item.criterion)),
                    item_key(item, by_place.get((item.section, item.criterion))),
                )
                + _eligible_values(ranges[item.id])
                + (item.population or _population(by_place.get((item.section, item.criterion))),)
                for ordinal, item in enumerate(extraction.items)
            ],
        )

    def _check_concepts(self, extraction: Extraction) -> None:
        """A concept that was read but not announced gets its row, so that no threshold is lost."""
        if self._concepts is None:
            rows = self.connection.execute("SELECT id, plausible_low, plausible_high FROM concept").fetchall()
            self._concepts = {row[0] for row in rows}
            self._plausible = {row[0]: (row[1], row[2]) for row in rows}
        for item in extraction.items:
            if item.concept is not None and item.concept not in self._concepts:
                self.connection.execute(
                    "INSERT INTO concept(id, name, canonical_unit) VALUES (?, ?, ?)",
                    (item.concept, item.concept_name or item.concept, item.canonical_unit),
                )
                self._concepts.add(item.concept)

    @staticmethod
    def _threshold_row(
        version_id: int, ordinal: int, item: Item, criterion_id: int | None, key: str
    ) -> tuple[Any, ...]:
        window = item.window
        return (
            version_id, 0, ordinal, criterion_id, item.id, key, item.section, item.concept,
            item.concept_text, *_span(item.concept_span), item.role, item.entity_type, item.kind,
            item.comparator, item.low, item.high, flag(item.low_inclusive), flag(item.high_inclusive),
            None if item.values is None else compact(item.values), item.unit, item.unit_text,
            item.canonical_low, item.canonical_high, item.canonical_unit, item.relative_to,
            item.value_text, *item.value_span, *_qualifier(item.condition), *_qualifier(item.exception),
            item.population, None if window is None else compact(asdict(window)), item.rule,
            compact(item.flags),
        )  # fmt: skip


def _eligible_values(eligible: Eligible) -> tuple[Any, ...]:
    return (
        eligible.scale,
        eligible.min_value,
        flag(eligible.min_inclusive),
        eligible.max_value,
        flag(eligible.max_inclusive),
        eligible.status,
        int(eligible.turned),
        eligible.alternative,
        eligible.branch,
        eligible.applies_if,
    )


def _population(criterion: Criterion | None) -> str | None:
    return None if criterion is None else criterion.population


def _span(span: tuple[int, int] | None) -> tuple[int | None, int | None]:
    return (None, None) if span is None else span


def _qualifier(qualifier: Qualifier | None) -> tuple[str | None, int | None, int | None]:
    return (None, None, None) if qualifier is None else (qualifier.text, *qualifier.span)
