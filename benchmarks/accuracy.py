"""Extraction against text that others annotated: the table, the targets, and a book of every error.

    python benchmarks/accuracy.py [--errors DIR] [--json FILE] [--pin [--allow-lower REASON]]

Reads the development corpora and the headline page from the shared folder (TRIALKB_SHARED, else
``../shared`` beside the project), extracts from each row as it is, and gives the items to the scorers
that lie there. The errors go to DIR (default ``build/accuracy``, which git ignores: some corpora may be
measured with, not copied), one file a corpus and cause. Causes are named by rules, from what the item
and the gold row hold; a rule sees form, so "probably real, not annotated" stays a guess.

``--pin`` writes the figures to ``tests/nlp/gold/floor.json`` with the digests of the gold files.
``tests/nlp/test_floor.py`` holds them. A figure that would fall stops it, unless a reason is given, which the file keeps.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.util
import json
import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.error_book import Fault, Item, Row, book, write_book  # noqa: E402
from nlp.pipeline import Extractor, build  # noqa: E402

FLOOR = ROOT / "tests" / "nlp" / "gold" / "floor.json"
CORPORA = ("lct", "chia", "covic", "c2sql")
MEASURED, TEMPORAL = ("Measurement", "Age"), ("Temporal",)
TYPE_SETS: dict[str, tuple[str, ...] | None] = {
    "Measurement,Age": MEASURED,
    "all": None,
    "Temporal": TEMPORAL,
}
LEVELS = {"a": "value", "b": "concept", "n": "numbers", "c": "comparator", "d": "unit"}
# F1 that the project set itself (issue 4); "P" is the precision asked at that level.
TARGETS = {
    ("lct", "Measurement,Age"): {"a": 0.985, "b": 0.965, "c": 0.960, "d": 0.950},
    ("lct", "all"): {"a": 0.975, "aP": 0.985, "b": 0.900, "c": 0.925, "d": 0.915},
    ("lct", "Temporal"): {"a": 0.965, "c": 0.850},
    ("chia", "Measurement,Age"): {"a": 0.945, "b": 0.900, "c": 0.910, "d": 0.895},
    ("covic", "Measurement,Age"): {"a": 0.925, "b": 0.905, "c": 0.925, "d": 0.905},
    ("c2sql", "all"): {"n": 0.950, "c": 0.910},
}
SAME = 1e-6
"""Two runs of one program agree exactly; this only takes up the rounding of the pinned figures."""


@dataclass(slots=True)
class Measured:
    """The figures of one corpus and set of types, with the errors behind them."""

    corpus: str
    types: str
    levels: dict[str, dict[str, float]]
    faults: list[Fault] = field(default_factory=list)


def shared_folder() -> Path:
    """The folder with corpora and scorers. Raises FileNotFoundError where it is missing."""
    path = Path(os.environ.get("TRIALKB_SHARED") or ROOT.parent / "shared")
    if not (path / "data" / "gold").is_dir():
        raise FileNotFoundError(f"{path}: no data/gold there; set TRIALKB_SHARED to the shared folder")
    return path


def load_module(path: Path) -> ModuleType:
    """A scorer, as it is. Raises FileNotFoundError where it is missing."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    kept = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # the shared folder is not ours to write to
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # they leave closing their files to Python
            spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = kept
    return module


def gold_path(shared: Path, corpus: str) -> Path:
    """The development part of a corpus."""
    return shared / "data" / "gold" / f"{corpus}.dev.jsonl.gz"


def gold_rows(path: Path) -> list[Row]:
    """The rows of a gold file, in its order."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def predict(extractor: Extractor, rows: Iterable[Row], scorer: ModuleType) -> dict[str, list[Item]]:
    """The items of each document as the scorer compares them; results without a number are not in this gold."""
    rows = list(rows)
    found: dict[str, list[Item]] = defaultdict(list)
    for row, extraction in zip(
        rows, extractor.stream((row["text"], row["section"]) for row in rows), strict=True
    ):
        items = [scorer.adapt(item.to_json()) for item in extraction.items]
        found[row["doc_id"]] += [item for item in items if not item.get("_bare")]
    return found


# ---------------------------------------------------------------- measuring


def measure(
    extractor: Extractor, shared: Path, corpora: Iterable[str] = CORPORA, errors: bool = True
) -> list[Measured]:
    """The figures of all corpora and sets of types; the errors too, if asked."""
    scorer = load_module(shared / "tools" / "score_thresholds.py")
    out = []
    for corpus in corpora:
        rows = gold_rows(gold_path(shared, corpus))
        found = predict(extractor, rows, scorer)
        for name, types in TYPE_SETS.items():
            if corpus == "c2sql" and types is not None:
                continue  # its gold is SQL: it has no spans, and the scorer takes all types together
            tally = scorer.run(rows, found, set(types) if types else None)["ALL"]
            levels = {
                level: dict(zip(("P", "R", "F1"), tally.line(level), strict=True))
                for level in LEVELS
                if tally.rn[level]
            }
            faults = book(scorer, rows, found, types) if errors and types != TEMPORAL else []
            out.append(Measured(corpus, name, levels, faults))
    return out


def headline(extractor: Extractor, shared: Path) -> tuple[dict[str, Any], list[str]]:
    """The summary of the headline page's scorer, and a line for each item not right and each spurious one."""
    scorer = load_module(shared / "tools" / "score_seed_page.py")
    rows = [
        {"doc_id": name, "items": extractor.extract(text, "full").to_json(name)["items"]}
        for name, text in scorer.ROWS.items()
    ]
    summary, gold, results, spurious = scorer.summary(rows)
    lines = []
    for item in gold:
        result = results.get(item["id"])
        outcome = scorer.outcome(result[0] if result else None)
        if outcome != "right":
            lines.append(
                f"{outcome}: {item['id']} {item['concept']} {item['comparator']} {item['value_quote']}"
            )
    lines += [f"spurious: {each['concept_text']} {each['value_text']}" for each in spurious]
    return summary, lines


