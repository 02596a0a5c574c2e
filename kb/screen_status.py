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
from kb.placing import item_names, placed_expression, standard_name
from kb.reader import ITEM_COLUMNS, item_of_row
from kb.screen import Status, registry_fields, unread_parts
from nlp.model import Criterion, Item, Leaf, leaves

_READING = "SELECT section, population, expression FROM line_reading WHERE id = ?"
_PLACED = {"item_id": "'i' || (number + 1)", "criterion_id": "NULL"}
_OWN_ITEMS = f"SELECT {', '.join(_PLACED.get(one, one) for one in ITEM_COLUMNS)} FROM line_threshold WHERE reading_id = ?"
_ITEMS = f"SELECT {', '.join(ITEM_COLUMNS)} FROM threshold WHERE version_id = ?"


@dataclass(frozen=True, slots=True)
class Asker:
    """Answers stored versions for one patient, who has no answers of a caller's and no arms or cohorts
    (these are asked for under the trial's id, see :func:`kb.prefilter.statuses`)."""

    connection: sqlite3.Connection
    patient: Patient
    knowledge: Knowledge

    def fails(self, reading: int, versions: Iterable[int]) -> set[int]:
        """Those of the versions with this reading in which its criterion is false.

        What a reading demands is the same wherever it stands, unless it uses the items of other lines.
        """
        section, population, text = self.connection.execute(_READING, (reading,)).fetchone()
        items: dict[str, Item] = {}
        for row in self.connection.execute(_OWN_ITEMS, (reading,)):
            item = item_of_row({**dict(zip(ITEM_COLUMNS, row, strict=True)), "concept_name": None}, _nowhere)
            items[item.id] = item
        expression = placed_expression(text, 0, 0, standard_name)
        if all(leaf.item in items for leaf in leaves(expression) if isinstance(leaf, Leaf)):
            criterion = Criterion("", section, "", (0, 0), expression, 0.0, population=population)
            answer = evaluate_criterion(criterion, items, self.patient, self.knowledge).value
            return set(versions) if answer is False else set()
        return {version for version in versions if False in self._values(version, reading)}

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

    def _values(self, version: int, reading: int | None = None) -> Iterator[bool | None]:
        """The value of each criterion; with ``reading`` of those that say this."""
        rows = self.connection.execute(
            "SELECT section, population, expression, ordinal, reading_id, first_item, names FROM criterion"
            " WHERE version_id = ? ORDER BY ordinal",
            (version,),
        ).fetchall()
        called = item_names(row[5:] for row in rows)
        for section, population, text, ordinal, own, first, _ in rows:
            if reading not in (None, own):
                continue
            expression = placed_expression(text, 0, first, called)
            used = {leaf.item for leaf in leaves(expression) if isinstance(leaf, Leaf)}
            criterion = Criterion("", section, "", (0, 0), expression, 0.0, population=population)
            items = self._items(version, ordinal, used) if used else {}
            answer = evaluate_criterion(criterion, items, self.patient, self.knowledge)
            # true, but with a part that was not understood: nobody enters by that
            yield None if answer.value and answer.applies and unread_parts(criterion) else answer.value

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
