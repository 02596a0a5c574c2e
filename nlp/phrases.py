"""Read the segments of a statement that hold no thresholds: facts, and the times that restrict them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from nlp import clauses, coordination, facts
from nlp.clauses import Join, Mark, Segment, Token
from nlp.draft import Draft
from nlp.logic import TRUE, Clause, all_of, any_of, negate
from nlp.model import Expression, Fact, Leaf, Not, Role, Section, Span, Unread

ANCHOR = re.compile(
    r"\s*(?:prior|before|of|after|preceding|from|following|since|leading up to|until|up to|at|pre|post|previous"
    r"|ago|old|in|for|to|during)\b(?:\s+(?!(?:or|and|with|who|that|which|unless|except|if|but|without|due|requiring)\b)"
    r"[^\s,;()]+|\s*\([^()]*\))*"
)
ADEQUATE = re.compile(
    r"(?:adequate|good|sufficient|normal|acceptable|satisfactory|preserved|appropriate|proper)\b.*\b(?:function\w*"
    r"|reserve|stability|status|values?|counts?|parameters?|ha?ematolog\w+|coagulation|capacity|levels?|organs?)\b"
)
_METHOD = re.compile(
    r"(?:as )?(?:calculated|measured|estimated|assessed|determined|evaluated|documented|judged|defined|confirmed)\b"
)
_MOMENT = re.compile(
    r"(?:at|during|before|after|within|throughout|prior to|upon|on the day of|for the duration of|on)\s(?:the )?"
    r"(?:time of|first|last|trial|study|screening|treatment|run-in|period|enrol\w+|visit|randomi\w+|baseline|signing"
    r"|informed|inclusion|day|week|entry)\b"
)
_SHORTER = re.compile(r"which\s?ever\b[^,;()]*\b(?:short|earli|less|first)")
_EITHER = re.compile(r"\bor\b")


class Phrases(ABC):
    """The text of one criterion, its tokens, and what its phrases say.

    ``governing`` are the time windows of a list's introduction; ``demands`` are (state, demand) pairs that
    stand in brackets of an exclusion; ``hanging`` are exceptions that no clause stands before; ``left``
    are spans of words that were not understood.
    """

    @abstractmethod
    def clauses(self, low: int, high: int, start: int, end: int) -> list[Clause]:
        """The assertions of ``tokens[low:high]`` (``text[start:end]``), in text order."""

    def __init__(
        self, text: str, lower: str, marks: Sequence[Mark], drafts: list[Draft], section: Section
    ) -> None:
        self.text = text
        self.lower = lower
        self.drafts = drafts
        self.section = section
        self.tokens = clauses.tokens(text, lower, marks, clauses.atoms(text, drafts) if drafts else ())
        self.kinds = {token.kind for token in self.tokens}
        self.depth = 0
        self.governing: list[int] = []
        self.hanging: list[Expression] = []
        self.demands: list[tuple[Expression, Expression]] = []
        self.left: list[Span] = []

    def set_role(self, low: int, high: int, role: Role, keep: frozenset[int] = frozenset()) -> None:
        """Say that the drafts of ``tokens[low:high]`` are no requirements of their own."""
        self._role_of(self.tokens[low:high], role, keep)

    def _role_of(self, atoms: Sequence[Token], role: Role, keep: frozenset[int] = frozenset()) -> None:
        for token in atoms:
            for index in token.drafts:
                if self.drafts[index].role == "requirement" and index not in keep:
                    self.drafts[index].role = role

    def _holds_items(self, piece: Segment) -> bool:
        if piece.measured:
            return True
        return bool(piece.brackets) and any(self._inside(bracket, "atom") for bracket in piece.brackets)

    def _inside(self, bracket: Token, kind: str) -> bool:
        low, high = self._within(bracket)
        for index in range(low, high):  # noqa: SIM110 - asked often
            if self.tokens[index].kind == kind:
                return True
        return False

    def _within(self, bracket: Token) -> tuple[int, int]:
        """The tokens inside a bracket."""
        return self.tokens[bracket.mate].mate + 1, bracket.mate

    def _note(self, indexes: Sequence[int], name: str, start: int, end: int) -> None:
        span = facts.trim(self.text, start, end)
        for index in indexes:
            if getattr(self.drafts[index], name) is None:
                setattr(self.drafts[index], name, span)

    def _flush(
        self, phrase: list[Segment], out: list[Clause], leading: Expression | None, before_items: bool = False
    ) -> None:
        """Read the pending segments without thresholds as one or more facts."""
        if not phrase:
            return
        first = phrase[0]
        asked = demanded(phrase)
        parts: list[tuple[Join, int, int]] = []
        spans: list[tuple[list[Span], list[Span]]] = []
        windows: list[int] = []
        for piece in phrase:
            holes: list[Span] = []
            read: list[Span] = []
            end = piece.end
            if piece.atoms or piece.brackets:
                holes, read, times = self._times(piece, nothing_else=len(phrase) == 1)
                windows += times
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
        sure = coordination.sure_split(self.lower, parts)
        for join, start, end, turned in coordination.spread(
            self.lower, sure, self.section, negated=first.negated
        ):
            holes, read = [], []
            while taken < len(parts) and parts[taken][2] <= end:
                holes += spans[taken][0]
                read += spans[taken][1]
                taken += 1
            expression = facts.fact(self.text, self.lower, start, end, holes, holes + read if read else holes)
            if expression is None:
                continue
            if isinstance(expression, Fact) and self._is_context(expression, out, before_items):
                continue
            found.append((join, negate(expression) if turned else expression))
        if not found and windows:
            found = [(first.join, TRUE)]
        for position, (join, expression) in enumerate(found):
            timed = _timed(expression, governed)
            if first.negated and position == 0:
                timed = negate(timed)
            strong = first.strong and position == 0
            out.append(Clause(timed, join if position else first.join, strong, leading, demanded=asked))

    def _is_context(self, fact: Fact, out: Sequence[Clause], before_items: bool) -> bool:
        """Whether words beside an item only say what it sums up, or how and when it is measured."""
        if not before_items and not (out and out[-1].drafts):
            return False
        lower = fact.text.lower()
        if before_items:
            return bool(ADEQUATE.match(lower)) or (
                len(lower) < 30 and not coordination.complete(lower, 0, len(lower))
            )
        return bool(_METHOD.match(lower) or _MOMENT.match(lower))

    def _governed(self, start: int, windows: Sequence[int]) -> list[Expression]:
        """The windows that restrict a phrase. "30 days or 5 half-lives" is one or the other, unless the
        shorter of them counts."""
        if not windows and not self.governing:
            return []
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
            match = ANCHOR.match(self.lower, token.end, piece.end)
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


def demanded(phrase: Sequence[Segment]) -> bool:
    """Whether one of the segments is said as a demand."""
    for piece in phrase:
        for token in piece.cues:
            if token.kind == "demand":
                return True
    return False


def _timed(expression: Expression, times: Sequence[Expression]) -> Expression:
    """An event and the time in which it is asked about."""
    if not times or isinstance(expression, Unread):
        return expression
    if isinstance(expression, Not):
        return Not(all_of([expression.part, *times]))
    return all_of([expression, *times])
