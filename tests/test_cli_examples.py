"""Every command's help ends with an example; here each is run as it stands there, beside files of its names."""

from __future__ import annotations

import io
import json
import re
import shlex
import zipfile
from pathlib import Path

import click
import pytest

from tests.conftest import ROOT, RunCli
from tests.test_laws import all_commands

# `registry` runs until it is stopped, and `demo` runs all of these: tests/test_readme.py has both.
NOT_HERE = {"registry", "demo"}
# What must have been run before an example makes sense.
BEFORE: dict[str, tuple[str, ...]] = {
    "subject remove": ("subject add lupus-cart --cond lupus",),
    "subject show": ("subject add lupus-cart --cond lupus",),
    "review undo": ("review accept NCT06886919 i9",),
    "review check": ("review accept NCT06886919 i9", "review to-gold -o reviewed.jsonl"),
    "review import": ("review accept NCT06886919 i9", "review export -o reviews.jsonl"),
    "restore": ("backup trialkb-2026-03-02.zip", "!empty"),
}
MAY_FIND_CHANGES = 10


def example(command: click.Command) -> str:
    """The first example of a command's help, its lines joined."""
    match = re.search(r"Examples?:\s*(.+?)(?:\n\s*\n|\Z)", command.help or "", re.DOTALL)
    assert match is not None
    return " ".join(match[1].replace("\b", "").split())


def cases() -> list[tuple[str, str]]:
    return [
        (words, example(command))
        for words, command in all_commands()
        if not isinstance(command, click.Group) and words not in NOT_HERE
    ]


@pytest.fixture
def workplace(own_kb: Path, registry_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a knowledge base of the fixtures, and the files that the examples speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIALKB_DB", str(own_kb))
    monkeypatch.setenv("TRIALKB_CTGOV_URL", registry_url)
    monkeypatch.setenv("TRIALKB_CLINCONNECT_URL", registry_url)
    with zipfile.ZipFile(tmp_path / "ctg-studies.json.zip", "w") as bundle:
        for path in (ROOT / "fixtures" / "ctgov").glob("NCT*.json"):
            bundle.write(path, path.name)
    patient = {
        "id": "p1",
        "as_of": "2025-08-01",
        "age": {"value": 34, "unit": "a"},
        "sex": "female",
        "labs": {"plt": {"value": 45, "unit": "10*9/L"}},
    }
    (tmp_path / "patient.json").write_text(json.dumps(patient))
    concept = {"id": "kynurenine", "name": "Kynurenine", "category": "metabolic", "aliases": ["kynurenine"]}
    (tmp_path / "my-concepts.jsonl").write_text(json.dumps(concept) + "\n")
    (tmp_path / "labs.csv").write_text("patient,age,platelets (10*9/L)\np1,34,45\np2,51,80\n")
    return tmp_path


def run_line(line: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the ``trialkb`` part of a shell line; what an ``echo`` before it says goes to its standard input."""
    words = shlex.split(line)
    if "|" in words:
        said = words[words.index("echo") + 1 : words.index("|")]
        stream = io.TextIOWrapper(io.BytesIO(" ".join(said).encode()), encoding="utf-8")
        monkeypatch.setattr("sys.stdin", stream)
        words = words[words.index("|") + 1 :]
    if ">" in words:
        words = words[: words.index(">")]
    assert words[0] == "trialkb"
    run = run_cli(*words[1:])
    assert run.code in (0, MAY_FIND_CHANGES), run.err
    assert run.out or "-o" in words, "an answer was expected"


@pytest.mark.parametrize(("words", "line"), cases(), ids=lambda value: value if " -" not in value else "")
def test_the_example_works(
    words: str, line: str, workplace: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in BEFORE.get(words, ()):
        if step == "!empty":
            for path in workplace.glob("trialkb*.[ds][bq]*"):
                path.unlink()
        else:
            run_line(f"trialkb {step}", run_cli, monkeypatch)
    run_line(line, run_cli, monkeypatch)


def test_the_example_of_the_whole_program_works(
    workplace: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cli

    for line in example(cli.trialkb).split(" && "):
        run_line(line, run_cli, monkeypatch)
