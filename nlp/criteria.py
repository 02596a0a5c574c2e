"""The criteria tree of a text: one node for each criterion, heading or note, with its raw span."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nlp.markers import Entry, adopt_bare_numbers, join_wrapped, read_lines, return_lone_letters
from nlp.model import Section
from nlp.outline import Outline, is_title
from nlp.paths import Paths
from nlp.populations import heading as population_of_heading
from nlp.populations import heads_people, label, nested, titles
from nlp.runon import Numbers, advance, dashes_run_on, hints, split_entry
from nlp.sections import Block, split


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the criteria tree.

    ``path`` is the parser's numbering, unique within its section: the text's own numbers where it has
    them, invented ordinals where it has none. ``start:end`` is the raw span of the node's own text,
    without bullet, number and surrounding white space. ``heading`` is the nearest heading above it.
    ``logic`` says how the children combine: ``all``, ``any``, ``at_least:N``, ``together`` (an
    exclusion only when all of them hold), None without children. ``kind`` is ``criterion``,
    ``heading`` (introduces its children, carries no demand itself) or ``note`` (no criterion).
    """

    path: str
    section: Section
    start: int
    end: int
    parent: str | None
    heading: str | None
    logic: str | None
    population: str | None
    language: str
    kind: str


_COLON = re.compile(r"[:：]\s?[.\-–]?$")
_NUMBER_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_AT_LEAST = re.compile(
    r"(?:at least|a minimum of|minimum|any|≥|\\?>=|≧)\s*(\d|two|three|four|five|six)\s*(?:\(\d\)\s*)?(?:or more\s*)?(?:of\b|criteria|items?|conditions?|points)"
    r"|\b(\d|two|three|four|five|six)\s*(?:\(\d\)\s*)?or more\s*(?:of\b|criteria|items?|conditions?)",
    re.IGNORECASE,
)
_ANY = re.compile(
    r"\b(?:any|either|one|1|least one|least 1|one or more|1 or more)\s*(?:\(\d\)\s*)?(?:one\s*)?(?:or more\s*)?(?:of|criteri\w+)\b|\bany\b[^:]{0,30}\bfollowing\b"
    r"|\beither\s*[:：]$|\bone of (?:these|them)\b|\bat least one\b|\bone or more\b",
    re.IGNORECASE,
)
_ALL = re.compile(r"\b(?:all|both|each)\b[^:]{0,40}$|\ball of\b|\bboth of\b|\beach of\b", re.IGNORECASE)


_OR_END = re.compile(r"\bor\s*[.,;]?$", re.IGNORECASE)
_AND_END = re.compile(r"\band\s*[.,;]?$", re.IGNORECASE)


def logic(text: str, section: Section, children: Sequence[str] = ()) -> str:
    """How the children of a node with this text combine.

    Its words decide; where they say nothing, the "or" or "and" that all of the ``children`` but the
    last end in; else ``all``. In an exclusion ``all`` means that each child excludes by itself.
    """
    said = _said(text, section)
    if said != "all" or len(children) < 2:
        return said
    if section != "exclusion" and all(_OR_END.search(child[-6:]) for child in children[:-1]):
        return "any"
    if section == "exclusion" and all(_AND_END.search(child[-6:]) for child in children[:-1]):
        return "together"
    return "all"


def _said(text: str, section: Section) -> str:
    tail = text[-200:]
    if match := _AT_LEAST.search(tail):
        word = (match[1] or match[2]).lower()
        count = int(word) if word.isdigit() else _NUMBER_WORDS[word]
        if count > 1:
            return f"at_least:{count}"
        return "any" if section != "exclusion" else "all"
    if _ANY.search(tail):
        return "any" if section != "exclusion" else "all"
    if section == "exclusion" and _ALL.search(tail):
        return "together"
    return "all"


_MEETS = re.compile(
    r"(?:meets?|fulfil\w*|satisf\w*|following|as follows|defined (?:as|by)|defined below|below|requirements?|conditions?|criteria)\s*[:：]$",
    re.IGNORECASE,
)
_TOPIC = re.compile(
    r"(?:criteria|requirements|conditions|characteristics|functions?|values|parameters|measurements|tests|visit ?\d?|part ?\w?|phase ?\w{1,3})$"
    r"|^(?:ex|in)clusions? (?:criteria )?(?:related to|based on|due to|for)\b|^\(?(?:all|any|one|both) of the following\)?$",
    re.IGNORECASE,
)
_DEMAND = re.compile(r"[<>≤≥≦≧=]|\d\s?(?:%|mg|g/|mm|×|x )|\bnegative\b|\bpositive\b", re.IGNORECASE)
_NOTE = re.compile(
    r"(?:note\s*[:：]?\s*)?(?:(?:other|further|additional|all|more|various|\d+)\s+)?(?:protocol[- ](?:defined|specified)\s+)?"
    r"(?:in|ex)clusion\s?(?:/\s?(?:in|ex)clusion)?\s+criteria\s+(?:may\s+|could\s+|will\s+|must\s+)?(?:appl(?:y|ied)|be\s|are\s+(?:listed|specified)|according)"
    r"|further criteria apply|inclusion of vulnerable|(?:other|further|additional)[\w /\-]{0,40}criteria[\w ]{0,12}apply",
    re.IGNORECASE,
)
_CJK_TEXT = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0400-\u052f\u0590-\u06ff\u0e00-\u0e7f\u0900-\u097f]"
)
_LATIN = re.compile(r"[A-Za-z]{2,}")


def language(text: str) -> str:
    """``other`` where letters of another script outweigh the Latin words, else ``en``."""
    if text.isascii() or not _CJK_TEXT.search(text):
        return "en"
    foreign = len(_CJK_TEXT.findall(text))
    return "other" if foreign >= 4 and foreign > 2 * len(_LATIN.findall(text)) else "en"


