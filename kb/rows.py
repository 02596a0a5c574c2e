"""Between the frozen models and the rows of schema.sql: one trial version in, the same one out."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, Literal

from harvest.model import Arm, Intervention, MeshTerm, Sponsor, Trial
from kb.eligible import eligible_ranges
from kb.errors import TrialNotFound
from kb.lines import item_key, line_hash, name_key
from kb.screen_index import index_version
from kb.terms import encode, terms, trial_text
from kb.topics import topics_of
from nlp.model import (
    Criterion,
    Extraction,
    Item,
    Qualifier,
    Unread,
    Window,
    expression_from_json,
    expression_to_json,
    leaves,
)

PutResult = Literal["new", "changed", "reread", "unchanged"]

_PLAIN_WORDS = (
    "title official_title acronym brief_summary status study_type enrollment minimum_age maximum_age sex"
    " start_date completion_date first_posted last_update_posted"
)
_PLAIN = tuple(_PLAIN_WORDS.split())
_ORDER = "coalesce(v.version_date, '') DESC, coalesce(v.fetched_at, '') DESC, v.version DESC"

_THRESHOLD_WORDS = (
    "version_id current ordinal criterion_id item_id item_key section concept_id concept_text concept_start"
    " concept_end role entity_type kind comparator low high low_inclusive high_inclusive value_set unit"
    " unit_text canonical_low canonical_high canonical_unit relative_to value_text value_start value_end"
    " condition_text condition_start condition_end exception_text exception_start exception_end population"
    " window rule flags scale min_value min_inclusive max_value max_inclusive status turned alternative"
    " branch applies_if holds_for"
)
THRESHOLD_COLUMNS = tuple(_THRESHOLD_WORDS.split())
_INSERT_THRESHOLD = f"INSERT INTO threshold({', '.join(THRESHOLD_COLUMNS)}) VALUES ({', '.join('?' * len(THRESHOLD_COLUMNS))})"


def compact(value: Any) -> str:
    """JSON without spaces, non-ASCII kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def record_digest(trial: Trial) -> str:
    """A digest of everything the parsed record says, derived fields included."""
    # repr of frozen dataclasses of plain values names every field, and is ten times quicker than JSON
    return hashlib.blake2b(repr(trial).encode(), digest_size=16).hexdigest()


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
        from kb.store import SOURCE_PREFERENCE

        rows = self.connection.execute(
            "SELECT t.id, t.source, v.id, v.current FROM trial t JOIN trial_version v ON v.trial_id = t.id"
            f" WHERE t.source_id = ? ORDER BY {_ORDER}",
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
        columns: dict[str, Any] = {name: getattr(trial, name) for name in _PLAIN}
        columns |= {
            "trial_id": trial_id,
            "version": trial.version,
            "version_date": version_date or trial.last_update_posted or trial.first_posted,
            "url": trial.url,
            "fetched_at": fetched_at,
            "data_timestamp": data_timestamp,
            "vocabulary": vocabulary,
            "phases": compact(trial.phases),
            "healthy_volunteers": _flag(trial.healthy_volunteers),
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
            item.comparator, item.low, item.high, _flag(item.low_inclusive), _flag(item.high_inclusive),
            None if item.values is None else compact(item.values), item.unit, item.unit_text,
            item.canonical_low, item.canonical_high, item.canonical_unit, item.relative_to,
            item.value_text, *item.value_span, *_qualifier(item.condition), *_qualifier(item.exception),
            item.population, None if window is None else compact(asdict(window)), item.rule,
            compact(item.flags),
        )  # fmt: skip


def _eligible_values(eligible: Any) -> tuple[Any, ...]:
    return (
        eligible.scale,
        eligible.min_value,
        _flag(eligible.min_inclusive),
        eligible.max_value,
        _flag(eligible.max_inclusive),
        eligible.status,
        int(eligible.turned),
        eligible.alternative,
        eligible.branch,
        eligible.applies_if,
    )


def _population(criterion: Criterion | None) -> str | None:
    return None if criterion is None else criterion.population


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _bool(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _span(span: tuple[int, int] | None) -> tuple[int | None, int | None]:
    return (None, None) if span is None else span


def _qualifier(qualifier: Qualifier | None) -> tuple[str | None, int | None, int | None]:
    return (None, None, None) if qualifier is None else (qualifier.text, *qualifier.span)


class TrialReader:
    """Reads versions back as the models they were written from."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def has(self, trial: Trial, vocabulary: str) -> bool:
        """See :meth:`kb.store.Store.has`."""
        row = self.connection.execute(
            "SELECT 1 FROM trial_version v JOIN trial t ON t.id = v.trial_id WHERE t.source_id = ? AND t.source = ?"
            " AND v.version = ? AND v.vocabulary = ? AND v.record = ?",
            (trial.source_id, trial.source, trial.version, vocabulary, record_digest(trial)),
        ).fetchone()
        return row is not None

    def _trial_ids(self, trial_id: str, source: str | None) -> list[int]:
        rows = self.connection.execute(
            "SELECT id, source, preferred FROM trial WHERE source_id = ?1 UNION SELECT t.id, t.source, t.preferred"
            " FROM trial_alias a JOIN trial t ON t.id = a.trial_id WHERE a.alias = ?1 ORDER BY 3 DESC, 1",
            (trial_id,),
        )
        return [row[0] for row in rows if row[1] == source or (source is None and row[2])]

    def version_id(self, trial_id: str, source: str | None) -> int | None:
        """The current version of a trial; of a given source its newest. None where there is none."""
        for key in self._trial_ids(trial_id, source):
            table = "current_version" if source is None else "trial_version"
            row = self.connection.execute(
                f"SELECT v.id FROM {table} v WHERE v.trial_id = ? ORDER BY {_ORDER} LIMIT 1", (key,)
            ).fetchone()
            if row is not None:
                return int(row[0])
        return None

    def versions(self, trial_id: str, source: str | None) -> list[tuple[int, str, str | None]]:
        """All versions of a trial, oldest first."""
        for key in self._trial_ids(trial_id, source):
            rows = self.connection.execute(
                f"SELECT v.id, v.version, v.version_date FROM trial_version v WHERE v.trial_id = ? ORDER BY {_ORDER}",
                (key,),
            ).fetchall()
            return [(row[0], row[1], row[2]) for row in reversed(rows)]
        return []

    def trial(self, version_id: int) -> Trial:
        """The trial as stored."""
        cursor = self.connection.execute(
            "SELECT v.*, t.source, t.source_id, c.text FROM trial_version v JOIN trial t ON t.id = v.trial_id"
            " JOIN criteria_text c ON c.id = v.criteria_text_id WHERE v.id = ?",
            (version_id,),
        )
        row = _as_dict(cursor)
        if row is None:
            raise TrialNotFound(f"there is no version {version_id}")
        conditions = self._named("trial_condition", "condition", version_id)
        tested = self._named("trial_intervention", "intervention", version_id)
        details = self.connection.execute(
            "SELECT i.type, i.name, l.description, l.other_names FROM trial_intervention l JOIN intervention i"
            " ON i.id = l.intervention_id WHERE l.version_id = ? AND l.relation = 'intervention' ORDER BY l.ordinal",
            (version_id,),
        )
        values: dict[str, Any] = {name: row[name] for name in _PLAIN}
        values |= {name: tuple(json.loads(row[name])) for name in ("phases", "countries", "unknown_tokens")}
        return Trial(
            source=row["source"],
            source_id=row["source_id"],
            url=row["url"],
            version=row["version"],
            eligibility_text=row["text"],
            aliases=self._aliases(row["trial_id"]),
            conditions=tuple(name for name, _ in conditions["condition"]),
            keywords=tuple(name for name, _ in conditions["keyword"]),
            condition_mesh=_meshes(conditions["mesh"]),
            condition_ancestors=_meshes(conditions["ancestor"]),
            interventions=tuple(
                Intervention(kind or None, name, text, tuple(json.loads(others)))
                for kind, name, text, others in details
            ),
            intervention_mesh=_meshes(tested["mesh"]),
            intervention_ancestors=_meshes(tested["ancestor"]),
            arms=tuple(
                Arm(**(arm | {"interventions": tuple(arm["interventions"])}))
                for arm in json.loads(row["arms"])
            ),
            sponsors=self._sponsors(version_id),
            healthy_volunteers=_bool(row["healthy_volunteers"]),
            synthetic=bool(row["synthetic"]),
            reconstruction=bool(row["reconstruction"]),
            **values,
        )

    def _aliases(self, trial_id: int) -> tuple[str, ...]:
        rows = self.connection.execute(
            "SELECT alias FROM trial_alias WHERE trial_id = ? ORDER BY 1", (trial_id,)
        )
        return tuple(row[0] for row in rows)

    def _sponsors(self, version_id: int) -> tuple[Sponsor, ...]:
        rows = self.connection.execute(
            "SELECT s.name, l.sponsor_class, l.role FROM trial_sponsor l JOIN sponsor s ON s.id = l.sponsor_id"
            " WHERE l.version_id = ? ORDER BY l.ordinal",
            (version_id,),
        )
        return tuple(Sponsor(*row) for row in rows)

    def _named(self, link: str, table: str, version_id: int) -> Mapping[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {
            name: [] for name in ("condition", "keyword", "mesh", "ancestor", "intervention")
        }
        for relation, name, mesh_id in self.connection.execute(
            f"SELECT l.relation, n.name, n.mesh_id FROM {link} l JOIN {table} n ON n.id = l.{table}_id"
            " WHERE l.version_id = ? ORDER BY l.relation, l.ordinal",
            (version_id,),
        ):
            found[relation].append((name, mesh_id))
        return found

    def extraction(self, version_id: int) -> Extraction:
        """The reading as stored."""
        row = self.connection.execute(
            "SELECT vocabulary FROM trial_version WHERE id = ?", (version_id,)
        ).fetchone()
        if row is None:
            raise TrialNotFound(f"there is no version {version_id}")
        paths: dict[int, str] = {}
        criteria = []
        for (
            key,
            section,
            path,
            parent,
            heading,
            population,
            text,
            start,
            end,
            expression,
            coverage,
        ) in self.connection.execute(
            "SELECT k.id, k.section, k.path, k.parent_id, k.heading, k.population, l.text, k.start_char,"
            " k.end_char, k.expression, k.coverage FROM criterion k JOIN line l ON l.id = k.line_id"
            " WHERE k.version_id = ? ORDER BY k.ordinal",
            (version_id,),
        ):
            paths[key] = path
            criteria.append(
                Criterion(
                    path, section, text, (start, end), expression_from_json(json.loads(expression)), coverage,
                    paths.get(parent), heading, population,
                )
            )  # fmt: skip
        cursor = self.connection.execute(
            "SELECT h.*, c.name AS concept_name FROM threshold h LEFT JOIN concept c ON c.id = h.concept_id"
            " WHERE h.version_id = ? ORDER BY h.ordinal",
            (version_id,),
        )
        names = [column[0] for column in cursor.description]
        items = tuple(item_of_row(dict(zip(names, values, strict=True)), paths.get) for values in cursor)
        return Extraction(items, tuple(criteria), row[0])


def item_of_row(row: Mapping[str, Any], path_of: Callable[[int], str | None]) -> Item:
    """The item that a row of the threshold table was written from (with ``concept_name`` joined)."""
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(Item) if field.name in row}

    def qualifier(name: str) -> Qualifier | None:
        text = row[f"{name}_text"]
        return None if text is None else Qualifier(text, (row[f"{name}_start"], row[f"{name}_end"]))

    start = row["concept_start"]
    values |= {
        "id": row["item_id"],
        "criterion": path_of(row["criterion_id"]) or "",
        "concept": row["concept_id"],
        "concept_span": None if start is None else (start, row["concept_end"]),
        "low_inclusive": _bool(row["low_inclusive"]),
        "high_inclusive": _bool(row["high_inclusive"]),
        "values": None if row["value_set"] is None else tuple(json.loads(row["value_set"])),
        "value_span": (row["value_start"], row["value_end"]),
        "condition": qualifier("condition"),
        "exception": qualifier("exception"),
        "window": None if row["window"] is None else Window(**json.loads(row["window"])),
        "flags": tuple(json.loads(row["flags"])),
    }
    return Item(**values)


def _meshes(entries: list[tuple[str, str]]) -> tuple[MeshTerm, ...]:
    return tuple(MeshTerm(mesh_id, term) for term, mesh_id in entries)


def _as_dict(cursor: sqlite3.Cursor) -> dict[str, Any] | None:
    row = cursor.fetchone()
    return None if row is None else dict(zip([column[0] for column in cursor.description], row, strict=True))
