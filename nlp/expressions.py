"""From the drafts of one criterion to its expression: what holds for a patient who may enter.

:func:`express` is the way in; :func:`combine` joins the parts of a parent whose list is one of
alternatives. Offsets are into the folded text of the criterion; leaves name drafts by their index.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from nlp import clauses, contradictions, coordination, facts
from nlp.branches import Branches
from nlp.clauses import Mark
from nlp.draft import Draft
from nlp.logic import TRUE, Clause, Statement, all_of, any_of, is_true, negate, one_branch, tree
from nlp.model import All, AnyOf, Expression, Fact, If, Leaf, Not, Section, Span, Unread, leaves
from nlp.statements import Statements, childbearing

_EXCEPTIONS = re.compile(
    r"\b(?:except|excepting|excluding|unless|other than|with the exceptions? of|exceptions?(?: are| include)?)"
    r"(?: for| if| in)?(?: (?:any|one|either)(?: of)?)?(?: the)?(?: following)?(?: applies| apply)?\s*[:.]?\s*$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one criterion says. ``coverage``: the share of its words inside items, facts, cues and
    structure that were understood. Spans are folded offsets; a Leaf's ``item`` is a draft's index."""

    expression: Expression
    coverage: float


def express(text: str, drafts: list[Draft], section: Section, *, logic: str | None = None) -> Reading:
    """Read one criterion.

    ``text`` is folded, ``drafts`` come in text order with offsets into it; ``condition``, ``exception``,
    ``role`` and ``flags`` of a draft may be filled in. ``logic`` (``any``, ``together``, ``at_least:n``)
    says that the text introduces a list whose parts :func:`combine` will join: the expression is then
    what the introduction adds to every part, not negated. (``all``: the parts are criteria of their own.)
    """
    if len(drafts) == 1 and logic is None and _is_alone(text, drafts[0]):
        return Reading(Not(Leaf("0")) if section == "exclusion" else Leaf("0"), 1.0)
    lower = clauses.lower_same_length(text)
    marks = clauses.structure().find(lower)
    if not drafts and logic is None:
        plain = _plain(text, lower, marks, section)
        if plain is not None:
            return plain
    return _whole(text, lower, marks, drafts, section, logic)


def whole(text: str, drafts: list[Draft], section: Section, *, logic: str | None = None) -> Reading:
    """The general reading, step by step. :func:`express` gives the same, and sooner where a text only names
    things or is one item (``tests/nlp/test_expressions_quick.py`` holds the two together)."""
    lower = clauses.lower_same_length(text)
    return _whole(text, lower, clauses.structure().find(lower), drafts, section, logic)


def _whole(
    text: str, lower: str, marks: Sequence[Mark], drafts: list[Draft], section: Section, logic: str | None
) -> Reading:
    joined = logic not in (None, "all")
    reader = _Reader(text, lower, marks, drafts, "inclusion" if joined else section)
    reader.listed = logic not in (None, "except")
    expression = reader.introduction() if joined else reader.read()
    return Reading(expression, reader.coverage(expression))


def _is_alone(text: str, draft: Draft) -> bool:
    """Whether one item is all that the text says ("Platelets >= 50 x 10^9/L;")."""
    start, end = draft.value_start, max(draft.value_end, draft.concept_end)
    if draft.concept_start >= 0:
        start = min(start, draft.concept_start)
    if text[:start].strip(" -*") or text[end:].strip(" .;,"):
        return False  # not even the widest span that the item may have
    if not clauses.enters(draft) or draft.entity_type == "Temporal" or "lost_comparator" in draft.flags:
        return False
    (atom,) = clauses.atoms(text, [draft])
    return not text[: atom.start].strip(" -*") and not text[atom.end :].strip(" .;,")


def _plain(text: str, lower: str, marks: Sequence[Mark], section: Section) -> Reading | None:
    """The quick way for the many criteria that only name things: no items, nothing but joins."""
    if section == "inclusion" and marks and childbearing().search(lower):
        return None  # it may be a condition
    parts = coordination.coordination(text, lower, marks)
    if parts is None:
        return None
    said = []
    parts = coordination.sure_split(lower, parts)
    for join, start, end, turned in coordination.spread(lower, parts, section):
        expression = facts.fact(text, lower, start, end)
        if isinstance(expression, Unread):
            return None
        if expression is not None:
            said.append(Clause(negate(expression) if turned else expression, join))
    if len(said) == 1:
        expression = said[0].expression
    else:
        expression = tree(said, section)
    return Reading(negate(expression) if section == "exclusion" and said else expression, 1.0)


