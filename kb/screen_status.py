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
from kb.reader import ITEM_COLUMNS, item_of_row
from kb.screen import Status, registry_fields
from nlp.model import Criterion, Expression, Item, Leaf, expression_from_json, leaves

_ITEMS = f"SELECT {', '.join(ITEM_COLUMNS)} FROM threshold WHERE version_id = ? AND item_id IN (SELECT value FROM json_each(?))"
_NOT_THERE: dict[int, str | None] = {}


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
        names = [f'"{name}"' for (name,) in rows]
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
        self, version: int, names: list[str] | None = None, populations: bool = False
    ) -> Iterator[bool | None]:
        """The value of each criterion; with ``names`` of those whose expression holds one of them, and,
        where asked for, of those on a population."""
        for section, population, text in self.connection.execute(
            "SELECT section, population, expression FROM criterion WHERE version_id = ? ORDER BY ordinal",
            (version,),
        ):
            if (
                names is not None
                and not (populations and population)
                and not any(name in text for name in names)
            ):
                continue
            expression = expression_from_json(json.loads(text))
            criterion = Criterion("", section, "", (0, 0), expression, 0.0, population=population)
            items = self._items(version, expression) if '"item"' in text else {}
            yield evaluate_criterion(criterion, items, self.patient, self.knowledge).value

    def _items(self, version: int, expression: Expression) -> dict[str, Item]:
        names = [leaf.item for leaf in leaves(expression) if isinstance(leaf, Leaf)]
        found = {}
        for row in self.connection.execute(_ITEMS, (version, json.dumps(names))):
            values = dict(zip(ITEM_COLUMNS, row, strict=True))
            values["concept_name"] = None
            item = item_of_row(values, _NOT_THERE.get)
            found[item.id] = item
        return found
