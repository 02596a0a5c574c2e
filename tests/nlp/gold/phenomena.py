"""Score the reading of the project's own gold, one kind of hard text at a time.

    python tests/nlp/gold/phenomena.py [--failures] [--pin [--allow-lower REASON]]

``criteria.jsonl`` holds criteria written for this project, with what is right, whatever the program says:

- ``phenomena``: which of the 28 kinds of hard text it is an example of;
- ``items``: the fields that matter of each item, in the order of the text. A role that is not said is
  "requirement"; ``population`` is a part of the word. Absent altogether: items are not scored here;
- ``expression``: the interface's form with the item's number (from 1), a fact's words, and
  ``{"unread": true}``; ``also`` lists other readings that are as right. Absent: not scored.

An expression is right when it has the truth table of the gold: another shape that says the same is right too.
A fact is the gold's fact when half the words of the shorter one are shared.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import digest, pin  # noqa: E402
from nlp.model import All, AnyOf, Expression, Fact, If, Item, Leaf, Not, Unread  # noqa: E402
from nlp.pipeline import Extractor, build  # noqa: E402

GOLD = Path(__file__).with_name("criteria.jsonl")
FLOOR = Path(__file__).with_name("phenomena_floor.json")
PHENOMENA = range(1, 29)
Row = dict[str, Any]
Atoms = dict[str, bool]
Truth = Callable[[Atoms], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one gold criterion: counts of items, and whether the expression is right."""

    row: Row
    right: int
    wanted: int
    found: int
    expression: bool | None
    why: tuple[str, ...]


def rows() -> list[Row]:
    """The gold criteria. Raises ValueError for a line that is no JSON."""
    return [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines() if line]


# -------------------------------------------------------------------- items


def _numbers(comparator: str | None, low: float | None, high: float | None, values: Any) -> tuple[Any, ...]:
    """The set that is named, so that "0-2" and "0, 1 or 2" of a scale are the same."""
    if comparator == "set" and values:
        steps = [float(value) for value in values]
        if steps == [steps[0] + n for n in range(len(steps))]:
            return ("range", steps[0], steps[-1])
        return ("set", *steps)
    return (comparator, low, high)


def differs(gold: Mapping[str, Any], item: Item) -> list[str]:
    """The fields in which an item is not what the gold says; none if it is right."""
    wrong = []
    if gold.get("comparator") is not None and _numbers(
        gold["comparator"], gold.get("low"), gold.get("high"), gold.get("values")
    ) != _numbers(item.comparator, item.low, item.high, item.values):
        wrong.append("comparator or number")
    if gold.get("comparator") == "range":
        wrong += [
            key
            for key in ("low_inclusive", "high_inclusive")
            if getattr(item, key) is not None and getattr(item, key) != gold[key]
        ]
    wrong += [key for key in ("concept", "relative_to") if key in gold and getattr(item, key) != gold[key]]
    if "unit" in gold and (item.unit or "").replace("[iU]", "[IU]") != (gold["unit"] or ""):
        wrong.append("unit")  # UCUM has both [iU] and [IU] for the international unit
    if item.role != gold.get("role", "requirement"):
        wrong.append("role")
    wrong += [f"flag {flag}" for flag in gold.get("flags", ()) if flag not in item.flags]
    if gold.get("population", "").lower() not in (item.population or "").lower():
        wrong.append("population")
    return wrong


def pairs(golds: list[Row], items: list[Item]) -> dict[int, int]:
    """Gold item -> item: the most alike first, then in the order of the text."""
    ways = sorted(
        (len(wrong), abs(i - j), i, j)
        for i, gold in enumerate(golds)
        for j, item in enumerate(items)
        if "comparator or number" not in (wrong := differs(gold, item)) or wrong == ["comparator or number"]
    )
    found: dict[int, int] = {}
    for _, _, i, j in ways:
        if i not in found and j not in found.values():
            found[i] = j
    return found


# -------------------------------------------------------------- expressions


