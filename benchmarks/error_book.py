"""Why extraction errs on annotated text: each error named by the first stage that goes wrong.

The rules look at what the item and the gold row hold, and at nothing else: they see form. Whether a false
positive is "probably real, not annotated" a reader has to say.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

Row = dict[str, Any]
Item = dict[str, Any]
CERTAIN = ("linked", "num_certain", "comp_certain", "unit_certain")
"""Only gold rows with all of these count at the level of units."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One error: a false positive, or a gold value that was missed or read wrong."""

    cause: str
    doc_id: str
    entity_type: str
    text: str
    gold: Item | None = None
    found: tuple[Item, ...] = ()


_SIGN = re.compile(
    r"[<>=≤≥≧≦＞＜±]|least|most|than|less|more|over|under|above|below|between|within|exceed|greater|older|younger|"
    r"minimum|maximum|up to|up$|\+$|last|past|previous|preceding|\bto\b|\d\s*[-–~]\s*\d",
    re.IGNORECASE,
)


def _sign(said: str) -> str:
    if _SIGN.search(said):
        return "sign or words"
    return "bare number" if re.search(r"\d", said) else "number word"


def miss_cause(scorer: ModuleType, gold: Item, matched: list[Item], near: list[Item]) -> str:
    """Why a gold value was not read right: the first stage at which it goes wrong."""
    if not matched:
        if near:
            return "value shared: one item for several concepts or bounds"
        return f"undetected value: {_sign(gold.get('value_text') or '')}"
    item = matched[0]
    concepts, own = scorer.frags(gold, "concept"), scorer.frags(item, "concept")
    alternatives = [tuple(span) for span in gold.get("concept_alt") or []]
    aged = gold["entity_type"] == "Age" and item.get("entity_type") == "Age"
    if concepts and not aged:
        if not own:
            return "concept missing"
        if not scorer.ovl(concepts + alternatives, own):
            return "concept: other words"
        if scorer.length(own) > min(160, 3 * scorer.length(concepts + alternatives) + 20):
            return "concept: span too long"
    said, read = scorer.numbers_of(gold), [n for each in matched for n in scorer.numbers_of(each)]
    if sorted(set(said)) != sorted(set(read)) and not _scaled(scorer, gold, item, said, read):
        return "number: one side of two" if set(said) & set(read) else "number"
    if "lost_comparator" in (item.get("flags") or []):
        return "lost comparator"
    return "comparator"


def _scaled(scorer: ModuleType, gold: Item, item: Item, said: list[float], read: list[float]) -> bool:
    a, b = scorer.fact(gold.get("unit")), scorer.fact(item.get("unit"))
    return all(any(scorer.eqn(x * a, y * b) for y in read) for x in said)


def extra_cause(scorer: ModuleType, item: Item, where: str) -> str:
    """What kind of false positive an item is."""
    flags = item.get("flags") or []
    if where.startswith("rejected:"):
        return "annotator-rejected region"
    if "restated_unit" in flags:
        return "restated"
    if "lost_comparator" in flags:
        return "number without a comparator"
    place = "unannotated line" if where == "unannotated-line" else "annotated line"
    if item.get("role") not in (None, "requirement"):
        return f"{place}: read as {item['role']}"
    label, inferred = item.get("entity_type"), scorer.infer_type({**item, "entity_type": None})
    if label != inferred and inferred in ("Temporal", "Age"):
        return f"{place}: type {label}, unit says {inferred}"
    if item.get("concept"):
        return f"{place}: known concept with a value (probably real, not annotated)"
    if item.get("concept_span"):
        return f"{place}: other words with a value"
    return f"{place}: value without a concept"


def _overlapping(scorer: ModuleType, row: Row, gold: Item, items: Iterable[Item]) -> list[Item]:
    spans = scorer.num_spans(row["text"], gold)
    return [item for item in items if scorer.ovl(spans, scorer.frags(item, "value"))]


