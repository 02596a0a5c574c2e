"""``trialkb export`` and ``trialkb schema`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.exporting import export, schema
from commands.output import archive_path
from harvest.archive import Archive
from harvest.run_log import add_subject, query_key, remember_ids
from harvest.sources.base import Query
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


def test_by_query(db: Path) -> None:
    result = run(db, "-q", "plt min >= 70 10*9/L")
    assert [each.id for each in read_records(result.stdout.splitlines())] == ["NCT99000003"]


def test_by_subject(db: Path) -> None:
    query = Query(cond="lupus")
    with Archive.open(archive_path(db), write=True) as archive:
        add_subject(archive, "lupus", "ctgov", query, "2026-11-20T09:00:00Z")
        with archive.transaction():
            remember_ids(archive, query_key("ctgov", query), ["NCT99000002", "NCT99000444"])
    result = run(db, "-s", "lupus")
    assert [each.id for each in read_records(result.stdout.splitlines())] == ["NCT99000002"]


def test_two_selections_exclude_each_other(db: Path) -> None:
    result = run(db, "-s", "lupus", "-t", "NCT99000002")
    assert result.exit_code == 2
    assert "exclude each other" in result.output


@pytest.mark.parametrize("name", base.names())
def test_every_format_to_a_folder_and_again(name: str, db: Path, tmp_path: Path) -> None:
    for _ in range(2):
        result = run(db, "-f", name, "-o", str(tmp_path / "out"))
        assert result.exit_code == 0, result.output
    assert "Source: ctgov" in result.output or "ClinicalTrials.gov" in result.output


def test_a_folder_format_does_not_go_to_a_pipe(db: Path) -> None:
    assert run(db, "-f", "circe").exit_code == 2


def test_a_bad_row_of_own_ids_is_one_line(db: Path, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("{}\n", "utf-8")
    result = run(db, "-f", "circe", "-o", str(tmp_path / "out"), "--omop", str(tmp_path / "own.jsonl"))
    assert "line 1 is no OMOP row" in str(result.exception)
    assert not (tmp_path / "out" / "manifest.json").exists()


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
