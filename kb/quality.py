"""How well the stored criteria were read: figures over the current versions, and their trend.

Every figure is counted from the stored rows. Each time the content or the vocabulary has changed, the
figures are kept in the table ``quality``, which a rebuild carries over.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kb.review import all_reviews
from kb.review_reopened import reopened

Figures = Mapping[str, float]

LABELS: Mapping[str, str] = {
    "trials": "trials",
    "criteria": "criteria",
    "lines": "distinct lines",
    "coverage": "mean coverage of a criterion's words",
    "whole": "criteria understood whole (coverage 100 %, nothing unread), share",
    "unread": "unread demands",
    "unread_trials": "trials with an unread demand, share",
    "requirements": "thresholds that demand something",
    "linked": "of these, linked to a concept, share",
    "numeric_linked": "numeric ones linked to a concept, share",
    "canonical": "linked numeric ones with a canonical value or a multiple, share",
    "flagged": "thresholds with a flag",
    "contradictions": "contradictions (quarantined)",
    "age_conflicts": "ages where the text and the registry's field differ",
    "reviewed": "thresholds that a reviewer has decided on, share",
}


@dataclass(frozen=True, slots=True)
class Quality:
    """The report: ``figures`` by the keys of :data:`LABELS` (shares from 0 to 1), counts of flags and of
    reasons why something was not read, the most frequent unknown concepts, conflicts by trial, and the
    earlier figures of the same scope, oldest first."""

    scope: str
    figures: Figures
    flags: Mapping[str, int]
    unread: Mapping[str, int]
    unknown_concepts: tuple[tuple[str, int], ...]
    contradictions: tuple[tuple[str, str], ...]
    age_conflicts: tuple[tuple[str, str, str], ...]
    trend: tuple[tuple[str, Figures], ...]


def quality(
    connection: sqlite3.Connection, versions: Sequence[int] | None = None, scope: str = "", top: int = 15
) -> Quality:
    """Measure the current versions, or these of them under the name ``scope``."""
    chosen = "SELECT id FROM current_version"
    parameters: tuple[str, ...] = ()
    if versions is not None:
        chosen += " WHERE id IN (SELECT value FROM json_each(?))"
        parameters = (json.dumps(list(versions)),)
    ask = _Ask(connection, chosen, parameters)
    flags = dict(
        ask.rows(
            "SELECT j.value, count(*) FROM threshold h, json_each(h.flags) j WHERE h.version_id IN chosen"
            " AND h.flags != '[]' GROUP BY 1 ORDER BY 2 DESC, 1"
        )
    )
    unread = dict(
        ask.rows(
            "SELECT j.atom, count(*) FROM criterion k, json_tree(k.expression) j WHERE k.version_id IN chosen"
            " AND k.unread > 0 AND j.key = 'why' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
            top,
        )
    )
    unknown = ask.rows(
        "SELECT lower(trim(concept_text)), count(*) FROM threshold WHERE version_id IN chosen AND concept_id IS NULL"
        " AND role = 'requirement' AND concept_text IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
        top,
    )
    contradictions = ask.rows(
        "SELECT t.source_id, coalesce(h.concept_text, '') || ' ' || h.value_text FROM threshold h JOIN trial_version v"
        " ON v.id = h.version_id JOIN trial t ON t.id = v.trial_id WHERE h.version_id IN chosen"
        " AND h.flags LIKE '%\"contradiction\"%' ORDER BY 1, 2"
    )
    conflicts = _age_conflicts(ask)
    figures = _figures(ask, connection) | {
        "flagged": ask.one("SELECT count(*) FROM threshold WHERE version_id IN chosen AND flags != '[]'"),
        "contradictions": len(contradictions),
        "age_conflicts": len(conflicts),
    }
    return Quality(
        scope,
        {name: figures[name] for name in LABELS},
        flags,
        unread,
        tuple((text, count) for text, count in unknown),
        tuple((trial, text) for trial, text in contradictions),
        conflicts,
        trend(connection, scope),
    )


@dataclass(frozen=True, slots=True)
class _Ask:
    """Queries over the chosen versions, which they name ``chosen``."""

    connection: sqlite3.Connection
    chosen: str
    parameters: tuple[str, ...]

    def rows(self, sql: str, *more: int) -> list[Any]:
        return self.connection.execute(
            f"WITH chosen AS ({self.chosen}) {sql}", (*self.parameters, *more)
        ).fetchall()

    def one(self, sql: str) -> float:
        return float(self.rows(sql)[0][0] or 0)


def _figures(ask: _Ask, connection: sqlite3.Connection) -> dict[str, float]:
    trials = ask.one("SELECT count(*) FROM chosen")
    criteria, lines, coverage, whole, unread = ask.rows(
        "SELECT count(*), count(DISTINCT line_id), avg(coverage), sum(coverage >= 0.9995 AND unread = 0), sum(unread)"
        " FROM criterion WHERE version_id IN chosen"
    )[0]
    wanted, linked, numeric, numeric_linked, canonical = ask.rows(
        "SELECT count(*), sum(concept_id IS NOT NULL), sum(kind = 'numeric'),"
        " sum(kind = 'numeric' AND concept_id IS NOT NULL), sum(kind = 'numeric' AND concept_id IS NOT NULL AND"
        " (canonical_low IS NOT NULL OR canonical_high IS NOT NULL OR relative_to IS NOT NULL OR value_set IS NOT NULL))"
        " FROM threshold WHERE version_id IN chosen AND role = 'requirement'"
    )[0]
    return {
        "trials": trials,
        "criteria": float(criteria),
        "lines": float(lines),
        "coverage": float(coverage or 0),
        "whole": _share(whole, criteria),
        "unread": float(unread or 0),
        "unread_trials": _share(
            ask.one("SELECT count(DISTINCT version_id) FROM criterion WHERE version_id IN chosen AND unread > 0"), trials
        ),
        "requirements": float(wanted),
        "linked": _share(linked, wanted),
        "numeric_linked": _share(numeric_linked, numeric),
        "canonical": _share(canonical, numeric_linked),
        "reviewed": _reviewed_share(ask, connection, wanted),
    }  # fmt: skip


def _share(part: float | None, whole: float | None) -> float:
    return float(part or 0) / float(whole) if whole else 0.0


def _reviewed_share(ask: _Ask, connection: sqlite3.Connection, wanted: float) -> float:
    done = {(review.line_hash, review.item_key) for review in all_reviews(connection)}
    done -= {
        (one.review.line_hash, one.review.item_key)
        for one in reopened(connection)
        if one.why != "the text changed"
    }
    if not done:
        return 0.0
    places = ask.rows(
        "SELECT l.hash, h.item_key FROM threshold h JOIN line_reading r ON r.id = h.reading_id JOIN line l"
        " ON l.id = r.line_id WHERE h.version_id IN chosen AND h.role = 'requirement'"
        " AND l.hash IN (SELECT line_hash FROM review WHERE undone_at IS NULL)"
    )
    return _share(sum((digest, str(key)) in done for digest, key in places), wanted)


def _age_conflicts(ask: _Ask) -> tuple[tuple[str, str, str], ...]:
    """(trial, the registry's field, the text's words) where an unconditional limit of age differs."""
    found: list[tuple[str, str, str]] = []
    for field, bound in (("minimum_age", "min_value"), ("maximum_age", "max_value")):
        rows = ask.rows(
            f"SELECT t.source_id, '{field[:7]} age ' || v.{field}, h.value_text FROM threshold h JOIN trial_version v"
            " ON v.id = h.version_id JOIN trial t ON t.id = v.trial_id WHERE h.version_id IN chosen"
            f" AND h.concept_id = 'age' AND h.scale = 'absolute' AND h.{bound} IS NOT NULL AND h.alternative IS NULL"
            f" AND h.applies_if IS NULL AND h.holds_for IS NULL AND v.{field} LIKE '% Year%'"
            f" AND abs(CAST(v.{field} AS REAL) - h.{bound}) >= 2 - h.{bound[:3]}_inclusive ORDER BY 1"
        )
        found.extend((trial, str(stated), words) for trial, stated, words in rows)
    return tuple(sorted(set(found)))


# ------------------------------------------------------------------------ trend


def trend(connection: sqlite3.Connection, scope: str = "") -> tuple[tuple[str, Figures], ...]:
    """(UTC time, figures) of the earlier reports on a scope, oldest first."""
    rows = connection.execute(
        "SELECT measured_at, figures FROM quality WHERE scope = ? ORDER BY measured_at, id", (scope,)
    )
    return tuple((row[0], json.loads(row[1])) for row in rows)


def remember(connection: sqlite3.Connection, report: Quality, when: str) -> bool:
    """Keep a report's figures (``when`` UTC), unless the content is the one measured last; was it kept?

    The caller owns the transaction.
    """
    stated = dict(connection.execute("SELECT key, value FROM meta WHERE key IN ('vocabulary', 'generation')"))
    figures = json.dumps(dict(report.figures), sort_keys=True)
    last = connection.execute(
        "SELECT vocabulary, generation, figures FROM quality WHERE scope = ? ORDER BY measured_at DESC, id DESC",
        (report.scope,),
    ).fetchone()
    if last == (stated["vocabulary"], stated["generation"], figures):
        return False
    connection.execute(
        "INSERT INTO quality(measured_at, scope, vocabulary, generation, figures) VALUES (?, ?, ?, ?, ?)",
        (when, report.scope, stated["vocabulary"], stated["generation"], figures),
    )
    return True
