"""From the drafts of one criterion to its expression: what holds for a patient who may enter.

:func:`express` is the way in; :func:`combine` joins the parts of a parent whose list is one of
alternatives. Offsets are into the folded text of the criterion; leaves name drafts by their index.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from nlp import clauses, contradictions, facts
from nlp.assertions import ADEQUATE, Asserter
from nlp.branches import Branches
from nlp.clauses import Token
from nlp.draft import Draft
from nlp.logic import TRUE, Clause, Statement, all_of, any_of, negate, one_branch, tree
from nlp.model import Expression, Fact, If, Leaf, Section, Unread, leaves

_WORD = re.compile(r"[^\W_]+")
_POPULATION = re.compile(
    r"\s*(?:(?:all|any|sexually active|fertile|non-?sterili[sz]ed|(?:pre-?|post-?)?menopausal|heterosexual|both|adult"
    r"|healthy|eligible)\s+)*(?:wom[ae]n|m[ae]n|(?:fe)?males?|girls|boys|wocbp|children|adolescents"
    r"|(?:patients|subjects|participants|individuals|those|persons|a patient|a subject|a participant)\s+(?:with|who"
    r"|on|receiving|taking|having|of|aged|without|previously))\b"
)
_LABEL_WORDS = 7
_LABELS = 10
"""Labels that one statement may have ("Liver function: ALT: ..."); further colons are only signs."""
_LIST_MARKS = ("anyof", "allof", "definition", "example")
# Words before "with one of the following" that say nothing without the list.
_LEANS = re.compile(
    r"(?:^|\b)(?:treat\w*|therap\w+|use|used|histor\w+|diagnos\w+|presence|evidence|infect\w+|exposure|receipt|contact"
    r"|patients?|subjects?|participants?|individuals|one|those|people|medication\w*|present\w*)\s*$"
)
_STRICT = re.compile(r"must|should|shall")
_REASON = re.compile(r"\W*(?:for (?:this|these|that) reasons?|because|since|as|due to|given)\b")
_JUDGE = re.compile(r"\b(?:investigator|researcher|physician|doctor|sponsor|clinician)s?\b")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one criterion says. ``coverage``: the share of its words inside items, facts, cues and
    structure that were understood. Spans are folded offsets; a Leaf's ``item`` is a draft's index."""

    expression: Expression
    coverage: float


def express(
    text: str, drafts: list[Draft], section: Section, *, logic: str | None = None, heading: str | None = None
) -> Reading:
    """Read one criterion.

    ``text`` is folded, ``drafts`` come in text order with offsets into it; ``condition``, ``exception``,
    ``role`` and ``flags`` of a draft may be filled in. ``logic`` (``any``, ``together``, ``at_least:n``)
    says that the text introduces a list whose parts :func:`combine` will join: the expression is then
    what the introduction adds to every part, not negated. (``all``: the parts are criteria of their own.) ``heading`` is the heading above, if any.
    """
    del heading
    if not drafts and logic is None:
        plain = _plain(text, section)
        if plain is not None:
            return plain
    joined = logic not in (None, "all")
    reader = _Reader(text, drafts, "inclusion" if joined else section)
    reader.listed = logic is not None
    expression = reader.introduction() if joined else reader.read()
    return Reading(expression, reader.coverage(expression))


def _plain(text: str, section: Section) -> Reading | None:
    """The quick way for the many criteria that only name things: no items, nothing but joins."""
    lower = clauses.lower_same_length(text)
    parts = facts.coordination(text, lower)
    if parts is None:
        return None
    said = []
    for join, start, end in facts.sure_split(lower, parts):
        expression = facts.fact(text, lower, start, end)
        if isinstance(expression, Unread):
            return None
        if expression is not None:
            said.append(Clause(expression, join))
    if len(said) == 1:
        expression = said[0].expression
    else:
        expression = tree(said, section)
    return Reading(negate(expression) if section == "exclusion" and said else expression, 1.0)


def combine(
    parent_text: str, children: Sequence[Reading], logic: str, section: Section, own: Reading | None = None
) -> Expression:
    """Join the parts of a list under one parent.

    ``logic`` is ``any``, ``together`` (all of them at once) or ``at_least:n``. The children were read in
    the same section, so those of an exclusion are negated already; what they name is put together and
    negated once. ``own`` is the parent's text read with the same ``logic``: it is demanded beside the
    list, or, in an exclusion, must hold together with what the list names.
    """
    named = [negate(child.expression) if section == "exclusion" else child.expression for child in children]
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
    if section != "exclusion":
        return all_of([extra, joined])
    if extra != TRUE:
        parts = named if count <= 1 else [joined]
        joined = any_of([all_of([part, extra]) for part in parts])
    return negate(joined)


def _least(logic: str, size: int) -> int | None:
    """How many of ``size`` parts must hold."""
    if logic == "any":
        return 1
    if logic in ("together", "all"):
        return size
    name, _, number = logic.partition(":")
    return int(number) if name == "at_least" and number.isdigit() else None


