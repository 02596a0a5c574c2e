"""The laws of the house, read from the code itself: imports, layout, names, one print, a help with an example."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import cli
import commands

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("harvest", "nlp", "kb", "commands", "cli")
# What each room may import of the others: a whole room, or single modules of it.
MAY_IMPORT: dict[str, set[str]] = {
    "harvest": set(),
    "nlp": set(),
    "kb": {"harvest.model", "nlp.model"},
    "commands": {"harvest", "nlp", "kb", "cli"},
    "cli": {"harvest", "nlp", "kb", "commands"},
}


def imported(source: str, package: str) -> Iterator[str]:
    """Every module that a source imports, by its full name, also inside functions and by importlib."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base]).rstrip(".")
            # `from nlp import model` names a module, `from nlp.model import Item` a thing in one.
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            first = node.args[0] if node.args else None
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield str(first.value)


def broken_imports(room: str, source: str, package: str) -> list[str]:
    """The imports of a source in a room that the law does not allow."""
    allowed = MAY_IMPORT[room]
    bad = []
    for name in imported(source, package):
        other = name.split(".")[0]
        if other in ROOMS and other != room and not any(f"{name}.".startswith(f"{a}.") for a in allowed):
            bad.append(name)
    return bad


def sources() -> list[tuple[str, Path]]:
    found = [("cli", ROOT / "cli.py")]
    for room in ROOMS[:-1]:
        found.extend((room, path) for path in sorted((ROOT / room).rglob("*.py")))
    return found


@pytest.mark.parametrize(("room", "path"), sources(), ids=lambda value: getattr(value, "name", value))
def test_imports_run_one_way(room: str, path: Path) -> None:
    package = ".".join(path.relative_to(ROOT).parent.parts)
    assert broken_imports(room, path.read_text(encoding="utf-8"), package) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("kb", "from nlp.pipeline import build"),
        ("kb", "import nlp.pipeline"),
        ("kb", "import nlp"),
        ("kb", "from harvest import archive"),
        ("kb", "def f():\n    from nlp.units import UnitTable"),
        ("kb", "import importlib\nimportlib.import_module('nlp.vocab')"),
        ("nlp", "from harvest.model import Trial"),
        ("nlp", "import kb.store"),
        ("harvest", "from nlp.model import Item"),
        ("harvest", "import cli"),
        ("kb", "from commands.output import Table"),
    ],
)
def test_a_planted_violation_is_found(room: str, source: str) -> None:
    assert broken_imports(room, source, f"{room}.deeper")


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("kb", "from nlp.model import Item"),
        ("kb", "from harvest import model"),
        ("kb", "import nlp.model"),
        ("kb", "from . import digest"),
        ("nlp", "import requests"),
        ("commands", "from nlp.pipeline import build"),
    ],
)
def test_a_lawful_import_passes(room: str, source: str) -> None:
    assert broken_imports(room, source, room) == []


def test_kb_needs_no_spacy_and_nlp_no_network() -> None:
    everything = {
        room: {
            name.split(".")[0]
            for r, path in sources()
            if r == room
            for name in imported(path.read_text("utf-8"), r)
        }
        for room in ROOMS
    }
    assert "spacy" not in everything["kb"] | everything["harvest"]
    assert not {"requests", "socket", "urllib3", "http", "sqlite3"} & everything["nlp"]
    assert "requests" not in everything["kb"]


def test_only_one_module_imports_requests() -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for _, path in sources()
        if any(name.split(".")[0] == "requests" for name in imported(path.read_text("utf-8"), ""))
    }
    assert users <= {"harvest/http.py"}


def test_the_house_has_its_rooms_and_papers() -> None:
    for name in ("harvest", "nlp", "kb", "tests", "fixtures", "docs", "benchmarks", "commands"):
        assert (ROOT / name).is_dir(), name
    papers = "cli.py pyproject.toml README.md CHANGELOG.md LICENSE NOTICE Makefile .ci/run requirements.lock"
    for name in papers.split():
        assert (ROOT / name).is_file(), name


def test_no_module_is_a_bag() -> None:
    bags = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    assert [path for _, path in sources() if path.stem in bags] == []


def test_notices_name_what_their_licences_ask_for() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for word in (
        "LOINC(R) is a registered",
        "UCUM",
        "MeSH",
        "ClinicalTrials.gov",
        "http://loinc.org/license",
    ):
        assert word in notice
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_no_index_and_no_machine_stands_in_the_lock() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    options = [line for line in lock.splitlines() if line.startswith("-")]
    assert options == []
    assert "://" not in lock
    pinned = re.findall(r"^([a-z0-9-]+)==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9-]+==", lock, re.MULTILINE)) > 50


def test_nothing_leaves_a_task_for_later() -> None:
    marks = re.compile(
        r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b|raise NotImplementedError"
    )
    assert [str(path) for _, path in sources() if marks.search(path.read_text("utf-8"))] == []


# ------------------------------------------------------------------ commands


def all_commands() -> list[tuple[str, click.Command]]:
    """Every command of the table and every subcommand, by its words."""
    context = click.Context(cli.trialkb)

    def walk(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            for name, part in sorted(command.commands.items()):
                yield from walk(f"{words} {name}", part)

    found: list[tuple[str, click.Command]] = []
    for name in cli.trialkb.list_commands(context):
        command = cli.trialkb.get_command(context, name)
        # A name without a command is found by the test of the table.
        if command is not None:
            found.extend(walk(name, command))
    return found


def test_the_table_and_the_command_modules_agree() -> None:
    listed = {module: dict(entries) for _, module, entries in cli.COMMAND_TABLE}
    offered = {}
    for module in pkgutil.iter_modules(commands.__path__):
        made = getattr(importlib.import_module(f"commands.{module.name}"), "COMMANDS", ())
        if made:
            offered[module.name] = {command.name: command.get_short_help_str(limit=200) for command in made}
    assert listed == offered


@pytest.mark.parametrize(
    ("words", "command"), all_commands(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_says_what_it_does_with_an_example(words: str, command: click.Command) -> None:
    text = command.help or ""
    assert text
    if not isinstance(command, click.Group):
        assert re.search(rf"Examples?:\s+(?s:.*)\btrialkb (?s:.*)\b{re.escape(words.split()[-1])}\b", text), (
            text
        )
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{words} {parameter.opts}"


def test_help_and_version_import_no_room() -> None:
    code = (
        "import sys, cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} "
        "& {'spacy', 'requests', 'networkx', 'duckdb', 'sqlite_utils', 'kb', 'nlp', 'harvest'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