def _atom(gold: Mapping[str, Any], index: int) -> tuple[str, bool]:
    """The name of a limit, and whether the item says it or its contrary ("< 18" is not ">= 18")."""
    comparator = gold.get("comparator")
    if comparator is None:
        return f"item {index}", True
    bound = gold.get("low") if gold.get("low") is not None else gold.get("high")
    who = f"{gold.get('concept', index)} {gold.get('unit')} {gold.get('relative_to')}"
    if comparator in ("<", "<="):
        return f"{who} {'>=' if comparator == '<' else '>'} {bound}", False
    said = _numbers(comparator, gold.get("low"), gold.get("high"), gold.get("values"))
    return f"{who} {comparator if comparator in ('>', '>=') else said} {bound}", True


_IDLE = frozenset(("the", "a", "an", "of", "or", "and", "in", "to", "with", "for", "is", "are", "who", "by"))


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text.lower())) - _IDLE


def _same_fact(said: str, facts: list[str], concept: str | None) -> str | None:
    """The gold fact that these words are, by the share of common words."""
    best, share = None, 0.0
    for fact in facts:
        a, b = _words(said), _words(fact)
        if concept and concept in b:
            return fact
        common = len(a & b) / max(1, min(len(a), len(b)))
        if common > share or (common == share and best and common and len(b) < len(_words(best))):
            best, share = fact, common
    return best if share >= 0.5 else None


def gold_truth(expression: Row, names: list[tuple[str, bool]], used: set[str]) -> Truth:
    """The gold expression as a function of its atoms; their names are added to ``used``."""
    match expression:
        case {"all": parts}:
            every = [gold_truth(part, names, used) for part in parts]
            return lambda atoms: all(part(atoms) for part in every)
        case {"any": parts}:
            some = [gold_truth(part, names, used) for part in parts]
            return lambda atoms: any(part(atoms) for part in some)
        case {"not": part}:
            inner = gold_truth(part, names, used)
            return lambda atoms: not inner(atoms)
        case {"if": condition, "then": then, "else": otherwise}:
            a, b, c = (gold_truth(part, names, used) for part in (condition, then, otherwise))
            return lambda atoms: b(atoms) if a(atoms) else c(atoms)
        case {"item": number}:
            name, positive = names[int(number) - 1]
            return _named(name, positive, used)
        case {"fact": words}:
            return _named(f"fact {words}", True, used)
        case {"unread": _}:
            return _named("unread", True, used)
    raise ValueError(f"not a gold expression: {expression!r}")


def _named(name: str, positive: bool, used: set[str]) -> Truth:
    used.add(name)
    return lambda atoms: atoms[name] == positive


def read_truth(
    expression: Expression, names: Mapping[str, tuple[str, bool]], facts: list[str], used: set[str]
) -> Truth:
    """The program's expression as a function of the gold's atoms; what is not in the gold is an atom too."""

    def down(part: Expression) -> Truth:
        return read_truth(part, names, facts, used)

    match expression:
        case All(parts):
            every = [down(part) for part in parts]
            return lambda atoms: all(part(atoms) for part in every)
        case AnyOf(parts):
            some = [down(part) for part in parts]
            return lambda atoms: any(part(atoms) for part in some)
        case Not(part):
            inner = down(part)
            return lambda atoms: not inner(atoms)
        case If(condition, then, otherwise):
            a, b, c = down(condition), down(then), down(otherwise)
            return lambda atoms: b(atoms) if a(atoms) else c(atoms)
        case Leaf(item):
            return _named(*names.get(item, (f"other item {item}", True)), used)
        case Fact(text, _, concept):
            known = _same_fact(text, facts, concept)
            return _named(f"fact {known}" if known else f"other fact {text}", True, used)
        case Unread():
            return _named("unread", True, used)
    raise TypeError(expression)


def gold_facts(expression: Any) -> Iterator[str]:
    """The words of every fact in a gold expression."""
    if isinstance(expression, dict):
        if isinstance(expression.get("fact"), str):
            yield expression["fact"]
        for value in expression.values():
            yield from gold_facts(value)
    elif isinstance(expression, list):
        for value in expression:
            yield from gold_facts(value)


