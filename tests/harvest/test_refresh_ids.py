from __future__ import annotations

import pytest

from harvest import run_log
from harvest.archive import Archive
from harvest.archive_rows import unpack
from harvest.errors import InvalidTrialId, RecordNotFound, UnexpectedShape
from harvest.refresh_ids import refresh_ids
from harvest.registry_faults import Fault
from tests.harvest.sample_records import holdings, running, sample, sample_id, state_of, with_contacts


def test_one_id_is_one_record_and_the_version_before_and_after(archive: Archive) -> None:
    with running(holdings(sample(1))) as (source, server, _):
        assert refresh_ids(archive, source, [sample_id(1)]).new == (sample_id(1),)
        assert server.registry.requests == [
            "/api/v2/version", f"/api/v2/studies/{sample_id(1)}", "/api/v2/version",
        ]  # fmt: skip


def test_unchanged_data_asks_for_the_version_only(archive: Archive) -> None:
    with running(holdings(sample(1), sample(2))) as (source, server, _):
        refresh_ids(archive, source, [sample_id(1), sample_id(2)])
        server.registry.requests.clear()
        report = refresh_ids(archive, source, [sample_id(2), sample_id(1)])
        assert server.registry.requests == ["/api/v2/version"]
    assert report.up_to_date
    assert report.unchanged == 2


def test_many_ids_go_in_batches(archive: Archive) -> None:
    numbers = range(1, 231)
    with running(holdings(*map(sample, numbers)), page_size=1000) as (source, server, _):
        report = refresh_ids(archive, source, [sample_id(n) for n in numbers])
        assert sum("filter.ids" in each for each in server.registry.requests) == 3
    assert len(report.new) == 230
    assert report.requests == 5


def test_a_missing_one_is_named_and_the_others_are_stored(archive: Archive) -> None:
    with running(holdings(sample(1), sample(2))) as (source, _, _):
        report = refresh_ids(archive, source, [sample_id(1), sample_id(9), sample_id(2)])
    assert report.state == "incomplete"
    assert report.missing == (sample_id(9),)
    assert report.new == (sample_id(1), sample_id(2))
    assert sample_id(9) in report.message


def test_an_alias_is_stored_under_both_ids(archive: Archive) -> None:
    held = holdings(sample(1, aliases=["NCT99100900"]), sample(2))
    with running(held) as (source, _, _):
        report = refresh_ids(archive, source, ["NCT99100900"])
        both = refresh_ids(archive, source, ["NCT99100900", sample_id(2)])
    assert report.new == (sample_id(1),)
    assert both.state == "complete"
    assert archive.latest("ctgov", "NCT99100900").source_id == sample_id(1)


def test_none_of_them_exists(archive: Archive) -> None:
    with running(holdings(sample(1))) as (source, _, _), pytest.raises(RecordNotFound, match=sample_id(8)):
        refresh_ids(archive, source, [sample_id(8), sample_id(9)])
    assert list(archive.heads()) == []


@pytest.mark.parametrize("bad", ["NCT1", "../../etc/passwd", "NCT0688691x"])
def test_a_malformed_id_is_refused_before_anything_is_asked(archive: Archive, bad: str) -> None:
    with running(holdings(sample(1))) as (source, server, _):
        with pytest.raises(InvalidTrialId):
            refresh_ids(archive, source, [sample_id(1), bad])
        assert server.registry.requests == []


def test_a_record_that_is_gone_is_marked_vanished(archive: Archive) -> None:
    held = holdings(sample(1), sample(2))
    with running(held) as (source, _, _):
        refresh_ids(archive, source, [sample_id(1)])
        held.remove(sample_id(1))
        held.data_timestamp = "2026-03-03T09:00:00"
        report = refresh_ids(archive, source, [sample_id(1)])
        again = refresh_ids(archive, source, [sample_id(1)])
    assert report.vanished == (sample_id(1),)
    assert again.vanished == ()


def test_a_record_that_is_no_trial_changes_nothing(archive: Archive) -> None:
    broken = sample(1)
    del broken["protocolSection"]["identificationModule"]["briefTitle"]
    with running(holdings(broken)) as (source, _, _), pytest.raises(UnexpectedShape, match="has no title"):
        refresh_ids(archive, source, [sample_id(1)])
    assert list(archive.heads()) == []
    assert run_log.runs(archive)[0].state == "failed"


def test_a_refused_record_is_kept_without_its_contacts(archive: Archive) -> None:
    broken = with_contacts(sample(1))
    del broken["protocolSection"]["identificationModule"]["briefTitle"]
    with running(holdings(broken)) as (source, _, _), pytest.raises(UnexpectedShape):
        refresh_ids(archive, source, [sample_id(1)])
    (packed,) = archive.connection.execute("SELECT data FROM quarantine JOIN blob USING (sha256)").fetchone()
    kept = unpack("zlib", packed)
    assert b"Platelets" in kept
    assert b"Example" not in kept
    assert b"ada@" not in kept


def test_data_that_moves_during_the_run_is_said(archive: Archive) -> None:
    fault = Fault("data_moves", path="/api/v2/studies")
    with running(holdings(sample(1), sample(2)), fault) as (source, _, _):
        report = refresh_ids(archive, source, [sample_id(1), sample_id(2)])
        assert report.state == "incomplete"
        assert "the data moved" in report.message
        before = state_of(archive)
        again = refresh_ids(archive, source, [sample_id(1), sample_id(2)])
    assert again.state == "complete"
    assert not again.up_to_date
    assert state_of(archive) == before


def test_a_registry_without_a_data_timestamp_is_asked_each_time(archive: Archive) -> None:
    held = holdings(sample(1))
    with running(held) as (source, server, _):
        server.registry.holdings.data_timestamp = ""
        refresh_ids(archive, source, [sample_id(1)])
        report = refresh_ids(archive, source, [sample_id(1)])
    assert not report.up_to_date
    assert report.unchanged == 1
