"""A run over a search: paging, incremental, vanished, restarts, totals."""

from __future__ import annotations

import pytest

from harvest import run_log
from harvest.archive import Archive
from harvest.errors import Blocked, QueryRejected, RegistryError, ServerFailed
from harvest.refresh import day_before, refresh_query
from harvest.registry_faults import Fault
from harvest.sources.base import Query
from tests.harvest.sample_records import DATA, holdings, running, sample, sample_id, state_of

LUPUS = Query(cond="lupus")
NEXT = "2026-03-03T09:00:00"


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(sample_id(number) for number in numbers)


def test_more_than_a_hundred_records_come_page_by_page(archive: Archive) -> None:
    with running(holdings(*map(sample, range(1, 124)))) as (source, server, _):
        report = refresh_query(archive, source, LUPUS)
    assert report.state == "complete"
    assert report.new == ids(*range(1, 124))
    pages = [each for each in server.registry.requests if "studies?" in each]
    assert len(pages) == 13
    assert sum("countTotal" in page for page in pages) == 1
    assert all("query.cond=lupus" in page for page in pages)


def test_a_second_run_asks_for_the_data_version_only(archive: Archive) -> None:
    with running(holdings(*map(sample, range(1, 31)))) as (source, server, _):
        refresh_query(archive, source, LUPUS)
        before = state_of(archive)
        server.registry.requests.clear()
        report = refresh_query(archive, source, LUPUS)
        assert server.registry.requests == ["/api/v2/version"]
    assert report.up_to_date
    assert (report.unchanged, report.new, report.changed) == (30, (), ())
    assert state_of(archive) == before


def test_later_runs_fetch_what_was_updated_since_the_day_before(archive: Archive) -> None:
    held = holdings(*map(sample, range(1, 31)))
    with running(held) as (source, server, _):
        refresh_query(archive, source, LUPUS)
        held.put(sample(7, platelets=75, updated="2026-03-02"))
        held.put(sample(31, updated="2026-03-03"))
        held.data_timestamp = NEXT
        server.registry.requests.clear()
        report = refresh_query(archive, source, LUPUS)
        sent = [
            each for each in server.registry.requests if "fields=NCTId" not in each and "studies?" in each
        ]
    assert report.changed == ids(7)
    assert report.new == ids(31)
    assert report.unchanged == 29
    assert len(sent) == 1
    assert "RANGE%5B2026-03-01%2CMAX%5D" in sent[0]


def test_a_record_that_came_into_the_search_without_an_update_is_found(archive: Archive) -> None:
    held = holdings(sample(1), sample(2))
    with running(held) as (source, _, _):
        refresh_query(archive, source, LUPUS)
        held.put(sample(3, updated="2019-05-05"))
        held.data_timestamp = NEXT
        report = refresh_query(archive, source, LUPUS)
    assert report.new == ids(3)
    assert report.state == "complete"


def test_a_record_that_vanished_is_marked_and_kept(archive: Archive) -> None:
    held = holdings(sample(1), sample(2))
    with running(held) as (source, _, _):
        refresh_query(archive, source, LUPUS)
        held.remove(sample_id(2))
        held.data_timestamp = NEXT
        report = refresh_query(archive, source, LUPUS)
    assert report.vanished == ids(2)
    head = archive.head("ctgov", sample_id(2))
    assert head is not None
    assert head.vanished_at is not None
    assert archive.latest("ctgov", sample_id(2)).body


def test_a_record_that_left_the_search_has_not_vanished(archive: Archive) -> None:
    held = holdings(sample(1), sample(2))
    with running(held) as (source, _, _):
        refresh_query(archive, source, LUPUS)
        held.put(sample(2, condition="Myasthenia Gravis", updated="2026-03-02"))
        held.data_timestamp = NEXT
        report = refresh_query(archive, source, LUPUS)
    assert (report.vanished, report.changed, report.left) == ((), ids(2), ids(2))
    head = archive.head("ctgov", sample_id(2))
    assert head is not None
    assert head.vanished_at is None


