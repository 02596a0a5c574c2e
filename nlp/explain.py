"""Show each stage that a text goes through, and which rule did what.

Everything here is read off the stages themselves: :mod:`nlp.pipeline` is run, nothing is told twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nlp import criteria
from nlp.cues import cues
from nlp.language import foreign_parts
from nlp.lexicon import CODES, load_rules
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
    Unread,
    expression_to_json,
    leaves,
)
from nlp.pipeline import Extractor
from nlp.sections import Block, split
from nlp.text import fold

CODE_NAMES = {
    **{code: label.replace("_", " ") for label, code in CODES.items()},
    "u": "unit",
    "U": "unit without a number",
    "k": "concept",
    "w": "word",
    ",": "comma",
    ".": "end of clause",
    ":": "colon",
    "(": "bracket",
    ")": "bracket",
    "/": "slash",
}


FLAG_WORDS = {
    "lost_comparator": "the sign before the number was lost (sites turn >= into =); nothing is concluded from it",
    "implausible_value": "outside what is possible for this concept; kept as written",
    "restated_unit": "the same bound is said in a second unit",
    "implicit_multiple": "a limit without a number: 1 x the limit",
    "unit_assumed": "the text names no unit; the concept's usual one is meant",
    "ambiguous_concept": "the name stands for several concepts and nothing near it decides",
    "contradiction": "no value can satisfy this together with another limit of the criterion",
}
"""What each flag of an item says."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What became of one node of the criteria tree, stage by stage.

    ``raw`` is its text as it came in, ``folded`` the normalised form that is read.
    """

    node: criteria.Node
    raw: str
    folded: str
    gated: bool
    mentions: tuple[tuple[str, str], ...]
    items: tuple[Item, ...]
    criterion: Criterion | None

    def to_json(self) -> dict[str, Any]:
        """The stages as plain data."""
        node = self.node
        return {
            "path": node.path,
            "section": node.section,
            "kind": node.kind,
            "logic": node.logic,
            "heading": node.heading,
            "population": node.population,
            "language": node.language,
            "span": [node.start, node.end],
            "raw": self.raw,
            "folded": self.folded,
            "read_by_spacy": self.gated,
            "mentions": [{"kind": kind, "text": text} for kind, text in self.mentions],
            "items": [item.to_json() for item in self.items],
            "expression": expression_to_json(self.criterion.expression) if self.criterion else None,
            "coverage": self.criterion.coverage if self.criterion else None,
            "unread": [leaf.why for leaf in unread(self.criterion)] if self.criterion else [],
        }


def unread(criterion: Criterion | None) -> list[Unread]:
    """The leaves of a criterion that were not understood."""
    if criterion is None:
        return []
    return [leaf for leaf in leaves(criterion.expression) if isinstance(leaf, Unread)]


def sections(text: str, section: str = "full") -> list[dict[str, Any]]:
    """The sections that were found: side, population, span, and the heading that opened each (null: none)."""

    def row(block: Block) -> dict[str, Any]:
        heading = block.heading
        return {
            "section": block.section,
            "population": block.population,
            "span": [block.start, block.end],
            "heading": None if heading is None else " ".join(text[slice(*heading)].split()),
            "heading_span": None if heading is None else list(heading),
            "sets_conditions_of_entry": not block.aside,
        }

    return [row(block) for block in split(text, section)]


def explain(extractor: Extractor, text: str, section: str = "full") -> tuple[Extraction, list[Stages]]:
    """Every stage of reading ``text``, a row a node of its criteria tree, in the order of the text."""
    extraction = extractor.extract(text, section)
    by_path = {(criterion.section, criterion.path): criterion for criterion in extraction.criteria}
    rows = []
    for node in sorted(criteria.parse(text, section), key=lambda node: node.start):
        folded = fold(text, node.start, node.end).text
        read = folded if (blank := foreign_parts(folded)) is None else blank[0]
        gated = node.language == "en" and extractor.gate.search(read) is not None
        items = [i for i in extraction.items if i.section == node.section and i.criterion == node.path]
        rows.append(
            Stages(
                node,
                text[node.start : node.end],
                folded,
                gated,
                _mentions(extractor, read) if gated else (),
                tuple(items),
                by_path.get((node.section, node.path)),
            )
        )
    return extraction, rows


def _mentions(extractor: Extractor, folded: str) -> tuple[tuple[str, str], ...]:
    lexemes = extractor.finder.find(folded)
    found = enumerate(lexemes.codes)
    return tuple((CODE_NAMES[code], lexemes.word(at)) for at, code in found if code not in "wf,")


def worded(expression: Expression, items: dict[str, Item], text: str) -> str:
    """An expression as one line of words: what must hold for a patient who may enter."""

    def down(part: Expression) -> str:
        return worded(part, items, text)

    match expression:
        case All(()):
            return "no demand"
        case All(parts):
            return "all of (" + "; ".join(map(down, parts)) + ")"
        case AnyOf(()):
            return "never"
        case AnyOf(parts):
            return "any of (" + "; ".join(map(down, parts)) + ")"
        case Not(part):
            return f"not ({down(part)})"
        case If(condition, then, otherwise):
            other = "" if otherwise == All(()) else f", else {down(otherwise)}"
            return f"if {down(condition)} then {down(then)}{other}"
        case Leaf(item):
            return f"{said(items[item])} [{item}]" if item in items else f"[{item}]"
        case Fact(words, _, _):
            return f"“{' '.join(words.split())}”"
        case Unread(span, _):
            return f"NOT READ “{' '.join(text[slice(*span)].split())}”"


def rule_book(extractor: Extractor) -> str:
    """The rule book as Markdown: made from the rules' own data and examples, each example read anew."""
    lines = [
        "# The rule book",
        "",
        "Generated by `trialkb vocabulary rules` from `nlp/data/rules.jsonl`, `lexicon.jsonl` and `cues.jsonl`;",
        "a test fails when this page and the data part. Each example is read by the program as it is now.",
        "",
        "## Values",
        "",
        "Tried in this order at each place where one could begin; a builder may still refuse what the pattern",
        "lets through. A pattern runs over one-letter codes: "
        + ", ".join(f"`{code}` {name}" for code, name in sorted(CODE_NAMES.items()))
        + ".",
        "",
    ]
    for rule in load_rules():
        lines += [
            f"### {rule.id}",
            "",
            rule.says,
            "",
            f"Pattern `{rule.source}`, read by `{rule.builder}`.",
            "",
        ]
        for text, _ in rule.examples:
            read = [item for item in extractor.extract(text, "inclusion").items if item.rule == rule.id]
            lines.append(f"- “{text}”: " + ("; ".join(map(said, read)) or "not read"))
        lines.append("")
    lines += ["## Words", "", "| id | kind | stands for | words |", "|---|---|---|---|"]
    for word in extractor.words:
        if word.code not in "fwxh0":
            shown = ", ".join(word.words[:12]).replace("|", "\\|") + (" ..." if len(word.words) > 12 else "")
            lines.append(f"| {word.id} | {word.label.replace('_', ' ')} | {word.value or ''} | {shown} |")
    lines += ["", "## Cues of the expressions", "", "| id | effect | words |", "|---|---|---|"]
    for cue in cues():
        shown = ", ".join(cue.words[:12]).replace("|", "\\|") + (" ..." if len(cue.words) > 12 else "")
        lines.append(f"| {cue.id} | {cue.effect} | {shown} |")
    return "\n".join(lines) + "\n"


def said(item: Item) -> str:
    """An item in one short line: "ALT <= 2.5 x ULN"."""
    name = item.concept_name or item.concept_text or "?"
    unit = f"x {item.relative_to}" if item.relative_to in ("ULN", "LLN", "baseline") else item.unit or ""
    if item.relative_to == "LLOD":
        unit = "limit of detection"
    if item.values:
        amount = "one of " + ", ".join(f"{value:g}" for value in item.values)
    elif item.comparator == "range":
        left = "(" if item.low_inclusive is False else "["
        right = ")" if item.high_inclusive is False else "]"
        amount = f"in {left}{_number(item.low)}, {_number(item.high)}{right}"
    else:
        bound = item.low if item.low is not None else item.high
        amount = f"{item.comparator} {_number(bound)}".strip()
    return " ".join(part for part in (name, amount, unit) if part)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