def same(first: Truth, second: Truth, used: set[str]) -> bool:
    """Whether both have one truth table; more than 14 atoms are too many, and no reading of these needs them."""
    names = sorted(used)
    if len(names) > 14:
        return False
    tables = (
        dict(zip(names, values, strict=True))
        for values in itertools.product((False, True), repeat=len(names))
    )
    return all(first(atoms) == second(atoms) for atoms in tables)


def judge(row: Row, extractor: Extractor) -> Outcome:
    """Read one gold criterion and compare."""
    extraction = extractor.extract(row["text"], row["section"])
    items, golds = list(extraction.items), row.get("items")
    matched = pairs(golds or [], items)
    why = []
    right = 0
    for i, gold in enumerate(golds or []):
        wrong = differs(gold, items[matched[i]]) if i in matched else ["not found"]
        right += not wrong
        if wrong:
            why.append(f"item {i + 1} {gold.get('concept')}: {', '.join(wrong)}")
    if golds is not None:
        extra = [item for j, item in enumerate(items) if j not in matched.values()]
        why += [f"extra item {item.concept or item.concept_text} {item.value_text!r}" for item in extra]
    wanted, found = (len(golds), len(items)) if golds is not None else (0, 0)
    expression = None
    if row.get("expression") is not None:
        golden = [_atom(gold, i + 1) for i, gold in enumerate(golds or [])]
        names = {items[j].id: golden[i] for i, j in matched.items()}
        expression = False
        whole = All(tuple(criterion.expression for criterion in extraction.criteria))
        for choice in (row["expression"], *row.get("also", ())):
            used: set[str] = set()
            want = gold_truth(choice, golden, used)
            said = read_truth(whole, names, list(gold_facts(choice)), used)
            expression = expression or same(want, said, used)
        if not expression:
            why.append("expression")
    return Outcome(row, right, wanted, found, expression, tuple(why))


def figures(outcomes: list[Outcome]) -> dict[str, float]:
    """For each phenomenon: F1 of its items ("7/items"), share of right expressions ("7/expressions")."""
    out = {}
    groups: dict[int, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        for number in outcome.row["phenomena"]:
            groups[number].append(outcome)
    for number in PHENOMENA:
        scored = [one for one in groups[number] if "items" in one.row]
        total = sum(one.wanted + one.found or 2 for one in scored)
        right = sum(2 * one.right if one.wanted + one.found else 2 for one in scored)
        told = [one.expression for one in groups[number] if one.expression is not None]
        if total:
            out[f"{number}/items"] = round(right / total, 4)
        if told:
            out[f"{number}/expressions"] = round(sum(told) / len(told), 4)
    return out


def main() -> None:
    """Print the scores; with --failures each criterion read wrong, with --pin make them the floor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--allow-lower", metavar="REASON")
    options = parser.parse_args()
    extractor = build()
    outcomes = [judge(row, extractor) for row in rows()]
    values = figures(outcomes)
    for number in PHENOMENA:
        said = (
            f"{kind} {values.get(f'{number}/{kind}', float('nan')):.2f}" for kind in ("items", "expressions")
        )
        sys.stdout.write(f"{number:>2}  {'  '.join(said)}\n")
    told = [one.expression for one in outcomes if one.expression is not None]
    wrong = [one for one in outcomes if one.why]
    sys.stdout.write(
        f"{len(outcomes)} criteria; {len(wrong)} not all right; expressions {sum(told)} of {len(told)}\n"
    )
    for one in wrong if options.failures else []:
        sys.stdout.write(
            f"{one.row['id']} {one.row['phenomena']} {one.row['text']!r}\n    {'; '.join(one.why)}\n"
        )
    if options.pin:
        try:
            pin(FLOOR, {GOLD.name: digest(GOLD)}, values, options.allow_lower)
        except ValueError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
