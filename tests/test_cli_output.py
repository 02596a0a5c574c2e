"""The shared output of the commands: forms, notices, atomic files, exit codes, quiet ends."""

from __future__ import annotations

import csv
import errno
import importlib
import io
import json
import logging
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

import cli
from commands.output import (
    EXIT_BAD_INPUT,
    EXIT_DATABASE,
    CommandError,
    Output,
    Provenance,
    Table,
    archive_path,
    as_nct_id,
    atomic_write,
    number,
    output_options,
    to_json,
)
from harvest.errors import InvalidTrialId

ROOT = Path(__file__).resolve().parents[1]
ROWS = (("NCT06886919", 50.0, None), ("NCT99000001", 0.125, True))
TABLE = Table(("trial", "limit", "flag"), ROWS)
SOURCE = Provenance(("ClinicalTrials.gov",), "2025-08-15T09:00:04")


def answer(form: str, capsys: pytest.CaptureFixture[str], *parts: Table | str) -> tuple[str, str]:
    Output(Path("x.db"), form).emit({"rows": ROWS}, *(parts or (TABLE,)), provenance=SOURCE)  # type: ignore[arg-type]
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_table_marks_invented_trials_and_says_source_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = answer("table", capsys)
    assert "NCT99000001 (synthetic)" in out
    assert "NCT06886919 (synthetic)" not in out
    assert "Synthetic trials, invented for this project's fixtures: NCT99000001." in out
    assert "Source: ClinicalTrials.gov, data of 2025-08-15T09:00:04." in out
    assert "medical device" in out
    assert err == ""


def test_no_synthetic_notice_where_none_appears(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = answer("table", capsys, Table(("trial",), [("NCT06886919",)]))
    assert "ynthetic" not in out


def test_csv_is_clean_and_has_a_synthetic_column(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = answer("csv", capsys)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["synthetic"] for row in rows] == ["no", "yes"]
    assert rows[0] == {"trial": "NCT06886919", "limit": "50", "flag": "", "synthetic": "no"}
    assert "Synthetic trials" in err


def test_json_carries_the_answer_and_its_provenance(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = answer("json", capsys)
    data = json.loads(out)
    assert data["answer"]["rows"][1] == ["NCT99000001", 0.125, True]
    assert data["provenance"]["synthetic_trials"] == ["NCT99000001"]
    assert data["provenance"]["data_timestamp"] == "2025-08-15T09:00:04"


def test_csv_of_an_answer_without_a_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="no table"):
        answer("csv", capsys, "only words")


@pytest.mark.parametrize(
    ("value", "text"), [(50.0, "50"), (2.5, "2.5"), (None, ""), (False, "no"), (1e-4, "0.0001"), (7, "7")]
)
def test_numbers_print_without_needless_digits(value: object, text: str) -> None:
    assert number(value) == text


def test_json_knows_dataclasses_paths_and_sets() -> None:
    assert json.loads(to_json([SOURCE, Path("a"), {"b"}]))[1:] == ["a", ["b"]]
    with pytest.raises(TypeError):
        to_json(object())


def test_the_archive_lies_beside_the_knowledge_base() -> None:
    assert archive_path(Path("a/lupus.v2.db")) == Path("a/lupus.v2.archive.sqlite")


@pytest.mark.parametrize("text", ["nct06886919", " NCT06886919 "])
def test_an_id_is_taken_in_any_case(text: str) -> None:
    assert as_nct_id(text) == "NCT06886919"


@pytest.mark.parametrize(
    "text", ["", "NCT123", "NCT068869190", "../NCT06886919", "NCT0688691٩", "NCT06886919\n;"]
)
def test_a_malformed_id_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidTrialId, match="NCT and eight digits"):
        as_nct_id(text)


# --------------------------------------------------------------------- files


