"""What a user is told: subjects, runs, logs, stored records, changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harvest import run_log
from harvest.archive import Archive
from harvest.local_registry import LocalRegistry
from harvest.registry_faults import Fault
from harvest.run_lock import run_lock
from tests.harvest.command_line import Command, be_impatient, serve
from tests.harvest.sample_records import SWIFT, holdings, sample, sample_id


def test_a_subject_shows_what_the_registry_returned_for_it(
    trialkb: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = holdings(sample(1), sample(2), sample(3, condition="Asthma"))
    with serve(monkeypatch, held):
        trialkb("subject", "add", "sle", "--cond", "lupus")
        assert "Never refreshed" in trialkb("subject", "show", "sle").out
        trialkb("refresh", "--subject", "sle")
        # In the archive, and fitting the words, but not what the registry returned for the search.
        trialkb("refresh", sample_id(3))
        held.remove(sample_id(2))
        held.data_timestamp = "2026-03-03T09:00:00"
        assert trialkb("refresh", sample_id(2)).code == 0
    shown = json.loads(trialkb("subject", "show", "sle", "--json").out)["answer"]
    assert [row["trial"] for row in shown] == [sample_id(1), sample_id(2)]
    assert [row["vanished_at"] is None for row in shown] == [True, False]
    missing = trialkb("subject", "show", "none")
    assert (missing.code, missing.err.count("\n")) == (1, 1)


def test_runs_say_what_each_was_asked_for(trialkb: Command, server: LocalRegistry, tmp_path: Path) -> None:
    record = tmp_path / "one.json"
    record.write_bytes(json.dumps(sample(1)).encode())
    trialkb("refresh", "--cond", "lupus", "--status", "COMPLETED")
    trialkb("refresh", "NCT99000001")
    trialkb("import", str(record))
    trialkb("refresh", "--all")
    out = trialkb("runs").out
    for told in ("cond=lupus", "status=COMPLETED", "NCT99000001", "one.json", "the whole"):
        assert told in out


def test_a_run_that_was_cut_off_is_not_said_to_be_running(
    trialkb: Command, server: LocalRegistry, db: Path
) -> None:
    trialkb("refresh", "NCT99000001")
    path = db.with_name("kb.archive.sqlite")
    with Archive.open(path, write=True) as archive:
        run_log.begin(archive, "refresh", "ctgov", "a task", {}, "2026-03-02T09:00:00Z", None)
    assert "cut off" in trialkb("runs").out
    with run_lock(path, "refresh"):
        assert "running" in trialkb("runs").out


def test_a_page_that_was_no_trial_is_listed_and_printed(
    trialkb: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = sample(2)
    del broken["protocolSection"]["identificationModule"]["briefTitle"]
    with serve(monkeypatch, holdings(sample(1), broken)):
        result = trialkb("refresh", "--cond", "lupus")
    assert (result.code, "has no title" in result.err) == (5, True)
    assert "kept as page 1" in result.err
    (page,) = json.loads(trialkb("runs", "--kept", "--json").out)["answer"]
    assert (page["number"], "has no title" in page["reason"]) == (1, True)
    assert json.loads(trialkb("runs", "--page", "1").out)["protocolSection"]["identificationModule"] == {
        "nctId": sample_id(2)
    }
    missing = trialkb("runs", "--page", "2")
    assert (missing.code, missing.out, missing.err.count("\n")) == (1, "", 1)


def test_a_search_without_a_trial_says_so(trialkb: Command, server: LocalRegistry) -> None:
    result = trialkb("refresh", "--cond", "gout")
    assert (result.code, result.out.splitlines()[0]) == (0, "The registry has no trial for this search.")


def test_a_run_is_logged_as_json_lines(trialkb: Command, server: LocalRegistry) -> None:
    result = trialkb("--log-json", "refresh", "--cond", "lupus")
    events = {event["message"]: event for event in map(json.loads, result.err.splitlines())}
    assert {"run began", "page stored", "run ended", "criteria read"} <= events.keys()
    began, ended = events["run began"], events["run ended"]
    assert began["query"] == {"cond": "lupus"}
    assert (ended["state"], ended["requests"], ended["run"]) == ("complete", 3, began["run"])
    assert ended["found"]["new"] == events["criteria read"]["due"]
    assert all({"time", "level", "logger"} <= event.keys() for event in events.values())


def test_a_failure_is_logged_with_each_pause(trialkb: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    be_impatient(monkeypatch)
    with serve(monkeypatch, holdings(sample(1)), Fault("status", path="/studies", status=503, times=99)):
        result = trialkb("--log-json", "refresh", "--cond", "lupus")
    *events, complaint = result.err.splitlines()
    told = [json.loads(event) for event in events]
    assert result.code == 3
    assert complaint.startswith("trialkb: ")
    assert sum(event["message"] == "trying again" for event in told) == SWIFT.tries - 1
    assert told[-1]["message"] == "run ended"
    assert (told[-1]["state"], told[-1]["level"]) == ("failed", "WARNING")


def test_a_stored_record_is_printed_as_it_is(trialkb: Command, server: LocalRegistry) -> None:
    trialkb("refresh", "NCT99000009")
    (version,) = json.loads(trialkb("history", "NCT99000009", "--json").out)["answer"]
    for name in ("version", "sha256"):
        printed = trialkb("history", "NCT99000009", "--record", version[name][:9]).out
        assert json.loads(printed)["protocolSection"]["identificationModule"]["nctId"] == "NCT99000009"
    missing = trialkb("history", "NCT99000009", "--record", "ffff")
    assert (missing.code, missing.out, missing.err.count("\n")) == (1, "", 1)


def test_changes_of_a_subject_tell_amended_new_vanished_and_left(
    trialkb: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two days of a subject, each with a refresh and a question; the archive's own clock is set by hand."""
    clock = ["2026-03-02T16:15:00Z"]
    for module in ("refresh", "sources.ctgov_record", "run_lock"):
        monkeypatch.setattr(f"harvest.{module}.utc_now", lambda: clock[0])
    held = holdings(*map(sample, range(1, 6)))
    with serve(monkeypatch, held):
        trialkb("subject", "add", "sle", "--cond", "lupus")
        trialkb("refresh", "--subject", "sle")
        question = ("changes", "--subject", "sle", "--stored", "--since", "2026-03-02", "--json")
        nothing = trialkb(*question)
        assert (nothing.code, json.loads(nothing.out)["answer"]) == (0, [])
        clock[0] = "2026-03-03T16:15:00Z"
        # The registry dates the amendment before the day of the first run, and gives it after that.
        held.put(sample(1, platelets=75, updated="2026-03-01"))
        held.put(sample(6, updated="2026-03-02"))
        held.remove(sample_id(2))
        held.put(sample(3, condition="Asthma", updated="2026-01-15"))
        held.put(sample(4, platelets="  50", updated="2026-03-02"))
        held.data_timestamp = "2026-03-03T09:00:00"
        trialkb("refresh", "--subject", "sle")
        result = trialkb(*question)
    answer = {row["trial"]: row for row in json.loads(result.out)["answer"]}
    assert result.code == 10
    assert {trial: row["what"] for trial, row in answer.items()} == {
        sample_id(1): "changed",
        sample_id(2): "vanished",
        sample_id(3): "left",
        sample_id(6): "new",
    }
    (threshold,) = answer[sample_id(1)]["difference"]["thresholds"]
    assert threshold["words"] == "Platelet count ≥ 50 10*9/L → ≥ 75 10*9/L"
    assert (threshold["cause"], threshold["direction"]) == ("amended", "stricter")
    text = trialkb(*question[:-1]).out
    for words in ("stricter", "amended", "vanished", "left the", "new trial"):
        assert words in text