def test_a_vanished_record_that_returns_is_noticed(archive: Archive) -> None:
    held = holdings(sample(1), sample(2))
    with running(held) as (source, _, _):
        refresh_query(archive, source, LUPUS)
        held.remove(sample_id(2))
        held.data_timestamp = NEXT
        refresh_query(archive, source, LUPUS)
        held.put(sample(2))
        held.data_timestamp = "2026-03-04T09:00:00"
        report = refresh_query(archive, source, LUPUS)
    assert report.changed == ids(2)
    head = archive.head("ctgov", sample_id(2))
    assert head is not None
    assert head.vanished_at is None


@pytest.mark.parametrize("kind", ["duplicate", "reverse", "empty_page", "stale_token", "data_moves"])
@pytest.mark.parametrize("after", [0, 2])
def test_no_misbehaving_page_loses_or_doubles_a_record(archive: Archive, kind: str, after: int) -> None:
    fault = Fault(
        kind, path="/api/v2/studies", query="pageToken" if kind == "stale_token" else "", after=after
    )
    with running(holdings(*map(sample, range(1, 46))), fault) as (source, _, _):
        report = refresh_query(archive, source, LUPUS)
    assert fault.struck == 1
    assert report.state == "complete"
    assert report.new == ids(*range(1, 46))
    assert run_log.known_ids(archive, run_log.query_key("ctgov", LUPUS)) == set(ids(*range(1, 46)))


def test_a_run_holds_one_data_version(archive: Archive) -> None:
    """The data moves between two pages, and a record changes with it: the run ends with the new data only."""
    held = holdings(*map(sample, range(1, 26)))
    with running(held, Fault("data_moves", path="/api/v2/studies", after=1)) as (source, server, _):
        report = refresh_query(archive, source, LUPUS)
        assert report.data_version == server.registry.holdings.data_timestamp != DATA
    assert {head.seen_data for head in archive.heads()} == {report.data_version}


def test_data_that_moves_again_and_again_is_an_error_that_keeps_what_came(archive: Archive) -> None:
    fault = Fault("data_moves", path="/api/v2/studies", times=99)
    with (
        running(holdings(*map(sample, range(1, 26))), fault) as (source, _, _),
        pytest.raises(RegistryError, match="moved 4 times"),
    ):
        refresh_query(archive, source, LUPUS)
    assert run_log.runs(archive)[0].state == "failed"
    assert archive.head("ctgov", sample_id(1)) is not None


def test_a_record_that_a_page_lost_is_fetched_by_its_id(archive: Archive) -> None:
    fault = Fault("drop_record", id=sample_id(7), query="countTotal")
    with running(holdings(*map(sample, range(1, 26))), fault) as (source, _, _):
        report = refresh_query(archive, source, LUPUS)
    assert fault.struck == 1
    assert report.state == "complete"
    assert report.new == ids(*range(1, 26))


def test_a_total_that_never_fits_is_an_incomplete_run_that_says_so(archive: Archive) -> None:
    fault = Fault("drop_record", id=sample_id(7), path="/api/v2/studies", times=99)
    with running(holdings(*map(sample, range(1, 26))), fault) as (source, _, _):
        report = refresh_query(archive, source, LUPUS)
    assert report.state == "incomplete"
    assert "counts 25 records and listed 24" in report.message
    assert len(report.new) == 24


def test_an_entry_that_is_no_trial_is_kept_apart_and_named(archive: Archive) -> None:
    fault = Fault("not_a_trial", path="/api/v2/studies")
    with running(holdings(sample(1), sample(2)), fault) as (source, _, _):
        report = refresh_query(archive, source, LUPUS)
    assert report.state == "incomplete"
    assert report.new == ids(1, 2)
    assert "no trial record" in report.message
    (kept,) = archive.connection.execute("SELECT count(*) FROM quarantine").fetchone()
    assert kept == 1


@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_a_run_that_broke_off_goes_on_where_it_stood(archive: Archive, status: int, after: int) -> None:
    held = holdings(*map(sample, range(1, 46)))
    fault = Fault(
        "status", status=status, path="/api/v2/studies", after=after, times=3 if status == 503 else 2
    )
    with running(held, fault) as (source, server, _):
        with pytest.raises((Blocked, ServerFailed)):
            refresh_query(archive, source, LUPUS)
        failed = run_log.runs(archive)[0]
        assert failed.state == "failed"
        server.registry.requests.clear()
        report = refresh_query(archive, source, LUPUS)
        pages = [each for each in server.registry.requests if "studies?" in each]
    assert report.run == failed.id
    assert run_log.runs(archive)[0].requests == failed.requests + report.requests
    assert len(pages) == 5 - after
    assert report.state == "complete"
    assert report.new == ids(*range(1, 46))


