"""Read the clauses of one statement: facts, items, and the conditions and exceptions that hang on them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlp import clauses, coordination, facts
from nlp.clauses import Mark, Segment
from nlp.cues import matcher
from nlp.draft import Draft
from nlp.limits import Limits
from nlp.logic import Clause, all_of, any_of, both, negate, tree
from nlp.model import Expression, Leaf, Not, Section, Unread, leaves

_NOMINAL_EXCEPTION = re.compile(
    r"(?:excluding|except(?: for)?|not including|with (?:the )?exceptions? of|apart from|aside from|save for)\b"
)
_WHEN = re.compile(
    r"\W*(?:during|at|before|after|within|since|while|until|prior|in|throughout|currently|simultaneously|\d+|one|two|three"
    r"|four|five|six|seven|longer|less|more|enrol\w+|randomi\w+|screening|baseline|first|the (?:first|last|study|start|end|time)|study|day|informed)\b"
)
_SINCE = re.compile(r"\s*(?:from|since|after|of|prior to|before)\b")
_MONITORED = re.compile(
    r"\b(?:monitored|monitoring|repeated|assessed|measured|tested|checked)\s+(?:at least\s+)?(?:every|each)\b"
    r"|\bshall be continued for\b"
)
_EVERY = ("every", "each", "continued")
"""One of these is in all that the pattern above finds."""


class Asserter(Limits):
    """Reads the statements of one criterion into clauses.

    ``may_note`` is False only where nothing in the text monitors, allows or describes an assay.
    """

    def __init__(
        self, text: str, lower: str, marks: Sequence[Mark], drafts: list[Draft], section: Section
    ) -> None:
        super().__init__(text, lower, marks, drafts, section)
        self.may_note = (
            "monitoring" in self.kinds
            or "allowance" in self.kinds
            or (bool(drafts) and (matcher("assay").may_find(lower) or any(word in lower for word in _EVERY)))
        )

    def clauses(self, low: int, high: int, start: int, end: int) -> list[Clause]:
        """The assertions of ``tokens[low:high]`` (``text[start:end]``), in text order."""
        pieces = clauses.segments(self.text, self.tokens, low, high, start, end)
        if self.may_note:
            pieces = self._without_notes(pieces)
        if len(pieces) > 1:
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
        return piece.join in ("with", "relative") or not coordination.STARTS.match(
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
            elif piece.measured and (assay := matcher("assay").find(self.lower[piece.start : piece.end])):
                # what stands before the cue is the demand itself: "a negative test with a sensitivity of ..."
                cue = piece.start + assay[0][0]
                self._role_of([atom for atom in piece.atoms if atom.start >= cue], "definition")
                if any(atom.start < cue for atom in piece.atoms):
                    kept.append(piece)
            elif "allowance" in kinds and piece.part == "main" and len(pieces) > 1 and not piece.measured:
                if any(other.measured for other in pieces if other.part == "main"):
                    continue
                kept.append(piece)
            else:
                kept.append(piece)
        return kept

    def _monitored(self, piece: Segment) -> bool:
        """Whether a segment's own words (not those in its brackets) say how often something is checked."""
        if not piece.atoms:
            return False
        match = _MONITORED.search(self.lower, piece.start, piece.end)
        return match is not None and not any(
            bracket.start < match.start() < self.tokens[bracket.mate].end for bracket in piece.brackets
        )

    def _belongs_to_phrase(self, span: Sequence[Segment], phrase: list[Segment], out: list[Clause]) -> bool:
        """Whether the words are part of the fact before them ("cancer other than of the skin")."""
        if not phrase or any(self._holds_items(piece) for piece in span):
            return False
        opener = span[0].opened_by
        if opener is not None and self.lower.startswith("other than", opener.start):
            return True  # "a cause other than ...": who has both is asked about one
        if opener is None or any(piece.atoms for piece in span):
            return False
        if opener.kind == "population":
            return True
        # "results in the normal range except for cholesterol": no fact is taken out of a state
        stated = (
            self.section == "inclusion" and not facts.frame(self.lower, phrase[0].start, phrase[0].end)[1]
        )
        return stated and bool(_NOMINAL_EXCEPTION.match(self.lower, opener.start))

    def _attach(
        self, span: Sequence[Segment], out: list[Clause], leading: Expression | None
    ) -> Expression | None:
        """Tie a qualifier to the clause before it; returns the one that stands before what follows."""
        part, start = span[0].part, span[0].start
        if part == "exception" and out and not out[-1].drafts and self._is_nominal(span):
            out[-1].expression = self._narrowed(out[-1].expression, span)
            return leading
        qualifier = self._qualifier(span)
        if qualifier is None:
            return leading
        if not out:
            if part == "exception":
                self.hanging.append(qualifier)
                return leading
            return both(leading, qualifier, span[0].join)
        last = out[-1]
        if part == "condition":
            last.condition = both(last.condition, qualifier, span[0].join)
            self._note(last.drafts, "condition", start, span[-1].end)
        else:
            last.exception = qualifier if last.exception is None else any_of([last.exception, qualifier])
            self._note(last.drafts, "exception", start, span[-1].end)
        return leading

    def _is_nominal(self, span: Sequence[Segment]) -> bool:
        """Whether words take something out of what the fact before them names ("cancer, except of the skin")."""
        opener = span[0].opened_by
        if opener is None or not _NOMINAL_EXCEPTION.match(self.lower, opener.start):
            return False
        return not any(self._holds_items(piece) for piece in span)

    def _narrowed(self, named: Expression, span: Sequence[Segment]) -> Expression:
        """The fact without what the exception takes out of it; a time at the end of both is the fact's."""
        last = span[-1]
        times: list[Expression] = []
        if (
            last.atoms
            and last.atoms[-1].kind == "window"
            and not any(isinstance(leaf, Leaf) for leaf in leaves(named))
        ):
            window = last.atoms.pop()
            last.end = window.start
            times = [Leaf(str(index)) for index in window.drafts if clauses.enters(self.drafts[index])]
        qualifier = self._qualifier(span, "exclusion")
        if isinstance(named, Unread):
            return Unread((named.span[0], last.end), named.why)
        if qualifier is None:
            self.left.append((span[0].start, last.end))
        taken_out = [] if qualifier is None else [negate(qualifier)]
        if isinstance(named, Not):
            return Not(all_of([named.part, *times, *taken_out]))
        return all_of([named, *times, *taken_out])

    def _qualifier(self, span: Sequence[Segment], section: Section = "inclusion") -> Expression | None:
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
        return tree(parts, section) if parts else None


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
        elif piece.join == "relative" and before.part == "exception":
            piece.part = "exception"  # "except those who had a remission of 2 years"
        elif not piece.measured and not (piece.strong and leading):
            piece.part = before.part
