"""Limits that replace each other: "<= 2.5 x ULN, or <= 5 x ULN in patients with liver metastases"."""

from __future__ import annotations

from collections.abc import Sequence

from nlp.draft import Draft
from nlp.logic import TRUE, Clause, all_of, complementary
from nlp.model import If, Leaf

_DEPTH = 12
"""Branches one limit may have: more are no text of a trial, and would nest without end."""
_RECENT = 8
"""How many of the last limits under a condition may be another's contrary."""


class Branches:
    """The clauses of one criterion so far, by what their items measure.

    A limit for a group may follow in a sentence of its own, so clauses of the whole criterion are kept.
    """

    def __init__(self, lower: str, drafts: Sequence[Draft]) -> None:
        self._lower = lower
        self._drafts = drafts
        self._base: dict[str, list[Clause]] = {}
        self._conditional: list[Clause] = []

    def take(self, clause: Clause) -> bool:
        """Give a limit under a condition the limit that it replaces as its other branch.

        True where the clause went into an earlier one, False where it stands for itself.
        """
        names = self.names(clause)
        if clause.condition is None or not names:
            for name in names:
                self._base.setdefault(name, []).append(clause)
            return False
        if self._contrary(clause, names):
            return True
        base: list[Clause] = []
        for name in sorted(names):
            known = self._base.get(name, [])
            if len(known) <= _DEPTH:
                base += [other for other in known if all(other is not one for one in base)]
        if not base or len(base) > _DEPTH or base[0].branches >= _DEPTH:
            self._conditional.append(clause)
            return False
        first = base[0]
        first.expression = If(
            clause.condition, clause.expression, all_of([other.expression for other in base])
        )
        first.branches += 1
        first.drafts = tuple(index for other in base for index in other.drafts)
        for name in self.names(first):
            self._base[name] = [first]
        for other in base[1:]:
            other.expression, other.drafts = TRUE, ()
        return True

    def _contrary(self, clause: Clause, names: frozenset[str]) -> bool:
        """Join a limit to the one under the contrary condition ("for women ..., for men ...")."""
        for other in self._conditional[-_RECENT:]:
            if other.condition is None or clause.condition is None:
                continue
            same = self.names(other) & names or isinstance(clause.condition, Leaf)
            if same and complementary(other.condition, clause.condition, self._drafts):
                other.expression = If(other.condition, other.expression, clause.expression)
                other.condition, other.drafts = None, other.drafts + clause.drafts
                return True
        return False

    def names(self, clause: Clause) -> frozenset[str]:
        """What the clause's items measure: concept ids, or the words where the vocabulary has none."""
        return frozenset(name for name in map(self.name, clause.drafts) if name)

    def name(self, index: int) -> str:
        """What one draft measures."""
        draft = self._drafts[index]
        return draft.concept or self._lower[max(draft.concept_start, 0) : max(draft.concept_end, 0)]
