"""What an export reads from the knowledge base: records, trial after trial, and tables, row by row.

This is the one file of the room that knows the tables of ``kb/schema.sql``. Everything is read inside one read
transaction, so that an export made during a refresh is of one state.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from harvest.model import Arm, Intervention, MeshTerm, Sponsor, Trial
from kb.export.model import ConceptFacts, Review, TrialRecord
from nlp.model import Criterion, Item, Qualifier, Window, expression_from_json

Row = Mapping[str, Any]


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One read transaction over the whole export."""
    if connection.in_transaction:
        yield connection
        return
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")


class Store:
    """The knowledge base behind an open connection, as exports read it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _all(self, sql: str, *parameters: object) -> Iterator[Row]:
        cursor = self._connection.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        for row in cursor:
            yield dict(zip(names, tuple(row), strict=True))

    # ------------------------------------------------------------ selection

    def trial_ids(self) -> list[str]:
        """The ids of all stored trials with a current version, sorted."""
        sql = "SELECT DISTINCT source_id FROM current_version v JOIN trial t ON t.id = v.trial_id ORDER BY source_id"
        return [row["source_id"] for row in self._all(sql)]

    def scope(self, ids: Sequence[str]) -> dict[str, Any]:
        """What is common to the selected trials: registries, the latest data timestamp, whether one is synthetic."""
        marks = json.dumps(list(ids))
        sql = (
            "SELECT DISTINCT t.source, v.data_timestamp, v.synthetic FROM current_version v"
            " JOIN trial t ON t.id = v.trial_id WHERE t.source_id IN (SELECT value FROM json_each(?))"
        )
        rows = list(self._all(sql, marks))
        stamps = [row["data_timestamp"] for row in rows if row["data_timestamp"]]
        return {
            "sources": tuple(sorted({row["source"] for row in rows})),
            "data_timestamp": max(stamps, default=None),
            "synthetic": any(row["synthetic"] for row in rows),
        }

    def concepts(self) -> dict[str, ConceptFacts]:
        """The stored vocabulary's concepts by id."""
        return {
            row["id"]: ConceptFacts(
                row["id"],
                row["name"],
                row["category_id"],
                row["canonical_unit"],
                tuple(json.loads(row["loinc"])),
            )
            for row in self._all("SELECT * FROM concept")
        }

    # ------------------------------------------------------------ records

    def records(self, ids: Sequence[str]) -> Iterator[TrialRecord]:
        """The current version of each of these trials, sorted by id; ids that are not stored are passed over."""
        for source_id in sorted(set(ids)):
            sql = (
                "SELECT v.*, t.source, t.source_id, c.text AS eligibility_text FROM current_version v"
                " JOIN trial t ON t.id = v.trial_id JOIN criteria_text c ON c.id = v.criteria_text_id"
                " WHERE t.source_id = ? ORDER BY t.source"
            )
            for row in list(self._all(sql, source_id)):
                yield self._record(row)

    def _record(self, row: Row) -> TrialRecord:
        version = row["id"]
        criteria = tuple(
            Criterion(
                path=each["path"],
                section=each["section"],
                text=each["text"],
                span=(each["start_char"], each["end_char"]),
                expression=expression_from_json(json.loads(each["expression"])),
                coverage=each["coverage"],
                parent=each["parent"],
                heading=each["heading"],
                population=each["population"],
            )
            for each in self._all(
                "SELECT k.*, l.text, p.path AS parent FROM criterion k JOIN line l ON l.id = k.line_id"
                " LEFT JOIN criterion p ON p.id = k.parent_id WHERE k.version_id = ? ORDER BY k.ordinal",
                version,
            )
        )
        items = tuple(
            _item(each)
            for each in self._all(
                "SELECT h.*, k.path, c.name AS concept_name FROM threshold h"
                " LEFT JOIN criterion k ON k.id = h.criterion_id LEFT JOIN concept c ON c.id = h.concept_id"
                " WHERE h.version_id = ? ORDER BY h.ordinal",
                version,
            )
        )
        return TrialRecord(
            trial=self._trial(row),
            items=items,
            criteria=criteria,
            vocabulary=row["vocabulary"],
            data_timestamp=row["data_timestamp"],
            fetched_at=row["fetched_at"],
            reviews=tuple(self._reviews(version)),
        )

    def _trial(self, row: Row) -> Trial:
        version = row["id"]
        conditions: dict[str, list[Row]] = {"condition": [], "keyword": [], "mesh": [], "ancestor": []}
        for each in self._all(
            "SELECT tc.relation, c.name, c.mesh_id FROM trial_condition tc JOIN condition c ON c.id = tc.condition_id"
            " WHERE tc.version_id = ? ORDER BY tc.relation, tc.ordinal",
            version,
        ):
            conditions[each["relation"]].append(each)
        interventions: dict[str, list[Row]] = {"intervention": [], "mesh": [], "ancestor": []}
        for each in self._all(
            "SELECT ti.relation, ti.description, ti.other_names, i.name, i.type, i.mesh_id FROM trial_intervention ti"
            " JOIN intervention i ON i.id = ti.intervention_id WHERE ti.version_id = ?"
            " ORDER BY ti.relation, ti.ordinal",
            version,
        ):
            interventions[each["relation"]].append(each)
        sponsors = self._all(
            "SELECT s.name, ts.sponsor_class, ts.role FROM trial_sponsor ts JOIN sponsor s ON s.id = ts.sponsor_id"
            " WHERE ts.version_id = ? ORDER BY ts.ordinal",
            version,
        )
        aliases = self._all(
            "SELECT alias FROM trial_alias WHERE trial_id = ? ORDER BY alias", row["trial_id"]
        )
        plain = [
            "source",
            "source_id",
            "url",
            "version",
            "title",
            "eligibility_text",
            "official_title",
            "acronym",
            "brief_summary",
            "status",
            "study_type",
            "enrollment",
            "minimum_age",
            "maximum_age",
            "sex",
            "start_date",
            "completion_date",
            "first_posted",
            "last_update_posted",
        ]
        healthy = row["healthy_volunteers"]
        return Trial(
            **{name: row[name] for name in plain},
            aliases=tuple(each["alias"] for each in aliases),
            phases=tuple(json.loads(row["phases"])),
            countries=tuple(json.loads(row["countries"])),
            unknown_tokens=tuple(json.loads(row["unknown_tokens"])),
            arms=tuple(_arm(each) for each in json.loads(row["arms"])),
            conditions=tuple(each["name"] for each in conditions["condition"]),
            keywords=tuple(each["name"] for each in conditions["keyword"]),
            condition_mesh=_mesh(conditions["mesh"]),
            condition_ancestors=_mesh(conditions["ancestor"]),
            interventions=tuple(
                Intervention(
                    each["type"] or None,
                    each["name"],
                    each["description"],
                    tuple(json.loads(each["other_names"])),
                )
                for each in interventions["intervention"]
            ),
            intervention_mesh=_mesh(interventions["mesh"]),
            intervention_ancestors=_mesh(interventions["ancestor"]),
            sponsors=tuple(Sponsor(each["name"], each["sponsor_class"], each["role"]) for each in sponsors),
            healthy_volunteers=None if healthy is None else bool(healthy),
            synthetic=bool(row["synthetic"]),
            reconstruction=bool(row["reconstruction"]),
        )

    def _reviews(self, version: int) -> Iterator[Review]:
        """The reviews of the lines that this version's criteria consist of."""
        for each in self._all(
            "SELECT DISTINCT r.* FROM review r JOIN line l ON l.hash = r.line_hash"
            " JOIN criterion k ON k.line_id = l.id WHERE k.version_id = ?"
            " ORDER BY r.line_hash, r.item_key, r.reviewed_at, r.id",
            version,
        ):
            yield Review(
                reviewer=each["reviewer"],
                reviewed_at=each["reviewed_at"],
                line_hash=each["line_hash"],
                item_key=each["item_key"],
                verdict=each["verdict"],
                reason=each["reason"],
                section=each["section"],
                corrected=json.loads(each["corrected"]) if each["corrected"] else None,
                undone_at=each["undone_at"],
            )


