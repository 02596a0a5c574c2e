"""Writing: atomic, deterministic, incremental; manifest and loss report beside every export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kb.export.base import load
from kb.export.errors import CannotWrite, NothingToExport, UnknownFormat
from kb.export.model import Context, Loss, TrialRecord, judge
from kb.export.write import export, stream
from tests.export.bench import small_record

ONE, TWO = small_record("NCT99000002", 50), small_record("NCT99000003", 75)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_one_file_with_what_stands_beside_it(tmp_path: Path, context: Context) -> None:
    summary = export(load("jsonl"), [ONE, TWO], tmp_path / "all.jsonl", context)
    assert sorted(files(tmp_path)) == [
        "all.jsonl", "all.jsonl.loss.jsonl", "all.jsonl.manifest.json", "all.jsonl.notice.txt",
    ]  # fmt: skip
    assert (summary.trials, summary.written, summary.unchanged) == (2, 2, 0)
    assert len((tmp_path / "all.jsonl").read_text("utf-8").splitlines()) == 3


def test_notice_names_licences_source_and_what_this_is_not(tmp_path: Path, context: Context) -> None:
    export(load("csv"), [ONE], tmp_path / "a.csv", context)
    notice = (tmp_path / "a.csv.notice.txt").read_text("utf-8")
    for word in (
        "LOINC",
        "UCUM",
        "MeSH",
        "ClinicalTrials.gov",
        "2026-11-20T09:00:05",
        "medical device",
        "synthetic",
    ):
        assert word in notice


def test_same_input_same_bytes(tmp_path: Path, context: Context) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(load("jsonl"), [ONE, TWO], tmp_path / name / "x.jsonl", context)
        export(load("csv"), [ONE, TWO], tmp_path / name / "folder", context)
    assert files(tmp_path / "a" / "folder") == files(tmp_path / "b" / "folder")
    assert (tmp_path / "a/x.jsonl").read_bytes() == (tmp_path / "b/x.jsonl").read_bytes()
    assert (tmp_path / "a/x.jsonl.manifest.json").read_bytes() == (
        tmp_path / "b/x.jsonl.manifest.json"
    ).read_bytes()


def test_a_second_run_writes_only_what_changed(tmp_path: Path, context: Context) -> None:
    folder = tmp_path / "out"
    export(load("jsonl"), [ONE, TWO], folder, context)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    changed = replace(TWO, trial=replace(TWO.trial, title="Another title"))
    summary = export(load("jsonl"), [ONE, changed], folder, context)
    assert (summary.written, summary.unchanged, summary.removed) == (1, 1, 0)
    assert (folder / "ctgov-NCT99000002.jsonl").stat().st_mtime_ns == before["ctgov-NCT99000002.jsonl"]
    assert "Another title" in (folder / "ctgov-NCT99000003.jsonl").read_text("utf-8")


def test_a_file_that_was_touched_is_written_anew(tmp_path: Path, context: Context) -> None:
    folder = tmp_path / "out"
    export(load("jsonl"), [ONE], folder, context)
    whole = files(folder)
    (folder / "ctgov-NCT99000002.jsonl").write_text("broken", "utf-8")
    assert export(load("jsonl"), [ONE], folder, context).written == 1
    assert files(folder) == whole


def test_what_is_no_longer_selected_goes(tmp_path: Path, context: Context) -> None:
    folder = tmp_path / "out"
    export(load("jsonl"), [ONE, TWO], folder, context)
    assert export(load("jsonl"), [ONE], folder, context).removed == 1
    assert not (folder / "ctgov-NCT99000003.jsonl").exists()
    (trial,) = json.loads((folder / "manifest.json").read_text("utf-8"))["trials"]
    assert trial["trial"] == "NCT99000002"


def test_a_newer_data_timestamp_alone_changes_no_trial(tmp_path: Path, context: Context) -> None:
    export(load("jsonl"), [ONE], tmp_path / "out", context)
    newer = replace(ONE, data_timestamp="2026-11-21T09:00:05")
    assert export(load("jsonl"), [newer], tmp_path / "out", context).unchanged == 1


def test_another_vocabulary_is_another_input(tmp_path: Path, context: Context) -> None:
    export(load("jsonl"), [ONE], tmp_path / "out", context)
    assert export(load("jsonl"), [replace(ONE, vocabulary="def")], tmp_path / "out", context).written == 1


def test_another_option_is_another_input(tmp_path: Path, context: Context) -> None:
    export(load("jsonl"), [ONE], tmp_path / "out", context)
    other = replace(context, options=replace(context.options, missing="keep"))
    assert export(load("jsonl"), [ONE], tmp_path / "out", other).written == 1


def test_manifest_can_be_polled(tmp_path: Path, context: Context) -> None:
    export(load("jsonl"), [ONE, TWO], tmp_path / "out", context)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))
    assert manifest["vocabulary"] == ["abc123"]
    assert manifest["data_timestamp"] == "2026-11-20T09:00:05"
    assert [trial["version"] for trial in manifest["trials"]] == ["vNCT99000002", "vNCT99000003"]
    assert all(trial["synthetic"] for trial in manifest["trials"])
    assert {name for name in manifest["files"] if not (tmp_path / "out" / name).exists()} == set()


def test_loss_report_has_a_line_for_every_criterion(
    tmp_path: Path, context: Context, record: TrialRecord
) -> None:
    summary = export(load("csv"), [record], tmp_path / "x.csv", context)
    lines = [json.loads(line) for line in (tmp_path / "x.csv.loss.jsonl").read_text("utf-8").splitlines()]
    assert [(line["section"], line["criterion"]) for line in lines] == [
        (c.section, c.path) for c in record.criteria
    ]
    assert summary.outcomes.total() == len(record.criteria)
    assert all(line["reasons"] for line in lines if line["outcome"] != "whole")


def test_a_loss_must_have_a_reason(record: TrialRecord) -> None:
    with pytest.raises(ValueError, match="without a reason"):
        judge(record, record.criteria[0], "dropped")


def test_nothing_selected_writes_nothing(tmp_path: Path, context: Context) -> None:
    with pytest.raises(NothingToExport):
        export(load("jsonl"), [], tmp_path / "x.jsonl", context)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_run_leaves_the_old_export(tmp_path: Path, context: Context) -> None:
    path = tmp_path / "x.jsonl"
    export(load("jsonl"), [ONE], path, context)
    whole = files(tmp_path)

    def broken() -> Iterator[TrialRecord]:
        yield TWO
        raise RuntimeError("the reader failed")

    with pytest.raises(RuntimeError):
        export(load("jsonl"), broken(), path, context)
    assert files(tmp_path) == whole


@pytest.mark.parametrize("name", ["x.jsonl", "folder"])
def test_what_is_not_ours_is_not_overwritten(name: str, tmp_path: Path, context: Context) -> None:
    target = tmp_path / name
    if target.suffix:
        target.write_text("mine", "utf-8")
    else:
        target.mkdir()
        (target / "thesis.txt").write_text("mine", "utf-8")
    with pytest.raises(CannotWrite, match="was not written by an export"):
        export(load("jsonl"), [ONE], target, context)


def test_an_export_of_another_format_is_not_overwritten(tmp_path: Path, context: Context) -> None:
    export(load("jsonl"), [ONE], tmp_path / "out", context)
    with pytest.raises(CannotWrite, match="belongs to an export as jsonl"):
        export(load("csv"), [ONE], tmp_path / "out", context)


def test_a_manifest_that_is_none_is_named(tmp_path: Path, context: Context) -> None:
    (tmp_path / "manifest.json").write_text("{oops", "utf-8")
    with pytest.raises(CannotWrite, match="not a manifest"):
        export(load("csv"), [ONE], tmp_path, context)


def test_a_target_that_cannot_be_written_is_one_line(tmp_path: Path, context: Context) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(CannotWrite, match="file"):
        export(load("jsonl"), [ONE], tmp_path / "file" / "x.jsonl", context)


def test_a_strange_id_stays_in_the_folder(tmp_path: Path, context: Context) -> None:
    odd = replace(ONE, trial=replace(ONE.trial, source_id="../../etc/x y"))
    export(load("jsonl"), [odd], tmp_path / "out", context)
    assert (tmp_path / "out/ctgov--..-etc-x-y.jsonl").exists()


def test_stream_gives_the_text_of_the_file(tmp_path: Path, context: Context) -> None:
    made = load("jsonl")
    export(made, [ONE, TWO], tmp_path / "x.jsonl", context)
    pieces = list(stream(made, [ONE, TWO], context))  # type: ignore[arg-type]
    assert "".join(text for text, _ in pieces) == (tmp_path / "x.jsonl").read_text("utf-8")
    assert all(isinstance(loss, Loss) for _, losses in pieces for loss in losses)


def test_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UnknownFormat, match="jsonl"):
        load("xml")


# ------------------------------------------------------------------ refreshed, and killed


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each file: what a watcher sees."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize("target", ["x.jsonl", "folder"])
def test_a_run_that_finds_nothing_changed_leaves_every_file(
    target: str, tmp_path: Path, context: Context
) -> None:
    place = tmp_path / "in"
    export(load("jsonl"), [ONE, TWO], place / target, context)
    watched = place if place.joinpath(target).suffix else place / target
    before = stamps(watched)
    summary = export(load("jsonl"), [ONE, TWO], place / target, context)
    assert (summary.written, summary.unchanged, summary.removed) == (0, 2, 0)
    assert stamps(watched) == before


class _Counting:
    """A format that counts what it renders."""

    def __init__(self) -> None:
        self._made, self.rendered = load("jsonl"), list[str]()

    def __getattr__(self, name: str) -> object:
        return getattr(self._made, name)

    def render(self, record: TrialRecord, context: Context) -> object:
        self.rendered.append(record.id)
        return self._made.render(record, context)  # type: ignore[union-attr]


def test_one_file_takes_over_the_parts_of_trials_that_did_not_change(
    tmp_path: Path, context: Context
) -> None:
    counting, path = _Counting(), tmp_path / "x.jsonl"
    export(counting, [ONE, TWO], path, context)  # type: ignore[arg-type]
    changed = replace(ONE, trial=replace(ONE.trial, title="A title of another length"))
    summary = export(counting, [changed, TWO], path, context)  # type: ignore[arg-type]
    assert counting.rendered == [ONE.id, TWO.id, ONE.id]
    assert (summary.written, summary.unchanged) == (1, 1)
    export(load("jsonl"), [changed, TWO], tmp_path / "fresh" / "x.jsonl", context)
    assert path.read_bytes() == (tmp_path / "fresh" / "x.jsonl").read_bytes()
    for end in (".loss.jsonl", ".manifest.json"):
        assert (tmp_path / f"x.jsonl{end}").read_bytes() == (
            tmp_path / "fresh" / f"x.jsonl{end}"
        ).read_bytes()
    assert export(load("jsonl"), [TWO], path, context).removed == 1


@pytest.mark.parametrize("end", ["", ".loss.jsonl"])
def test_a_part_that_was_touched_is_made_anew(end: str, tmp_path: Path, context: Context) -> None:
    path = tmp_path / "x.jsonl"
    export(load("jsonl"), [ONE, TWO], path, context)
    whole = files(tmp_path)
    touched = tmp_path / f"x.jsonl{end}"
    touched.write_bytes(touched.read_bytes().replace(b"NCT99000003", b"NCT99000004"))
    assert export(load("jsonl"), [ONE, TWO], path, context).written == 1
    assert files(tmp_path) == whole


class _Killed(BaseException):
    """As SIGKILL does, it stops the run between two trials."""


def test_a_killed_first_export_leaves_nothing_under_its_name(tmp_path: Path, context: Context) -> None:
    def stopped() -> Iterator[TrialRecord]:
        yield ONE
        raise _Killed

    with pytest.raises(_Killed):
        export(load("jsonl"), stopped(), tmp_path / "out", context)
    assert list(tmp_path.iterdir()) == []
    assert export(load("jsonl"), [ONE, TWO], tmp_path / "out", context).written == 2


def test_a_killed_refresh_is_taken_up_by_the_next(tmp_path: Path, context: Context) -> None:
    export(load("jsonl"), [ONE, TWO], tmp_path / "out", context)
    changed = [replace(one, trial=replace(one.trial, title="Another title")) for one in (ONE, TWO)]

    def stopped() -> Iterator[TrialRecord]:
        yield changed[0]
        raise _Killed

    with pytest.raises(_Killed):
        export(load("jsonl"), stopped(), tmp_path / "out", context)
    export(load("jsonl"), changed, tmp_path / "out", context)
    export(load("jsonl"), changed, tmp_path / "fresh", context)
    assert files(tmp_path / "out") == files(tmp_path / "fresh")