def list_logic(text: str, drafts: Sequence[Draft], logic: str | None, section: Section) -> str | None:
    """How :func:`combine` must join the parts under ``text``, where their own words do not show it.

    ``text`` is the parent's, folded, ``logic`` what its wording gave (None: it has no parts). A list of
    exceptions ("malignancy within 5 years except:") gives ``except``; an exclusion whose introduction holds a
    time window ("any of the following within 6 months:") ``any``, since no part says the time itself.
    """
    if logic is None:
        return None
    if _EXCEPTIONS.search(text):
        return "except"
    if logic == "all" and text.rstrip().endswith(":") and _opens_with_condition(text):
        return "any" if section == "exclusion" else "together"
    if logic == "all" and section == "exclusion" and any(clauses.is_window(draft) for draft in drafts):
        return "any"
    return logic


def _opens_with_condition(text: str) -> bool:
    """Whether the introduction of a list begins with "if" or "for patients with"."""
    lower = clauses.lower_same_length(text)
    found = clauses.structure().find(lower)
    return bool(found) and found[0][2] in ("condition", "population") and not text[: found[0][0]].strip(" -*")


def combine(
    parent_text: str, children: Sequence[Reading], logic: str, section: Section, own: Reading | None = None
) -> Expression:
    """Join the parts of a list under one parent.

    ``logic`` is ``any``, ``together`` (all of them at once), ``at_least:n`` or ``except`` (the parts are
    exceptions from what the parent says). The children were read in
    the same section, so those of an exclusion are negated already; what they name is put together and
    negated once. ``own`` is the parent's text read with the same ``logic``: it is demanded beside the
    list, or, in an exclusion, must hold together with what the list names.
    """
    named = [negate(child.expression) if section == "exclusion" else child.expression for child in children]
    if logic == "except":
        return _excepted(named, own, section)
    count = _least(logic, len(named))
    joined: Expression
    if count is None:
        return Unread((0, len(parent_text)), f"a list to be joined by {logic!r} is not understood")
    if count <= 1:
        joined = any_of(named)
    elif count >= len(named):
        joined = all_of(named)
    elif math.comb(len(named), count) > 200:
        return Unread((0, len(parent_text)), f"at least {count} of {len(named)} is too large to write out")
    else:
        joined = any_of([all_of(chosen) for chosen in combinations(named, count)])
    extra = own.expression if own is not None else TRUE
    condition = _condition_of(extra)
    if section != "exclusion":
        return all_of([extra, joined]) if condition is None else If(condition, joined, TRUE)
    if condition is not None:
        extra = condition
    if extra != TRUE:
        parts = named if count <= 1 else [joined]
        joined = any_of([all_of([part, extra]) for part in parts])
    return negate(joined)


def _condition_of(extra: Expression) -> Expression | None:
    """The condition of a list that "for patients with HIV, all of the following:" introduces."""
    if isinstance(extra, If) and is_true(extra.then) and is_true(extra.otherwise):
        return extra.condition
    return None


def _excepted(named: Sequence[Expression], own: Reading | None, section: Section) -> Expression:
    """ "Malignancy within 5 years except:" and its list of exceptions."""
    base = own.expression if own is not None else TRUE
    ways = any_of(named)
    return any_of([negate(base), ways]) if section == "exclusion" else any_of([base, ways])


def _least(logic: str, size: int) -> int | None:
    """How many of ``size`` parts must hold."""
    if logic == "any":
        return 1
    if logic in ("together", "all"):
        return size
    name, _, number = logic.partition(":")
    return int(number) if name == "at_least" and number.isdigit() else None


def _conditional(said: Sequence[Statement]) -> bool:
    """Whether a clause holds only under a condition."""
    for statement in said:
        for clause in statement.clauses:
            if clause.condition is not None:
                return True
    return False


def _add_unread(expression: Expression, spans: set[Span]) -> None:
    """Add the spans of the expression's unread leaves."""
    if isinstance(expression, Leaf | Fact):
        return
    if isinstance(expression, All | AnyOf):
        for part in expression.parts:
            _add_unread(part, spans)
    elif isinstance(expression, Not):
        _add_unread(expression.part, spans)
    elif isinstance(expression, Unread):
        spans.add(expression.span)
    else:
        for part in (expression.condition, expression.then, expression.otherwise):
            _add_unread(part, spans)


