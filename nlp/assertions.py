"""Read the clauses of one statement: facts, items, and the conditions and exceptions that hang on them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlp import clauses, facts
from nlp.clauses import Join, Segment, Token
from nlp.cues import matcher
from nlp.draft import Draft
from nlp.logic import TRUE, Clause, Statement, all_of, any_of, negate, tree
from nlp.model import Expression, Fact, Leaf, Not, Role, Section, Span, Unread, leaves

_ANCHOR = re.compile(
    r"\s*(?:prior|before|of|after|preceding|from|following|since|leading up to|until|up to|at|pre|post|previous"
    r"|ago|old|in|for|to|during)\b(?:\s+(?!(?:or|and|with|who|that|which|unless|except|if|but|without|due|requiring)\b)"
    r"[^\s,;()]+|\s*\([^()]*\))*"
)
_NOMINAL_EXCEPTION = re.compile(
    r"(?:excluding|other than|except(?: for)?|not including|with (?:the )?exceptions? of|apart from|aside from|save for)\b"
)
ADEQUATE = re.compile(
    r"(?:adequate|good|sufficient|normal|acceptable|satisfactory|preserved|appropriate|proper)\b.*\b(?:function\w*"
    r"|reserve|stability|status|values?|counts?|parameters?|ha?ematolog\w+|coagulation|capacity|levels?|organs?)\b"
)
_PRONOUN = re.compile(r"\W*(?:it|they|these|this|those|he|she|such \w+|the \w+|these \w+|this \w+)?\W*\Z")
_SUBJECT_PRONOUN = re.compile(r"(?:^|,)\s*(?:it|they|these|this|those|he|she|such \w+|these \w+)\s*\Z")
_NO_MORE = re.compile(r"\W*(?:no more than|not more than|a? ?maximum|up to|at most|only|no prior)\b")
_METHOD = re.compile(
    r"(?:as )?(?:calculated|measured|estimated|assessed|determined|evaluated|documented|judged|defined|confirmed)\b"
)
_MOMENT = re.compile(
    r"(?:at|during|before|after|within|throughout|prior to|upon|on the day of|for the duration of|on)\s(?:the )?"
    r"(?:time of|first|last|trial|study|screening|treatment|run-in|period|enrol\w+|visit|randomi\w+|baseline|signing"
    r"|informed|inclusion|day|week|entry)\b"
)
_WHEN = re.compile(
    r"\W*(?:during|at|before|after|within|since|while|until|prior|in|throughout|currently|simultaneously|\d+|one|two|three"
    r"|four|five|six|seven|longer|less|more|enrol\w+|randomi\w+|screening|baseline|first|the (?:first|last|study|start|end|time)|study|day|informed)\b"
)
_FURTHER = re.compile(
    r"(?:requiring|needing|despite|uncontrolled|caused by|due to|related to|secondary to|not)\b"
)
_SHORTER = re.compile(r"which\s?ever\b[^,;()]*\b(?:short|earli|less|first)")
_SINCE = re.compile(r"\s*(?:from|since|after|of|prior to|before)\b")
_MONITORED = re.compile(
    r"\b(?:monitored|monitoring|repeated|assessed|measured|tested|checked)\s+(?:at least\s+)?(?:every|each)\b"
    r"|\bshall be continued for\b"
)
_EITHER = re.compile(r"\bor\b")
_BOTH = re.compile(r"\band\b|&")


class Asserter:
    """Reads statements of one criterion. ``governing`` are the time windows of a list's introduction."""

    def __init__(self, text: str, drafts: list[Draft], section: Section) -> None:
        self.text = text
        self.lower = clauses.lower_same_length(text)
        self.drafts = drafts
        self.section = section
        self.tokens = clauses.tokens(text, self.lower, clauses.atoms(text, drafts))
        self.governing: list[int] = []
        self.hanging: list[Expression] = []
        self.demands: list[tuple[Expression, Expression]] = []
        self.left: list[Span] = []

    def clauses(self, low: int, high: int, start: int, end: int) -> list[Clause]:
        """The assertions of ``tokens[low:high]`` (``text[start:end]``), in text order."""
        pieces = clauses.segments(self.text, self.tokens, low, high, start, end)
        pieces = self._without_notes(pieces)
        _carry(pieces)
        out: list[Clause] = []
        phrase: list[Segment] = []
        leading: Expression | None = None
        absorbing = False
        index = 0
        while index < len(pieces):
            piece = pieces[index]
            index += 1
            if piece.part in ("condition", "exception"):
                span = [piece]
                while index < len(pieces) and pieces[index].part == piece.part and not pieces[index].opens:
                    span.append(pieces[index])
                    index += 1
                if self._belongs_to_phrase(span, phrase, out):
                    phrase.extend(span)
                    continue
                self._flush(phrase, out, leading)
                follows = (
                    index < len(pieces) and pieces[index].join == "comma" and pieces[index].part == "main"
                )
                if piece.part == "condition" and piece.join in ("and", "or", "but") and follows:
                    leading = self._qualifier(span)
                else:
                    leading = self._attach(span, out, leading)
            elif self._holds_items(piece):
                self._measured(piece, phrase, out, leading)
                absorbing = self._opens_list(piece)
            elif absorbing and piece.part == "main" and self._continues(piece):
                continue  # "at least 2 weeks from surgery, radiotherapy or another trial"
            elif piece.part != "definition" or not (phrase or out):
                absorbing = False
                if phrase and self._begins_anew(phrase[-1], piece):
                    self._flush(phrase, out, leading)
                phrase.append(piece)
        self._flush(phrase, out, leading)
        if leading is not None and not out:
            # "Patients will be included if ...": the condition is what is asked for
            out.append(Clause(leading))
        return out

    def _begins_anew(self, before: Segment, piece: Segment) -> bool:
        """Whether an event with a time of its own ends before the segment: "cancer within 5 years or stroke"."""
        if piece.join == "without" and piece.strong:
            return True
        if not before.atoms or before.atoms[-1].kind != "window":
            return False
        own = [token for token in piece.atoms if token.kind == "window"]
        if own and piece.join in ("comma", "and", "or", "andor"):
            return bool(self.text[piece.start : own[0].start].strip())
        if piece.join not in ("or", "andor") or not self.text[before.start : before.atoms[-1].start].strip():
            return False
        return not _WHEN.match(self.lower, piece.start, piece.end)

    def _opens_list(self, piece: Segment) -> bool:
        """Whether a duration is counted from the first of several events."""
        if not piece.atoms or piece.atoms[-1].kind != "atom":
            return False
        last = piece.atoms[-1]
        durations = all(self.drafts[index].entity_type == "Temporal" for index in last.drafts)
        return durations and bool(_SINCE.match(self.lower, last.end, piece.end))

    def _continues(self, piece: Segment) -> bool:
        """Whether a segment is one more event of a list, rather than a demand of its own."""
        if piece.join not in ("comma", "or", "and", "with", "relative") or piece.cues:
            return False
        return piece.join in ("with", "relative") or not facts.STARTS.match(
            self.lower, piece.start + 1, piece.end
        )

    def _without_notes(self, pieces: list[Segment]) -> list[Segment]:
        """Leave out what only monitors or allows, where the statement says more than that."""
        kept: list[Segment] = []
        for piece in pieces:
            kinds = {token.kind for token in piece.cues}
            if "monitoring" in kinds or self._monitored(piece):
                self._role_of(piece.atoms, "monitoring")
                while (
                    kept and not kept[-1].atoms and not kept[-1].brackets and piece.join in ("and", "comma")
                ):
                    piece = kept.pop()
            elif piece.measured and matcher("assay").find(self.lower[piece.start : piece.end]):
                self._role_of(piece.atoms, "definition")
            elif "allowance" in kinds and piece.part == "main" and len(pieces) > 1 and not piece.measured:
                if any(other.measured for other in pieces if other.part == "main"):
                    continue
                kept.append(piece)
            else:
                kept.append(piece)
        return kept

    def _monitored(self, piece: Segment) -> bool:
        """Whether a segment's own words (not those in its brackets) say how often something is checked."""
        match = _MONITORED.search(self.lower, piece.start, piece.end) if piece.atoms else None
        return match is not None and not any(
            bracket.start < match.start() < self.tokens[bracket.mate].end for bracket in piece.brackets
        )

    def _role_of(self, atoms: Sequence[Token], role: Role, keep: frozenset[int] = frozenset()) -> None:
        for token in atoms:
            for index in token.drafts:
                if self.drafts[index].role == "requirement" and index not in keep:
                    self.drafts[index].role = role

    def set_role(self, low: int, high: int, role: Role, keep: frozenset[int] = frozenset()) -> None:
        """Say that the drafts of ``tokens[low:high]`` are no requirements of their own."""
        self._role_of(self.tokens[low:high], role, keep)

    # -- conditions and exceptions

    def _belongs_to_phrase(self, span: Sequence[Segment], phrase: list[Segment], out: list[Clause]) -> bool:
        """Whether the words are part of the fact before them ("cancer other than of the skin")."""
        if not phrase or any(piece.atoms or self._holds_items(piece) for piece in span):
            return False
        opener = span[0].opened_by
        if opener is None:
            return False
        if opener.kind == "population":
            return True
        return opener.kind == "exception" and bool(_NOMINAL_EXCEPTION.match(self.lower, opener.start))

    def _attach(
        self, span: Sequence[Segment], out: list[Clause], leading: Expression | None
    ) -> Expression | None:
        """Tie a qualifier to the clause before it; returns the one that stands before what follows."""
        part, start = span[0].part, span[0].start
        qualifier = self._qualifier(span)
        if qualifier is None:
            return leading
        if not out:
            if part == "exception":
                self.hanging.append(qualifier)
                return leading
            return _both(leading, qualifier, span[0].join)
        last = out[-1]
        if part == "condition":
            last.condition = _both(last.condition, qualifier, span[0].join)
            self._note(last.drafts, "condition", start, span[-1].end)
        else:
            last.exception = qualifier if last.exception is None else any_of([last.exception, qualifier])
            self._note(last.drafts, "exception", start, span[-1].end)
        return leading

    def _qualifier(self, span: Sequence[Segment]) -> Expression | None:
        """The expression of a condition or an exception."""
        parts: list[Clause] = []
        phrase: list[Segment] = []
        for piece in span:
            piece.part = "main"
            opener = piece.opened_by
            if opener is not None and opener.kind == "population":
                # "in women of childbearing potential within 3 weeks": the time is not the group's
                for token in [token for token in piece.atoms if token.kind == "window"][:1]:
                    piece.end = token.start
                    piece.atoms = [atom for atom in piece.atoms if atom.start < token.start]
            if self._holds_items(piece):
                self._measured(piece, phrase, parts, None)
            else:
                phrase.append(piece)
        self._flush(phrase, parts, None)
        return tree(parts, "inclusion") if parts else None

    def _note(self, indexes: Sequence[int], name: str, start: int, end: int) -> None:
        span = facts.trim(self.text, start, end)
        for index in indexes:
            if getattr(self.drafts[index], name) is None:
                setattr(self.drafts[index], name, span)

    # -- facts

    def _flush(
        self, phrase: list[Segment], out: list[Clause], leading: Expression | None, before_items: bool = False
    ) -> None:
        """Read the pending segments without thresholds as one or more facts."""
        if not phrase:
            return
        first = phrase[0]
        demanded = any(token.kind == "demand" for piece in phrase for token in piece.cues)
        parts: list[tuple[Join, int, int]] = []
        spans: list[tuple[list[Span], list[Span]]] = []
        windows: list[int] = []
        for piece in phrase:
            holes, read, times = self._times(piece, nothing_else=len(phrase) == 1)
            windows += times
            end = piece.end
            if holes and facts.trim(self.text, holes[-1][0], end)[1] <= holes[-1][1]:
                end = holes[-1][0]
            if parts and (piece.part != "main" or piece.join in ("with", "without", "relative", "")):
                parts[-1] = (parts[-1][0], parts[-1][1], end)
                spans[-1][0].extend(holes)
                spans[-1][1].extend(read)
            else:
                parts.append((piece.join, piece.start, max(end, piece.start)))
                spans.append((holes, read))
        phrase.clear()
        governed = self._governed(first.start, windows)
        found: list[tuple[Join, Expression]] = []
        taken = 0
        for join, start, end in facts.sure_split(self.lower, parts):
            holes, read = [], []
            while taken < len(parts) and parts[taken][2] <= end:
                holes += spans[taken][0]
                read += spans[taken][1]
                taken += 1
            expression = facts.fact(self.text, self.lower, start, end, holes, holes + read)
            if expression is None:
                continue
            if isinstance(expression, Fact) and self._is_context(expression, out, before_items):
                continue
            found.append((join, expression))
        if not found and windows:
            found = [(first.join, TRUE)]
        for position, (join, expression) in enumerate(found):
            timed = _timed(expression, governed)
            if first.negated and position == 0:
                timed = negate(timed)
            strong = first.strong and position == 0
            out.append(Clause(timed, join if position else first.join, strong, leading, demanded=demanded))

    def _is_context(self, fact: Fact, out: Sequence[Clause], before_items: bool) -> bool:
        """Whether words beside an item only say what it sums up, or how and when it is measured."""
        lower = fact.text.lower()
        if before_items:
            return bool(ADEQUATE.match(lower)) or (
                len(lower) < 30 and not facts.complete(lower, 0, len(lower))
            )
        return bool(out and out[-1].drafts and (_METHOD.match(lower) or _MOMENT.match(lower)))

    def _governed(self, start: int, windows: Sequence[int]) -> list[Expression]:
        """The windows that restrict a phrase. "30 days or 5 half-lives" is one or the other, unless the
        shorter of them counts."""
        times: list[Expression] = [Leaf(str(index)) for index in windows or self.governing]
        if len(windows) < 2:
            return times
        ends = [self.drafts[index].value_end for index in windows]
        between = self.lower[min(ends) : self.drafts[windows[-1]].value_start]
        if _EITHER.search(between) and not _SHORTER.search(self.lower, start, max(ends) + 60):
            return [any_of(times)]
        return times

    def _times(self, piece: Segment, *, nothing_else: bool) -> tuple[list[Span], list[Span], list[int]]:
        """The time windows of a segment: spans to leave out, spans that were read, and the drafts."""
        holes: list[Span] = []
        read: list[Span] = []
        windows: list[int] = []
        for token in piece.atoms:
            if token.kind == "said":
                holes.append((token.start, token.end))
                continue
            match = _ANCHOR.match(self.lower, token.end, piece.end)
            end = match.end() if match else token.end
            if (
                nothing_else
                and not self.text[piece.start : token.start].strip()
                and not self.text[end : piece.end].strip()
            ):
                end = token.end  # "within 42 days of vaccination": the anchor is the event
            holes.append((token.start, end))
            windows += [index for index in token.drafts if clauses.enters(self.drafts[index])]
        for bracket in piece.brackets:
            low, high = self._within(bracket)
            inner = [token for token in self.tokens[low:high] if token.kind in ("window", "said")]
            read += [(token.start, token.end) for token in inner]
            if (
                len(inner) == 1
                and inner[0].kind == "window"
                and not self.text[bracket.end : inner[0].start].strip()
            ):
                # said of the words around it: "Active (within the past 3 months) infection"
                windows += [index for index in inner[0].drafts if clauses.enters(self.drafts[index])]
                holes.append((bracket.start, self.tokens[bracket.mate].end))
        return sorted(holes), sorted(read), windows

    # -- items

    def _holds_items(self, piece: Segment) -> bool:
        return piece.measured or any(self._inside(bracket, "atom") for bracket in piece.brackets)

    def _inside(self, bracket: Token, kind: str) -> bool:
        low, high = self._within(bracket)
        return any(token.kind == kind for token in self.tokens[low:high])

    def _within(self, bracket: Token) -> tuple[int, int]:
        """The tokens inside a bracket."""
        return self.tokens[bracket.mate].mate + 1, bracket.mate

    def _measured(
        self, piece: Segment, phrase: list[Segment], out: list[Clause], leading: Expression | None
    ) -> None:
        """Read a segment that holds thresholds, in its text or in its brackets."""
        values = [atom for atom in piece.atoms if atom.kind == "atom"]
        brackets = [bracket for bracket in piece.brackets if self._inside(bracket, "atom")]
        clause = Clause(TRUE, piece.join, piece.strong, condition=leading)
        clause.demanded = any(token.kind == "demand" for token in piece.cues)
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
        else:
            known = len(out)
            named = [token for token in piece.atoms if token.end <= brackets[0].start]
            head = Segment(piece.start, brackets[0].start, piece.join, piece.strong, piece.part, atoms=named)
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
        head = facts.frame(self.lower, piece.start, values[0].start)
        if head.negated and not self.text[head.start : values[0].start].strip(" -:,"):
            parts = [negate(all_of(parts))]
        if any(self._is_event(index) for index in used):
            parts += [Leaf(str(i)) for token in piece.atoms if token.kind == "window" for i in token.drafts]
        self._rest(piece, values, parts)
        return all_of(parts)

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
        if _ANCHOR.match(self.lower, start, piece.end):
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
        elif len(self.text[start:end].split()) > 3:
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
        if matcher("assay").find(self.lower[bracket.end : close.start]):
            self.set_role(low, high, "definition")
            return
        if self._allowed_in_bracket(bracket, clause, extra):
            return
        parts: list[Clause] = []
        for piece in clauses.statements(self.tokens, low, high, bracket.end, close.start):
            parts += self.clauses(*piece)
        if not parts:
            return
        if self._demand_in_exclusion(parts):
            return
        indexes = [index for part in parts for index in part.drafts]
        opener = self.tokens[low]
        conditional = opener.kind in ("condition", "population") and parts[0].condition is None
        if after_item and conditional and not self.text[bracket.end : opener.start].strip():
            clause.condition = _both(clause.condition, tree(parts, "inclusion"), "and")
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


def _both(one: Expression | None, other: Expression, join: Join) -> Expression:
    """ "if A or if B", "if A and if B"."""
    if one is None:
        return other
    return any_of([one, other]) if join in ("or", "andor") else all_of([one, other])


def _timed(expression: Expression, times: Sequence[Expression]) -> Expression:
    """An event and the time in which it is asked about."""
    if not times or isinstance(expression, Unread):
        return expression
    if isinstance(expression, Not):
        return Not(all_of([expression.part, *times]))
    return all_of([expression, *times])


def _carry(pieces: list[Segment]) -> None:
    """Carry a condition, exception or example over the joins that continue it."""
    leading = True
    for position in range(1, len(pieces)):
        before, piece = pieces[position - 1], pieces[position]
        leading = leading and before.part != "main"
        if piece.part != "main" or before.part == "main":
            continue
        if before.part in ("example", "definition"):
            if not piece.measured and piece.join in ("comma", "and", "or", "andor"):
                piece.part = before.part
        elif piece.join == "comma":
            if not leading and not piece.measured:
                piece.part = before.part
        elif not piece.measured and not (piece.strong and leading):
            piece.part = before.part