def test_an_answer_says_that_the_registry_no_longer_has_a_trial(
    trialkb: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = holdings(sample(1), sample(2))
    with serve(monkeypatch, held):
        trialkb("refresh", "--cond", "lupus")
        assert "no longer has" not in trialkb("show", sample_id(1)).out
        held.remove(sample_id(1))
        held.data_timestamp = "2026-03-03T09:00:00"
        trialkb("refresh", "--cond", "lupus")
    assert f"The registry no longer has {sample_id(1)} (since 20" in trialkb("show", sample_id(1)).out
    assert "no longer has" not in trialkb("show", sample_id(2)).out


def test_a_trial_amended_before_it_was_known_here_is_named(trialkb: Command, server: LocalRegistry) -> None:
    trialkb("refresh", "NCT99000009")
    result = trialkb("changes", "--since", "2024-06-01")
    assert result.code == 0
    assert "Nothing changed" in result.out
    assert "no version from before is stored: NCT99000009" in result.out
    assert "trialkb history NCT99000009 --fetch" in result.out


def test_a_date_that_is_none_is_refused(trialkb: Command, server: LocalRegistry) -> None:
    trialkb("refresh", "NCT99000009")
    result = trialkb("changes", "--since", "last week")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "YYYY-MM-DD" in result.err