class _Reader(Statements):
    """Reads the statements of one criterion and joins them."""

    def read(self) -> Expression:
        """The expression of the whole text."""
        said: list[Statement] = []
        for low, high, start, end in clauses.statements(self.tokens, 0, len(self.tokens), 0, len(self.text)):
            statement = self._statement(low, high, start, end)
            if statement is not None:
                self._place(said, statement)
            if self.demands:
                said += [Statement([Clause(then)], "demand", state) for state, then in self.demands]
                self.demands.clear()
            if self.text[end : end + 1] != ";":
                self.governing, self.alternatives = [], False
        return self._join(said)

    def introduction(self) -> Expression:
        """What the introduction of a list adds to each of its parts."""
        expression = self.read()
        windows = [index for token in self.tokens if token.kind == "window" for index in token.drafts]
        if expression == TRUE and windows:
            return all_of([Leaf(str(index)) for index in windows])
        if isinstance(expression, Unread):
            return TRUE
        return expression

    def coverage(self, expression: Expression) -> float:
        """Share of the words that are inside nothing unread."""
        spans = set(self.left)
        _add_unread(expression, spans)
        total = len(_WORD.findall(self.text)) if spans else 0
        if not total:
            return 1.0
        lost = sum(len(_WORD.findall(self.text, start, end)) for start, end in spans)
        return max(0.0, round(1 - lost / total, 4))

    # -- joining statements

    def _place(self, said: list[Statement], statement: Statement) -> None:
        """Add a statement, or work an allowance into the one before it."""
        if statement.force != "allowance":
            said.append(statement)
            return
        about = statement.clauses[0].expression if statement.clauses else None
        needs = statement.condition
        way = all_of([part for part in (about, needs) if part is not None])
        if way == TRUE:
            return
        if said and self._is_exception(statement, said[-1]):
            for clause in said[-1].clauses:
                clause.exception = way if clause.exception is None else any_of([clause.exception, way])
        elif about is not None and needs is not None:
            # "Patients with brain metastases are eligible if treated"
            said.append(Statement([Clause(If(about, needs, TRUE))], "demand"))
        elif needs is not None:
            said.append(Statement([Clause(needs)], "demand"))

    def _is_exception(self, statement: Statement, before: Statement) -> bool:
        """Whether an allowance opens a way around the statement before it, rather than stand for itself."""
        if not statement.clauses or statement.also:
            return True
        if statement.condition is None:
            return self.section == "exclusion"
        if self.section == "exclusion":
            return True
        branches = Branches(self.lower, self.drafts)
        named = {
            branches.name(int(leaf.item)) for leaf in leaves(statement.condition) if isinstance(leaf, Leaf)
        }
        return bool(named & {name for clause in before.clauses for name in branches.names(clause)})

    def _join(self, said: list[Statement]) -> Expression:
        if _conditional(said):
            branches = Branches(self.lower, self.drafts)
            for statement in said:
                statement.clauses = [clause for clause in statement.clauses if not branches.take(clause)]
        entering: list[Expression] = []
        options: list[Expression] = []
        for statement in said:
            if not statement.clauses:
                continue
            qualified = [
                clause
                for clause in statement.clauses
                if clause.condition is not None or clause.exception is not None
            ]
            if qualified:
                either = any(clause.join in ("or", "andor") for clause in statement.clauses)
                for clause in qualified:
                    clause.expression = self._finished(clause, either)
            section = "inclusion" if statement.force == "demand" else self.section
            if section == "exclusion":
                self._part_sides(statement.clauses)
            named = tree(statement.clauses, section)
            expression = negate(named) if self._turned(statement) else named
            if statement.condition is not None:
                expression = If(statement.condition, expression, TRUE)
            if statement.alternative and self.section == "inclusion":
                options.append(expression)
                if len(options) > 1:
                    continue
            entering.append(expression)
        if len(options) > 1:
            entering[entering.index(options[0])] = any_of(options)
        entering = [expression for expression in entering if not is_true(expression)]
        if len(entering) > 1:  # the condition of a list, where the text says more than that
            entering = [expression for expression in entering if _condition_of(expression) is None]
        if self.drafts:
            entering = contradictions.quarantined(entering, self.drafts)
        return all_of(one_branch(entering))

    def _part_sides(self, said: Sequence[Clause]) -> None:
        """ "age < 18 and > 70" cannot hold together: in an exclusion each side is meant."""
        for index in range(1, len(said)):
            before, clause = said[index - 1], said[index]
            if clause.join != "and" or not len(before.drafts) == len(clause.drafts) == 1:
                continue
            if contradictions.exclusive(self.drafts[before.drafts[0]], self.drafts[clause.drafts[0]]):
                clause.join = "or"

    def _turned(self, statement: Statement) -> bool:
        """Whether what the statement names keeps a patient out."""
        if self.section == "exclusion":
            return statement.force not in ("demand", "prohibition")
        return statement.force == "exclude"

    def _finished(self, clause: Clause, either: bool) -> Expression:
        """The clause with its condition and exception worked in, as the section needs them.

        Among alternatives a limit under a condition is a way in only where the condition holds.
        """
        expression = clause.expression
        if clause.condition is not None and (either or self.section == "exclusion"):
            expression = all_of([clause.condition, expression])
        elif clause.condition is not None:
            expression = If(clause.condition, expression, TRUE)
        if clause.exception is None:
            return expression
        if self.section == "exclusion":
            return all_of([expression, negate(clause.exception)])
        return any_of([expression, clause.exception])
