"""The examples in ``docs/export-<format>.md``: what each format makes of one small trial, cut to what a page can show.

After a change of a format, ``python -m tests.export.excerpts`` writes them into the pages anew.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from kb.export import base, source
from kb.export.flat import CTKB_COLUMNS
from kb.export.write import export
from kb.store import Store
from nlp.model import Window
from tests.export.bench import Bench, fill, make_context

DOCS = Path(__file__).resolve().parents[2] / "docs"
TRIAL = "NCT99000001"


def _pretty(value: Any) -> str:
    """JSON of one key or element a line at the outer levels, compact below them."""
    return json.dumps(value, ensure_ascii=False, indent=1)


def _jsonl(folder: Path) -> str:
    row = json.loads((folder / f"ctgov-{TRIAL}.jsonl").read_text("utf-8").splitlines()[1])
    return _pretty({"criteria": row["criteria"]})


def _csv(folder: Path) -> str:
    lines = (folder / f"ctgov-{TRIAL}.csv").read_text("utf-8").splitlines()
    return "\n".join(",".join(line.split(",")[: len(CTKB_COLUMNS)]) for line in lines)


def _circe(folder: Path) -> str:
    envelope = json.loads((folder / f"ctgov-{TRIAL}.circe.json").read_text("utf-8"))
    line = envelope["expression"]["InclusionRules"][0]["expression"]["CriteriaList"][0]
    return _pretty(
        {
            "name": envelope["name"],
            "expressionType": envelope["expressionType"],
            "one line of the first rule": line,
        }
    )


def _fhir(folder: Path) -> str:
    bundle = json.loads((folder / f"ctgov-{TRIAL}.fhir.json").read_text("utf-8"))
    root = bundle["entry"][0]["resource"]["characteristic"][0]
    return _pretty(root["definitionByCombination"]["characteristic"][0])


def _fhir_group(folder: Path) -> str:
    group = json.loads((folder / f"ctgov-{TRIAL}.group.json").read_text("utf-8"))
    return _pretty(group["characteristic"][0])


def _kgx(folder: Path) -> str:
    lines = [
        *(folder / "nodes.jsonl").read_text("utf-8").splitlines(),
        *(folder / "edges.jsonl").read_text("utf-8").splitlines(),
    ]
    return "\n".join(line for line in lines if f'"id": "threshold:{TRIAL}/i1' in line)


def _graphml(folder: Path) -> str:
    text = (folder / "graph.graphml").read_text("utf-8")
    return "\n".join(line.strip() for line in text.splitlines() if "<edge" in line)


def _neo4j(folder: Path) -> str:
    nodes = (folder / "nodes.csv").read_text("utf-8").splitlines()
    edges = (folder / "edges.csv").read_text("utf-8").splitlines()
    return "\n".join(
        [nodes[0], *(line for line in nodes if line.startswith("threshold:")), "", edges[0], *edges[1:3]]
    )


def _parquet(folder: Path) -> str:
    rows = duckdb.execute(
        f"SELECT concept_id, comparator, low, unit, value_text FROM '{folder}/threshold.parquet'"
    ).fetchall()
    return "\n".join(str(row) for row in rows)


EXCERPTS: dict[str, Callable[[Path], str]] = {
    "jsonl": _jsonl, "csv": _csv, "circe": _circe, "fhir": _fhir, "fhir-group": _fhir_group, "kgx": _kgx,
    "graphml": _graphml, "neo4j": _neo4j, "parquet": _parquet,
}  # fmt: skip


def write_example(name: str, folder: Path) -> Path:
    """Export the example trial in a format; the folder of the files."""
    bench = Bench()
    bench.criterion(bench.least("plt", 50, "10*9/L", window=Window(28, "d", "before", "enrolment")))
    fill(folder / "example.db", bench.record(TRIAL))
    made, target = base.load(name), folder / "out"
    with Store.open(folder / "example.db") as store:
        versions = source.select(store, None)
        export(made, source.records(store, versions), target, make_context(), source=(store, versions))
    return target


def excerpt(name: str, folder: Path) -> str:
    """The example of a format's page."""
    return EXCERPTS[name](write_example(name, folder))


def page(name: str) -> Path:
    """The format's page."""
    return DOCS / f"export-{name}.md"


def _renew() -> None:
    for name in base.names():
        with tempfile.TemporaryDirectory() as folder:
            text = excerpt(name, Path(folder))
        old = page(name).read_text("utf-8")
        fence = re.compile(r"(## Example\n.*?```\w*\n).*?(\n```)", re.DOTALL)
        found = fence.search(old)
        assert found, f"{page(name)} has no example"
        page(name).write_text(old[: found.end(1)] + text + old[found.start(2) :], "utf-8")


if __name__ == "__main__":
    _renew()
