"""Read the segments of a statement that hold thresholds, in their own text or in brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlp import clauses, facts
from nlp.clauses import Segment, Token
from nlp.cues import matcher, slugs
from nlp.logic import TRUE, Clause, Statement, all_of, any_of, both, negate, tree
from nlp.model import Expression, Fact, If, Leaf, Unread, leaves
from nlp.phrases import ANCHOR, Phrases, demanded

_PRONOUN = re.compile(r"\W*(?:it|they|these|this|those|he|she|such \w+|the \w+|these \w+|this \w+)?\W*\Z")
_SUBJECT_PRONOUN = re.compile(r"(?:^|,)\s*(?:it|they|these|this|those|he|she|such \w+|these \w+)\s*\Z")
_NO_MORE = re.compile(r"\W*(?:no more than|not more than|a? ?maximum|up to|at most|only|no prior)\b")
_FURTHER = re.compile(
    r"(?:requiring|needing|despite|uncontrolled|caused by|due to|related to|secondary to|not)\b"
)
_GROUP_LIMIT = re.compile(
    r"\s*(?:(?:for|in|of|if) )?((?:the |those )?(?:patients|subjects|participants|individuals|those|people|persons|women|men"
    r"|cases)\b.*?)[,\s]*\b(?:(?:in|for|of|with) (?:whom|which)|where|whose|who (?:may|can|must|should) have"
    r"|in (?:this|that|these|such) cases?)\b[^,;]*\Z"
)
# What a patient has, or is, before the colon of a limit in brackets; not a time or a method of measuring.
_NAMED_GROUP = re.compile(
    r"\s*(?:for |in |if )?((?:wo)?men|(?:fe)?males?|children|adults|[a-z][a-z'’\- ]{0,40}(?:syndrome|disease|metastas[ei]s|cancer|carcinoma"
    r"|tumou?rs?|involvement|infiltration|patients|subjects|participants|nephritis|hepatitis|cirrhosis|anemia|anaemia)(?: patients| subjects)?)"
    r"\s*:\s*\Z"
)
_EITHER = re.compile(r"\bor\b")
_BOTH = re.compile(r"\band\b|&")


DEEPEST_BRACKET = 40
"""How many brackets within brackets are read; no criterion written by a person nests deeper than a few."""


class Limits(Phrases):
    """What the items of one criterion demand, with their brackets: conditions, alternatives, definitions."""

    def _measured(
        self, piece: Segment, phrase: list[Segment], out: list[Clause], leading: Expression | None
    ) -> None:
        """Read a segment that holds thresholds, in its text or in its brackets."""
        values = [atom for atom in piece.atoms if atom.kind == "atom"]
        brackets = piece.brackets and [bracket for bracket in piece.brackets if self._inside(bracket, "atom")]
        clause = Clause(TRUE, piece.join, piece.strong, condition=leading)
        clause.demanded = demanded([piece])
        expressions: list[Expression] = []
        extra: list[Clause] = []
        used: list[int] = []
        if values:
            self._flush(
                phrase, out, leading, before_items=piece.join in ("", "comma", "with", "relative", "and")
            )
            expression = self._values(piece, values, used)
            if expression is not None:
                expressions.append(expression)
                self._before_values(piece, values, clause, expressions)
        else:
            known = len(out)
            named = [token for token in piece.atoms if token.end <= brackets[0].start]
            head = Segment(piece.start, brackets[0].start, piece.join, piece.strong, piece.part)
            head.atoms = named
            if piece.part == "example":
                head.part, head.join = "main", "or"
            if piece.part != "definition" or not phrase:
                phrase.append(head)
            self._flush(phrase, out, leading, before_items=True)
            if len(out) > known:
                clause = out.pop()
                expressions.append(clause.expression)
        for bracket in brackets:
            self._bracket(bracket, clause, expressions, used, extra, bool(values))
        for bracket in piece.brackets:
            if bracket not in brackets:
                self._plain_bracket(bracket, clause, used)
        clause.expression, clause.drafts = all_of(expressions), tuple(used)
        if piece.negated:
            clause.expression, clause.join = negate(clause.expression), "with"
        if piece.part == "example":
            clause.join, clause.strong = "or", True
        elif piece.part == "definition" and values and out:
            clause.join = "define"
        if expressions:
            out.append(clause)
        out.extend(extra)

    def _values(self, piece: Segment, values: Sequence[Token], used: list[int]) -> Expression | None:
        """The conjunction of the values in a segment's own text, and of what surely goes with them."""
        parts: list[Expression] = []
        for atom in values:
            expression, indexes = self._atom(atom)
            used += indexes
            if expression is not None:
                parts.append(expression)
        if not parts:
            return None
        if self.section == "exclusion" and len(parts) > 1 and self._run_on(used):
            parts = [any_of(parts)]
        core, negated = facts.frame(self.lower, piece.start, values[0].start)
        if negated and not self.text[core : values[0].start].strip(" -:,"):
            parts = [negate(all_of(parts))]
        if any(self._is_event(index) for index in used):
            parts += [Leaf(str(i)) for token in piece.atoms if token.kind == "window" for i in token.drafts]
        self._rest(piece, values, parts)
        return all_of(parts)

    def _before_values(
        self, piece: Segment, values: Sequence[Token], clause: Clause, expressions: list[Expression]
    ) -> None:
        """Words before the first value: the sex that it is for, or words that nothing read.

        "Men aged 18 or older" demands both; "men >= 13 g/dL" is a limit for men.
        """
        if values[0].start - piece.start < 3:
            return
        start, _ = facts.frame(self.lower, piece.start, values[0].start)
        start, end = facts.trim(self.text, start, values[0].start)
        sex = slugs().get(self.lower[start:end])
        if sex in ("female", "male"):
            group = Fact(self.text[start:end], (start, end), sex)
            drafts = [self.drafts[index] for index in values[0].drafts]
            if self.section == "exclusion" or any(draft.entity_type != "Measurement" for draft in drafts):
                expressions.insert(0, group)
            else:
                clause.condition = both(clause.condition, group, "and")
        elif len(self.text[start:end].split()) > 3 and "(" not in self.text[start:end]:
            self.left.append((start, end))

    def _run_on(self, indexes: Sequence[int]) -> bool:
        """Whether values stand side by side without a join, each on a concept of its own."""
        concepts = [self.drafts[index].concept for index in indexes]
        measured = all(self.drafts[index].entity_type == "Measurement" for index in indexes)
        return measured and None not in concepts and len(set(concepts)) == len(concepts)

    def _is_event(self, index: int) -> bool:
        """Whether an item is something that happens (so that "within 30 days" restricts it)."""
        draft = self.drafts[index]
        value = self.lower[draft.value_start : draft.value_end]
        return draft.kind == "count" or (draft.kind == "ordinal" and "grade" in value) or "grade" in value

    def _rest(self, piece: Segment, values: Sequence[Token], parts: list[Expression]) -> None:
        """Words after the last value: a further demand, a known context, or words not understood."""
        start = max(token.end for token in piece.atoms)
        for bracket in piece.brackets:
            start = max(start, self.tokens[bracket.mate].end)
        if ANCHOR.match(self.lower, start, piece.end):
            return
        start, end = facts.trim(self.text, start, piece.end)
        last = self.drafts[values[-1].drafts[-1]]
        if (
            start < end
            and last.kind == "ordinal"
            and "grade" in self.lower[last.value_start : last.value_end]
        ):
            expression = facts.fact(self.text, self.lower, start, end)
            parts += [] if expression is None else [expression]
            return
        if start < end and _FURTHER.match(self.lower, start, end):
            expression = facts.fact(self.text, self.lower, start, end)
            if expression is not None:
                parts.append(expression)
        elif len(self.text[start:end].split()) > 3 and not clauses.names_methods(self.lower, start, end):
            self.left.append((start, end))

    def _bracket(
        self,
        bracket: Token,
        clause: Clause,
        expressions: list[Expression],
        used: list[int],
        extra: list[Clause],
        after_item: bool,
    ) -> None:
        """Thresholds in brackets: a condition, a limit under a condition, an alternative, a definition."""
        low, high = self._within(bracket)
        close = self.tokens[bracket.mate]
        if self.depth >= DEEPEST_BRACKET:
            expressions.append(
                Unread((bracket.start, close.end), "brackets within brackets, too deep to follow")
            )
            used += [index for token in self.tokens[low:high] for index in token.drafts]
            return
        if matcher("assay").find(self.lower[bracket.end : close.start]):
            self.set_role(low, high, "definition")
            return
        if self._other_limit(bracket, low, expressions, used, extra, after_item):
            return
        if self._allowed_in_bracket(bracket, clause, extra):
            return
        parts: list[Clause] = []
        self.depth += 1
        known = len(self.hanging)
        for piece in clauses.statements(self.tokens, low, high, bracket.end, close.start):
            parts += self.clauses(*piece)
        self.depth -= 1
        if len(self.hanging) > known:  # "(except lymph nodes, whose short axis must be >= 15 mm)"
            ways = [way for way in (clause.exception, *self.hanging[known:]) if way is not None]
            clause.exception = any_of(ways)
            del self.hanging[known:]
        if not parts:
            return
        if self._demand_in_exclusion(parts):
            return
        indexes = [index for part in parts for index in part.drafts]
        opener = self.tokens[low]
        conditional = opener.kind in ("condition", "population") and parts[0].condition is None
        if after_item and conditional and not self.text[bracket.end : opener.start].strip():
            clause.condition = both(clause.condition, tree(parts, "inclusion"), "and")
            self._note(used, "condition", bracket.end, close.start)
            return
        ages = bool(indexes) and all(self.drafts[index].entity_type == "Age" for index in indexes)
        if after_item and ages and not any(self.drafts[index].entity_type == "Age" for index in used):
            condition = tree(parts, "inclusion")
            clause.condition = (
                condition if clause.condition is None else all_of([clause.condition, condition])
            )
            self._note(used, "condition", bracket.end, close.start)
        elif after_item and (parts[0].join in ("or", "andor") or any(part.condition for part in parts)):
            extra.extend(parts)
        else:
            expressions.append(tree(parts, self.section))
            used += indexes

    def _other_limit(
        self,
        bracket: Token,
        low: int,
        expressions: list[Expression],
        used: list[int],
        extra: list[Clause],
        after_item: bool,
    ) -> bool:
        """Whether the bracket holds the limit of a group that the limit before it does not bind: "(except for
        liver metastases, <= 5 x ULN)", "(Gilbert syndrome: <= 5 x ULN)". It then branches that limit."""
        limit: list[Clause] = []
        if self.tokens[low].kind == "exception":
            limit = self._limit_for_group(low, bracket.mate, self.tokens[bracket.mate].start, used)
            if limit and not self._is_bare(limit):
                extra += limit
                return True
        if not limit and after_item:
            limit = self._limit_named(low, bracket, used)
        if limit:
            expressions[:] = [branch(limit, all_of(expressions))]
        return bool(limit)

    def _plain_bracket(self, bracket: Token, clause: Clause, used: Sequence[int]) -> None:
        """Brackets without thresholds: a condition or an exception, else words that explain."""
        low, high = self._within(bracket)
        if low == high or self._allowed_in_bracket(bracket, clause, []):
            return
        opener, close = self.tokens[low], self.tokens[bracket.mate]
        if (
            opener.kind not in ("condition", "population", "exception")
            or self.text[bracket.end : opener.start].strip()
        ):
            return
        found = facts.fact(self.text, self.lower, opener.end, close.start)
        if found is None:
            return
        if opener.kind == "exception":
            clause.exception = found
            self._note(used, "exception", bracket.end, close.start)
        else:
            clause.condition = found
            self._note(used, "condition", bracket.end, close.start)

    def _atom(self, atom: Token) -> tuple[Expression | None, list[int]]:
        """The expression of one value: one leaf, or one for each concept that shares it."""
        indexes = [index for index in atom.drafts if clauses.enters(self.drafts[index])]
        if not indexes:
            return None, []
        if any("lost_comparator" in self.drafts[index].flags for index in indexes):
            return Unread(
                (atom.start, atom.end), "the comparator was lost, so the direction is not known"
            ), indexes
        parts: list[Expression] = [Leaf(str(index)) for index in indexes]
        if len(parts) == 1:
            return parts[0], indexes
        spans = sorted(
            (self.drafts[index].concept_start, self.drafts[index].concept_end) for index in indexes
        )
        between = self.lower[spans[0][1] : spans[-1][0]]
        either = _EITHER.search(between) or (self.section == "exclusion" and not _BOTH.search(between))
        return (any_of(parts) if either else all_of(parts)), indexes

    def _demand_in_exclusion(self, parts: list[Clause]) -> bool:
        """ "(if HBsAg positive, 4 weeks of treatment shall be given)": a demand that is not turned."""
        if self.section != "exclusion":
            return False
        at = next((index for index, part in enumerate(parts) if part.demanded), None)
        if at is None:
            return False
        state = tree(parts[:at], "inclusion") if at else TRUE
        self.demands.append((state, tree(parts[at:], "inclusion")))
        return True

    def _allowed_in_bracket(self, bracket: Token, clause: Clause, extra: list[Clause]) -> bool:
        """ "(> 1.5 mg/dL is allowed if ...)", "(patients with Gilbert syndrome are allowed up to ...)"."""
        low, high = self._within(bracket)
        at = next((index for index in range(low, high) if self.tokens[index].kind == "allowance"), None)
        if at is None:
            return False
        statement = self.allowed(at, low, high, bracket.end, self.tokens[bracket.mate].start)
        if statement.force == "demand":
            extra.extend(statement.clauses)
            return True
        ways = [part.expression for part in statement.clauses]
        ways += [] if statement.condition is None else [statement.condition]
        if ways:
            clause.exception = all_of(ways)
        return True

    def _limit_for_group(self, at: int, high: int, end: int, base: Sequence[int]) -> list[Clause]:
        """ "..., except for patients with liver metastases, in whom <= 5 x ULN is allowed": the other limit,
        under its condition. ``at`` is the exception's token, ``base`` are the drafts of the limit that holds
        for the others. Empty where the words are not so, or the limits measure different things.
        """
        first = next((i for i in range(at + 1, high) if self.tokens[i].kind == "atom"), None)
        if first is None:
            return []
        start = self._limit_start(self.tokens[first])
        match = _GROUP_LIMIT.match(self.lower, self.tokens[at].end, start)
        allowed = next((i for i in range(first, high) if self.tokens[i].kind == "allowance"), high)
        drafts = [index for token in self.tokens[first:allowed] for index in token.drafts]
        if match is None or not self._comparable(base, drafts):
            return []
        group = facts.fact(self.text, self.lower, match.start(1), match.end(1))
        if group is None or isinstance(group, Unread):
            return []
        stop = self.tokens[allowed].start if allowed < high else end
        limit = self.clauses(first, allowed, start, stop)
        for clause in limit:
            clause.condition = both(clause.condition, group, "and")
            clause.join = "and"
            self._note(clause.drafts, "condition", match.start(1), match.end(1))
        return limit

    def _limit_named(self, low: int, bracket: Token, base: Sequence[int]) -> list[Clause]:
        """ "<= 2.5 x ULN (Gilbert syndrome: <= 5 x ULN)": the limit of those who have what stands before the colon.

        Empty where the words are not so, or the limits measure different things.
        """
        atoms = [index for index in range(low, bracket.mate) if self.tokens[index].kind == "atom"]
        if len(atoms) != 1 or not self._comparable(base, self.tokens[atoms[0]].drafts):
            return []
        drafts = [self.drafts[index] for index in self.tokens[atoms[0]].drafts]
        if any(draft.concept is not None and draft.concept_start > bracket.start for draft in drafts):
            return []
        match = _NAMED_GROUP.match(self.lower, bracket.end, min(draft.value_start for draft in drafts))
        if match is None:
            return []
        group = facts.fact(self.text, self.lower, match.start(1), match.end(1))
        if group is None or isinstance(group, Unread):
            return []
        limit = self.clauses(atoms[0], bracket.mate, match.end(), self.tokens[bracket.mate].start)
        for clause in limit:
            clause.condition = both(clause.condition, group, "and")
            clause.join = "and"
            self._note(clause.drafts, "condition", match.start(1), match.end(1))
        return limit

    def _limit_start(self, atom: Token) -> int:
        """Where a limit begins: with its concept, unless that is only the words that happen to stand there."""
        drafts = [self.drafts[index] for index in atom.drafts]
        if all(draft.concept is None for draft in drafts):
            return min(draft.value_start for draft in drafts)
        return atom.start

    def _comparable(self, base: Sequence[int], limit: Sequence[int]) -> bool:
        """Whether the limits are of one thing: the same concept, or none named again and the same scale."""
        scales = {(self.drafts[index].relative_to, self.drafts[index].unit) for index in base}
        concepts = {self.drafts[index].concept for index in base}
        for index in limit:
            draft = self.drafts[index]
            if draft.concept is not None and draft.concept in concepts:
                return True
            if draft.concept is None and (draft.relative_to, draft.unit) in scales:
                return True
        return False

    def _is_bare(self, limit: Sequence[Clause]) -> bool:
        """Whether the limit for a group does not name again what it measures."""
        return len(limit) == 1 and all(self.drafts[index].concept is None for index in limit[0].drafts)

    def allowed(self, at: int, low: int, high: int, start: int, end: int) -> Statement:
        """An allowance demands nothing, unless it is tied to a condition or to a limit.

        ``at`` is the token that allows. The statement's clauses are what is allowed, its condition is
        when; with force ``demand`` it is a limit for a group instead.
        """
        token = self.tokens[at]
        stop = token.start
        pronoun = _SUBJECT_PRONOUN.search(self.lower, start, stop)
        before = self.clauses(low, at, start, pronoun.start() if pronoun else stop)
        self.hanging.clear()
        after = self.clauses(at + 1, high, token.end, end)
        subjects = [] if pronoun else [clause for clause in before if not clause.drafts]
        about: Expression | None = all_of([clause.expression for clause in subjects]) if subjects else None
        if isinstance(about, Fact | Unread) and _PRONOUN.match(self.lower[slice(*about.span)]):
            about = None
        conditions = [clause.condition for clause in (*before, *after) if clause.condition is not None]
        if pronoun and before:
            # "But if the disease progresses, and 5 half-lives have passed, it is allowed"
            conditions += [clause.expression for clause in before]
        opener = self.tokens[at + 1] if at + 1 < high else None
        if opener is not None and opener.kind == "condition" and after and after[0].condition is None:
            conditions.append(tree(after, "inclusion"))
        exceptions = [clause.exception for clause in (*before, *after) if clause.exception is not None]
        needs = list(dict.fromkeys([*conditions, *(negate(part) for part in (*exceptions, *self.hanging))]))
        self.hanging.clear()
        if about is not None and not conditions and after and after[0].drafts:
            after[0].condition = about
            return Statement(after, "demand")
        bounded = before and before[0].drafts and not needs and self.section == "inclusion"
        if bounded and _NO_MORE.match(self.lower, start, end):
            return Statement(before, "demand")
        keep = {int(leaf.item) for need in needs for leaf in leaves(need) if isinstance(leaf, Leaf)}
        self.set_role(low, high, "allowance", frozenset(keep))
        statement = Statement([], "allowance", also="also" in self.lower[token.start : token.end])
        statement.condition = all_of(needs) if needs else None
        statement.clauses = [Clause(about)] if about is not None else []
        return statement


def branch(limit: Sequence[Clause], base: Expression) -> Expression:
    """The limit under its condition, and ``base`` for all others."""
    (clause,) = limit
    return base if clause.condition is None else If(clause.condition, clause.expression, base)
