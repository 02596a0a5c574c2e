"""Read results without a number: "HBsAg positive", "negative blood pregnancy test".

A result word binds the concepts of the vocabulary beside it: those before it in its clause, or, where
"for" follows ("positive for ANA, anti-dsDNA or anti-Smith"), each concept of the list behind it.
"""

from __future__ import annotations

from nlp.draft import Draft
from nlp.lexemes import Lexemes
from nlp.vocab import Vocabulary

_REACH = 9
_RESULT_CATEGORIES = ("serology", "infection", "pregnancy", "biomarker")
_OPPOSITE = {
    "positive": "negative",
    "negative": "positive",
    "detectable": "undetectable",
    "undetectable": "detectable",
}


class ResultReader:
    """Reads the qualitative results of one text after another."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def read(self, lexemes: Lexemes, thresholds: list[Draft]) -> list[Draft]:
        """The results of the text; ``thresholds`` are those already read there."""
        codes = lexemes.codes
        if "q" not in codes:
            return []
        found: list[Draft] = []
        taken = {  # a window beside a test does not say its result
            draft.concept_start
            for draft in thresholds
            if draft.concept_start >= 0 and draft.entity_type != "Temporal"
        }
        at = -1
        floor = 0
        while True:
            at = codes.find("q", at + 1)
            if at < 0:
                return found
            stop = codes.rfind(".", floor, at)
            floor = max(floor, stop + 1)
            concepts = (
                self._behind(lexemes, at) or self._before(lexemes, at, floor) or self._direct(lexemes, at)
            )
            result = str(lexemes.values[at].value)
            before: str | None = None
            for index in sorted(concepts):
                start = lexemes.starts[index]
                concept = self._concept(lexemes, index)
                again = concept == before and codes[index - 1] == "("  # "surface antigen (HBsAg)"
                before = concept
                if start in taken or again:
                    continue
                taken.add(start)
                draft = self._draft(lexemes, at, index, result)
                if not (found and self._either(lexemes, found[-1], draft)):
                    found.append(draft)
            if concepts:
                floor = max(at + 1, max(concepts) + 1)

    def _either(self, lexemes: Lexemes, before: Draft, draft: Draft) -> bool:
        """ "IgM positive or IgM negative" says nothing about IgM: one item for both."""
        if before.concept != draft.concept or _OPPOSITE.get(before.comparator) != draft.comparator:
            return False
        if lexemes.text[before.value_end : draft.value_start].strip().lower() != "or":
            return False
        before.comparator = "positive_or_negative"
        before.value_end = draft.value_end
        return True

    def _draft(self, lexemes: Lexemes, at: int, index: int, result: str) -> Draft:
        concept = self._concept(lexemes, index)
        starts, ends = lexemes.starts, lexemes.ends
        return Draft(
            value_start=min(starts[at], starts[index]),
            value_end=max(ends[at], ends[index]),
            comparator=result,
            concept=concept,
            concept_start=starts[index],
            concept_end=ends[index],
            kind="qualitative",
            rule="result",
        )

    def _concept(self, lexemes: Lexemes, index: int) -> str | None:
        """The concept of a ``k`` lexeme, if it can have a result."""
        words = [
            lexemes.word(near).lower()
            for near in range(max(0, index - 5), index + 6)
            if near < len(lexemes.codes)
        ]
        concept = self.vocabulary.resolve(lexemes.values[index], lexemes.word(index), None, words, None)
        if concept is None:
            return None
        facts = self.vocabulary.concepts[concept]
        return concept if facts.kind == "qualitative" or facts.category in _RESULT_CATEGORIES else None

    def _list(self, lexemes: Lexemes, at: int, step: int, floor: int) -> list[int]:
        """The concepts of a list that begins at ``at``, joined by commas, and, or, slashes."""
        codes = lexemes.codes
        found: list[int] = []
        quiet = 0
        while floor <= at < len(codes) and quiet < 6:
            code = codes[at]
            if code == "k":
                if self._concept(lexemes, at) is None:
                    break
                found.append(at)
                quiet = 0
            elif code in ",&|/fws()x:n":
                quiet += 1
            else:
                break
            at += step
        return found

    def _behind(self, lexemes: Lexemes, at: int) -> list[int]:
        """ "positive for A, B or C"."""
        codes = lexemes.codes
        if at + 1 < len(codes) and lexemes.word(at + 1).lower() in ("for", "result for"):
            return self._list(lexemes, at + 2, 1, at)
        return []

    def _before(self, lexemes: Lexemes, at: int, floor: int) -> list[int]:
        """ "HBsAg positive", "HIV antibody or HCV antibody is positive"."""
        begin = max(floor, at - _REACH * 3)
        return self._list(lexemes, at - 1, -1, begin)

    def _direct(self, lexemes: Lexemes, at: int) -> list[int]:
        """ "negative blood pregnancy test", "positive HBsAg, HCV antibody"."""
        return self._list(lexemes, at + 1, 1, at)
