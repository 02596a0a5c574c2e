"""The stages of reading as text for people: sections, tree, normalised text, mentions, links, items, expression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp.explain import Stages
    from nlp.model import Extraction, Item

_WIDTH = 12  # columns of a stage's name


def explained(sections: list[dict[str, Any]], extraction: Extraction, rows: list[Stages], text: str) -> str:
    """Everything that was done with ``text``, a block a line of its criteria tree, with a legend of the rules and flags."""
    items = {item.id: item for item in extraction.items}
    blocks = ["\n".join(["Sections", *(_section(one) for one in sections)])]
    blocks += ["\n".join(_block(row, items, text)) for row in rows]
    if legend := _legend(list(extraction.items)):
        blocks.append("\n".join(legend))
    return "\n\n".join(blocks)


def _section(row: dict[str, Any]) -> str:
    start, end = row["span"]
    opened = (
        f"opened by the heading “{row['heading']}”"
        if row["heading"]
        else "no heading: taken as it was asked for"
    )
    who = f"; for {row['population']} only" if row["population"] else ""
    aside = "" if row["sets_conditions_of_entry"] else "; sets no condition of entry"
    return f"  {row['section']:<10} [{start}:{end}]  {opened}{who}{aside}"


def _line(name: str, words: str) -> str:
    return f"  {name:<{_WIDTH}}{words}"


def _block(row: Stages, items: dict[str, Item], text: str) -> Iterator[str]:
    from nlp.explain import unread, worded

    node = row.node
    yield f"{node.section} {node.path}  [{node.start}:{node.end}]  {' '.join(row.raw.split())}"
    if " ".join(row.raw.split()) != row.folded:
        yield _line("normalised", row.folded)
    if structure := _structure(row):
        yield _line("structure", structure)
    if node.language != "en":
        yield _line("language", "another language: left unread")
    elif row.mentions:
        yield _line("mentions", " | ".join(f"{word} ({kind})" for kind, word in row.mentions))
    else:
        yield _line("mentions", "none: it holds no number, result or limit")
    for item in row.items:
        yield from _item(item)
    if row.criterion is not None:
        yield _line("expression", worded(row.criterion.expression, items, text))
        yield _line("coverage", f"{row.criterion.coverage:.0%} of the words were understood")
        for leaf in unread(row.criterion):
            yield _line("unread", f"[{leaf.span[0]}:{leaf.span[1]}] {leaf.why}")


def _structure(row: Stages) -> str:
    node = row.node
    words = []
    if node.kind == "heading":
        words.append("a heading: no demand of its own")
    elif node.kind == "note":
        words.append("a note: no demand")
    if node.parent:
        words.append(f"part of {node.parent}")
    if node.heading:
        words.append(f"under “{' '.join(node.heading.split())}”")
    if node.logic:
        words.append(f"its parts: {_LOGIC.get(node.logic, node.logic.replace('_', ' ').replace(':', ' '))}")
    if node.population:
        words.append(f"for {node.population} only")
    return "; ".join(words)


_LOGIC = {"all": "each stands by itself", "any": "one of them is enough", "together": "all at once"}


def _item(item: Item) -> Iterator[str]:
    from nlp.explain import said

    value = " ".join(item.value_text.split())
    yield _line(f"item {item.id}", f"{said(item)}   <- “{value}”, rule {item.rule}")
    named = " ".join((item.concept_text or "").split())
    if item.concept:
        yield _line("", f"link: “{named}” is {item.concept} ({item.concept_name})")
    else:
        yield _line("", f"link: “{named}” is in no vocabulary" if named else "link: no name found")
    more = [f"role: {item.role}"] if item.role != "requirement" else []
    more += [f"condition: “{item.condition.text}”"] if item.condition else []
    more += [f"exception: “{item.exception.text}”"] if item.exception else []
    if item.window is not None:
        window = item.window
        bound = "" if window.value is None else f"{window.value:g} {window.unit or ''}"
        more.append(" ".join(f"window: {bound} {window.direction or ''} {window.anchor or ''}".split()))
    if item.canonical_unit and item.canonical_unit != item.unit:
        bounds = [f"{one:.6g}" for one in (item.canonical_low, item.canonical_high) if one is not None]
        more.append(f"in {item.canonical_unit}: {' to '.join(bounds)}")
    more += [f"flags: {', '.join(item.flags)}"] if item.flags else []
    if more:
        yield _line("", "; ".join(more))


def _legend(items: list[Item]) -> list[str]:
    """What the rules and flags that occur say."""
    from nlp.explain import FLAG_WORDS
    from nlp.lexicon import load_rules

    rules = {rule.id: rule.says for rule in load_rules()}
    used = sorted({item.rule for item in items if item.rule in rules})
    flags = sorted({flag for item in items for flag in item.flags})
    lines = [f"  rule {name}: {rules[name]}" for name in used]
    lines += [f"  flag {name}: {FLAG_WORDS.get(name, '')}" for name in flags]
    return ["Legend", *lines] if lines else []