def test_a_broken_off_run_starts_again_when_the_data_has_moved(archive: Archive) -> None:
    held = holdings(*map(sample, range(1, 46)))
    fault = Fault("status", status=503, path="/api/v2/studies", after=2, times=3)
    with running(held, fault) as (source, _, _):
        with pytest.raises(ServerFailed):
            refresh_query(archive, source, LUPUS)
        held.put(sample(1, platelets=99, updated="2026-03-03"))
        held.data_timestamp = NEXT
        report = refresh_query(archive, source, LUPUS)
    assert report.state == "complete"
    assert len(report.new) + len(report.changed) == 45 - 19
    assert report.changed == ids(1)
    assert len(list(archive.heads())) == 45


def test_a_wrong_query_is_refused_in_the_registrys_words(archive: Archive) -> None:
    with (
        running(holdings(sample(1))) as (source, _, _),
        pytest.raises(QueryRejected, match="Invalid value in parameter `overallStatus`: `OPEN`"),
    ):
        refresh_query(archive, source, Query(cond="lupus", status=("OPEN",)))
    assert list(archive.heads()) == []


def test_brackets_are_reserved_and_the_refusal_says_what_to_check(archive: Archive) -> None:
    with (
        running(holdings(sample(1))) as (source, _, _),
        pytest.raises(QueryRejected, match=r"no viable alternative at .*; check its spelling, quotes"),
    ):
        refresh_query(archive, source, Query(cond="lupus [class IV"))


def test_an_empty_query_is_refused_unless_everything_is_meant(archive: Archive) -> None:
    with running(holdings(sample(1), sample(2, condition="Asthma"))) as (source, _, _):
        with pytest.raises(QueryRejected, match="--all"):
            refresh_query(archive, source, Query())
        report = refresh_query(archive, source, Query(everything=True))
    assert report.new == ids(1, 2)


def test_a_search_without_results_is_complete(archive: Archive) -> None:
    with running(holdings(sample(1))) as (source, _, _):
        report = refresh_query(archive, source, Query(cond="gout"))
    assert (report.state, report.new) == ("complete", ())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(cond="lupus OR asthma"), (1, 2, 3)),
        (Query(cond="asthma"), (2,)),
        (Query(intr="CD19"), (1, 2, 3)),
        (Query(spons="harbour"), (1, 2, 3)),
        (Query(term="nephritis"), (1, 3)),
        (Query(cond="lupus", status=("COMPLETED",)), (3,)),
        (Query(advanced="AREA[LastUpdatePostDate]RANGE[2026-01-10,MAX]"), (1, 2)),
        (Query(cond="lupus", advanced="NOT AREA[OverallStatus]COMPLETED"), (1,)),
    ],
)
def test_each_field_of_a_search_reaches_the_registry(
    archive: Archive, query: Query, expected: tuple[int, ...]
) -> None:
    held = holdings(
        sample(1), sample(2, condition="Asthma"), sample(3, status="COMPLETED", updated="2025-12-01")
    )
    with running(held) as (source, _, _):
        assert refresh_query(archive, source, query).new == ids(*expected)


def test_full_reads_everything_again(archive: Archive) -> None:
    with running(holdings(*map(sample, range(1, 12)))) as (source, server, _):
        refresh_query(archive, source, LUPUS)
        server.registry.requests.clear()
        report = refresh_query(archive, source, LUPUS, full=True)
        assert len(server.registry.requests) == 4
    assert (report.unchanged, report.new) == (11, ())


def test_progress_is_told_with_the_total(archive: Archive) -> None:
    steps: list[tuple[int, int | None]] = []
    with running(holdings(*map(sample, range(1, 26)))) as (source, _, _):
        refresh_query(archive, source, LUPUS, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(10, 25), (20, 25), (25, 25)]


@pytest.mark.parametrize(
    ("stamp", "day"), [("2026-03-01T09:00:00", "2026-02-28"), ("2024-03-01", "2024-02-29")]
)
def test_the_day_before(stamp: str, day: str) -> None:
    assert day_before(stamp) == day
