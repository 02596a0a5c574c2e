"""Hostile texts at growing sizes: time and memory must grow with the text, and no faster.

    python benchmarks/hostile.py [--largest 1000000] [--write docs/speed.md]

Each kind of text is read at four sizes, each twice the one before. Linear means that twice the text takes twice
the time: the last column is the time of the largest text over that of half of it (2.0 is linear; 4.0 would be
quadratic). The peak is what Python allocated while reading, in bytes a character of the text.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nlp.pipeline import Extractor, build  # noqa: E402

_SHORT = 200_000
"""Characters up to which a text is read twice; longer ones swing less."""
MARKS = ("<!-- hostile: written by benchmarks/hostile.py -->", "<!-- /hostile -->")
_BLOCKS = "".join(chr(start + step) for start in range(0x21, 0x30000, 0x80) for step in (0, 7, 31))


def _repeat(words: str) -> Callable[[int], str]:
    return lambda size: (words * (size // len(words) + 1))[:size]


def _nested(size: int) -> str:
    """Brackets 1,000 deep around a limit, over and over."""
    one = "(" * 1000 + "ALT <= 3 x ULN" + ")" * 1000 + " and "
    return (one * (size // len(one) + 1))[:size]


TEXTS: dict[str, Callable[[int], str]] = {
    "one line of letters": _repeat("a"),
    "one line of words": _repeat("history of disease that is not controlled by treatment "),
    "one limit over and over": _repeat("ALT <= 2.5 x ULN and "),
    "1,000-fold brackets": _nested,
    "open brackets": _repeat("( "),
    "one long number": _repeat("1234567890"),
    "numbers and spaces": _repeat("12 "),
    "ranges": _repeat("1-2-"),
    "signs": _repeat(">= < "),
    "every block of Unicode": _repeat(_BLOCKS),
    "escapes and entities": _repeat("\\>&gt;\\&lt; "),
    "list numbers": _repeat("1. a\n 2) b\n"),
    "nested list": lambda size: "".join(" " * (n % 200) + "- ALT > 3\n" for n in range(size // 100))[:size],
    "or, or, or": _repeat("creatinine or "),
    "unless": _repeat("unless within 3 months or if "),
    "half surrogates": lambda size: _repeat("\ud800 5 \udfff > ")(size),
    "commas": _repeat(", "),
    "new lines": _repeat("\n"),
}  # fmt: skip


def measure(extractor: Extractor, make: Callable[[int], str], size: int) -> tuple[float, int]:
    """CPU seconds and items for one text of ``size`` characters; of a short one the best of two readings."""
    text = make(size)
    best, count = float("inf"), 0
    for _ in range(2 if size <= _SHORT else 1):
        start = time.process_time()
        extraction = extractor.extract(text, "full")
        best = min(best, time.process_time() - start)
        count = len(extraction.items)
    json.dumps(extraction.to_json("x"))
    return best, count


def peak(extractor: Extractor, text: str) -> float:
    """Most bytes allocated by Python at one time while reading, a character of the text."""
    tracemalloc.start()
    extractor.extract(text, "full")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / max(1, len(text))


def curve(extractor: Extractor, largest: int) -> str:
    """The table of all hostile texts."""
    sizes = [largest // 8, largest // 4, largest // 2, largest]
    rows: list[list[object]] = []
    for name, make in TEXTS.items():
        try:
            measured = [measure(extractor, make, size) for size in sizes]
            memory = f"{peak(extractor, make(sizes[0])):.0f}"
        except RecursionError:
            rows.append([name, *("" for _ in sizes), "", "", "FAILS: RecursionError"])
            continue
        seconds = [each[0] for each in measured]
        ratio = f"{seconds[-1] / max(seconds[-2], 1e-4):.1f}"
        rows.append([name, *(f"{s:.2f}" for s in seconds), measured[-1][1], memory, ratio])
        print(f"{name}: {', '.join(f'{s:.2f}' for s in seconds)} s, x{ratio}", file=sys.stderr, flush=True)
    heads = [
        "text",
        *(f"{size / 1000:.0f} kB, CPU s" for size in sizes),
        "items",
        "peak B/char",
        "last / half",
    ]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def put(path: Path, table: str) -> None:
    """Write the table between its two marks. Raises ValueError where the page has no marks."""
    page = path.read_text(encoding="utf-8")
    start, end = (re.escape(mark) for mark in MARKS)
    new, count = re.subn(
        f"{start}.*?{end}", lambda _: f"{MARKS[0]}\n{table}\n{MARKS[1]}", page, flags=re.DOTALL
    )
    if not count:
        raise ValueError(f"{path}: no place marked {MARKS[0]}")
    path.write_text(new, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--largest", type=int, default=1_000_000, help="characters of the largest text")
    parser.add_argument("--write", type=Path, help="put the table into this page, between its marks")
    options = parser.parse_args()
    table = curve(build(), options.largest)
    print(table)
    if options.write:
        put(options.write, table)
    if "FAILS" in table:
        sys.exit("a hostile text could not be read")


if __name__ == "__main__":
    main()