def _mesh(rows: Sequence[Row]) -> tuple[MeshTerm, ...]:
    return tuple(MeshTerm(row["mesh_id"], row["name"]) for row in rows)


def _arm(row: Row) -> Arm:
    return Arm(row["label"], row.get("type"), row.get("description"), tuple(row.get("interventions") or ()))


def _truth(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _qualifier(row: Row, name: str) -> Qualifier | None:
    text = row[f"{name}_text"]
    return None if text is None else Qualifier(text, (row[f"{name}_start"], row[f"{name}_end"]))


def _item(row: Row) -> Item:
    start = row["concept_start"]
    window = json.loads(row["window"]) if row["window"] else None
    return Item(
        id=row["item_id"],
        section=row["section"],
        criterion=row["path"] or "",
        concept=row["concept_id"],
        concept_name=row["concept_name"],
        concept_text=row["concept_text"],
        concept_span=None if start is None else (start, row["concept_end"]),
        role=row["role"],
        entity_type=row["entity_type"],
        kind=row["kind"],
        comparator=row["comparator"],
        low=row["low"],
        high=row["high"],
        low_inclusive=_truth(row["low_inclusive"]),
        high_inclusive=_truth(row["high_inclusive"]),
        values=tuple(json.loads(row["value_set"])) if row["value_set"] else None,
        unit=row["unit"],
        unit_text=row["unit_text"],
        canonical_low=row["canonical_low"],
        canonical_high=row["canonical_high"],
        canonical_unit=row["canonical_unit"],
        relative_to=row["relative_to"],
        value_text=row["value_text"],
        value_span=(row["value_start"], row["value_end"]),
        condition=_qualifier(row, "condition"),
        exception=_qualifier(row, "exception"),
        population=row["population"],
        window=Window(**window) if window else None,
        rule=row["rule"],
        flags=tuple(json.loads(row["flags"])),
    )
