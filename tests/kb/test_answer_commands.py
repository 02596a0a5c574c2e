"""The commands over a knowledge base: what people and programs see, and how bad input ends."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cli
from kb.digest import content_digest
from kb.store import Store
from nlp.model import All, Extraction, Leaf, Unread
from tests.kb.samples import CONCEPTS, VOCABULARY, criterion, item, platelets_trial, renal_extraction, trial


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("answers") / "kb.sqlite"
    with Store.open(path, "write") as store:
        store.set_vocabulary(VOCABULARY, CONCEPTS)
        for number, value in enumerate((50, 75, 100), start=1):
            store.put(*platelets_trial(number, value=value), data_timestamp="2026-02-01T09:00:00")
        newer, reading = platelets_trial(1, value=30, version="b" * 64, last_update_posted="2026-05-01")
        store.put(newer, reading, data_timestamp="2026-06-01T09:00:00")
        line = "creatinine <= 1.5 x ULN or CrCl >= 40 mL/min"
        store.put(trial(4, line, synthetic=False), renal_extraction(line, line))
        text = "Platelets >= 50 x 10^9/L and more"
        read = item(text, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L")
        tree = All((Leaf("i1"), Unread((25, len(text)), "not understood")))
        store.put(
            trial(5, text, title="Lupus five"),
            Extraction((read,), (criterion(text, text, tree),), VOCABULARY),
        )
    return path


def run(capsys: pytest.CaptureFixture[str], db: Path, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--db", str(db)])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


def answer(capsys: pytest.CaptureFixture[str], db: Path, *words: str) -> Any:
    code, out, _ = run(capsys, db, *words, "--json")
    assert code in (0, 10)
    return json.loads(out)["answer"]


ANSWERS = [
    ("show", "NCT99000001"),
    ("comparable", "NCT99000001"),
    ("compare", "NCT99000001", "NCT99000002"),
    ("landscape", "--cond", "lupus", "--trial", "NCT99000001"),
    ("find", "platelets min <= 50 10*9/L"),
    ("search", "platelets"),
    ("sql", "SELECT trial, title FROM trial_view"),
    ("graph", "NCT99000001"),
    ("diff", "NCT99000001"),
    ("changes", "--since", "2026-03-01"),
]


@pytest.mark.parametrize("words", ANSWERS, ids=lambda words: words[0])
def test_every_answer_says_where_it_comes_from(
    capsys: pytest.CaptureFixture[str], db: Path, words: tuple[str, ...]
) -> None:
    code, out, err = run(capsys, db, *words)
    assert code in (0, 10), err
    assert "Source: " in out
    assert "2026-06-01" in out or "2026-02-01" in out


@pytest.mark.parametrize("words", ANSWERS, ids=lambda words: words[0])
def test_every_answer_marks_synthetic_trials(
    capsys: pytest.CaptureFixture[str], db: Path, words: tuple[str, ...]
) -> None:
    if words[0] == "graph":
        pytest.skip("a count of nodes names no trial")
    _, out, _ = run(capsys, db, *words)
    assert "Synthetic trials" in out


@pytest.mark.parametrize("words", ANSWERS, ids=lambda words: words[0])
def test_every_answer_is_json_and_csv(
    capsys: pytest.CaptureFixture[str], db: Path, words: tuple[str, ...]
) -> None:
    assert answer(capsys, db, *words) is not None
    _, out, _ = run(capsys, db, *words, "--csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}


def test_show_marks_reads_and_counts(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    _, out, _ = run(capsys, db, "show", "NCT99000005")
    assert "Platelets [1: >= 50 x 10^9/L] and more" in out
    assert "rule test" in out
    assert "not read (not understood): and more" in out
    assert "1 demands not read" in out


def test_compare_marks_the_strictest(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    _, out, _ = run(capsys, db, "compare", "NCT99000002", "NCT99000003", "--concept", "platelets")
    assert "≥ 100 10*9/L" in out
    assert "strictest min" in out
    assert "QTc" not in out


PEOPLE = [
    ("show", "NCT99000001"),
    ("comparable", "NCT99000001"),
    ("compare", *(f"NCT9900000{number}" for number in range(1, 6))),
    ("landscape", "--cond", "lupus", "--trial", "NCT99000001"),
    ("find", "platelets min <= 80 10*9/L"),
    ("search", "platelets"),
]


@pytest.mark.parametrize("words", PEOPLE, ids=lambda words: words[0])
def test_answers_for_people_fit_a_terminal(
    capsys: pytest.CaptureFixture[str], db: Path, words: tuple[str, ...]
) -> None:
    _, out, _ = run(capsys, db, *words)
    body = out.partition("\nSynthetic trials")[0]
    assert [line for line in body.splitlines() if len(line) > 100] == []


def test_compare_puts_many_trials_into_several_tables(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    ids = [f"NCT9900000{number}" for number in range(1, 6)]
    code, out, _ = run(capsys, db, "compare", *ids)
    assert code == 0
    assert out.count("demands not read") == 1  # five stand beside each other in 100 columns
    _, out, _ = run(capsys, db, "compare", *ids, "--csv")
    assert out.count("demands not read") == 1


def test_a_converted_limit_keeps_the_words_of_the_text(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    db = tmp_path / "kb.sqlite"
    with Store.open(db, "write") as store:
        store.set_vocabulary(VOCABULARY, CONCEPTS)
        for number, (said, low, unit) in enumerate(
            ((">= 75,000/uL", 75000.0, "/uL"), (">= 50 x 10^9/L", 50.0, "10*9/L")), start=1
        ):
            line = f"Platelets {said}"
            one = replace(item(line, said, "plt", ">=", low, unit), canonical_low=75.0 if number == 1 else 50.0,
                          canonical_unit="10*9/L")  # fmt: skip
            store.put(
                trial(number, line), Extraction((one,), (criterion(line, line, Leaf("i1")),), VOCABULARY)
            )
    _, out, _ = run(capsys, db, "compare", "NCT99000001", "NCT99000002")
    said = " ".join(out.split())
    assert '≥ 75 10*9/L (">= 75,000/uL") strictest min' in said or '(">= 75,000/uL")' in said
    assert '(">= 50 x 10^9/L")' not in out


def test_comparable_explains_itself(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    _, out, _ = run(capsys, db, "comparable", "NCT99000002", "-n", "2")
    assert "same condition" in out
    assert "looser by 45 10*9/L" in out or "stricter by 25 10*9/L" in out


def test_a_contrast_says_what_is_only_an_alternative(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    db = tmp_path / "kb.sqlite"
    with Store.open(db, "write") as store:
        store.set_vocabulary(VOCABULARY, CONCEPTS)
        line = "creatinine <= 1.5 x ULN or CrCl >= 40 mL/min"
        for number in (1, 2):
            store.put(trial(number, line), renal_extraction(line, line))
    _, out, _ = run(capsys, db, "comparable", "NCT99000001")
    assert " ".join(out.split()).count("(alternative)") == 4


def test_a_draft_is_compared(capsys: pytest.CaptureFixture[str], db: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.txt"
    draft.write_text(
        "CD19 CAR-T in systemic lupus erythematosus\nInclusion Criteria:\n* Platelets >= 75,000/uL\n", "utf-8"
    )
    matches = answer(capsys, db, "comparable", "--text", str(draft))["matches"]
    second = next(match for match in matches if match["trial"]["trial"] == "NCT99000002")
    verdicts = {
        row["concept"]: row["verdict"] for row in second["contrast"]["rows"] if row["concept"] == "plt"
    }
    assert verdicts == {"plt": "same"}


def test_as_of_answers_for_that_day(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    _, out, _ = run(capsys, db, "show", "NCT99000001", "--as-of", "2026-02-01")
    assert ">= 50 x 10^9/L" in out
    assert "As of 2026-02-01" in out


@pytest.mark.parametrize(
    "words",
    [
        ("search", "platelets"),
        ("sql", "SELECT line FROM threshold_view WHERE trial = 'NCT99000001' AND concept = 'plt'"),
        ("find", "platelets min = 50 10*9/L"),
        ("compare", "NCT99000001", "NCT99000002", "--concept", "platelets"),
        ("landscape", "--cond", "lupus", "--concept", "platelets"),
        ("comparable", "NCT99000002"),
        ("show", "NCT99000001"),
    ],
    ids=lambda words: words[0],
)
def test_every_question_can_be_asked_of_a_past_day(
    capsys: pytest.CaptureFixture[str], db: Path, words: tuple[str, ...]
) -> None:
    _, then, _ = run(capsys, db, *words, "--as-of", "2026-02-01")
    assert "As of 2026-02-01" in then
    _, now, _ = run(capsys, db, *words)
    assert "50" in then
    assert then != now


@pytest.mark.parametrize("words", [("find", "platelets min > 9000 10*9/L"), ("search", "nowhere")])
def test_an_answer_without_a_trial_has_a_source_too(
    capsys: pytest.CaptureFixture[str], db: Path, words: tuple[str, ...]
) -> None:
    code, out, _ = run(capsys, db, *words)
    assert code == 0
    assert "Source: " in out
    assert "2026-06-01" in out


def test_rows_without_an_id_may_be_of_synthetic_trials(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    _, out, _ = run(capsys, db, "sql", "SELECT title FROM trial_view LIMIT 1")
    assert "4 of the stored trials are synthetic" in out


def test_sql_describes_what_can_be_asked(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    _, out, _ = run(capsys, db, "sql", "--describe")
    assert "threshold_view" in out
    assert answer(capsys, db, "sql", "--describe", "criterion")[0]["name"] == "id"
    code, _, err = run(capsys, db, "sql")
    assert (code, "SELECT" in err) == (2, True)


def test_diff_says_the_change_and_its_cause(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    _, out, _ = run(capsys, db, "diff", "NCT99000001")
    assert "Platelet count ≥ 50 10*9/L → ≥ 30 10*9/L" in out
    assert "amended" in out


def test_changes_drive_a_webhook(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    code, out, _ = run(capsys, db, "changes", "--since", "2026-03-01", "--json")
    assert code == 10
    (change,) = json.loads(out)["answer"]
    assert change["difference"]["thresholds"][0]["direction"] == "looser"
    code, out, _ = run(capsys, db, "changes", "--since", "2026-12-01")
    assert (code, "Nothing changed" in out) == (0, True)


def test_a_graph_is_written(capsys: pytest.CaptureFixture[str], db: Path, tmp_path: Path) -> None:
    target = tmp_path / "lupus.graphml"
    run(capsys, db, "graph", "--cond", "lupus", "-o", str(target))
    assert target.read_text("utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "NCT1"), 1, "NCT and eight digits"),
        (("show", "NCT99999999"), 1, "trialkb refresh NCT99999999"),
        (("compare", "NCT99000001"), 1, "two different"),
        (("compare", "NCT99000001", "NCT99000002", "--concept", "grobble"), 1, "no concept is called"),
        (("comparable",), 2, "either a trial id or --text"),
        (("find", "platelets min <= 50"), 1, "column 18"),
        (("search", "..."), 1, "no word"),
        (("sql", "DROP TABLE trial"), 1, "only reading"),
        (("landscape", "--cond", "gout"), 1, "no stored trial"),
        (("graph",), 2, "name trials"),
        (("diff", "NCT99000002"), 1, "one stored version only"),
        (("changes", "--since", "yesterday"), 1, "not a date"),
        (("show", "NCT99000001", "--as-of", "2026"), 1, "not a date"),
        (("show", "NCT99000001", "--as-of", "2001-01-01"), 1, "as of 2001-01-01"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], db: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    before = content_digest(db)
    ended, out, err = run(capsys, db, *words)
    assert (ended, out) == (code, "")
    assert said in err
    assert err.count("\n") == 1
    assert content_digest(db) == before


def test_a_database_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, tmp_path / "none.db", "show", "NCT99000001")
    assert code == 4
    assert "no knowledge base" in err


def test_an_empty_draft_and_one_that_is_no_text(
    capsys: pytest.CaptureFixture[str], db: Path, tmp_path: Path
) -> None:
    for content in (b"", b"\xff\xfe\x00"):
        draft = tmp_path / "draft.txt"
        draft.write_bytes(content)
        code, _, err = run(capsys, db, "comparable", "--text", str(draft))
        assert code == 1
        assert "draft.txt" in err
