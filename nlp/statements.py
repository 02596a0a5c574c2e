"""Read one statement: its label, the force with which it is said, the group that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from nlp import facts
from nlp.assertions import Asserter
from nlp.clauses import opened
from nlp.cues import phrase_pattern, words_for
from nlp.limits import branch
from nlp.logic import TRUE, Clause, Statement, all_of, both, tree
from nlp.model import Expression, Fact, If, Unread
from nlp.phrases import ADEQUATE

_POPULATION = re.compile(
    r"\s*(?:(?:all|any|sexually active|fertile|non-?sterili[sz]ed|(?:pre-?|post-?)?menopausal|heterosexual|both|adult"
    r"|healthy|eligible)\s+)*(?:wom[ae]n|m[ae]n|(?:fe)?males?|girls|boys|wocbp|children|adolescents"
    r"|(?:patients|subjects|participants|individuals|those|persons|a patient|a subject|a participant)\s+(?:with|who"
    r"|on|receiving|taking|having|of|aged|without|previously))\b"
)
_LABEL_WORDS = 7
_LABELS = 10
"""Labels that one statement may have ("Liver function: ALT: ..."); further colons are only signs."""
_FORCES = ("allowance", "exclude", "demand", "prohibition")
_GROUP = "childbearing_potential"
"""The one group that is a condition wherever a statement begins with it."""
_LIST_MARKS = ("anyof", "allof", "definition", "example")
_MAY_HAVE = re.compile(
    r"\s*((?:(?:all|any|those) )?(?:patients|subjects|participants|individuals|those|people) (?:with|who|having|on|receiving)\b"
    r"[^,;.:]*?)\b(?:may|can|could) have\b(?! (?:been|had|received)\b)"
)
_ANNOUNCING = ("anyof", "allof", "demand", "prohibition", "allowance", "exclude")
_LEANS = re.compile(
    r"(?:^|\b)(?:treat\w*|therap\w+|use|used|histor\w+|diagnos\w+|presence|evidence|infect\w+|exposure|receipt|contact"
    r"|patients?|subjects?|participants?|individuals|one|those|people|medication\w*|present\w*)\s*$"
)
_STRICT = re.compile(r"must|should|shall")
_REASON = re.compile(r"\W*(?:for (?:this|these|that) reasons?|because|since|as|due to|given)\b")
_JUDGE = re.compile(r"\b(?:investigator|researcher|physician|doctor|sponsor|clinician)s?\b")


@cache
def childbearing() -> re.Pattern[str]:
    """The one group that is a condition wherever a statement begins with it."""
    return re.compile(phrase_pattern(words_for(_GROUP)))


class Statements(Asserter):
    """Reads the statements of one criterion.

    ``alternatives``: the statements after "one of the following:" are alternatives. ``listed``: the
    criterion has parts in a list of its own. ``labels`` counts how deep labels stand in labels.
    """

    alternatives = False
    listed = False
    labels = 0

    def _statement(self, low: int, high: int, start: int, end: int) -> Statement | None:
        """Read one statement; None where it demands nothing."""
        colon = self._colon(low, high) if "colon" in self.kinds else None
        if colon is not None and not self.text[self.tokens[colon].end : end].strip():
            if self.listed or self._introduces(low, colon):
                return self._before_list(low, colon, start)
            high, end, colon = colon, self.tokens[colon].start, None
        if colon is not None:
            return self._labelled(colon, low, high, start, end)
        if "exception" in self.kinds:
            limited = self._limited(low, high, start, end)
            if limited:
                return Statement(limited, alternative=self.alternatives)
        if self.section == "inclusion" and " have " in self.lower:
            granted = self._granted(low, high, start, end)
            if granted:
                return Statement(granted, "demand", alternative=self.alternatives)
        force, at = "named", None
        if not self.kinds.isdisjoint(_FORCES):
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
        if (
            self.section == "inclusion"
            and statement.condition is None
            and not self.kinds.isdisjoint(("relative", "with"))
            and childbearing().search(self.lower, start, end)
        ):
            low, start = self._population_of(statement, low, high, start)
        if force == "exclude" and at is not None:
            statement.clauses = self._excluded(at, low, high, start, end)
        else:
            statement.clauses = self.clauses(low, high, start, end)
        return statement if statement.clauses else None

    def _limited(self, low: int, high: int, start: int, end: int) -> list[Clause]:
        """A limit and, after "except for patients with ...", another for a group; empty where it is not so."""
        at = low
        base: list[int] = []
        while at < high and self.tokens[at].kind != "exception":
            token = self.tokens[at]
            if token.kind == "open" and token.mate >= 0:
                at = token.mate
            elif token.kind == "atom":
                base.extend(token.drafts)
            elif token.kind in _FORCES and self.section == "exclusion":
                return []
            at += 1
        limit = self._limit_for_group(at, high, end, base) if base and at < high else []
        if not limit:
            return []
        held = self.clauses(low, at, start, self.tokens[at].start)
        sides = {self.drafts[index].comparator[:1] for index in (*base, *limit[0].drafts)}
        if self.section == "exclusion" and len(sides) > 1:
            # "> 2.5 x ULN, except for patients with ..., in whom <= 5 x ULN is allowed": a way around it
            ways = [part for clause in limit for part in (clause.condition, clause.expression) if part]
            held[-1].exception = all_of(ways)
            return held
        if self._is_bare(limit):
            held[-1].expression = branch(limit, held[-1].expression)
            return held
        return held + limit

    def _granted(self, low: int, high: int, start: int, end: int) -> list[Clause]:
        """ "Patients with Gilbert syndrome may have bilirubin up to 3 x ULN": a limit for a group."""
        first = next((i for i in range(low, high) if self.tokens[i].kind == "atom"), None)
        if first is None:
            return []
        match = _MAY_HAVE.match(self.lower, start, self.drafts[self.tokens[first].drafts[0]].value_start)
        group = None if match is None else facts.fact(self.text, self.lower, match.start(1), match.end(1))
        if match is None or group is None or isinstance(group, Unread):
            return []
        inside = next((i for i in range(low, high) if self.tokens[i].start >= match.end()), high)
        limit = self.clauses(min(inside, first), high, match.end(), end)
        for clause in limit:
            clause.condition = both(clause.condition, group, "and")
            self._note(clause.drafts, "condition", match.start(1), match.end(1))
        return limit if any(clause.drafts for clause in limit) else []

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
        comma = self.lower.rfind(", ", start, demand.start)
        if comma >= 0 and _REASON.match(self.lower, start):
            start = comma + 2
        if not _POPULATION.match(self.lower, start, demand.start):
            return None
        if any(token.kind in ("atom", "window") for token in self.tokens[low:at]):
            if not _STRICT.match(self.lower, demand.start):
                return None
            parts = self.clauses(low, at, start, demand.start)
            return tree(parts, "inclusion") if parts else None
        return facts.fact(self.text, self.lower, start, demand.start)

    def _population_of(self, statement: Statement, low: int, high: int, start: int) -> tuple[int, int]:
        """ "Women of childbearing potential who have ...": a condition, wherever a statement begins so."""
        first = next(
            (i for i in range(low, high) if self.tokens[i].kind in ("relative", "with", "atom")), None
        )
        if first is None or self.tokens[first].kind == "atom":
            return low, start
        group = facts.fact(self.text, self.lower, start, self.tokens[first].start)
        if isinstance(group, Fact) and group.concept == _GROUP:
            statement.condition = group
            return first + 1, self.tokens[first].end
        return low, start

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

    def _introduces(self, low: int, colon: int) -> bool:
        """Whether a text that ends in a colon only announces what follows."""
        return any(token.kind in _LIST_MARKS for token in self.tokens[low:colon])

    def _before_list(self, low: int, colon: int, start: int) -> Statement | None:
        """What stands before "and one of the following:"; None where that only names the list.

        "For patients with HIV, all of the following:" is the condition of the list, written as an ``If`` that
        demands nothing itself (:func:`nlp.expressions.combine` puts the list into it).
        """
        condition = self._heading_condition(low, colon, start) if self.listed else None
        if condition is not None:
            return Statement([Clause(If(condition, TRUE, TRUE))], "demand")
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

    def _colon(self, low: int, high: int) -> int | None:
        """The first colon outside brackets, unless an item stands before it that is no condition."""
        if self.labels > _LABELS:
            return None
        index = low
        conditional = low < high and self.tokens[low].kind in ("condition", "population")
        while index < high:
            token = self.tokens[index]
            if token.kind == "open" and token.mate >= 0:
                index = token.mate
            elif token.kind == "colon":
                return index
            elif token.kind == "comma":
                conditional = False
            elif token.kind == "atom" and not conditional:
                return None
            index += 1
        return None

    def _outside_brackets(self, low: int, high: int) -> Iterator[int]:
        """The indexes of the tokens that stand in no bracket."""
        index = low
        while index < high:
            yield index
            token = self.tokens[index]
            index = token.mate + 1 if token.kind == "open" and token.mate >= 0 else index + 1

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
        condition = self._heading_condition(low, colon, start)
        windows = [index for token in head if token.kind == "window" for index in token.drafts]
        if windows:
            self.governing = windows
        if marker is not None and self.tokens[marker].kind == "anyof":
            self.alternatives = True
        self.labels += 1
        rest = self._statement(colon + 1, high, self.tokens[colon].end, end)
        self.labels -= 1
        if condition is not None and self.listed and (rest is None or not rest.clauses):
            return Statement([Clause(If(condition, TRUE, TRUE))], "demand")
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

    def _heading_condition(self, low: int, colon: int, start: int) -> Expression | None:
        """ "For participants with HIV:" is a condition on what follows the colon."""
        opener, end = self.tokens[low], self.tokens[colon].start
        if low == colon or opener.kind not in ("condition", "population"):
            return None
        if self.text[start : opener.start].strip(" -*"):
            return None
        comma = next((i for i in range(low, colon) if self.tokens[i].kind == "comma"), colon)
        rest = {self.tokens[i].kind for i in self._outside_brackets(comma, colon)}
        if not rest.isdisjoint(_ANNOUNCING):
            if not rest.isdisjoint(("condition", "and", "but")):
                return None  # "If female, may take part if not pregnant, and one of the following:"
            colon, end = comma, self.tokens[comma].start  # "If female, one of the following:"
        if any(token.kind == "atom" for token in self.tokens[low + 1 : colon]):
            parts = self.clauses(low + 1, colon, opener.end, end)
            return tree(parts, "inclusion") if parts else None
        return facts.fact(self.text, self.lower, opened(opener, self.text), end)
