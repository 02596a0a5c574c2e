"""Bad input: one clear line on stderr, an exit code that is not 0, and stored content as it was."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harvest.archive import Archive
from harvest.local_registry import Holdings, LocalRegistry, load
from harvest.run_lock import run_lock
from kb.digest import content_digest
from tests.conftest import ROOT, Run, RunCli

CLOSED = "http://127.0.0.1:1"  # tcpmux: nobody listens on loopback


def stored(db: Path) -> tuple[str, int]:
    """The content digest of a knowledge base, and how many records its archive holds."""
    with Archive.open(db.with_name(f"{db.stem}.archive.sqlite")) as archive:
        return content_digest(db), sum(1 for _ in archive.heads())


def assert_refused(run: Run, code: int, *words: str) -> None:
    """One line on stderr that holds the words, nothing on stdout, this exit code."""
    lines = run.err.strip().split("\n")
    assert len(lines) == 1, run.err
    assert lines[0].startswith("trialkb: ")
    assert "Traceback" not in run.err
    for word in words:
        assert word.lower() in run.err.lower(), run.err
    assert run.code == code, run


@pytest.fixture
def unchanged(own_kb: Path) -> Iterator[Path]:
    """A knowledge base that must hold the same after the test as before."""
    before = stored(own_kb)
    yield own_kb
    assert stored(own_kb) == before


@pytest.fixture(scope="module")
def odd_url(fixtures: Path) -> Iterator[str]:
    """A registry that also has pages and records which are no trials."""
    holdings: Holdings = load(fixtures)
    holdings.pages["NCT00000003"] = b"<html><body><h1>Welcome</h1><p>Nothing here.</p></body></html>"
    with LocalRegistry(holdings) as server:
        yield server.url


# Commands that ask about one trial, with ID in its place.
ABOUT_A_TRIAL = (
    "show ID",
    "comparable ID",
    "compare ID",
    "graph ID",
    "diff ID",
    "history ID",
    "conflicts ID",
    "export -t ID",
    "screen patient.json -t ID",
    "whatif ID --set plt>=30 --cohort labs.csv",
    "review show ID",
    "review accept ID i1",
    "landscape --cond lupus --trial ID",
)
# Commands that read the knowledge base, whatever they ask.
READING = (
    *(line.replace("ID", "NCT06886919") for line in ABOUT_A_TRIAL),
    "find plt>=50",
    "search lupus",
    "sql SELECT",
    "changes --since 2025-01-01",
    "review queue",
    "doctor",
    "backup saved.zip",
    "runs",
    "subject list",
)


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with the files that the commands above speak of."""
    folder = tmp_path / "questions"
    folder.mkdir()
    (folder / "patient.json").write_text('{"id": "p1", "sex": "female"}')
    (folder / "labs.csv").write_text("patient,platelets (10*9/L)\np1,45\n")
    monkeypatch.chdir(folder)


@pytest.mark.usefixtures("questions")
@pytest.mark.parametrize("line", ABOUT_A_TRIAL)
def test_an_unknown_id(line: str, unchanged: Path, run_cli: RunCli) -> None:
    words = line.replace("ID", "NCT00000001").split()
    assert_refused(run_cli(*words, "--db", unchanged), 1, "NCT00000001")


@pytest.mark.usefixtures("questions")
@pytest.mark.parametrize("line", [*ABOUT_A_TRIAL, "refresh ID"])
@pytest.mark.parametrize(
    "identifier", ["NCT123", "../../etc/passwd", "NCT06886919/../x", "abc", "NCT0688691X"]
)
def test_a_malformed_id(
    line: str, identifier: str, unchanged: Path, run_cli: RunCli, registry_url: str
) -> None:
    where = ("--ctgov-url", registry_url) if line.startswith("refresh") else ()
    words = line.replace("ID", identifier).split()
    assert_refused(run_cli(*words, *where, "--db", unchanged), 1, identifier)


def test_an_unreachable_host(unchanged: Path, run_cli: RunCli) -> None:
    run = run_cli("refresh", "NCT06886919", "--ctgov-url", CLOSED, "--db", unchanged)
    assert_refused(run, 3, "127.0.0.1")


def test_a_host_without_a_name(unchanged: Path, run_cli: RunCli) -> None:
    run = run_cli("refresh", "NCT06886919", "--ctgov-url", "http://no-such-host.invalid", "--db", unchanged)
    assert_refused(run, 3, "no-such-host.invalid")


def test_an_id_that_the_registry_does_not_have(unchanged: Path, run_cli: RunCli, registry_url: str) -> None:
    run = run_cli("refresh", "NCT00000001", "--ctgov-url", registry_url, "--full", "--db", unchanged)
    assert run.code != 0
    assert "NCT00000001" in run.err
    assert run.err.count("\n") == 1