# ----------------------------------------------------------------- printing


def table(results: Iterable[Measured], form: str = "simple") -> str:
    """F1 by level beside its target ("-" where none is set), and precision at level a."""
    lines = []
    for one in results:
        targets = TARGETS.get((one.corpus, one.types), {})
        cells = [one.corpus, one.types]
        for level in LEVELS:
            if level not in one.levels:
                cells.append("")
                continue
            value, target = one.levels[level]["F1"], targets.get(level)
            said = "" if target is None else f" ({target:.3f}{'' if value >= target else ' !'})"
            cells.append(f"{value:.3f}{said}")
        precision, target = one.levels.get("a", {}).get("P"), targets.get("aP")
        said = "" if target is None else f" ({target:.3f}{'' if (precision or 0) >= target else ' !'})"
        cells.append("" if precision is None else f"{precision:.3f}{said}")
        lines.append(cells)
    heads = ["corpus", "types", *(f"{level} {word}" for level, word in LEVELS.items()), "a precision"]
    return tabulate(lines, heads, tablefmt=form, disable_numparse=True)


# -------------------------------------------------------------------- floor


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def figures(results: Iterable[Measured], page: Mapping[str, Any]) -> dict[str, float]:
    """What the floor pins, under flat names: "lct/all/c", and the headline page's counts."""
    out = {
        f"{one.corpus}/{one.types}/{level}": round(v["F1"], 4)
        for one in results
        for level, v in one.levels.items()
    }
    out |= {
        f"{one.corpus}/{one.types}/aP": round(one.levels["a"]["P"], 4) for one in results if "a" in one.levels
    }
    out["headline/right"] = page["all"]["right"]
    out["headline/not spurious"] = -page["spurious"]
    out["headline/no distractor"] = -len(page["distractors_extracted"])
    return out


def fallen(old: Mapping[str, float], new: Mapping[str, float]) -> dict[str, tuple[float, float | None]]:
    """The pinned figures that the new ones do not reach, or no longer have: name -> (old, new)."""
    return {
        name: (value, new.get(name))
        for name, value in old.items()
        if name not in new or new[name] < value - SAME
    }


def pin(path: Path, gold: Mapping[str, str], values: Mapping[str, float], reason: str | None) -> None:
    """Write the floor. Raises ValueError where a figure falls, or the gold is another, without a reason."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    lower = fallen(old.get("figures", {}), values)
    other = bool(old) and dict(old["gold"]) != dict(gold)
    lowered = list(old.get("lowered", []))
    if lower or other:
        said = [f"{name}: {was} -> {now}" for name, (was, now) in lower.items()]
        said += ["the gold files are not those of the pinned floor"] if other else []
        if not reason:
            raise ValueError(
                "would lower the floor: " + "; ".join(said) + ". Give --allow-lower REASON to do so"
            )
        lowered.append({"reason": reason, "what": said})
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"gold": dict(gold), "figures": dict(values), "lowered": lowered}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--errors", type=Path, default=ROOT / "build" / "accuracy", help="folder of the error book"
    )
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--pin", action="store_true", help="make these figures the floor of the tests")
    parser.add_argument(
        "--allow-lower", metavar="REASON", help="pin although a figure falls; the file keeps why"
    )
    options = parser.parse_args()
    try:
        shared = shared_folder()
    except FileNotFoundError as error:
        sys.exit(str(error))
    extractor = build()
    results = measure(extractor, shared)
    page, wrong = headline(extractor, shared)
    print("F1 by level (target; ! = below it)\n" + table(results) + "\n")
    print(f"headline page: {page['all']['right']} of {page['all']['n']} right, {page['spurious']} spurious, "
          f"{len(page['distractors_extracted'])} distractors")  # fmt: skip
    print("\n".join("  " + line for line in wrong))
    counts = write_book(options.errors, ((one.corpus, one.types, one.faults) for one in results))
    print(
        f"\nGreatest causes (all in {options.errors})\n"
        + tabulate(counts[:40], ["corpus", "types", "cause", "n"])
    )
    total = Counter((row[0], row[1]) for row in counts for _ in range(row[3]))
    print("\n" + "; ".join(f"{corpus} {types}: {n} errors" for (corpus, types), n in total.items()))
    values = figures(results, page)
    if options.json:
        options.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    if options.pin:
        gold = {corpus: digest(gold_path(shared, corpus)) for corpus in CORPORA}
        try:
            pin(FLOOR, gold, values, options.allow_lower)
        except ValueError as error:
            sys.exit(str(error))
        print(f"pinned in {FLOOR.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