class _Reader(Asserter):
    """Reads the statements of one criterion and joins them."""

    alternatives = False
    listed = False
    labels = 0

    def read(self) -> Expression:
        """The expression of the whole text."""
        said: list[Statement] = []
        for low, high, start, end in clauses.statements(self.tokens, 0, len(self.tokens), 0, len(self.text)):
            statement = self._statement(low, high, start, end)
            if statement is not None:
                self._place(said, statement)
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
        total = len(_WORD.findall(self.text))
        spans = {leaf.span for leaf in leaves(expression) if isinstance(leaf, Unread)} | set(self.left)
        if not spans or not total:
            return 1.0
        lost = sum(len(_WORD.findall(self.text, start, end)) for start, end in spans)
        return max(0.0, round(1 - lost / total, 4))

    # -- statements

    def _statement(self, low: int, high: int, start: int, end: int) -> Statement | None:
        """Read one statement; None where it demands nothing."""
        colon = self._colon(low, high)
        if colon is not None and not self.text[self.tokens[colon].end : end].strip():
            if self.listed or self._introduces(low, colon):
                return self._before_list(low, colon, start)
            high, end, colon = colon, self.tokens[colon].start, None
        if colon is not None:
            return self._labelled(colon, low, high, start, end)
        force, at = self._force(low, high, start)
        statement = Statement([], force, alternative=self.alternatives)
        if at is not None and force == "allowance":
            if not self._beside(at, low):
                return self._allowance(at, low, high, start, end)
            statement.force = "named"
        if force in ("demand", "prohibition") and at is not None:
            statement.condition = self._population(low, start, at)
            if statement.condition is not None:
                low, start = (
                    (at, self.tokens[at].start) if force == "prohibition" else (at + 1, self.tokens[at].end)
                )
        if self.section == "inclusion" and statement.condition is None:
            low, start = self._population_of(statement, low, high, start)
        if force == "exclude" and at is not None:
            statement.clauses = self._excluded(at, low, high, start, end)
        else:
            statement.clauses = self.clauses(low, high, start, end)
        return statement if statement.clauses else None

    def _allowance(self, at: int, low: int, high: int, start: int, end: int) -> Statement:
        """An allowance; unread where the same sentence also makes a demand that was not taken apart."""
        for token in self.tokens[low:high]:
            if token.kind in ("demand", "prohibition") and _STRICT.match(self.lower, token.start):
                span = facts.trim(self.text, start, end)
                return Statement(
                    [Clause(Unread(span, "a demand and an allowance in one sentence"))], "demand"
                )
        return self.allowed(at, low, high, start, end)

    def _excluded(self, at: int, low: int, high: int, start: int, end: int) -> list[Clause]:
        """ "X are excluded", "We exclude X", "X are not eligible if Y": what is kept out."""
        token = self.tokens[at]
        before = self.clauses(low, at, start, token.start)
        after = self.clauses(at + 1, high, token.end, end)
        if not before:
            return after
        opener = self.tokens[at + 1] if at + 1 < high else None
        if after and opener is not None and opener.kind == "condition":
            before[-1].condition = tree(after, "inclusion")
        for exception in self.hanging:
            before[-1].exception = exception
        self.hanging.clear()
        return before

    def _before_list(self, low: int, colon: int, start: int) -> Statement | None:
        """What stands before "and one of the following:"; None where that only names the list."""
        marker = next((i for i in range(low, colon) if self.tokens[i].kind in _LIST_MARKS), None)
        if marker is None:
            return None
        kinds = ("and", "comma", "with", "but") if self.section == "inclusion" else ("or",)
        join = next((i for i in range(marker - 1, low - 1, -1) if self.tokens[i].kind in kinds), None)
        if join is None:
            return None
        end = self.tokens[join].start
        if self.tokens[join].kind == "with" and _LEANS.search(self.lower, start, end):
            return None
        return self._statement(low, join, start, end)

    def _introduces(self, low: int, colon: int) -> bool:
        """Whether a text that ends in a colon only announces what follows."""
        return any(token.kind in _LIST_MARKS for token in self.tokens[low:colon])

    def _force(self, low: int, high: int, start: int) -> tuple[str, int | None]:
        """named, demand, prohibition, exclude or allowance, and the token that says so."""
        relative = False
        found: tuple[str, int | None] = ("named", None)
        index = low
        while index < high:
            token = self.tokens[index]
            if token.kind == "open" and token.mate >= 0:
                index = token.mate
            elif token.kind in ("allowance", "exclude"):
                return token.kind, index
            elif token.kind == "relative":
                relative = True
            elif token.kind in ("demand", "prohibition") and found[1] is None:
                # "diseases that must be treated" is named, not demanded
                strict = self.lower.startswith(("must", "should", "shall"), token.start)
                strict = strict and not relative and not _JUDGE.search(self.lower, start, token.start)
                if self.section != "exclusion" or strict:
                    found = (token.kind, index)
            index += 1
        return found

    def _beside(self, at: int, low: int) -> bool:
        """Whether an allowance is only a remark beside limits ("18-70 years, gender not limited")."""
        comma = False
        for token in self.tokens[low:at]:
            if token.kind in ("condition", "population", "exception"):
                return False
            comma = token.kind == "comma" or (comma and token.kind != "atom")
        return comma and any(token.kind == "atom" for token in self.tokens[low:at])

    def _population(self, low: int, start: int, at: int) -> Expression | None:
        """The group that a demand is restricted to ("Women of childbearing potential must ...")."""
        demand = self.tokens[at]
        if any(token.kind in ("atom", "window") for token in self.tokens[low:at]):
            return None
        comma = self.lower.rfind(", ", start, demand.start)
        if comma >= 0 and _REASON.match(self.lower, start):
            start = comma + 2
        if not _POPULATION.match(self.lower, start, demand.start):
            return None
        return facts.fact(self.text, self.lower, start, demand.start)

    def _population_of(self, statement: Statement, low: int, high: int, start: int) -> tuple[int, int]:
        """ "Women of childbearing potential who have ...": a condition, wherever a statement begins so."""
        first = next(
            (i for i in range(low, high) if self.tokens[i].kind in ("relative", "with", "atom")), None
        )
        if first is None or self.tokens[first].kind == "atom":
            return low, start
        group = facts.fact(self.text, self.lower, start, self.tokens[first].start)
        if isinstance(group, Fact) and group.concept == "childbearing_potential":
            statement.condition = group
            return first + 1, self.tokens[first].end
        return low, start

    def _colon(self, low: int, high: int) -> int | None:
        """The first colon outside brackets, unless an item stands before it."""
        if self.labels > _LABELS:
            return None
        index = low
        while index < high:
            token = self.tokens[index]
            if token.kind == "open" and token.mate >= 0:
                index = token.mate
            elif token.kind == "colon":
                return index
            elif token.kind == "atom":
                return None
            index += 1
        return None

    def _labelled(self, colon: int, low: int, high: int, start: int, end: int) -> Statement | None:
        """``label: what it asks``: the label is structure, or a condition, or governs the list after it."""
        head = self.tokens[low:colon]
        before: list[Clause] = []
        condition_free = not any(
            token.kind in ("condition", "population", "definition", "allof") for token in head
        )
        marker = next((i for i in range(low, colon) if self.tokens[i].kind in ("anyof", "allof")), None)
        if marker is not None:
            join = next(
                (
                    i
                    for i in range(marker - 1, low - 1, -1)
                    if self.tokens[i].kind in ("or", "and", "comma", "but")
                ),
                None,
            )
            if join is not None:
                before = self.clauses(low, join, start, self.tokens[join].start)
        elif condition_free and len(self.text[start : self.tokens[colon].start].split()) > _LABEL_WORDS:
            before = self._spoken_label(low, colon, start)
        condition = self._heading_condition(head, start, self.tokens[colon])
        windows = [index for token in head if token.kind == "window" for index in token.drafts]
        if windows:
            self.governing = windows
        if marker is not None and self.tokens[marker].kind == "anyof":
            self.alternatives = True
        self.labels += 1
        rest = self._statement(colon + 1, high, self.tokens[colon].end, end)
        self.labels -= 1
        if rest is None or not rest.clauses:
            return Statement(before) if before else rest
        if condition is not None:
            rest.condition = condition if rest.condition is None else all_of([condition, rest.condition])
        if before and marker is None:
            if len(before) == 1:
                rest.clauses[0].join = "define"
            else:  # "A, B, and severe C: its signs": the last one is what the label names
                before = before[:-1]
                rest.clauses[0].join = "or" if self.section == "exclusion" else "and"
            rest.clauses = before + rest.clauses
        elif before:
            rest.clauses[0].join = "or" if self.section == "exclusion" else "and"
            rest.clauses[0].strong = True
            rest.clauses = before + rest.clauses
        rest.alternative = self.alternatives
        return rest

    def _spoken_label(self, low: int, colon: int, start: int) -> list[Clause]:
        """A label that is long enough to demand something of its own."""
        end = self.tokens[colon].start
        if ADEQUATE.search(self.lower, start, end):
            return []
        return [
            clause for clause in self.clauses(low, colon, start, end) if isinstance(clause.expression, Fact)
        ]

    def _heading_condition(self, head: Sequence[Token], start: int, colon: Token) -> Expression | None:
        """ "For participants with HIV:" is a condition on what follows the colon."""
        if not head or head[0].kind not in ("condition", "population"):
            return None
        if self.text[start : head[0].start].strip(" -*"):
            return None
        return facts.fact(self.text, self.lower, head[0].end, colon.start)

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
        branches = Branches(self.lower, self.drafts)
        for statement in said:
            statement.clauses = [clause for clause in statement.clauses if not branches.take(clause)]
        entering: list[Expression] = []
        options: list[Expression] = []
        for statement in said:
            if not statement.clauses:
                continue
            either = any(clause.join in ("or", "andor") for clause in statement.clauses)
            for clause in statement.clauses:
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
        entering = [expression for expression in entering if expression != TRUE]
        return all_of(one_branch(contradictions.quarantined(entering, self.drafts)))

    def _part_sides(self, said: Sequence[Clause]) -> None:
        """ "age < 18 and > 70" cannot hold together: in an exclusion each side is meant."""
        for before, clause in pairwise(said):
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
