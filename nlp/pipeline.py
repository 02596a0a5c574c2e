"""The main path: a text in, its items and criteria out. Read this first.

``build()`` loads vocabulary, lexicon and rules once; :meth:`Extractor.extract` then is a pure function::

    criteria.parse -> text.fold -> gate -> mentions.find -> thresholds.read -> expressions.express

A text that holds no number, result or limit (most criteria) never reaches spaCy: the gate, built
from the lexicon itself, lets it go straight to the expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nlp import criteria, lexicon, vocab, windows
from nlp.alternatives import LONE
from nlp.draft import Draft
from nlp.expressions import Reading, combine, express, list_logic
from nlp.language import foreign_parts
from nlp.mentions import MentionFinder
from nlp.model import (
    All,
    AnyOf,
    Criterion,
    Expression,
    Extraction,
    Fact,
    If,
    Item,
    Leaf,
    Not,
    Qualifier,
    Section,
    Span,
    Unread,
)
from nlp.qualitative import ResultReader
from nlp.rejoin import bullet_in_range
from nlp.text import Folded, fold
from nlp.thresholds import ThresholdReader
from nlp.unit_reader import trie_pattern


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
        self.gate = build_gate(words)

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

    Raises VocabularyError where a vocabulary file is not as it must be.
    """
    return Extractor(vocab.load(extension))


def _names_members(vocabulary: vocab.Vocabulary, alias: vocab.Alias) -> bool:
    """Whether a collective concept's name only lists its members ("AST and ALT"): each of them then
    is linked by its own name, one item a member."""
    joined = set(alias.text.lower().split()) & {"and", "or", "/", "&"}
    return bool(joined) and any(vocabulary.concepts[concept].members for concept in alias.concepts)


def build_gate(words: Iterable[lexicon.Word]) -> re.Pattern[str]:
    """What a text must hold to hold an item: a digit, a roman numeral ("NYHA class III or IV"), or a
    lexicon word that can begin one."""
    triggers = [
        surface for word in words if word.code in "qL" or (word.code == "0") for surface in word.words
    ]
    times = r"(?:past|last|previous|preceding|prior|within(?: the| a| one)?|recent)\s+(?:year|month|week|day|hour)"
    return re.compile(
        rf"\d|(?<![A-Za-z])(?:{trie_pattern(sorted(triggers))}|{times}|(?-i:I{{1,3}}|IV|VI{{0,3}}))(?![A-Za-z])",
        re.IGNORECASE,
    )


class _Run:
    """One text: its items, and the nodes of its criteria tree."""

    def __init__(self, extractor: Extractor, text: str) -> None:
        self.extractor = extractor
        self.text = text
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
        folded = fold(self.text, node.start, node.end)
        foreign: list[Span] = []
        if not self.text.isascii() and (blank := foreign_parts(folded.text)) is not None:
            folded, foreign = replace(folded, text=blank[0]), blank[1]
        drafts = self.extractor.drafts(folded.text)
        if node.kind == "note":
            for draft in drafts:
                draft.role = "definition"
            self._add(node, folded, drafts)
            self._keep(node, All(()), 1.0)
            return
        node = node._replace(logic=list_logic(folded.text, drafts, node.logic, node.section))
        if node.kind == "heading" and not drafts and node.logic in (None, "all"):
            self._keep(node, All(()), 1.0)
            return
        reading = express(folded.text, drafts, node.section, logic=node.logic, heading=node.heading)
        ids = self._add(node, folded, drafts)
        expression = _to_raw(reading.expression, folded, ids)
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
            item = self._item(node, folded, draft, f"i{len(self.items) + 1}")
            self.items.append(item)
            ids.append(item.id)
        return ids

    def _item(self, node: criteria.Node, folded: Folded, draft: Draft, key: str) -> Item:
        vocabulary = self.extractor.vocabulary
        concept = vocabulary.concepts.get(draft.concept or "")
        concept_span = None
        if draft.concept_start >= 0:
            concept_span = folded.span(draft.concept_start, draft.concept_end)
        value_span = folded.span(draft.value_start, draft.value_end)
        low, high, unit = self._canonical(draft)
        return Item(
            id=key,
            section=node.section,
            criterion=node.path,
            concept=draft.concept,
            concept_name=concept.name if concept else None,
            concept_text=self.text[slice(*concept_span)] if concept_span else None,
            concept_span=concept_span,
            role=draft.role,
            entity_type=draft.entity_type,
            kind=draft.kind,
            comparator=draft.comparator,
            low=draft.low,
            high=draft.high,
            low_inclusive=draft.low_inclusive,
            high_inclusive=draft.high_inclusive,
            values=draft.values,
            unit=draft.unit,
            unit_text=draft.unit_text,
            canonical_low=low,
            canonical_high=high,
            canonical_unit=unit,
            relative_to=draft.relative_to,
            value_text=self.text[slice(*value_span)],
            value_span=value_span,
            condition=self._qualifier(folded, draft.condition),
            exception=self._qualifier(folded, draft.exception),
            population=draft.population or node.population,
            window=draft.window,
            rule=draft.rule,
            flags=tuple(dict.fromkeys(draft.flags)),
        )

    def _qualifier(self, folded: Folded, span: tuple[int, int] | None) -> Qualifier | None:
        if span is None:
            return None
        raw = folded.span(*span)
        return Qualifier(self.text[slice(*raw)], raw)

    def _canonical(self, draft: Draft) -> tuple[float | None, float | None, str | None]:
        """The bounds in the concept's canonical unit; all None where that is not sure."""
        if draft.concept is None or draft.relative_to in ("ULN", "LLN", "LLOD", "baseline"):
            return None, None, None
        units = self.extractor.vocabulary.units
        found: list[float | None] = []
        unit = None
        for number in (draft.low, draft.high):
            converted = None if number is None else units.canonical(draft.concept, number, draft.unit)
            found.append(converted[0] if converted else None)
            unit = converted[1] if converted else unit
        return found[0], found[1], unit

    # ------------------------------------------------------------- the tree

    def criteria(self) -> Iterator[Criterion]:
        """The criteria in the order of the text; the parts of a list of alternatives stand in their
        parent's expression and are no criteria of their own."""
        children: dict[tuple[Section, str | None], list[int]] = {}
        for index, read in enumerate(self.reads):
            children.setdefault((read.node.section, read.node.parent), []).append(index)
        absorbed: set[int] = set()
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
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
        for index, read in enumerate(self.reads):
            if index not in absorbed:
                node = read.node
                start, end = starts.get(index, node.start), ends.get(index, node.end)
                yield Criterion(
                    path=node.path,
                    section=node.section,
                    text=self.text[start:end],
                    span=(start, end),
                    expression=read.reading.expression,
                    coverage=round(read.reading.coverage, 4),
                    parent=node.parent,
                    heading=node.heading,
                    population=node.population,
                )

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


def _to_raw(expression: Expression, folded: Folded, ids: list[str]) -> Expression:
    """The expression with raw spans, and items' ids for the indexes of their drafts."""
    match expression:
        case All(parts):
            return All(tuple(_to_raw(part, folded, ids) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_to_raw(part, folded, ids) for part in parts))
        case Not(part):
            return Not(_to_raw(part, folded, ids))
        case If(condition, then, otherwise):
            return If(
                _to_raw(condition, folded, ids),
                _to_raw(then, folded, ids),
                _to_raw(otherwise, folded, ids),
            )
        case Leaf(item):
            return Leaf(ids[int(item)])
        case Fact(text, span, concept):
            return Fact(text, folded.span(*span), concept)
        case Unread(span, why):
            return Unread(folded.span(*span), why)
