"""Reads versions of trials back as the models that they were written from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from harvest.model import Arm, Intervention, MeshTerm, Sponsor, Trial
from kb.errors import TrialNotFound
from kb.placing import item_names, placed_expression
from kb.rows import LONG, NEWEST_FIRST, PLAIN, boolean, record_digest
from nlp.model import Criterion, Extraction, Item, Qualifier, Window


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
            "SELECT id, source, preferred FROM trial WHERE source_id = :key UNION SELECT t.id, t.source, t.preferred"
            " FROM trial_alias a JOIN trial t ON t.id = a.trial_id WHERE a.alias = :key ORDER BY 3 DESC, 1",
            {"key": trial_id},
        )
        return [row[0] for row in rows if row[1] == source or (source is None and row[2])]

    def version_id(self, trial_id: str, source: str | None) -> int | None:
        """The current version of a trial; of a given source its newest. None where there is none."""
        for key in self._trial_ids(trial_id, source):
            table = "current_version" if source is None else "trial_version"
            row = self.connection.execute(
                f"SELECT v.id FROM {table} v WHERE v.trial_id = ? ORDER BY {NEWEST_FIRST} LIMIT 1", (key,)
            ).fetchone()
            if row is not None:
                return int(row[0])
        return None

    def versions(self, trial_id: str, source: str | None) -> list[tuple[int, str, str | None]]:
        """All versions of a trial, oldest first."""
        for key in self._trial_ids(trial_id, source):
            rows = self.connection.execute(
                f"SELECT v.id, v.version, v.version_date FROM trial_version v WHERE v.trial_id = ? ORDER BY {NEWEST_FIRST}",
                (key,),
            ).fetchall()
            return [(row[0], row[1], row[2]) for row in reversed(rows)]
        return []

    def trial(self, version_id: int) -> Trial:
        """The trial as stored."""
        cursor = self.connection.execute(
            "SELECT v.*, d.*, t.source, t.source_id, c.text FROM trial_version v JOIN trial t ON t.id = v.trial_id"
            " JOIN trial_detail d ON d.version_id = v.id JOIN criteria_text c ON c.version_id = v.id WHERE v.id = ?",
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
        values: dict[str, Any] = {name: row[name] for name in (*PLAIN, *LONG)}
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
            healthy_volunteers=boolean(row["healthy_volunteers"]),
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
        for key, parent, criterion in self.criteria(version_id):
            paths[key] = criterion.path
            criteria.append(replace(criterion, parent=paths.get(parent) if parent is not None else None))
        cursor = self.connection.execute(
            f"SELECT {', '.join(f'h.{name}' for name in ITEM_COLUMNS)}, c.name AS concept_name FROM threshold h LEFT JOIN concept c ON c.id = h.concept_id"
            " WHERE h.version_id = ? ORDER BY h.ordinal",
            (version_id,),
        )
        names = [column[0] for column in cursor.description]
        items = tuple(
            item_of_row(
                dict(zip(names, values, strict=True)), lambda key: None if key is None else paths[key]
            )
            for values in cursor
        )
        return Extraction(items, tuple(criteria), row[0])

    def criteria(self, version_id: int) -> Iterator[tuple[int, int | None, Criterion]]:
        """(id, parent's id, criterion) in the order of the text; ``parent`` is not filled in."""
        rows = self.connection.execute(
            "SELECT k.id, k.parent_id, k.section, k.path, k.heading, k.population, l.text, k.start_char, k.end_char,"
            " k.expression, k.coverage, k.first_item, k.names FROM criterion k JOIN line l ON l.id = k.line_id"
            " WHERE k.version_id = ? ORDER BY k.ordinal",
            (version_id,),
        ).fetchall()
        loose = self.connection.execute(
            "SELECT first_item, names FROM trial_criterion WHERE version_id = ? AND ordinal = -1",
            (version_id,),
        ).fetchall()
        names = item_names([*loose, *((row[11], row[12]) for row in rows)])
        for (
            key,
            parent,
            section,
            path,
            heading,
            population,
            text,
            start,
            end,
            stored,
            coverage,
            first,
            _,
        ) in rows:
            expression = placed_expression(stored, start, first, names)
            yield (
                key,
                parent,
                Criterion(path, section, text, (start, end), expression, coverage, None, heading, population),
            )


_STORED_WORDS = (
    "item_id criterion_id concept_id concept_start concept_end low_inclusive high_inclusive value_set value_start"
    " value_end condition_text condition_start condition_end exception_text exception_start exception_end window"
    " flags"
)
_READ_WORDS = (
    "id criterion concept concept_span low_inclusive high_inclusive values value_span condition exception window"
    " flags"
)
_AS_STORED = tuple(one.name for one in fields(Item) if one.name not in _READ_WORDS.split())
ITEM_COLUMNS = (*(name for name in _AS_STORED if name != "concept_name"), *_STORED_WORDS.split())
"""The columns of the threshold table that :func:`item_of_row` reads; ``concept_name`` beside them."""


def item_of_row(row: Mapping[str, Any], path_of: Callable[[int | None], str | None]) -> Item:
    """The item that a row of the threshold table was written from (with ``concept_name`` joined)."""
    start, values, window, flags = row["concept_start"], row["value_set"], row["window"], row["flags"]
    return Item(
        id=row["item_id"],
        criterion=path_of(row["criterion_id"]) or "",
        concept=row["concept_id"],
        concept_span=None if start is None else (start, row["concept_end"]),
        low_inclusive=boolean(row["low_inclusive"]),
        high_inclusive=boolean(row["high_inclusive"]),
        values=None if values is None else tuple(json.loads(values)),
        value_span=(row["value_start"], row["value_end"]),
        condition=_qualifier(row, "condition"),
        exception=_qualifier(row, "exception"),
        window=None if window is None else Window(**json.loads(window)),
        flags=() if flags == "[]" else tuple(json.loads(flags)),
        **{name: row[name] for name in _AS_STORED},
    )


def _qualifier(row: Mapping[str, Any], name: str) -> Qualifier | None:
    text = row[f"{name}_text"]
    return None if text is None else Qualifier(text, (row[f"{name}_start"], row[f"{name}_end"]))


def _meshes(entries: list[tuple[str, str]]) -> tuple[MeshTerm, ...]:
    return tuple(MeshTerm(mesh_id, term) for term, mesh_id in entries)


def _as_dict(cursor: sqlite3.Cursor) -> dict[str, Any] | None:
    row = cursor.fetchone()
    return None if row is None else dict(zip([column[0] for column in cursor.description], row, strict=True))