def book(
    scorer: ModuleType, rows: list[Row], found: Mapping[str, list[Item]], types: tuple[str, ...] | None
) -> list[Fault]:
    """Every error of one corpus: false positives, level-c misses, and units wrong where all else is right."""
    faults = []
    for row in rows:
        lists: dict[str, list[tuple[Any, ...]]] = {"fp": [], "fn": []}
        scorer.run([row], found, set(types) if types else None, False, lists)
        items, name, text = found.get(row["doc_id"], []), row["doc_id"], row["text"]
        bag = row["source"] == "c2sql"
        for _, kind, _, gold, matched, _ in lists["fn"]:
            near = [] if bag else _overlapping(scorer, row, gold, items)
            faults.append(
                Fault(miss_cause(scorer, gold, matched, near), name, kind, text, gold, tuple(matched))
            )
        for _, kind, where, item, _ in lists["fp"]:
            faults.append(Fault(extra_cause(scorer, item, where), name, kind, text, None, (item,)))
        missed = {id_of(gold) for _, _, _, gold, _, _ in lists["fn"]}
        for gold in [] if bag or not row["annotated"] else row["items"]:
            if id_of(gold) in missed or (types and gold["entity_type"] not in types):
                continue
            near = _overlapping(scorer, row, gold, items)
            if not near:
                faults.append(Fault(miss_cause(scorer, gold, [], []), name, gold["entity_type"], text, gold))
            elif all(gold[key] for key in CERTAIN) and not any(scorer.unit_eq(gold, item) for item in near):
                cause = "unit missing" if near[0].get("unit") is None else "unit"
                faults.append(Fault(cause, name, gold["entity_type"], text, gold, tuple(near)))
    return faults


def id_of(gold: Item) -> str:
    """What tells one gold value of a document from another."""
    keys = ("value_span", "concept_span", "concept_text", "low", "high", "comparator")
    return json.dumps([gold.get(key) for key in keys])


def write_book(folder: Path, books: Iterable[tuple[str, str, list[Fault]]]) -> list[list[Any]]:
    """One file a cause for each (corpus, types, faults); the counts, greatest first."""
    counts = []
    for corpus, types, all_faults in books:
        groups: dict[str, list[Fault]] = defaultdict(list)
        for fault in all_faults:
            groups[("miss " if fault.gold else "extra ") + fault.cause].append(fault)
        place = folder / f"{corpus}-{re.sub('[^a-z]+', '-', types.lower())}"
        if groups:
            place.mkdir(parents=True, exist_ok=True)
            for old in place.glob("*.txt"):
                old.unlink()
        for cause, faults in groups.items():
            slug = re.sub(r"[^a-z0-9]+", "-", cause.lower()).strip("-")
            (place / f"{slug}.txt").write_text(
                "\n".join(map(_shown, faults)).encode("utf-8", "replace").decode(), encoding="utf-8"
            )
            counts.append([corpus, types, cause, len(faults)])
    return sorted(counts, key=lambda row: (-row[3], row[:3]))


def _shown(fault: Fault) -> str:
    span = (fault.gold or fault.found[0]).get("value_span")
    context = fault.text
    if span:
        start, end = span
        first = max(fault.text.rfind("\n", 0, start) + 1, start - 160)
        last = fault.text.find("\n", end)
        last = min(len(fault.text) if last < 0 else last, end + 120)
        context = f"{fault.text[first:start]}⟦{fault.text[start:end]}⟧{fault.text[end:last]}"
    gold = f"  gold  {_brief(fault.gold)}\n" if fault.gold else ""
    found = "".join(f"  found {_brief(item)}\n" for item in fault.found)
    return f"{fault.doc_id} [{fault.entity_type}] {' '.join(context.split())}\n{gold}{found}"


def _brief(item: Item) -> str:
    said = f"{item.get('concept_text')!r} {item['comparator']} low={item.get('low')} high={item.get('high')}"
    return f"{said} values={item.get('values') or item.get('set')} unit={item.get('unit')} {item.get('entity_type')} {item.get('rule') or ''}"
