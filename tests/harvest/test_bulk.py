from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harvest import bulk
from harvest.archive import Archive
from harvest.bulk import import_path
from harvest.errors import HarvestError, UnexpectedShape, UnreadableFile
from tests.harvest.sample_records import sample, sample_id, state_of, with_contacts

RECORDS = [with_contacts(sample(number)) for number in range(1, 8)]


def lines(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.fixture
def forms(tmp_path: Path) -> dict[str, Path]:
    """The same records in every form that import takes."""
    made: dict[str, Path] = {
        name: tmp_path / name for name in ("a.jsonl", "a.jsonl.gz", "list.json", "page.json", "a.zip")
    }
    made["a.jsonl"].write_bytes(lines(RECORDS))
    made["a.jsonl.gz"].write_bytes(gzip.compress(lines(RECORDS)))
    made["list.json"].write_text(json.dumps(RECORDS))
    made["page.json"].write_text(json.dumps({"studies": RECORDS, "totalCount": 7}))
    with zipfile.ZipFile(made["a.zip"], "w", zipfile.ZIP_DEFLATED) as bundle:
        for record in RECORDS:
            bundle.writestr(
                f"{record['protocolSection']['identificationModule']['nctId']}.json", json.dumps(record)
            )
    made["folder"] = tmp_path / "folder"
    for number, record in enumerate(RECORDS):
        place = made["folder"] / str(number % 2)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.json").write_text(json.dumps(record, indent=2))
    (made["folder"] / "notes.txt").write_text("not a record")
    return made


@pytest.mark.parametrize("name", ["a.jsonl.gz", "list.json", "page.json", "a.zip", "folder"])
def test_every_form_gives_the_same_archive(tmp_path: Path, forms: dict[str, Path], name: str) -> None:
    states = []
    for form in ("a.jsonl", name):
        with Archive.open(tmp_path / f"{form}.archive.sqlite", write=True) as archive:
            report = import_path(archive, forms[form])
            states.append(state_of(archive))
        assert len(report.new) == 7
        assert report.state == "complete"
    assert states[0] == states[1]


def test_importing_again_is_a_no_op(archive: Archive, forms: dict[str, Path]) -> None:
    import_path(archive, forms["a.zip"])
    before = state_of(archive)
    report = import_path(archive, forms["a.jsonl.gz"])
    assert (report.new, report.changed, report.unchanged) == ((), (), 7)
    assert state_of(archive) == before


def test_a_known_line_is_not_read_again(
    archive: Archive, forms: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import_path(archive, forms["a.jsonl"])
    read: list[str] = []
    plain = bulk.prepare_piece

    def watched(piece: bulk.Piece, **how: Any) -> Iterator[Any]:
        read.append(piece.where)
        return plain(piece, **how)

    monkeypatch.setattr(bulk, "prepare_piece", watched)
    forms["a.jsonl"].write_bytes(lines([*RECORDS, sample(9)]))
    report = import_path(archive, forms["a.jsonl"])
    assert (report.new, report.unchanged) == ((sample_id(9),), 7)
    assert read == [f"{forms['a.jsonl']} line 8"]


def test_a_known_line_whose_record_was_replaced_or_vanished_counts_anew(
    archive: Archive, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_bytes(lines([sample(1), sample(2)]))
    second.write_bytes(lines([sample(1, platelets=75)]))
    import_path(archive, first)
    assert import_path(archive, second).changed == (sample_id(1),)
    with archive.transaction():
        archive.mark_vanished("ctgov", sample_id(2), "2026-03-03T00:00:00Z", 1)
    assert import_path(archive, first).changed == (sample_id(1), sample_id(2))
    head = archive.head("ctgov", sample_id(1))
    assert head is not None
    assert head.record == 1


def test_a_known_line_behind_another_content_of_its_trial(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines([sample(1)]))
    import_path(archive, path)
    path.write_bytes(lines([sample(1, platelets=75), sample(1)]))
    import_path(archive, path)
    head = archive.head("ctgov", sample_id(1))
    assert head is not None
    assert head.record == 1


def test_contacts_that_are_asked_for_later_are_taken(archive: Archive, forms: dict[str, Path]) -> None:
    import_path(archive, forms["a.jsonl"])
    report = import_path(archive, forms["a.jsonl"], keep_contacts=True)
    assert report.unchanged == 0
    assert b"Ada Example" in archive.latest("ctgov", sample_id(1)).body


def test_a_file_does_not_say_what_the_registry_has_now(archive: Archive, forms: dict[str, Path]) -> None:
    import_path(archive, forms["a.jsonl"])
    with archive.transaction():
        archive.touch("ctgov", sample_id(1), "2026-03-03T00:00:00Z", "2026-03-03")
    import_path(archive, forms["list.json"])
    head = archive.head("ctgov", sample_id(1))
    assert head is not None
    assert head.seen_data == "2026-03-03"


def test_no_contact_is_stored(archive: Archive, forms: dict[str, Path]) -> None:
    import_path(archive, forms["a.zip"])
    bodies = [archive.raw(head.record).body for head in archive.heads()]
    assert not [body for body in bodies if b"Example" in body]
    (noted,) = archive.connection.execute("SELECT DISTINCT redacted FROM record").fetchone()
    assert "centralContacts" in json.loads(noted)


def test_lines_that_are_no_records_are_named_and_the_others_stored(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(lines(RECORDS[:2]) + b"not json\n\n[1]\n{}\n" + lines(RECORDS[2:3]))
    report = import_path(archive, path)
    assert report.state == "incomplete"
    assert len(report.new) == 3
    for number in (3, 5, 6):
        assert f"line {number}" in report.message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", "not JSON"),
        ("a.json", b"", "not JSON"),
        ("a.json", b"{}", "nctId"),
        ("a.json", b"[]", "no record in it"),
        ("a.json", b'"text"', "not a ClinicalTrials.gov v2 record"),
        ("a.json", b"\xff\xfe\x00", "not UTF-8"),
        ("a.jsonl", b"\n\n", "no record in it"),
        ("a.jsonl.gz", b"not gzip", "cannot be read"),
        ("a.jsonl.gz", gzip.compress(lines(RECORDS))[:-20], "cannot be read to its end"),
        ("a.zip", b"not a zip", "cannot be read"),
        ("a.txt", b"text", "import takes folders and"),
        ("a.html", b"<html><body>Hello</body></html>", "not a ClinConnect trial page"),
    ],
)
def test_what_holds_no_record_is_one_clear_error(
    archive: Archive, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((UnreadableFile, UnexpectedShape), match=message) as caught:
        import_path(archive, tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_path_and_an_empty_folder(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="no such file"):
        import_path(archive, tmp_path / "none.json")
    with pytest.raises(UnreadableFile, match="in this folder"):
        import_path(archive, tmp_path)


def test_a_zip_bomb_is_cut_off(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MAX_RECORD_BYTES", 1 << 20)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("a.json", b" " * (50 << 20))
    with pytest.raises(UnreadableFile, match="unpacked, so no record"):
        import_path(archive, path)


def test_a_line_without_an_end_is_cut_off(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MAX_RECORD_BYTES", 1 << 16)
    path = tmp_path / "long.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * (50 << 20)))
    with pytest.raises(UnreadableFile, match="line 1: longer than"):
        import_path(archive, path)


@pytest.mark.parametrize("name", ["../../evil.json", "/etc/evil.json", "a\\..\\..\\evil.json"])
def test_names_inside_a_zip_steer_nothing(archive: Archive, tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(name, json.dumps(sample(1)))
    before = {each for each in tmp_path.rglob("*") if "archive" not in each.name}
    import_path(archive, path)
    assert {each for each in tmp_path.rglob("*") if "archive" not in each.name} == before


@pytest.mark.parametrize(
    "evil", ["../../x", "NCT99100001/../../x", "NCT9910000١", "'; DROP TABLE record; --"]
)
def test_an_id_in_a_record_steers_nothing(archive: Archive, tmp_path: Path, evil: str) -> None:
    record = sample(1)
    record["protocolSection"]["identificationModule"]["nctId"] = evil
    (tmp_path / "a.json").write_text(json.dumps(record))
    with pytest.raises(HarvestError, match=r"no ClinicalTrials\.gov id"):
        import_path(archive, tmp_path / "a.json")


def test_a_page_is_taken_too(archive: Archive, fixtures: Path) -> None:
    report = import_path(archive, fixtures / "clinconnect")
    assert len(report.new) == 3
    assert archive.head("clinconnect", "NCT06886919") is not None


def test_memory_does_not_grow_with_the_number_of_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 50)

    def peak(count: int) -> int:
        def made() -> Iterator[bytes]:
            for number in range(count):
                record = sample(number % 50_000)
                record["protocolSection"]["descriptionModule"] = {"briefSummary": "words " * 400}
                yield json.dumps(record).encode() + b"\n"

        path = tmp_path / f"{count}.jsonl"
        with path.open("wb") as stream:
            stream.writelines(made())
        with Archive.open(tmp_path / f"{count}.sqlite", write=True) as archive:
            tracemalloc.start()
            import_path(archive, path)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    small, large = peak(300), peak(1500)
    assert large < small * 1.5


def test_worker_processes_give_the_same_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [with_contacts(sample(number)) for number in range(1, 61)]
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(records[:30]) + b"not json\n" + lines(records[30:]))
    monkeypatch.setattr(bulk, "BATCH", 7)
    states = []
    for limit in (1 << 40, 0):
        monkeypatch.setattr(bulk, "PARALLEL_BYTES", limit)
        with Archive.open(tmp_path / f"{limit}.sqlite", write=True) as archive:
            report = import_path(archive, path)
            states.append(state_of(archive))
        assert len(report.new) == 60
        assert "line 31: not JSON" in report.message
    assert states[0] == states[1]


def test_an_error_of_the_file_ends_the_workers(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 2)
    monkeypatch.setattr(bulk, "PARALLEL_BYTES", 0)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(lines([sample(number) for number in range(1, 400)]))[:-30])
    with pytest.raises(UnreadableFile, match="cannot be read to its end"):
        import_path(archive, path)


def test_an_older_dump_does_not_turn_a_trial_back(archive: Archive, tmp_path: Path) -> None:
    for name, record in (
        ("new", sample(1, updated="2026-02-01")),
        ("old", sample(1, platelets=75, updated="2025-02-01")),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    import_path(archive, tmp_path / "new.json")
    report = import_path(archive, tmp_path / "old.json")
    assert report.older == 1
    head = archive.head("ctgov", sample_id(1))
    assert head is not None
    assert head.record_date == "2026-02-01"


def test_all_real_records_are_taken(tmp_path: Path, shared: Path) -> None:
    path = shared / "data" / "registry" / "ctgov-v2-studies.jsonl.gz"
    with Archive.open(tmp_path / "real.sqlite", write=True) as archive:
        report = import_path(archive, path)
        assert report.state == "complete"
        assert len(report.new) == 1121
        assert import_path(archive, path).unchanged == 1121
