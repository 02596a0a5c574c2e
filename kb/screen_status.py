"""Whether a patient may enter a trial, without the reasons: only the criteria in question are read.

The answers are those of :func:`kb.screen.screen_trial`, which says why. What is spared is the reading of
texts, of criteria that nothing known of the patient bears on, and of those behind the one that decides.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kb.evaluate import evaluate_criterion
from kb.judging import Knowledge
from kb.patient import Patient
from kb.placing import item_names, placed_expression
from kb.reader import ITEM_COLUMNS, item_of_row
from kb.screen import Status, registry_fields
from nlp.model import Criterion, Item, Leaf, leaves

_ITEMS = f"SELECT {', '.join(ITEM_COLUMNS)} FROM threshold WHERE version_id = ?"


@dataclass(frozen=True, slots=True)
class Asker:
    """Answers stored versions for one patient, who has no answers of a caller's and no arms or cohorts
    (these are asked for under the trial's id, see :func:`kb.prefilter.statuses`)."""

    connection: sqlite3.Connection
    patient: Patient
    knowledge: Knowledge

    def fails(self, version: int, concepts: Iterable[str]) -> bool:
        """Whether a criterion with an item on one of the concepts is false; of ``sex``, one on a population."""
        asked = sorted(set(concepts))
        rows = self.connection.execute(
            "SELECT item_id FROM threshold WHERE version_id = ? AND concept_id IN (SELECT value FROM json_each(?))",
            (version, json.dumps(asked)),
        )
        # an expression may use the items of another line: the parent's those of its list
        names = {name for (name,) in rows}
        return False in self._values(version, names, "sex" in asked)

    def status(self, version: int) -> Status:
        """The answer of a version that no reviewer decided on."""
        values = set(self._registry(version))
        if False not in values:
            for value in self._values(version):
                values.add(value)
                if value is False:
                    break
            else:
                if values == {True} and self._has_criteria(version):
                    return "eligible"
        return "not eligible" if False in values else "undetermined"

    def enters(self, version: int) -> bool:
        """Whether every criterion is true; the first that is not ends the reading."""
        return (
            self._has_criteria(version)
            and all(self._registry(version))
            and all(value is True for value in self._values(version))
        )

    def _has_criteria(self, version: int) -> bool:
        found = self.connection.execute("SELECT 1 FROM criterion WHERE version_id = ? LIMIT 1", (version,))
        return found.fetchone() is not None

    def _registry(self, version: int) -> Iterator[bool | None]:
        row = self.connection.execute(
            "SELECT minimum_age, maximum_age, sex FROM trial_version WHERE id = ?", (version,)
        ).fetchone()
        minimum_age, maximum_age, sex = row
        for field in registry_fields(minimum_age, maximum_age, sex, self.patient, self.knowledge):
            yield field.value

    def _values(
        self, version: int, names: set[str] | None = None, populations: bool = False
    ) -> Iterator[bool | None]:
        """The value of each criterion; with ``names`` of those whose expression holds one of them, and,
        where asked for, of those on a population."""
        rows = self.connection.execute(
            "SELECT section, population, expression, ordinal, first_item, names FROM criterion WHERE version_id = ?"
            " ORDER BY ordinal",
            (version,),
        ).fetchall()
        called = item_names(row[4:] for row in rows)
        for section, population, text, ordinal, first, _ in rows:
            asked = names is None or (populations and population)
            if not asked and '"item"' not in text:
                continue
            expression = placed_expression(text, 0, first, called)
            used = {leaf.item for leaf in leaves(expression) if isinstance(leaf, Leaf)}
            if not asked and used.isdisjoint(names or ()):
                continue
            criterion = Criterion("", section, "", (0, 0), expression, 0.0, population=population)
            items = self._items(version, ordinal, used) if used else {}
            yield evaluate_criterion(criterion, items, self.patient, self.knowledge).value

    def _items(self, version: int, ordinal: int, names: set[str]) -> dict[str, Item]:
        """The items of these names: those of this criterion, and only if need be those of others."""
        found = {}
        for sql, values in (
            (f"{_ITEMS} AND criterion_ordinal = ?", (version, ordinal)),
            (
                f"{_ITEMS} AND item_id IN (SELECT value FROM json_each(?))",
                (version, json.dumps(sorted(names))),
            ),
        ):
            for row in self.connection.execute(sql, values):
                item = item_of_row(
                    {**dict(zip(ITEM_COLUMNS, row, strict=True)), "concept_name": None}, _nowhere
                )
                if item.id in names:
                    found[item.id] = item
            if len(found) == len(names):
                break
        return found


def _nowhere(criterion: int | None) -> None:
    """The path of a criterion is not asked for."""