def test_a_host_that_answers_404(unchanged: Path, run_cli: RunCli, registry_url: str) -> None:
    run = run_cli("refresh", "NCT06886919", "--ctgov-url", f"{registry_url}/nowhere", "--db", unchanged)
    assert run.code in (1, 3)
    assert_refused(run, run.code, "404")


def test_a_page_that_the_host_does_not_have(unchanged: Path, run_cli: RunCli, odd_url: str) -> None:
    where = ("--source", "clinconnect", "--clinconnect-url", odd_url)
    run = run_cli("refresh", "NCT00000002", *where, "--db", unchanged)
    assert run.code != 0
    assert "NCT00000002" in run.err
    assert run.err.count("\n") == 1


def test_a_page_that_is_not_a_trial(unchanged: Path, run_cli: RunCli, odd_url: str) -> None:
    where = ("--source", "clinconnect", "--clinconnect-url", odd_url)
    run = run_cli("refresh", "NCT00000003", *where, "--db", unchanged)
    assert run.code != 0
    assert_refused(run, run.code, "NCT00000003")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.json", "{}"),
        ("list.json", "[]"),
        ("nothing.json", ""),
        ("words.json", "not JSON at all"),
        ("half.json", '{"protocolSection": {"identificationModule": {"nctId": "NCT0688'),
        ("no-id.json", json.dumps({"protocolSection": {"identificationModule": {}}})),
        ("bad-id.json", json.dumps({"protocolSection": {"identificationModule": {"nctId": "../x"}}})),
        ("number.json", "42"),
        ("lines.jsonl", "{}\n"),
        ("words.jsonl", "not JSON\n"),
        ("page.html", "<html><body>No trial here</body></html>"),
        ("fake.jsonl.gz", "not gzip"),
        ("fake.zip", "not a zip"),
        ("records.txt", "of no known kind"),
    ],
)
def test_a_file_that_is_no_record(
    name: str, content: str, unchanged: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)
    run = run_cli("import", path, "--db", unchanged)
    assert run.code in (1, 5), run
    assert run.err.count("\n") == 1, run.err
    assert name in run.err


def test_a_file_that_is_not_there(unchanged: Path, run_cli: RunCli, tmp_path: Path) -> None:
    assert_refused(run_cli("import", tmp_path / "gone.json", "--db", unchanged), 1, "gone.json")


# ------------------------------------------------------------------ database


@pytest.mark.usefixtures("questions")
@pytest.mark.parametrize("line", READING)
def test_no_knowledge_base_there(line: str, run_cli: RunCli, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    run = run_cli(*line.split(), "--db", tmp_path / "none.db")
    assert_refused(run, 4, "none")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("questions")
@pytest.mark.parametrize("line", [*READING, "refresh NCT06886919"])
def test_a_database_of_another_version(line: str, own_kb: Path, run_cli: RunCli, registry_url: str) -> None:
    for statement, path in (
        ("UPDATE meta SET value = '9999' WHERE key = 'schema_version'", own_kb),
        ("PRAGMA user_version = 9999", own_kb.with_name(f"{own_kb.stem}.archive.sqlite")),
    ):
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
    before = own_kb.read_bytes()
    where = ("--ctgov-url", registry_url) if line.startswith("refresh") else ()
    assert_refused(run_cli(*line.split(), *where, "--db", own_kb), 4, "9999")
    assert own_kb.read_bytes() == before


def test_a_file_that_is_no_database(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("shopping list " * 100)
    assert_refused(run_cli("show", "NCT06886919", "--db", path), 4, "notes.db")
    assert path.read_text().startswith("shopping list")


def test_a_second_writer_hears_who_holds_the_lock(
    unchanged: Path, run_cli: RunCli, registry_url: str
) -> None:
    with run_lock(unchanged.with_name(f"{unchanged.stem}.archive.sqlite"), "import"):
        run = run_cli("refresh", "NCT06886919", "--ctgov-url", registry_url, "--db", unchanged)
    assert_refused(run, 4, "trialkb import", "process")


def test_a_second_writer_of_the_knowledge_base(unchanged: Path, run_cli: RunCli, fixtures: Path) -> None:
    code = (
        "import sys; from kb.store import Store\n"
        "with Store.open(sys.argv[1], 'write'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(unchanged)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        run = run_cli("import", fixtures / "ctgov", "--db", unchanged)
    assert_refused(run, 4, unchanged.name, "process")


# -------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    "words",
    [
        ("refresh",),
        ("refresh", "NCT06886919", "--cond", "lupus"),
        ("refresh", "--source", "clinconnect", "--cond", "lupus"),
        ("show",),
        ("show", "NCT06886919", "--no-such-option"),
        ("extract",),
        ("registry", "--port", "70000"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: tuple[str, ...], run_cli: RunCli, tmp_path: Path
) -> None:
    assert_refused(run_cli(*words), 2, "--help")
