"""The commands from end to end: what is printed, the exit code, and that bad input changes nothing."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harvest.archive import Archive
from harvest.local_registry import LocalRegistry
from harvest.registry_faults import Fault
from harvest.run_lock import run_lock
from kb.digest import content_digest
from kb.store import Store
from tests.harvest.command_line import Command, be_impatient, content, serve
from tests.harvest.sample_records import holdings, sample, sample_id

ROOT = Path(__file__).resolve().parents[2]


def test_refresh_tells_what_is_new_and_then_that_nothing_is(trialkb: Command, server: LocalRegistry) -> None:
    first = trialkb("refresh", "--cond", "lupus", "--intr", "CAR-T")
    assert first.code == 0
    assert "new           15: NCT06886919, NCT99000001" in first.out
    assert "Synthetic trials, invented" in first.out
    assert "data of 2025-" in first.out
    second = trialkb("refresh", "--cond", "lupus", "--intr", "CAR-T")
    assert second.code == 0
    assert "Nothing to do: the registry's data is still that of 2025-" in second.out


def test_refresh_as_json(trialkb: Command, server: LocalRegistry) -> None:
    answer = json.loads(trialkb("refresh", "NCT06886919", "--json").out)["answer"]
    assert (answer["new"], answer["state"], answer["read"]) == (["NCT06886919"], "complete", {"new": 1})


def test_a_second_run_leaves_the_content_as_it_is(trialkb: Command, server: LocalRegistry, db: Path) -> None:
    trialkb("refresh", "--cond", "lupus")
    before = content(db)
    trialkb("refresh", "--cond", "lupus")
    trialkb("refresh", "--cond", "lupus", "--full")
    assert content(db) == before


def test_the_order_in_which_records_came_does_not_show(
    trialkb: Command, server: LocalRegistry, db: Path, fixtures: Path, tmp_path: Path
) -> None:
    trialkb("refresh", "--all")
    refreshed = content_digest(db)
    other = tmp_path / "other.db"
    trialkb("import", str(fixtures / "ctgov"), "--db", str(other))
    assert content_digest(other) == refreshed


def test_a_page_comes_beside_its_record(trialkb: Command, server: LocalRegistry) -> None:
    trialkb("refresh", "NCT99000007")
    assert trialkb("refresh", "NCT99000007", "--source", "clinconnect").code == 0
    shown = trialkb("conflicts", "--json")
    assert {row["field"] for row in json.loads(shown.out)["answer"]} == {
        "status", "last update / current as of", "criteria",
    }  # fmt: skip
    assert "RECRUITING" in trialkb("conflicts").out


def test_subjects_are_saved_refreshed_and_removed(trialkb: Command, server: LocalRegistry) -> None:
    assert trialkb("subject", "add", "lupus-cart", "--cond", "lupus", "--intr", "CAR-T").code == 0
    assert "never" in trialkb("subject", "list").out
    assert trialkb("refresh", "--subject", "lupus-cart").code == 0
    (listed,) = json.loads(trialkb("subject", "list", "--json").out)["answer"]
    assert (listed["name"], listed["trials"]) == ("lupus-cart", 15)
    other = trialkb("subject", "add", "lupus-cart", "--cond", "gout")
    assert (other.code, other.err.count("\n")) == (1, 1)
    assert trialkb("subject", "remove", "lupus-cart").code == 0
    assert trialkb("refresh", "--subject", "lupus-cart").code == 1
    assert trialkb("subject", "remove", "lupus-cart").code == 1


def test_runs_are_listed(trialkb: Command, server: LocalRegistry) -> None:
    trialkb("refresh", "NCT06886919")
    trialkb("refresh", "NCT00000001")
    listed = json.loads(trialkb("runs", "--json").out)["answer"]
    assert [(run["kind"], run["state"]) for run in listed] == [("refresh", "failed"), ("refresh", "complete")]
    assert "new 1" in trialkb("runs").out


def test_past_versions(trialkb: Command, server: LocalRegistry, db: Path) -> None:
    trialkb("refresh", "NCT99000009")
    listed = trialkb("history", "NCT99000009", "--fetch", "--every")
    assert listed.code == 0
    assert "3 versions in the registry, 3 fetched" in listed.out
    rows = json.loads(trialkb("history", "NCT99000009", "--json").out)["answer"]
    assert [row["record_date"] for row in rows] == ["2024-03-18", "2024-06-20", "2024-12-05", "2024-12-05"]
    assert trialkb("doctor").code == 0


def test_contacts_stay_out_unless_asked_for(
    trialkb: Command, monkeypatch: pytest.MonkeyPatch, db: Path, tmp_path: Path
) -> None:
    from tests.harvest.sample_records import with_contacts

    with serve(monkeypatch, holdings(with_contacts(sample(1)))):
        trialkb("refresh", sample_id(1))
        everything = db.read_bytes() + db.with_name("kb.archive.sqlite").read_bytes()
        assert b"Ada Example" not in everything
        with Archive.open(db.with_name("kb.archive.sqlite")) as archive:
            assert b"Ada" not in archive.latest("ctgov", sample_id(1)).body
        kept = tmp_path / "kept.db"
        trialkb("refresh", sample_id(1), "--keep-contacts", "--db", str(kept))
        with Archive.open(tmp_path / "kept.archive.sqlite") as archive:
            assert b"Ada" in archive.latest("ctgov", sample_id(1)).body


# ------------------------------------------------------------------ bad input


BAD = [
    (("refresh", "NCT00000001"), 1, "no such record"),
    (("refresh", "nct12"), 1, "eight digits"),
    (("refresh", "NCT00000000", "NCT06886919"), 1, "eight digits"),
    (("refresh", "--term", "NCT06886919", "--status", "COMPLETED"), 1, "trialkb refresh NCT06886919"),
    (("refresh", "../NCT06886919"), 1, "eight digits"),
    (("refresh",), 2, "Give ids"),
    (("refresh", "NCT06886919", "--cond", "lupus"), 2, "Give ids"),
    (("refresh", "--cond", "lupus", "--source", "clinconnect"), 2, "cannot be searched"),
    (("refresh", "NCT06886919", "--source", "elsewhere"), 2, "elsewhere"),
    (("refresh", "--cond", "lupus", "--status", "OPEN"), 1, "`OPEN`"),
    (("refresh", "--cond", "lupus", "--advanced", "AREA[Colour]red"), 1, "Unknown area name"),
    (("refresh", "--subject", "none"), 1, "no subject"),
    (("refresh", "NCT00000002", "--source", "clinconnect"), 1, "no such record"),
    (("refresh", "NCT06886919", "--ctgov-url", "http://127.0.0.1:9", "--full"), 3, "refused"),
    (("refresh", "NCT06886919", "--ctgov-url", "ftp://x", "--full"), 1, "not an http or https address"),
    (("import", "nowhere.json"), 1, "no such file"),
    (("import", "{tmp}/empty.json"), 1, "not JSON"),
    (("import", "{tmp}/text.json"), 1, "not JSON"),
    (("import", "{tmp}/no_trial.json"), 1, "nctId"),
    (("import", "{tmp}/page.html"), 1, "not a ClinConnect trial page"),
    (("history", "NCT00000001"), 1, "not in the archive"),
    (("history", "x"), 1, "eight digits"),
    (("history", "NCT06886919", "--fetch"), 1, "no history"),
    (("restore", "{tmp}/text.json", "--force"), 1, "not a trialkb backup"),
    (("restore", "{tmp}/none.zip"), 1, "is there already"),
    (("backup", "{tmp}/no/folder/b.zip"), 1, "cannot write"),
    (("registry", "--fixtures", "{tmp}/text.json"), 1, "not JSON"),
]


@pytest.mark.parametrize(("words", "code", "message"), BAD, ids=[" ".join(words) for words, _, _ in BAD])
def test_bad_input_is_one_line_an_exit_code_and_no_change(
    trialkb: Command,
    server: LocalRegistry,
    db: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    be_impatient(monkeypatch)
    (tmp_path / "empty.json").write_bytes(b"")
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "no_trial.json").write_text('{"a": 1}')
    (tmp_path / "page.html").write_text("<html><body>Welcome</body></html>")
    assert trialkb("refresh", "NCT06886919").code == 0
    before = content(db)
    result = trialkb(*(word.replace("{tmp}", str(tmp_path)) for word in words))
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("trialkb: ")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    assert content(db) == before


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (Fault("status", status=403, times=99), 3, "blocks this program"),
        (Fault("status", status=503, times=99), 3, "still 503"),
        (Fault("html", times=99), 3, "HTML where JSON was due"),
        (Fault("redirect", location="http://elsewhere.example/", times=99), 3, "not a configured registry"),
        (Fault("not_a_trial", path="/api/v2/studies", times=99), 5, "no trial record"),
        (
            Fault("drop_record", path="/api/v2/studies", id=sample_id(1), times=99),
            5,
            "counts 3 records and listed 2",
        ),
    ],
)
def test_a_failing_registry_is_one_line_and_an_exit_code(
    trialkb: Command, monkeypatch: pytest.MonkeyPatch, fault: Fault, code: int, message: str
) -> None:
    be_impatient(monkeypatch)
    with serve(monkeypatch, holdings(*map(sample, (1, 2, 3))), fault):
        result = trialkb("refresh", "--cond", "lupus")
    assert result.code == code
    assert message in result.err
    assert result.err.count("\n") == 1


def test_a_database_of_another_version(trialkb: Command, server: LocalRegistry, db: Path) -> None:
    trialkb("refresh", "NCT06886919")
    archive = db.with_name("kb.archive.sqlite")
    with sqlite3.connect(archive) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = content_digest(db)
    result = trialkb("refresh", "NCT99000001")
    assert (result.code, result.err.count("\n")) == (4, 1)
    assert "format 99" in result.err
    assert content_digest(db) == before


def test_another_process_is_writing(trialkb: Command, server: LocalRegistry, db: Path) -> None:
    trialkb("refresh", "NCT06886919")
    before = content(db)
    with run_lock(db.with_name("kb.archive.sqlite"), "import"):
        result = trialkb("refresh", "NCT99000001")
    assert (result.code, result.err.count("\n")) == (4, 1)
    assert f"'trialkb import' of process {os.getpid()}" in result.err
    assert content(db) == before


# --------------------------------------------------- rebuild, doctor, backup


def test_rebuild_gives_the_same_content(trialkb: Command, server: LocalRegistry, db: Path) -> None:
    trialkb("refresh", "--cond", "lupus")
    before = content_digest(db)
    assert "No threshold moves" in trialkb("rebuild", "--preview").out
    assert before in trialkb("rebuild").out
    assert content_digest(db) == before
    assert trialkb("doctor").code == 0


def test_another_vocabulary_is_shown_before_it_is_accepted(
    trialkb: Command, server: LocalRegistry, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from commands import harvesting, knowledge_feed, upkeep

    trialkb("refresh", "NCT06886919")
    before = content_digest(db)
    old = knowledge_feed.the_reading()
    with Store.open(db) as store:
        first = store.extraction(store.version_id("NCT06886919")).items[0]

    def extract(text: str):  # type: ignore[no-untyped-def]
        found = old.extract(text)
        return replace(found, items=found.items[1:], criteria=found.criteria, vocabulary="newer")

    newer = replace(old, extract=extract, vocabulary="newer")
    for module in (harvesting, upkeep):
        monkeypatch.setattr(module, "the_reading", lambda: newer)
    refused = trialkb("refresh", "NCT99000001")
    assert refused.code == 5
    assert "rebuild --preview" in refused.err
    assert content_digest(db) == before
    preview = trialkb("rebuild", "--preview")
    assert preview.code == 10
    assert "NCT06886919" in preview.out
    assert f"{first.value_text}" in preview.out
    assert "Nothing was changed" in preview.out
    (moved,) = json.loads(trialkb("rebuild", "--preview", "--json").out)["answer"]["thresholds"]
    assert moved["threshold"].endswith("→ not stated")
    assert content_digest(db) == before
    assert trialkb("rebuild").code == 0
    assert trialkb("refresh", "NCT99000001").code == 0


def test_a_preview_tells_what_differs_beside_thresholds(
    trialkb: Command, server: LocalRegistry, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from commands import knowledge_feed, upkeep

    trialkb("refresh", "NCT06886919")
    old = knowledge_feed.the_reading()

    def extract(text: str):  # type: ignore[no-untyped-def]
        found = old.extract(text)
        return replace(found, criteria=tuple(replace(one, coverage=0.0) for one in found.criteria))

    monkeypatch.setattr(upkeep, "the_reading", lambda: replace(old, extract=extract))
    preview = trialkb("rebuild", "--preview")
    assert preview.code == 10
    assert "No threshold moves." in preview.out
    assert "something else than a threshold" in preview.out


def test_doctor_finds_what_was_changed_behind_our_back(
    trialkb: Command, server: LocalRegistry, db: Path
) -> None:
    trialkb("refresh", "NCT06886919")
    assert trialkb("doctor").code == 0
    with sqlite3.connect(db) as connection:
        connection.execute(
            "UPDATE line_threshold SET high = 99 WHERE id = (SELECT max(id) FROM line_threshold WHERE high IS NOT NULL)"
        )
    connection.close()
    result = trialkb("doctor")
    assert result.code == 4
    assert "a rebuild's is" in result.out
    assert "trialkb rebuild" in result.err


def test_backup_and_restore(trialkb: Command, server: LocalRegistry, db: Path, tmp_path: Path) -> None:
    trialkb("refresh", "--cond", "lupus")
    before = content(db)
    saved = tmp_path / "backup.zip"
    assert trialkb("backup", str(saved)).code == 0
    trialkb("refresh", "NCT99000012")
    assert content(db) != before
    assert trialkb("restore", str(saved), "--force").code == 0
    assert content(db) == before
    other = tmp_path / "elsewhere" / "kb.db"
    assert trialkb("restore", str(saved), "--db", str(other)).code == 0
    assert content(other) == before


def test_a_damaged_backup_changes_nothing(
    trialkb: Command, server: LocalRegistry, db: Path, tmp_path: Path
) -> None:
    trialkb("refresh", "NCT06886919")
    saved = tmp_path / "backup.zip"
    trialkb("backup", str(saved))
    before = content(db)
    body = bytearray(saved.read_bytes())
    body[len(body) // 2] ^= 0xFF
    saved.write_bytes(body)
    result = trialkb("restore", str(saved), "--force")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert content(db) == before


# ------------------------------------------------------------------- processes


def process(db: Path, url: str, *words: str, point: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TRIALKB_DB": str(db), "TRIALKB_CTGOV_URL": url, "TRIALKB_PACE": "0"}
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=ROOT,
        env={**environment, "TRIALKB_FAULT_POINT": point},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_registry_command_serves_a_file_of_records(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(json.dumps(sample(n)).encode() + b"\n" for n in (1, 2))))
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "registry", "--fixtures", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        done = process(tmp_path / "kb.db", url, "refresh", "--cond", "lupus")
        running.terminate()
    assert url.startswith("http://127.0.0.1:")
    assert f"new            2: {sample_id(1)}, {sample_id(2)}" in done.stdout
