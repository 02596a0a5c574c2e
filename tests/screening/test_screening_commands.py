"""``screen``, ``whatif``, ``review`` and ``quality`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cli
from commands import screening

PATIENT = {
    "id": "p1", "as_of": "2025-07-27", "age": {"value": 40, "unit": "a"}, "sex": "female",
    "labs": {"plt": {"value": 45, "unit": "10*9/L"}, "qtc": {"value": 400, "unit": "ms"}},
}  # fmt: skip


@pytest.fixture
def patient_file(tmp_path: Path) -> Path:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(PATIENT), "utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)["answer"]


def test_screen_says_why_with_the_quoted_words(
    db: Path, patient_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "screen", patient_file, "--db", db, "-t", "NCT99000001")
    assert code == 0
    row = run(capsys, "screen", patient_file, "--db", db, "-t", "NCT99000001", "--csv")[1]
    assert "Platelet count 45 10*9/L; the text says >= 50 10*9/L (10% off)" in row
    assert "no medical device" in out
    assert "NCT99000001" in out
    assert "(synthetic)" in out
    found = answer(capsys, "screen", patient_file, "--db", db, "-t", "NCT99000001")["trials"][0]
    reason = found["criteria"][0]["reasons"][0]
    assert (found["status"], reason["quote"]) == ("not eligible", ">= 50 x 10^9/L")


def test_screen_over_many_trials_agrees_with_screen_over_few(
    db: Path, patient_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = answer(capsys, "screen", patient_file, "--db", db)
    monkeypatch.setattr(screening, "FEW_TRIALS", 1)
    many = answer(capsys, "screen", patient_file, "--db", db, "-n", 2)
    assert many["statuses"] == few["statuses"]
    assert many["counts"] == few["counts"] == {"eligible": 0, "undetermined": 0, "not eligible": 3}
    assert len(many["trials"]) == 2


def test_an_answer_of_the_caller(db: Path, patient_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patient_file.write_text(json.dumps(PATIENT | {"labs": {"plt": {"value": 90, "unit": "10*9/L"}}}), "utf-8")
    command = ("screen", patient_file, "--db", db, "-t", "NCT99000001")
    first = answer(capsys, *command)
    assert first["trials"][0]["status"] == "undetermined"
    assert [(one["about"], one["settles"]) for one in first["find_out_next"]] == [("qtc", 1)]
    told = answer(capsys, *command, "--answer", "NCT99000001 exclusion 1=yes")
    assert told["trials"][0]["status"] == "eligible"
    code, _, err = run(capsys, *command, "--answer", "no sign")
    assert (code, "TEXT=yes" in err) == (1, True)


@pytest.mark.parametrize(
    ("text", "named"),
    [("{", "not JSON"), ('{"labs": {"plt": 3}}', "['labs']['plt']"), ("\udcff", "not UTF-8")],
)
def test_a_bad_file_is_one_line(
    db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, named: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    code, out, err = run(capsys, "screen", path, "--db", db)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert named in err


def test_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "screen", "--schema")
    assert json.loads(out)["$defs"]["measurement"]


def test_whatif(db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.csv"
    path.write_text("patient,plt,qtc\na,40,400\nb,60,400\nc,60,500\nd,,400\n", "utf-8")
    found = answer(
        capsys, "whatif", "NCT99000001", "--db", db, "--cohort", path, "--set", "platelets >= 30 10*9/L"
    )
    assert [tuple(one.values()) for one in found["scenarios"]] == [
        ("as stated", 1, 1, 2, 0, 0), ("platelets >= 30 10*9/L", 2, 1, 1, 1, 0),
    ]  # fmt: skip
    code, _, err = run(capsys, "whatif", "NCT99000001", "--db", db, "--cohort", path, "--set", "lvef >= 3 %")
    assert (code, "states nothing about 'lvef'" in err) == (1, True)


def test_review_from_the_command_line(
    db: Path, tmp_path: Path, patient_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = answer(
        capsys, "review", "correct", "NCT99000001", "i1", "--set", "low=40", "--reviewer", "ann", "--db", db
    )
    assert kept["trials"] == ["NCT99000001", "NCT99000002"]
    shown = answer(capsys, "review", "NCT99000002", "--db", db)["items"]
    assert shown[0]["review"].startswith("corrected by ann")
    assert answer(capsys, "screen", patient_file, "--db", db)["statuses"]["NCT99000002"] == "eligible"
    file = tmp_path / "r.jsonl"
    assert run(capsys, "review", "export", "-o", file, "--db", db)[0] == 0
    assert answer(capsys, "review", "import", file, "--db", db) == {"new": 0, "known": 1}
    assert answer(capsys, "review", "undo", "NCT99000002", "i1", "--db", db) == {"undone": 1}
    assert run(capsys, "review", "accept", "NCT99000001", "i77", "--db", db)[0] == 1
    assert answer(capsys, "review", "queue", "--db", db) == []


def test_quality_page_and_trend(db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "q.md"
    found = answer(capsys, "quality", "--db", db, "--markdown", page)
    assert (found["figures"]["trials"], found["trend"]) == (3, [])
    assert page.read_text("utf-8").startswith("# Reading quality")
    assert len(answer(capsys, "quality", "--db", db)["trend"]) == 1
    assert len(answer(capsys, "quality", "--db", db)["trend"]) == 1


def test_a_correction_names_what_the_vocabulary_has(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    correct = ("review", "correct", "NCT99000001", "i1", "--db", db, "--set")
    code, _, err = run(capsys, *correct, "unit=boojums")
    assert (code, err.count("\n")) == (1, 1)
    assert "boojums" in err
    code, _, err = run(capsys, *correct, "concept=plateletes")
    assert (code, "plt" in err) == (1, True)
    assert answer(capsys, *correct, "unit=K/uL")["corrected"]["unit"] == "10*3/uL"


def test_what_was_said_to_be_missed_is_shown_and_taken_back(
    db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = run(
        capsys, "review", "missed", "NCT99000001", "inclusion", "1", "--why", "the age", "--db", db
    )
    assert code == 0
    shown = answer(capsys, "review", "NCT99000002", "--db", db)["items"]
    assert any(row["review"].startswith("missed by") and "the age" in row["review"] for row in shown)
    assert answer(capsys, "review", "undo", "NCT99000002", "inclusion 1", "--db", db) == {"undone": 1}
    assert run(capsys, "review", "undo", "NCT99000002", "inclusion 77", "--db", db)[0] == 1


def test_a_file_of_reviews_that_is_no_text(
    db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\xff\xfe")
    code, _, err = run(capsys, "review", "import", tmp_path / "r.jsonl", "--db", db)
    assert (code, "r.jsonl is not UTF-8" in err, err.count("\n")) == (1, True, 1)
