"""Writes one version of a trial: its record, its criteria, its thresholds and what is derived from them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harvest.model import Trial
from kb.eligible import Eligible, eligible_ranges
from kb.line_store import LineStore, occurrences
from kb.lines import name_key
from kb.moments import reach
from kb.placing import standard_name
from kb.rows import NEWEST_FIRST, PLAIN, PutResult, compact, flag, record_digest
from kb.terms import encode, terms, trial_text
from kb.topics import topics_of
from nlp.model import Criterion, Extraction, Item

SOURCE_PREFERENCE = ("ctgov",)
"""The registries whose word wins where several sources state one trial; the others follow by name."""

_REMEMBERED_NAMES = 50_000
"""Ids of conditions, interventions and sponsors at hand: the same names come again and again."""

USUAL_GAP = "\n* "
"""What stands between two criteria in most texts of ClinicalTrials.gov; stored as NULL."""


class TrialWriter:
    """Writes versions. It never commits: :class:`kb.store.Store` owns the transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.lines = LineStore(connection)
        self._ids: dict[tuple[str, tuple[Any, ...]], int] = {}
        self._concepts: set[str] | None = None
        self._plausible: dict[str, tuple[float | None, float | None]] = {}

    def forget_concepts(self) -> None:
        """Read the stored concepts again at the next write."""
        self._concepts = None

    def forget(self) -> None:
        """After a rollback: what was remembered may never have been stored."""
        self._concepts = None
        self._ids.clear()
        self.lines.forget()

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
        self.choose_current(trial.source_id)  # first, so that each criterion is written once
        gaps = between_lines(trial.eligibility_text, extraction.criteria)
        self._detail_row(version_id, trial, gaps)
        self._links(version_id, trial)
        before = gaps[0] if gaps else [None] * len(extraction.criteria)
        self._criteria(version_id, trial, extraction, before)
        if row is not None:
            return "reread"
        return "changed" if known_trial else "new"

    def delete_version(self, version_id: int) -> None:
        """Remove a version and all that hangs on it."""
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
                    "UPDATE trial_criterion SET current = ? WHERE version_id = ?", (wanted, version_id)
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
        known = self._ids.get((select, key))
        if known is None:
            row = self.connection.execute(select, key).fetchone()
            known = int(row[0]) if row is not None else self._insert(insert, values)
            if len(self._ids) >= _REMEMBERED_NAMES:
                self._ids.clear()
            self._ids[select, key] = known
        return known

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
            "synthetic": int(trial.synthetic),
            "reconstruction": int(trial.reconstruction),
            "criteria_sha256": hashlib.sha256(trial.eligibility_text.encode()).hexdigest(),
            "record": record,
        }
        return self._insert(
            f"INSERT INTO trial_version({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            tuple(columns.values()),
        )

    def _detail_row(self, version_id: int, trial: Trial, gaps: tuple[list[str | None], str] | None) -> None:
        self.connection.execute(
            "INSERT INTO trial_detail VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                version_id, trial.official_title, trial.brief_summary,
                compact([asdict(arm) for arm in trial.arms]), compact(trial.countries),
                compact(trial.unknown_tokens), gaps[1] if gaps else "",
                None if gaps else trial.eligibility_text,
            ),
        )  # fmt: skip

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

    def _criteria(
        self, version_id: int, trial: Trial, extraction: Extraction, before: Sequence[str | None]
    ) -> None:
        """Where each reading stands, and what follows from all of them for the version."""
        self._check_concepts(extraction)
        criteria, loose, entangled = occurrences(extraction)
        ranges = eligible_ranges(extraction, self._plausible) if entangled else {}
        current = int(
            self.connection.execute(
                "SELECT current FROM trial_version WHERE id = ?", (version_id,)
            ).fetchone()[0]
        )
        ordinals: dict[tuple[str, str], int] = {}
        rows: list[tuple[Any, ...]] = []
        bounds: set[int] = set()
        opened = 0 if criteria else 1
        for ordinal, (one, first) in enumerate(criteria):
            criterion = one.criterion
            stored = self.lines.reading(one, self._plausible, ranges if ordinal in entangled else None)
            opened += stored.open
            bounds.update(stored.bounds)
            parent = ordinals.get((criterion.section, criterion.parent)) if criterion.parent else None
            ordinals[criterion.section, criterion.path] = ordinal
            rows.append(
                (version_id, ordinal, stored.id, current, criterion.path, parent, criterion.span[0], first,
                 _names(one.items, first), before[ordinal])
            )  # fmt: skip
        if loose:
            unplaced = {item.id: Eligible() for _, item in loose}
            stored = self.lines.loose(
                loose, unplaced | {name: ranges[name] for name in unplaced if name in ranges}
            )
            bounds.update(stored.bounds)
            rows.append((version_id, -1, stored.id, current, "", None, 0, 0, _names(loose, 0), None))
        registry = self.lines.registry(trial.minimum_age, trial.maximum_age, trial.sex)
        if registry is not None:
            rows.append((version_id, -2, registry.id, current, "", None, 0, 0, None, None))
        self.connection.executemany("INSERT INTO trial_criterion VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.connection.executemany(
            "INSERT INTO trial_bound VALUES (?, ?)", [(version_id, threshold) for threshold in sorted(bounds)]
        )
        self.connection.execute("INSERT INTO screen_open VALUES (?, ?)", (version_id, opened))


def _names(items: Sequence[tuple[int, Item]], first: int) -> str | None:
    """The ids of a criterion's items, where one of them is not named by its ordinal."""
    if all(item.id == standard_name(first + number) for number, item in items):
        return None
    return compact({number: item.id for number, item in items})


def between_lines(text: str, criteria: Sequence[Criterion]) -> tuple[list[str | None], str] | None:
    """The raw text as what stands before each criterion and what follows the last; None where the lines,
    in their order, do not make it up."""
    before: list[str | None] = []
    done = 0
    for criterion in criteria:
        start, end = criterion.span
        if start < done or text[start:end] != criterion.text:
            return None
        gap = text[done:start]
        before.append(None if gap == USUAL_GAP else gap)
        done = end
    return before, text[done:]