def test_a_file_is_replaced_only_when_all_was_written(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("before")

    def fail_half_way() -> None:
        with atomic_write(target) as file:
            file.write("half")
            raise ValueError

    with pytest.raises(ValueError):
        fail_half_way()
    assert target.read_text() == "before"
    with atomic_write(target) as file:
        file.write("µ\n")
    assert target.read_bytes() == "µ\n".encode()
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere"), atomic_write(tmp_path / "nowhere" / "x", binary=True):
        pass


# ---------------------------------------------------------------- exit codes


@pytest.mark.parametrize("name", sorted(cli.EXIT_CODES))
def test_every_error_with_an_exit_code_exists(name: str) -> None:
    module, _, cls = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), cls), Exception)


@pytest.mark.parametrize("room", ["harvest.errors", "nlp.errors", "kb.errors", "kb.export.errors"])
def test_every_error_of_a_room_has_an_exit_code(room: str) -> None:
    errors = [c for c in vars(importlib.import_module(room)).values() if isinstance(c, type)]
    assert errors
    for error in errors:
        if issubclass(error, Exception):
            assert cli.exit_code_of(error("what, where, what to do")) in (1, 3, 4, 5), error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (sqlite3.OperationalError("database is locked"), EXIT_DATABASE),
        (OSError(errno.ENOSPC, "no space"), EXIT_DATABASE),
        (FileNotFoundError(errno.ENOENT, "no such file"), EXIT_BAD_INPUT),
        (json.JSONDecodeError("no", "", 0), EXIT_BAD_INPUT),
        (KeyError("ours"), None),
    ],
)
def test_plain_errors_have_exit_codes_and_faults_have_none(error: Exception, code: int | None) -> None:
    assert cli.exit_code_of(error) == code


def run_with(command: click.Command, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(cli.CommandGroup, "get_command", lambda self, ctx, name: command)
    with pytest.raises(SystemExit) as left:
        cli.main(["any", *arguments])
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (CommandError("first\n  second", 4), 4, "first second"),
        (OSError(errno.EACCES, "permission denied", "x.db"), 1, "permission denied"),
        (KeyError("ours"), cli.EXIT_INTERNAL, "fault in trialkb itself"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_error_is_one_line_on_stderr(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    def fail() -> None:
        raise error

    assert run_with(fail, monkeypatch) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().split("\n")) == 1
    assert words in captured.err.lower()


def test_a_command_returns_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @output_options
    def changed(output: Output) -> int:
        return 10

    assert run_with(changed, monkeypatch) == 10


def test_json_and_csv_exclude_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    @output_options
    def both(output: Output) -> None:
        """Never runs."""

    assert run_with(both, monkeypatch, "--json", "--csv") == 2
    assert "exclude" in capsys.readouterr().err


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["no-such-command"])
    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_closed_pipe_ends_quietly() -> None:
    code = (
        "import cli, click\n"
        "@click.command()\n"
        "def many():\n"
        "    for _ in range(200000): click.echo('a line of output')\n"
        "cli.CommandGroup.get_command = lambda self, ctx, name: many\n"
        "cli.main(['many'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.wait() == cli.EXIT_PIPE_CLOSED


def test_json_logs_carry_what_was_added() -> None:
    record = logging.LogRecord("harvest.http", logging.WARNING, "", 0, "slow: %s", ("host",), None)
    record.attempt = 2
    entry = json.loads(cli.JsonFormatter().format(record))
    assert entry["message"] == "slow: host"
    assert entry["attempt"] == 2
    assert entry["level"] == "WARNING"


def test_a_wide_table_is_fitted_into_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    words = "many words that say something of one trial and go on and on "
    wide = Table(("trial", "here", "there"), [("NCT06886919", words * 3, words), ("NCT99000001", "x", "y")])
    out, _ = answer("table", capsys, wide)
    assert max(map(len, out.split("\n")[:-3])) <= 100
    assert "NCT06886919" in out  # a word is not broken
    assert " ".join(out.split()).count("something") == 4


def test_a_narrow_table_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = answer(
        "table", capsys, Table(("trial", "limit"), [("NCT06886919", "≥ 50 10*9/L (strictest min)")])
    )
    assert "NCT06886919  ≥ 50 10*9/L (strictest min)" in out