def parse(raw: str, section: str) -> list[Node]:
    """The criteria tree of ``raw`` in the order of the text.

    ``section`` is ``inclusion``, ``exclusion``, ``full`` (the whole eligibility text: its headings
    decide) or ``unknown``. Raises ValueError for any other. Every character that is not white space,
    bullet or number is inside exactly one node, or in a section heading.
    """
    nodes: list[Node] = []
    taken: dict[Section, Paths] = {"inclusion": Paths(), "exclusion": Paths(), "unknown": Paths()}
    for block in split(raw, section):
        nodes.extend(_block(raw, block, taken[block.section]))
    return nodes


def _entries(raw: str, block: Block) -> list[Entry]:
    """The entries of a block: its lines, cut where a numbering runs on inside them."""
    lines = join_wrapped(raw, read_lines(raw, block.start, block.end))
    adopt_bare_numbers(raw, lines)
    return_lone_letters(raw, lines)
    dashes = dashes_run_on(
        raw[block.start : block.end], raw[max(0, block.start - 3) : block.start].rstrip().endswith(":-")
    )
    spots = hints(raw, block.start, block.end)
    if not spots and not dashes:
        return lines
    entries: list[Entry] = []
    numbers: Numbers = []
    spot = 0
    for index, entry in enumerate(lines):
        while spot < len(spots) and spots[spot] < entry.start:
            spot += 1
        parts = [entry]
        if dashes or (spot < len(spots) and spots[spot] < entry.end):
            after = lines[index + 1] if index + 1 < len(lines) else None
            parts = split_entry(raw, entry, numbers, after, dashes)
        for part in parts:
            if part.enum is not None:
                advance(numbers, part.enum.style, part.enum.value)
        entries.extend(parts)
    return entries


def _flat(entries: list[Entry], texts: list[str], taken: Paths) -> list[str] | None:
    """The paths of a block that is one plain list: all bullets alike, or 1., 2., 3.; None if it is not."""
    first = entries[0]
    look = (first.indent, first.bullet, first.enum is None)
    number = first.enum.value if first.enum else 1
    if taken.taken or number != 1 or first.second:
        return None
    for entry, text in zip(entries, texts, strict=True):
        if (entry.indent, entry.bullet, entry.enum is None) != look or (
            text[-1] in ":：-." and _COLON.search(text) is not None
        ):
            return None
        if entry.enum is not None and (entry.enum.style != first.enum.style or entry.enum.value != number):  # type: ignore[union-attr]
            return None
        number += 1
    if (
        first.bullet == ""
        and first.enum is None
        and any(is_title(text) and heads_people(text) for text in texts)
    ):
        return None
    paths = (
        [str(index + 1) for index in range(len(entries))]
        if first.enum is None
        else [e.enum.label for e in entries if e.enum]
    )
    return paths if taken.claim_plain(paths) else None


def _block(raw: str, block: Block, taken: Paths) -> list[Node]:
    entries = _entries(raw, block)
    if not entries:
        return []
    texts = [raw[entry.start : entry.end] for entry in entries]
    if (flat := _flat(entries, texts, taken)) is not None:
        section, who = block.section, block.population
        return [
            Node(
                path,
                section,
                entry.start,
                entry.end,
                None,
                None,
                None,
                nested(who, label(text)),
                language(text),
                _kind(text, False, False),
            )
            for path, entry, text in zip(flat, entries, texts, strict=True)
        ]
    colons = [text[-1] in ":：-." and _COLON.search(text) is not None for text in texts]
    outline = Outline(entries, texts, colons)
    parents = outline.parents()
    children: list[list[int]] = [[] for _ in entries]
    for index, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(index)
    kinds = [
        _kind(texts[i], bool(children[i]), colons[i], outline.rank(i) if children[i] else 0)
        for i in range(len(entries))
    ]
    roots = [index for index, parent in enumerate(parents) if parent < 0]
    paths = taken.assign(entries, children, roots, block.population)
    nodes: list[Node] = []
    for index, entry in enumerate(entries):
        parent = parents[index]
        above = nodes[parent] if parent >= 0 else None
        heading = None
        who = block.population
        if above is not None:
            heading = texts[parent] if colons[parent] or kinds[parent] == "heading" else above.heading
            who = above.population
        own = population_of_heading(texts[index]) if children[index] else None
        who = nested(who, own or label(texts[index]))
        nodes.append(
            Node(
                path=paths[index],
                section=block.section,
                start=entry.start,
                end=entry.end,
                parent=None if above is None else above.path,
                heading=heading,
                logic=logic(texts[index], block.section, [texts[child] for child in children[index]])
                if children[index]
                else None,
                population=who,
                language=language(texts[index]),
                kind=kinds[index],
            )
        )
    return nodes


def _kind(text: str, has_children: bool, colon: bool, rank: int = 0) -> str:
    if ("riteri" in text or "RITERI" in text or "ulnerable" in text) and _NOTE.match(text):
        return "note"
    if rank >= 2 and not _DEMAND.search(text):
        return "heading"
    if text.lower().strip(" *_") == "and":
        return "note"  # a lone "AND" between criteria says what holds anyway; a lone "OR" does not
    if has_children and titles(text):
        return "heading"
    if has_children and not _DEMAND.search(text):
        if _MEETS.search(text) or (colon and len(text.split()) <= 5):
            return "heading"
        if len(text) <= 60 and _TOPIC.search(text):
            return "heading"
    elif colon and not has_children and len(text.split()) <= 3:
        return "heading"
    return "criterion"
