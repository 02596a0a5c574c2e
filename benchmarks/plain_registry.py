"""The same content in a flat schema, and each question in plain SQL: what the knowledge base is measured against.

One row a bound, with its value, its place on the distance axis, weight and spread ready, and an index for
each question; one row an item with all that a comparison shows; each line's words once. The questions give
what the knowledge base's give: a full-text hit names its trial, a comparison has the quoted words.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from kb.axes import AxisIndex
from kb.store import Store
from nlp.model import Criterion, Item

SCHEMA = """
CREATE TABLE trial(id INTEGER PRIMARY KEY, name TEXT, title TEXT, source TEXT, status TEXT, dated TEXT, stamp TEXT,
  synthetic INTEGER, reconstruction INTEGER, url TEXT, cond INTEGER, total REAL);
CREATE TABLE axis(id INTEGER PRIMARY KEY, concept TEXT, side TEXT, scale TEXT, w REAL, tau REAL);
CREATE TABLE bound(trial INTEGER, axis INTEGER, value REAL, pos REAL);
CREATE TABLE has(trial INTEGER, concept TEXT);
CREATE TABLE line(id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE criterion(trial INTEGER, ord INTEGER, section TEXT, path TEXT, unread INTEGER, line INTEGER);
CREATE TABLE item(trial INTEGER, ord INTEGER, line INTEGER, path TEXT, concept TEXT, name TEXT, population TEXT,
  role TEXT, section TEXT, comparator TEXT, scale TEXT, unit TEXT, min REAL, min_in INTEGER, max REAL, max_in INTEGER,
  status TEXT, turned INTEGER, branch INTEGER, applies_if TEXT, exception TEXT, vals TEXT, window TEXT, quote TEXT,
  start INTEGER, end INTEGER, rule TEXT, flags TEXT);
CREATE VIRTUAL TABLE fts USING fts5(text, content='line', content_rowid='id');
"""
INDEXES = """
CREATE INDEX trial_cond ON trial(cond);
CREATE INDEX bound_axis ON bound(axis, value, trial, pos);
CREATE INDEX bound_trial ON bound(trial, axis, value, pos);
CREATE INDEX has_concept ON has(concept, trial);
CREATE INDEX has_trial ON has(trial, concept);
CREATE INDEX criterion_line ON criterion(line, trial);
CREATE INDEX criterion_trial ON criterion(trial, unread);
CREATE INDEX item_trial ON item(trial, ord);
INSERT INTO fts(fts) VALUES ('rebuild');
ANALYZE;
"""
_FILL = """
INSERT INTO has SELECT DISTINCT k.version_id, h.concept_id FROM kb.trial_criterion k
  JOIN kb.line_threshold h ON h.reading_id = k.reading_id WHERE h.concept_id IS NOT NULL;
INSERT INTO line SELECT id, text FROM kb.line;
INSERT INTO criterion SELECT k.version_id, k.ordinal, r.section, k.path, r.unread, r.line_id FROM kb.trial_criterion k
  JOIN kb.line_reading r ON r.id = k.reading_id WHERE k.ordinal >= 0;
INSERT INTO item SELECT k.version_id, k.first_item + h.number, r.line_id, k.path, h.concept_id, coalesce(c.name, h.concept_text),
    h.holds_for, h.role, h.section, h.comparator, h.scale, CASE h.scale WHEN 'absolute' THEN c.canonical_unit ELSE h.unit END,
    h.min_value, h.min_inclusive, h.max_value, h.max_inclusive, h.status, h.turned, h.branch, h.applies_if,
    h.exception_text, h.value_set, h.window, h.value_text, k.start_char + h.value_start, k.start_char + h.value_end, h.rule, h.flags
  FROM kb.trial_criterion k JOIN kb.line_threshold h ON h.reading_id = k.reading_id
  JOIN kb.line_reading r ON r.id = k.reading_id LEFT JOIN kb.concept c ON c.id = h.concept_id;
"""


def fill(path: Path, store: Store, index: AxisIndex) -> None:
    """Write the flat file from a knowledge base and its axes."""
    path.unlink(missing_ok=True)
    plain = sqlite3.connect(path, isolation_level=None)
    plain.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;" + SCHEMA
    )
    plain.execute("ATTACH ? AS kb", (str(store.path),))
    plain.execute("BEGIN")
    conditions = dict(plain.execute(
        "SELECT version_id, min(condition_id) FROM kb.trial_condition WHERE relation = 'mesh' GROUP BY 1"))  # fmt: skip
    totals = dict(zip(index.versions.tolist(), index.totals.tolist(), strict=True))
    plain.executemany("INSERT INTO trial VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [
        (*row, conditions.get(row[0]), totals[row[0]]) for row in plain.execute(
            "SELECT v.id, t.source_id, v.title, t.source, v.status, v.version_date, v.data_timestamp, v.synthetic,"
            " v.reconstruction, v.url FROM kb.trial_version v JOIN kb.trial t ON t.id = v.trial_id")
    ])  # fmt: skip
    for number, (axis, data) in enumerate(index.axes.items()):
        plain.execute("INSERT INTO axis VALUES (?, ?, ?, ?, ?, ?)", (number, *axis, data.weight, data.tau))
        values = (
            data.positions
            if data.linear
            else [float(f"{2.718281828459045**one:.6g}") for one in data.positions.tolist()]
        )
        plain.executemany("INSERT INTO bound VALUES (?, ?, ?, ?)", zip(
            index.versions[data.places].tolist(), [number] * data.df, [float(one) for one in values], data.positions.tolist(), strict=True))  # fmt: skip
    plain.execute("COMMIT")
    plain.executescript("BEGIN;" + _FILL + "COMMIT;" + INDEXES)
    plain.close()


def opened(path: Path) -> sqlite3.Connection:
    """The flat file with the knowledge base's settings."""
    plain = sqlite3.connect(path, isolation_level=None)
    plain.execute("PRAGMA cache_size = -65536")
    plain.execute("PRAGMA temp_store = MEMORY")
    return plain


_NEAR = """
SELECT b.trial, sum(x.w * exp(-CASE WHEN abs(a.pos - b.pos) <= 0.01 THEN 0 ELSE abs(a.pos - b.pos) END / x.tau)) AS g, sum(x.w) AS s
FROM {source} WHERE a.trial = :trial AND b.trial != a.trial {block} GROUP BY b.trial
"""
_OVERALL = (
    "SELECT n.trial, n.g / (t.total + (SELECT total FROM trial WHERE id = :trial) - n.s + 5.0) AS score FROM ({near}) n"
    " JOIN trial t ON t.id = n.trial ORDER BY score DESC, n.trial LIMIT 20"
)
EVERYWHERE = _OVERALL.format(near=_NEAR.format(
    source="bound a JOIN axis x ON x.id = a.axis CROSS JOIN bound b ON b.axis = a.axis", block=""))  # fmt: skip
INSIDE = _OVERALL.format(near=_NEAR.format(
    source="trial t CROSS JOIN bound b ON b.trial = t.id CROSS JOIN bound a ON a.axis = b.axis AND a.trial = :trial JOIN axis x ON x.id = b.axis",
    block="AND t.cond = :cond"))  # fmt: skip
_HIT = (
    "SELECT t.name, t.title, t.source, t.status, t.dated, t.stamp, t.synthetic, t.reconstruction, t.url, k.section, k.path, highlight(fts, 0, '«', '»') FROM fts JOIN criterion k ON k.line = fts.rowid"
    " JOIN trial t ON t.id = k.trial WHERE fts MATCH ?"
)


class PlainQuestions:
    """Each question of the benchmark in plain SQL, asked about a trial of the flat file."""

    def __init__(self, plain: sqlite3.Connection) -> None:
        self.plain = plain

    def rows(self, sql: str, values: Any = ()) -> list[Any]:
        """All rows of a statement."""
        return self.plain.execute(sql, values).fetchall()

    def below(self, limit: float) -> list[Any]:
        """Trials whose platelet minimum is at most ``limit`` 10*9/L."""
        return self.rows(
            "SELECT DISTINCT b.trial FROM axis x CROSS JOIN bound b ON b.axis = x.id WHERE x.concept = 'plt'"
            " AND x.side = 'min' AND x.scale = 'absolute' AND b.value <= ?",
            (limit * 1.000001,),
        )

    def sharing(self, trial: int) -> list[Any]:
        """Trials that share at least five concepts."""
        return self.rows(
            "SELECT b.trial, count(*) AS n FROM has a JOIN has b ON b.concept = a.concept AND b.trial != a.trial"
            " WHERE a.trial = ? GROUP BY b.trial HAVING n >= 5 ORDER BY n DESC, b.trial",
            (trial,),
        )

    def nearest(self, trial: int, cond: int | None = None) -> list[Any]:
        """The 20 nearest by thresholds; inside a condition, if given."""
        if cond is None:
            return self.rows(EVERYWHERE, {"trial": trial})
        return self.rows(INSIDE, {"trial": trial, "cond": cond})

    def words(self, quoted: str, cond: int | None = None) -> list[Any]:
        """20 lines with these words; the best of a condition, if given."""
        if cond is None:
            return self.rows(f"{_HIT} LIMIT 20", (quoted,))
        return self.rows(f"{_HIT} AND t.cond = ? ORDER BY bm25(fts) LIMIT 20", (quoted, cond))

    def compare(self, trials: list[int]) -> dict[tuple[str, str | None], dict[int, list[Any]]]:
        """The requirements of these trials by concept and population, the ends of each row, and the trials with
        what is unread."""
        wanted = json.dumps(trials)
        table: dict[tuple[str, str | None], dict[int, list[Any]]] = {}
        for row in self.rows(
            "SELECT i.*, n.text, t.name FROM item i JOIN trial t ON t.id = i.trial LEFT JOIN line n ON n.id = i.line"
            " WHERE i.trial IN (SELECT value FROM json_each(?)) AND i.role = 'requirement' ORDER BY i.trial, i.ord",
            (wanted,),
        ):
            table.setdefault((row[4] or row[5], row[6]), {}).setdefault(row[0], []).append(row)
        self.rows(  # the strictest and the loosest of each row
            "SELECT concept, population, scale, max(min), min(min), min(max), max(max) FROM item"
            " WHERE trial IN (SELECT value FROM json_each(?)) AND role = 'requirement' AND scale IS NOT NULL"
            " AND applies_if IS NULL AND branch IS NULL GROUP BY 1, 2, 3",
            (wanted,),
        )
        self.rows(
            "SELECT t.name, t.title, t.source, t.status, t.dated, t.stamp, t.synthetic, t.reconstruction, t.url, (SELECT sum(unread) FROM criterion k WHERE k.trial = t.id) FROM trial t"
            " WHERE t.id IN (SELECT value FROM json_each(?))",
            (wanted,),
        )
        return table

    def landscape(self, cond: int) -> tuple[dict[int, list[Any]], list[Any]]:
        """The trials of a condition, and of each axis: range, quartiles, how often each value stands, and the
        trials beyond Tukey's fences. Rows from SQL, the figures in Python."""
        trials = {
            row[0]: row
            for row in self.rows(
                "SELECT id, name, title, source, status, dated, stamp, synthetic, reconstruction, url FROM trial WHERE cond = ?",
                (cond,),
            )
        }
        found: dict[tuple[str, ...], list[tuple[float, int]]] = {}
        for concept, side, scale, value, trial in self.rows(
            "SELECT x.concept, x.side, x.scale, b.value, b.trial FROM trial t CROSS JOIN bound b ON b.trial = t.id"
            " JOIN axis x ON x.id = b.axis WHERE t.cond = ?",
            (cond,),
        ):
            found.setdefault((concept, side, scale), []).append((value, trial))
        table = []
        for axis, said in found.items():
            values = sorted(value for value, _ in said)
            q1, median, q3 = (
                statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
            )
            reach = 1.5 * (q3 - q1)
            far = [(value, trials[one][1]) for value, one in said if not q1 - reach <= value <= q3 + reach]
            table.append(
                (*axis, values[0], q1, median, q3, values[-1], sorted(Counter(values).items()), sorted(far))
            )
        return trials, table

    def replace(self, trial: int, criteria: tuple[Criterion, ...], items: tuple[Item, ...]) -> None:
        """A changed trial: its rows anew, its lines as new ones, the full-text index with them."""
        for table in ("bound", "has", "item", "criterion"):
            self.plain.execute(f"DELETE FROM {table} WHERE trial = ?", (trial,))
        known = self.plain.execute("SELECT max(id) FROM line").fetchone()[0]
        lines = list(enumerate(criteria, start=known + 1))
        self.plain.executemany(
            "INSERT INTO line VALUES (?, ?)", [(number, one.text) for number, one in lines]
        )
        self.plain.executemany(
            "INSERT INTO fts(rowid, text) VALUES (?, ?)", [(number, one.text) for number, one in lines]
        )
        self.plain.executemany("INSERT INTO criterion VALUES (?, ?, ?, ?, 0, ?)", [
            (trial, place, one.section, one.path, number) for place, (number, one) in enumerate(lines)
        ])  # fmt: skip
        named = [item for item in items if item.concept]
        self.plain.executemany("INSERT INTO bound VALUES (?, 0, ?, 0.0)", [
            (trial, item.canonical_low or item.canonical_high) for item in named
        ])  # fmt: skip
        self.plain.executemany(
            "INSERT INTO has VALUES (?, ?)",
            [(trial, concept) for concept in {item.concept for item in named}],
        )
        self.plain.executemany(
            "INSERT INTO item(trial, ord, concept, comparator, min, max, quote, rule) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    trial,
                    place,
                    item.concept,
                    item.comparator,
                    item.canonical_low,
                    item.canonical_high,
                    item.value_text,
                    item.rule,
                )
                for place, item in enumerate(items)
            ],
        )
