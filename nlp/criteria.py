"""The criteria tree of a text: one node for each criterion, heading or note, with its raw span."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from nlp.alternatives import LONE, join_alternatives
from nlp.language import language
from nlp.markers import Entry, adopt_bare_numbers, read_lines, return_lone_letters
from nlp.model import Section
from nlp.outline import Outline
from nlp.paths import Paths
from nlp.populations import everyone, heads_people, label, nested, other_sex, titles
from nlp.populations import heading as population_of_heading
from nlp.rejoin import join_broken, join_wrapped
from nlp.runon import Numbers, advance, cut_at_groups, dashes_run_on, hints, split_entry
from nlp.sections import Block, split


class Node(NamedTuple):
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
    r"|\bone or a combination of\b|\beither\s*[:：]$|\bone of (?:these|them)\b|\bat least one\b|\bone or more\b",
    re.IGNORECASE,
)
_ALL_OF = re.compile(r"\b(?:all|both|each) of\b", re.IGNORECASE)
_ALL = re.compile(r"\b(?:all|both|each)\b[^:]{0,40}$", re.IGNORECASE)


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
    if section == "exclusion" and (_ALL_OF.search(tail) or (_ALL.search(tail) and not everyone(tail))):
        return "together"  # "All cohorts:" says whom, not how
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
_GROUP_OF_PATIENTS = re.compile(
    r"(?:patients?|participants?|subjects?|individuals|people|adults|volunteers) (?:with|without|on|receiving) (?!any\b|one\b|the following)[^:：;.<>≤≥=]{2,60}[:：]?",
    re.IGNORECASE,
)
_NOTE_WORDS = ("riteri", "RITERI", "ulnerable")  # one of them is in every note
_NOTE = re.compile(
    r"(?:note\s*[:：]?\s*)?(?:(?:other|further|additional|all|more|various|\d+)\s+)?(?:protocol[- ](?:defined|specified)\s+)?"
    r"(?:in|ex)clusion\s?(?:/\s?(?:in|ex)clusion)?\s+criteria\s+(?:may\s+|could\s+|will\s+|must\s+)?(?:appl(?:y|ied)|be\s|are\s+(?:listed|specified)|according)"
    r"|further criteria apply|inclusion of vulnerable|(?:other|further|additional)[\w /\-]{0,40}criteria[\w ]{0,12}apply",
    re.IGNORECASE,
)


def parse(raw: str, section: str) -> list[Node]:
    """The criteria tree of ``raw`` in the order of the text.

    ``section`` is ``inclusion``, ``exclusion``, ``full`` (the whole eligibility text: its headings
    decide) or ``unknown``. Raises ValueError for any other. Every character that is not white space,
    bullet or number is inside exactly one node, or in a section heading.
    """
    nodes: list[Node] = []
    taken: dict[Section, Paths] = {}
    for block in split(raw, section):
        if block.section not in taken:
            taken[block.section] = Paths()
        found = _block(raw, block, taken[block.section])
        nodes.extend([node._replace(kind="note") for node in found] if block.aside else found)
    return nodes


def _entries(raw: str, block: Block) -> list[Entry]:
    """The entries of a block: its lines, cut where a numbering runs on inside them."""
    start, end = block.start, block.end
    lines = join_wrapped(raw, read_lines(raw, start, end))
    if any(entry.enum for entry in lines):
        adopt_bare_numbers(raw, lines)
        return_lone_letters(raw, lines)
    lines = cut_at_groups(raw, lines, start, end)
    dashes = dashes_run_on(raw[start:end], raw[max(0, start - 3) : start].rstrip().endswith(":-"))
    if dashes or (spots := hints(raw, start, end)):
        lines = _run_on(raw, lines, None if dashes else spots)
    return join_broken(raw, lines, start, end)


def _run_on(raw: str, lines: list[Entry], spots: list[int] | None) -> list[Entry]:
    """The lines, cut at run-on items; ``spots`` are where one could start (None: anywhere)."""
    entries: list[Entry] = []
    numbers: Numbers = []
    known = {(entry.enum.style, entry.enum.value) for entry in lines if entry.enum}
    spot = 0
    for index, entry in enumerate(lines):
        parts = [entry]
        near: list[int] | None = None
        if spots is not None:
            while spot < len(spots) and spots[spot] < entry.start:
                spot += 1
            first = spot
            while spot < len(spots) and spots[spot] < entry.end:
                spot += 1
            near = spots[first:spot]
        if near is None or near:
            after = lines[index + 1] if index + 1 < len(lines) else None
            parts = split_entry(raw, entry, numbers, after, near, known)
        for part in parts:
            if part.enum is not None:
                advance(numbers, part.enum.style, part.enum.value)
        entries.extend(parts)
    return entries


def _opens(text: str) -> bool:
    """Whether a line ends in a colon, with a dash behind it or without."""
    return text[-1] in ":：-–." and _COLON.search(text, len(text) - 3 if len(text) > 3 else 0) is not None


def _flat(entries: list[Entry], texts: list[str], taken: Paths) -> list[str] | None:
    """The paths of a block that is one plain list: all bullets alike, or 1., 2., 3.; None if it is not."""
    first = entries[0]
    if taken.taken or first.second or (first.enum is not None and first.enum.value != 1):
        return None
    indent, bullet = first.indent, first.bullet
    for text in texts:
        last = text[-1]
        if last in ":：-–." and _COLON.search(text, max(0, len(text) - 3)) is not None:
            return None
        if (last == "g" and text.endswith(("ollowing", "OLLOWING"))) or (len(text) <= 8 and text in LONE):
            return None
    if first.enum is None:
        gaps = 0
        for entry in entries:
            if entry.indent != indent or entry.bullet != bullet or entry.enum is not None:
                return None
            gaps += entry.gap
        gaps -= first.gap
        # some empty lines, not one between all: a line between two of them may be a title
        if gaps and not bullet and 5 * gaps <= 3 * len(entries):
            for entry, after, text in zip(entries, entries[1:], texts, strict=False):
                if entry.gap and after.gap and heads_people(text):
                    return None
        paths = [str(number) for number in range(1, len(entries) + 1)]
    else:
        style = first.enum.style
        paths = []
        for number, entry in enumerate(entries, 1):
            enum = entry.enum
            if enum is None or enum.style != style or enum.value != number:
                return None
            if entry.indent != indent or entry.bullet != bullet:
                return None
            paths.append(enum.label)
    return paths if taken.claim_plain(paths) else None


def _block(raw: str, block: Block, taken: Paths) -> list[Node]:
    entries = _entries(raw, block)
    if not entries:
        return []
    texts = [raw[entry.start : entry.end] for entry in entries]
    section, who = block.section, block.population
    if (flat := _flat(entries, texts, taken)) is None:
        return _tree(block, entries, texts, taken)
    noted = any(word in raw for word in _NOTE_WORDS)
    return [
        Node(
            path, section, entry.start, entry.end, None, None, None,
            nested(who, own) if (own := label(text)) is not None else who,
            "en" if text.isascii() else language(text),
            _kind(text, False, False) if noted or len(text) < 12 else "criterion",
        )
        for path, entry, text in zip(flat, entries, texts, strict=True)
    ]  # fmt: skip


def _tree(block: Block, entries: list[Entry], texts: list[str], taken: Paths) -> list[Node]:
    """The nodes of a block whose entries nest."""
    colons = [_opens(text) and text not in LONE for text in texts]
    outline = Outline(entries, texts, colons)
    parents = outline.parents()
    order = list(range(len(entries)))
    idle, unsure, runs = set[int](), set[int](), set[int]()
    if not LONE.isdisjoint(texts):
        anywhere = {p for p in set(parents) if p >= 0 and _said(texts[p], block.section) != "all"}
        order, idle, unsure, runs = join_alternatives(texts, parents, block.section, anywhere)
    children: list[list[int]] = [[] for _ in entries]
    for index in order:
        if (parent := parents[index]) >= 0:
            children[parent].append(index)
    kinds = [
        _kind(text, bool(below), colon, outline.rank(i) if below else 0)
        for i, (text, below, colon) in enumerate(zip(texts, children, colons, strict=True))
    ]
    groups = _group_titles(entries, texts, parents, children)
    for index in groups:
        kinds[index] = "heading"
    for index in (*idle, *unsure):
        kinds[index] = "note" if index in idle else "criterion"
    paths = taken.assign(entries, children, [i for i in order if parents[i] < 0], block.population)
    nodes: dict[int, Node] = {}
    for index in order:
        entry, text, parent = entries[index], texts[index], parents[index]
        above = nodes[parent] if parent >= 0 else None
        heading = None
        who = block.population
        if above is not None:
            heading = texts[parent] if colons[parent] or kinds[parent] == "heading" else above.heading
            who = above.population
        own = groups.get(index) or population_of_heading(text) if children[index] else other_sex(text, who)
        nodes[index] = Node(
            path=paths[index],
            section=block.section,
            start=entry.start,
            end=entry.end,
            parent=None if above is None else above.path,
            heading=heading,
            logic="all"
            if index in runs
            else _logic(text, block.section, [texts[child] for child in children[index]]),
            population=nested(who, own or label(text)),
            language=language(text),
            kind=kinds[index],
        )
    return list(nodes.values())


def _group_titles(
    entries: list[Entry], texts: list[str], parents: list[int], children: list[list[int]]
) -> dict[int, str]:
    """The lines "Patients with lupus" that head the part about one group beside "Healthy volunteers"."""
    beside = {parents[i] for i, below in enumerate(children) if below and titles(texts[i])}
    return {
        i: text.strip(" :：")
        for i, (entry, text) in enumerate(zip(entries, texts, strict=True))
        if children[i]
        and parents[i] in beside
        and not entry.bullet
        and entry.enum is None
        and _GROUP_OF_PATIENTS.fullmatch(text)
        and not titles(text)
    }


def _logic(text: str, section: Section, below: list[str]) -> str | None:
    if not below:
        return None
    return "any" if text in LONE else logic(text, section, below)


def _kind(text: str, has_children: bool, colon: bool, rank: int = 0) -> str:
    if ("riteri" in text or "RITERI" in text or "ulnerable" in text) and _NOTE.match(text):
        return "note"
    if len(text) < 12:
        if text.strip(" *_").lower() == "and":
            return "note"  # between criteria it says what holds anyway
        if has_children and text in LONE:
            return "heading"
    if rank >= 2 and not _DEMAND.search(text):
        return "heading"
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
