"""How fast and how lean extraction is, beside spaCy's bare tokenizer in the same process and run.

    python benchmarks/extraction.py [--rounds 5] [--lines 100000] [--only rate,processes,start,gate,memory,stages]

Texts are Chia's criteria and the registry records' eligibility texts, read from the shared folder
(TRIALKB_SHARED, else ``../shared``). Megabytes are UTF-8 bytes / 1e6; CPU seconds are this process's own. Both
sides are warm: one pass goes before the first that counts, and tokenizer and extraction take turns, so that
a busy machine slows both. The ratio of each round is what counts; best and median are printed.
"""

from __future__ import annotations

import argparse
import cProfile
import gzip
import json
import os
import pstats
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import spacy
from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import gold_path, gold_rows, shared_folder  # noqa: E402
from nlp import criteria  # noqa: E402
from nlp.pipeline import Extractor, build  # noqa: E402
from nlp.text import fold  # noqa: E402

Text = tuple[str, str]
PARTS = ("rate", "start", "gate", "stages", "memory", "processes")


def corpora(shared: Path) -> dict[str, list[Text]]:
    """(text, section) rows of Chia's development part and of the registry records."""
    chia = [(row["text"], row["section"]) for row in gold_rows(gold_path(shared, "chia"))]
    with gzip.open(
        shared / "data" / "registry" / "ctgov-v2-studies.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        records = [json.loads(line) for line in lines]
    registry = [
        (record["protocolSection"]["eligibilityModule"]["eligibilityCriteria"], "full") for record in records
    ]
    return {"Chia": chia, "registry": registry}


def megabytes(texts: Iterable[Text]) -> float:
    return sum(len(text.encode("utf-8", "replace")) for text, _ in texts) / 1e6


def cpu(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def rate(extractor: Extractor, texts: list[Text], rounds: int) -> tuple[float, float, list[float]]:
    """Best MB a CPU second of extraction and of the tokenizer, and the ratio of every round."""
    size = megabytes(texts)
    tokenizer = spacy.blank("en").tokenizer

    def read() -> None:
        for _ in extractor.stream(texts):
            pass

    def tokenize() -> None:
        for text, _ in texts:
            tokenizer(text)

    read()
    tokenize()
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(size / cpu(tokenize))
        ours.append(size / cpu(read))
    ratios = [mine / bare for mine, bare in zip(ours, theirs, strict=True)]
    return max(ours), max(theirs), ratios


def rates(extractor: Extractor, shared: Path, rounds: int) -> str:
    rows = []
    for name, texts in corpora(shared).items():
        ours, theirs, ratios = rate(extractor, texts, rounds)
        best, middle = max(ratios), statistics.median(ratios)
        rows.append(
            [
                name,
                len(texts),
                f"{megabytes(texts):.2f}",
                f"{ours:.3f}",
                f"{theirs:.2f}",
                f"{best:.3f}",
                f"{middle:.3f}",
            ]
        )
    heads = ["texts", "rows", "MB", "extract MB/CPU s", "tokenizer MB/CPU s", "best ratio", "median ratio"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


# ---------------------------------------------------------------- start-up


FIRST = "ALT <= 3 x ULN"
LINES = "Inclusion Criteria:\\n- ALT <= 3 x ULN or no history of stroke; patients must agree to both"


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _child(code: str) -> float:
    """CPU seconds of a fresh interpreter running ``code``, best of five: other work on the machine counts less
    than in wall seconds, and nothing here waits."""
    best = float("inf")
    for _ in range(5):
        before = _children_cpu()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        best = min(best, _children_cpu() - before)
    return best


def start_up() -> str:
    bare = _child("pass")
    alone = _child("import spacy") - bare
    read = "from nlp.pipeline import build; build().extract('{}', 'full')"
    first, lines = _child(read.format(FIRST)) - bare, _child(read.format(LINES)) - bare
    return (
        f"import spacy: {alone:.2f} s; import to first answer: {first:.2f} s, {first / alone:.2f} times; "
        f"on a text that needs the cues of prose too: {lines:.2f} s, {lines / alone:.2f} times "
        f"(CPU, best of five, interpreter start {bare:.2f} s taken off)"
    )


# -------------------------------------------------------------------- gate


def gate(extractor: Extractor, texts: list[Text]) -> str:
    """Items that the gate loses over the registry records, and what it lets go by."""
    kept, everything = extractor.gate, re.compile("")
    with_gate = [len(each.items) for each in extractor.stream(texts)]
    passed = total = 0
    for text, section in texts:
        for node in criteria.parse(text, section):
            total += 1
            passed += kept.search(fold(text, node.start, node.end).text) is not None
    extractor.gate = everything
    try:
        without = [len(each.items) for each in extractor.stream(texts)]
    finally:
        extractor.gate = kept
    lost = sum(max(0, b - a) for a, b in zip(with_gate, without, strict=True))
    return (
        f"criteria and headings: {total}, let through to spaCy {passed} ({passed / total:.1%}); items with the gate "
        f"{sum(with_gate)}, without {sum(without)}: lost {lost} ({lost / max(1, sum(without)):.3%})"
    )


# ------------------------------------------------------------------ stages


def stages(extractor: Extractor, texts: list[Text]) -> str:
    """CPU seconds of each stage, alone, over the same texts; what is left is items, ids and the tree."""
    nodes = [(text, node) for text, section in texts for node in criteria.parse(text, section)]
    folded = [fold(text, node.start, node.end).text for text, node in nodes if node.language == "en"]
    passed = [text for text in folded if extractor.gate.search(text)]
    lexemes = [extractor.finder.find(text) for text in passed]
    times = {
        "structure (criteria.parse)": cpu(lambda: [criteria.parse(*row) for row in texts]),
        "folding": cpu(lambda: [fold(text, node.start, node.end) for text, node in nodes]),
        "gate": cpu(lambda: [extractor.gate.search(text) for text in folded]),
        "mentions (spaCy)": cpu(lambda: [extractor.finder.find(text) for text in passed]),
        "thresholds": cpu(lambda: [extractor.thresholds.read(each) for each in lexemes]),
        "results": cpu(lambda: [extractor.results.read(each, []) for each in lexemes]),
    }
    whole = cpu(lambda: [extractor.extract(*row) for row in texts])
    times["expressions, items, tree (the rest)"] = whole - sum(times.values())
    rows = [[name, f"{seconds:.2f}", f"{seconds / whole:.0%}"] for name, seconds in times.items()]
    rows.append(["whole", f"{whole:.2f}", "100%"])
    return tabulate(rows, ["stage", "CPU s", "share"], tablefmt="github", disable_numparse=True)


def profile(extractor: Extractor, texts: list[Text], count: int = 25) -> None:
    """Where the time goes, function by function (cProfile slows small functions most)."""
    profiler = cProfile.Profile()
    profiler.runcall(lambda: [extractor.extract(*row) for row in texts])
    pstats.Stats(profiler).sort_stats("tottime").print_stats(count)


# ------------------------------------------------------------------ memory


def lines_of(texts: list[Text], count: int) -> Iterator[Text]:
    """``count`` lines, each a text of its own; a running number makes every one new."""
    lines = [(line, "unknown") for text, _ in texts for line in text.splitlines() if line.strip()]
    for number in range(count):
        line, section = lines[number % len(lines)]
        yield f"{line} (note x{number}y)", section


def _resident() -> float:
    """Resident megabytes now (Linux), else the most there ever were."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def memory(extractor: Extractor, texts: list[Text], count: int) -> str:
    step = max(1, count // 10)
    rows = [[0, f"{_resident():.0f}"]]
    for number, _ in enumerate(extractor.stream(lines_of(texts, count)), 1):
        if number % step == 0:
            rows.append([number, f"{_resident():.0f}"])
    return tabulate(rows, ["lines", "resident MB"], tablefmt="github", disable_numparse=True)


# --------------------------------------------------------------- processes


def processes(texts: list[Text]) -> str:
    """One process against two of ``trialkb extract`` on the same file, start-up included."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.jsonl"
        with source.open("w", encoding="utf-8") as out:
            for number, (text, section) in enumerate(texts):
                out.write(json.dumps({"doc_id": str(number), "section": section, "text": text}) + "\n")
        outputs, seconds, used = [], [], []
        for count in (1, 2):
            start, before = time.perf_counter(), _children_cpu()
            done = subprocess.run(
                [
                    sys.executable,
                    str(ROOT / "cli.py"),
                    "extract",
                    "--jsonl",
                    "--processes",
                    str(count),
                    str(source),
                ],
                check=True,
                capture_output=True,
            )
            seconds.append(time.perf_counter() - start)
            used.append(_children_cpu() - before)
            outputs.append(done.stdout)
    same = "identical" if outputs[0] == outputs[1] else "DIFFERENT"
    return (
        f"one process {seconds[0]:.1f} s, two {seconds[1]:.1f} s: {seconds[0] / seconds[1]:.2f} times; CPU {used[0]:.1f} s "
        f"and {used[1]:.1f} s together; output {same} "
        f"({len(texts)} rows, {megabytes(texts):.1f} MB)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=100_000, help="how many lines the memory curve reads")
    parser.add_argument("--only", default=",".join(PARTS), help="which parts, by comma")
    parser.add_argument("--profile", action="store_true", help="print the costliest functions instead")
    options = parser.parse_args()
    try:
        shared = shared_folder()
    except FileNotFoundError as error:
        sys.exit(str(error))
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    extractor = build()
    registry = corpora(shared)["registry"]
    if options.profile:
        profile(extractor, registry)
        return
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start")
    parts: dict[str, Callable[[], str]] = {
        "rate": lambda: rates(extractor, shared, options.rounds),
        "start": start_up,
        "gate": lambda: gate(extractor, registry),
        "stages": lambda: stages(extractor, registry),
        "memory": lambda: memory(extractor, registry, options.lines),
        "processes": lambda: processes(registry * 2),
    }
    for name in PARTS:
        if name in chosen:
            print(f"\n{name}\n{parts[name]()}", flush=True)


if __name__ == "__main__":
    main()
