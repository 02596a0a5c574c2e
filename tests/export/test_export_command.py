"""``trialkb export`` and ``trialkb schema`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.exporting import export, schema
from kb.export import base
from kb.export.canonical import read_records


def run(db: Path, *arguments: str) -> Result:
    return CliRunner().invoke(export, ["--db", str(db), *arguments])


def test_to_a_file(db: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    result = run(db, "-f", "jsonl", "-o", str(target))
    assert result.exit_code == 0, result.output
    assert "NCT99" not in result.output or "synthetic" in result.output
    assert [each.id for each in read_records(target.read_text("utf-8").splitlines())] == [
        "NCT99000001", "NCT99000002", "NCT99000003",
    ]  # fmt: skip


def test_to_a_pipe(db: Path) -> None:
    result = run(db, "-f", "jsonl", "-t", "NCT99000002,NCT99000003")
    assert result.exit_code == 0, result.output
    assert [each.id for each in read_records(result.stdout.splitlines())] == ["NCT99000002", "NCT99000003"]
    assert "criteria: 2 whole" in result.stderr


def test_ids_from_a_file(db: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("NCT99000003\n", "utf-8")
    result = run(db, "-t", f"@{tmp_path / 'ids.txt'}")
    assert [each.id for each in read_records(result.stdout.splitlines())] == ["NCT99000003"]


def test_json_answer_counts_the_losses(db: Path, tmp_path: Path) -> None:
    result = run(db, "-f", "csv", "-o", str(tmp_path / "x.csv"), "--json")
    answer = json.loads(result.stdout)["answer"]
    assert answer["trials"] == 3
    assert answer["criteria"] == {"whole": 7, "degraded": 3, "dropped": 0}
    assert answer["reasons"]["logic"] == 2


def test_a_second_run_says_what_is_unchanged(db: Path, tmp_path: Path) -> None:
    run(db, "-o", str(tmp_path / "out"))
    answer = json.loads(run(db, "-o", str(tmp_path / "out"), "--json").stdout)["answer"]
    assert (answer["written"], answer["unchanged"]) == (0, 3)


def test_list_names_every_format(db: Path) -> None:
    rows = json.loads(run(db, "--list", "--json").stdout)["answer"]
    assert [row["format"] for row in rows] == list(base.names())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-f", "xml"], "unknown export format"),
        (["-t", "NCT00000001"], "NCT00000001 is not in"),
        (["-t", "NCT1"], "not an NCT id"),
        (["-t", "@/no/such/file"], "cannot read the list"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], error: str, db: Path) -> None:
    result = run(db, *arguments)
    assert result.exit_code != 0
    assert error in str(result.exception)
    assert "\n" not in str(result.exception)


def test_no_database_is_said(tmp_path: Path) -> None:
    result = run(tmp_path / "none.db")
    assert result.exit_code != 0
    assert "none.db" in str(result.exception)


def test_schema_is_printed() -> None:
    result = CliRunner().invoke(schema, [])
    assert json.loads(result.stdout)["$id"] == "urn:trialkb:schema:canonical:1.0"
