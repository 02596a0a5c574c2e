"""The main path: a text in, its items and criteria out. Read this first.

``build()`` loads vocabulary, lexicon and rules once; :meth:`Extractor.extract` then is a pure function::

    criteria.parse -> text.fold -> gate -> mentions.find -> thresholds.read -> expressions.express

A text that holds no number, result or limit (most criteria) never reaches spaCy: the gate, built
from the lexicon itself, lets it go straight to the expressions.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nlp import criteria, lexicon, vocab, windows
from nlp.alternatives import LONE
from nlp.draft import Draft
from nlp.expressions import Reading, combine, express, list_logic
from nlp.gate import Gate, Searches
from nlp.items import item, to_raw
from nlp.language import foreign_parts
from nlp.mentions import MentionFinder
from nlp.model import (
    All,
    Criterion,
    Expression,
    Extraction,
    Item,
    Section,
    Span,
    Unread,
)
from nlp.populations import titles
from nlp.qualitative import ResultReader
from nlp.rejoin import bullet_in_range
from nlp.text import Folded, Folder
from nlp.thresholds import ThresholdReader


@dataclass(slots=True)
class _Read:
    """One node of the tree while its text is being read: items' ids are final, spans are raw."""

    node: criteria.Node
    reading: Reading


class Extractor:
    """Reads eligibility texts; holds the vocabulary and everything built from it."""

    def __init__(self, vocabulary: vocab.Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.words = words = lexicon.load_words()
        self.rules = lexicon.load_rules()
        aliases = [
            (alias.text, alias.cased, alias.concepts)
            for alias in vocabulary.aliases
            if not _names_members(vocabulary, alias)
        ]
        self.finder = MentionFinder(words, aliases, vocabulary.units)
        self.thresholds = ThresholdReader(vocabulary, self.rules)
        self.results = ResultReader(vocabulary)
        self.gate: Searches = Gate(words)

    def extract(self, text: str, section: str = "full") -> Extraction:
        """All items and criteria of ``text``; ``section`` is inclusion, exclusion, full or unknown.

        Spans are offsets into ``text`` as it came in. Raises ValueError for another section.
        """
        run = _Run(self, text)
        for node in criteria.parse(text, section):
            run.take(node)
        return Extraction(tuple(run.items), tuple(run.criteria()), self.vocabulary.digest)

    def drafts(self, folded: str) -> list[Draft]:
        """The items of one folded criterion: thresholds and results, in the order of the text."""
        if not self.gate.search(folded):
            return []
        lexemes = self.finder.find(folded)
        found = self.thresholds.read(lexemes)
        results = self.results.read(lexemes, found)
        if results:
            found = sorted(found + results, key=lambda draft: (draft.value_start, draft.concept_start))
        windows.attach(folded, found)
        return found

    def stream(self, rows: Iterable[tuple[str, str]]) -> Iterator[Extraction]:
        """``(text, section)`` rows in, their extractions out, in order; memory stays flat."""
        for text, section in rows:
            yield self.extract(text, section)


def build(extension: Path | None = None) -> Extractor:
    """An Extractor over the project's vocabulary, and a user's extension of it if given.

    Raises VocabularyError where a vocabulary file is not as it must be. Garbage collection rests meanwhile:
    all that is built stays, and looking through it again and again takes a third of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return Extractor(vocab.load(extension))
    finally:
        if collects:
            gc.enable()


def _names_members(vocabulary: vocab.Vocabulary, alias: vocab.Alias) -> bool:
    """Whether a collective concept's name only lists its members ("AST and ALT"): each of them then
    is linked by its own name, one item a member."""
    joined = set(alias.text.lower().split()) & {"and", "or", "/", "&"}
    return bool(joined) and any(vocabulary.concepts[concept].members for concept in alias.concepts)


def _names_ages(heading: str, drafts: list[Draft]) -> bool:
    """Whether the limits of a heading only say who its population is ("Adolescents (12 to 17 years):")."""
    return bool(drafts) and all(draft.entity_type == "Age" for draft in drafts) and titles(heading)


def _of_lists(drafts: list[Draft]) -> tuple[list[Draft], list[Draft]]:
    """The counts that say how many of a list must hold ("at least two of the following"), and the others.
    The list's logic speaks for the former, so the expression does not."""
    listed = [draft for draft in drafts if draft.kind == "count" and draft.role == "definition"]
    if not listed:
        return listed, drafts
    return listed, [draft for draft in drafts if draft.kind != "count" or draft.role != "definition"]


class _Run:
    """One text: its items, and the nodes of its criteria tree."""

    def __init__(self, extractor: Extractor, text: str) -> None:
        self.extractor = extractor
        self.text = text
        self.folder = Folder(text)
        self.items: list[Item] = []
        self.reads: list[_Read] = []

    def take(self, node: criteria.Node) -> None:
        """Read one node of the tree; its items join the others."""
        span = (node.start, node.end)
        if node.language != "en":
            self._keep(node, Unread(span, "written in another language"), 0.0)
            return
        if node.kind == "criterion" and node.logic == "any" and self.text[node.start : node.end] in LONE:
            self._keep(node, Unread(span, "which of the lines around it this joins is not said"), 0.0)
            return
        folded = self.folder.fold(node.start, node.end)
        foreign: list[Span] = []
        if not self.text.isascii() and (blank := foreign_parts(folded.text)) is not None:
            folded, foreign = replace(folded, text=blank[0]), blank[1]
        listed, drafts = _of_lists(self.extractor.drafts(folded.text))
        self._add(node, folded, listed)
        if node.kind == "note" or (node.kind == "heading" and _names_ages(folded.text, drafts)):
            for draft in drafts:
                draft.role = "definition"
            self._add(node, folded, drafts)
            self._keep(node, All(()), 1.0)
            return
        logic = node.logic
        if logic is not None:
            logic = list_logic(folded.text, drafts, logic, node.section)
            node = node._replace(logic=logic)
        if node.kind == "heading" and not drafts and logic in (None, "all"):
            self._keep(node, All(()), 1.0)
            return
        reading = express(folded.text, drafts, node.section, logic=logic)
        ids = self._add(node, folded, drafts)
        expression = to_raw(reading.expression, folded, ids)
        if bullet_in_range(self.text, *span):
            expression = Unread(span, "a bullet stands where a range may have had its dash")
        if foreign:
            left = [Unread(folded.span(*part), "written in another language") for part in foreign]
            expression = All((expression, *left))
        self._keep(node, expression, reading.coverage)

    def _keep(self, node: criteria.Node, expression: Expression, coverage: float) -> None:
        self.reads.append(_Read(node, Reading(expression, coverage)))

    def _add(self, node: criteria.Node, folded: Folded, drafts: list[Draft]) -> list[str]:
        ids = []
        for draft in drafts:
            key = f"i{len(self.items) + 1}"
            self.items.append(item(self.extractor.vocabulary, self.text, node, folded, draft, key))
            ids.append(key)
        return ids

    # ------------------------------------------------------------- the tree

    def criteria(self) -> Iterator[Criterion]:
        """The criteria in the order of the text; the parts of a list of alternatives stand in their
        parent's expression and are no criteria of their own."""
        absorbed: set[int] = set()
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        if any(read.node.logic not in (None, "all") for read in self.reads):
            self._absorb(absorbed, starts, ends)
        for index, read in enumerate(self.reads):
            if index not in absorbed:
                node = read.node
                start, end = starts.get(index, node.start), ends.get(index, node.end)
                yield Criterion(
                    node.path,
                    node.section,
                    self.text[start:end],
                    (start, end),
                    read.reading.expression,
                    round(read.reading.coverage, 4),
                    node.parent,
                    node.heading,
                    node.population,
                )

    def _absorb(self, absorbed: set[int], starts: dict[int, int], ends: dict[int, int]) -> None:
        """Join the lists of alternatives: fills in which nodes their parents absorb, and the parents' spans."""
        children: dict[tuple[Section, str | None], list[int]] = {}
        for index, read in enumerate(self.reads):
            children.setdefault((read.node.section, read.node.parent), []).append(index)
        for index in range(len(self.reads) - 1, -1, -1):  # parents stand before their parts
            node = self.reads[index].node
            if node.logic in (None, "all"):
                continue
            parts = children.get((node.section, node.path), [])
            if parts:
                self._join(index, parts, children)
                below = self._below(parts, children)
                starts[index] = min(node.start, *(self.reads[part].node.start for part in below))
                ends[index] = max(node.end, *(ends.get(part, self.reads[part].node.end) for part in below))
                absorbed.update(below)

    def _below(self, parts: list[int], children: dict[tuple[Section, str | None], list[int]]) -> list[int]:
        found = []
        todo = list(parts)
        while todo:
            index = todo.pop()
            found.append(index)
            node = self.reads[index].node
            todo.extend(children.get((node.section, node.path), []))
        return found

    def _join(
        self, index: int, parts: list[int], children: dict[tuple[Section, str | None], list[int]]
    ) -> None:
        """Put the parts of a list into its parent's expression."""
        read = self.reads[index]
        node = read.node
        whole = [self._whole(part, children) for part in parts]
        own = read.reading
        expression = combine(self.text[node.start : node.end], whole, node.logic or "all", node.section, own)
        if isinstance(expression, Unread):
            expression = Unread((node.start, node.end), expression.why)
        weights = [own, *whole]
        read.reading = Reading(expression, sum(each.coverage for each in weights) / len(weights))

    def _whole(self, index: int, children: dict[tuple[Section, str | None], list[int]]) -> Reading:
        """A part with what stands below it, where that was not joined already."""
        read = self.reads[index]
        below = children.get((read.node.section, read.node.path), [])
        if read.node.logic not in (None, "all") or not below:
            return read.reading
        parts = [read.reading, *(self._whole(part, children) for part in below)]
        expression = All(tuple(part.expression for part in parts if part.expression != All(())))
        return Reading(expression, sum(part.coverage for part in parts) / len(parts))
