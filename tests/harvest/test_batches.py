"""One record that the registry cannot give, or gives broken, does not hold up the others; endless paging ends."""

from __future__ import annotations

from typing import Any

import pytest

from harvest import run_log
from harvest.archive import Archive
from harvest.errors import RegistryError, ServerFailed
from harvest.refresh import STALLED_PAGES, refresh_query
from harvest.refresh_ids import refresh_ids
from harvest.registry_faults import Fault
from harvest.report import in_short
from harvest.sources.base import Page, Query
from tests.harvest.sample_records import holdings, running, sample, sample_id

LUPUS = Query(cond="lupus")
NEXT = "2026-03-03T09:00:00"


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(sample_id(number) for number in numbers)


def failing(number: int) -> Fault:
    """The registry fails whenever it is asked for this record."""
    return Fault("status", status=500, query=sample_id(number), times=999)


def test_a_batch_that_fails_is_asked_for_one_by_one(archive: Archive) -> None:
    with running(holdings(*map(sample, range(1, 6))), failing(3)) as (source, _, _):
        report = refresh_ids(archive, source, ids(1, 2, 3, 4, 5))
    assert report.state == "incomplete"
    assert report.new == ids(1, 2, 4, 5)
    assert sample_id(3) in report.message
    assert "still 500" in report.message
    assert report.missing == ()


def test_two_failures_in_a_row_are_the_hosts(archive: Archive) -> None:
    with (
        running(holdings(*map(sample, range(1, 6))), failing(2), failing(3)) as (source, server, _),
        pytest.raises(ServerFailed),
    ):
        refresh_ids(archive, source, ids(1, 2, 3, 4, 5))
    assert not any(sample_id(4) in each for each in server.registry.requests[4:])
    assert run_log.runs(archive)[0].state == "failed"


def test_a_broken_record_in_a_batch_is_kept_apart_and_the_others_are_stored(archive: Archive) -> None:
    fault = Fault("not_a_trial", path="/api/v2/studies")
    with running(holdings(sample(1), sample(2)), fault) as (source, _, _):
        report = refresh_ids(archive, source, ids(1, 2))
    assert (report.state, report.new) == ("incomplete", ids(1, 2))
    assert "no trial record" in report.message
    assert archive.connection.execute("SELECT count(*) FROM quarantine").fetchone() == (1,)


def test_a_record_that_cannot_be_given_has_not_vanished(archive: Archive) -> None:
    held = holdings(*map(sample, range(1, 5)))
    with running(held) as (source, _, _):
        refresh_query(archive, source, LUPUS)
    for number in (2, 3):
        held.put(sample(number, condition="Asthma", updated="2026-03-02"))
    held.data_timestamp = NEXT
    with running(held, failing(3)) as (source, _, _):
        report = refresh_query(archive, source, LUPUS)
    assert report.state == "incomplete"
    assert report.vanished == ()
    assert report.changed == ids(2)
    head = archive.head("ctgov", sample_id(3))
    assert head is not None
    assert head.vanished_at is None


def test_a_record_too_deep_for_json_is_kept_and_the_run_goes_on(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep: dict[str, Any] = sample(2)
    nested: list[Any] = []
    for _ in range(300):
        nested = [nested]
    deep["protocolSection"]["x"] = nested
    with running(holdings(sample(1))) as (source, _, _):
        page = Page((sample(1), deep), 1, None, "http://registry/studies")
        monkeypatch.setattr(source, "page", lambda *_, **__: page)
        report = refresh_query(archive, source, LUPUS)
    assert (report.state, report.new) == ("incomplete", ids(1))
    assert "nested too deeply" in report.message
    (size,) = archive.connection.execute(
        "SELECT blob.size FROM quarantine JOIN blob USING (sha256)"
    ).fetchone()
    assert size > 600


def test_pages_that_lead_nowhere_end(archive: Archive) -> None:
    fault = Fault("empty_page", path="/api/v2/studies", times=9999)
    with (
        running(holdings(*map(sample, range(1, 15))), fault) as (source, server, _),
        pytest.raises(RegistryError, match="brought nothing new"),
    ):
        refresh_query(archive, source, LUPUS)
    assert len(server.registry.requests) == STALLED_PAGES + 1


def test_a_trial_that_was_merged_into_another_no_longer_stands(archive: Archive) -> None:
    held = holdings(sample(1), sample(2))
    with running(held) as (source, _, _):
        refresh_query(archive, source, LUPUS)
        held.remove(sample_id(1))
        held.put(sample(2, aliases=[sample_id(1)], updated="2026-03-02"))
        held.data_timestamp = NEXT
        report = refresh_query(archive, source, LUPUS)
        again = refresh_ids(archive, source, ids(1))
    assert (report.changed, report.vanished, report.state) == (ids(2), ids(1), "complete")
    assert again.up_to_date
    assert [head.source_id for head in archive.heads(vanished=False)] == [sample_id(2)]
    assert archive.resolve("ctgov", sample_id(1)) == sample_id(2)


def test_more_records_than_the_largest_page_holds(archive: Archive) -> None:
    with running(holdings(*map(sample, range(1, 1052))), page_size=99_999) as (source, server, _):
        report = refresh_query(archive, source, LUPUS)
    assert (report.state, len(report.new)) == ("complete", 1051)
    assert sum("studies?" in each for each in server.registry.requests) == 2


@pytest.mark.parametrize("word", ["Sjögren", "狼疮", "Behçet's & lupus + 50%"])
def test_a_query_in_any_alphabet_reaches_the_registry(archive: Archive, word: str) -> None:
    with running(holdings(sample(1, condition=word), sample(2))) as (source, _, _):
        assert refresh_query(archive, source, Query(cond=word)).new == ids(1)


def test_a_message_tells_how_many_problems_it_leaves_out() -> None:
    assert in_short(["a", "b"]) == "a; b"
    assert in_short(list("abcdefg")) == "a; b; c; d; e; and 2 more"


def without_title(number: int, **changes: Any) -> dict[str, Any]:
    """A record that is no trial, though it has an id."""
    record = sample(number, **changes)
    del record["protocolSection"]["identificationModule"]["briefTitle"]
    return record


def test_a_record_that_stays_broken_does_not_hold_up_the_next_runs(archive: Archive) -> None:
    held = holdings(sample(1), sample(2), without_title(3))
    with running(held) as (source, server, _):
        first = refresh_query(archive, source, LUPUS)
        held.put(sample(1, platelets=75, updated="2026-03-02"))
        held.data_timestamp = NEXT
        server.registry.requests.clear()
        second = refresh_query(archive, source, LUPUS)
        pages = [each for each in server.registry.requests if "query.cond" in each and "NCTId" not in each]
    for report in (first, second):
        assert report.state == "incomplete"
        assert f"{sample_id(3)} has no title" in report.message
        assert "kept as page" in report.message
    assert (first.new, second.changed, second.missing) == (ids(1, 2), ids(1), ())
    # The second run went on from the first: what was updated since, not everything.
    assert all("RANGE" in page for page in pages)
    assert run_log.known_ids(archive, run_log.query_key("ctgov", LUPUS)) == set(ids(1, 2, 3))


def test_a_trial_whose_record_breaks_has_not_vanished(archive: Archive) -> None:
    held = holdings(sample(1), sample(2))
    with running(held) as (source, _, _):
        refresh_query(archive, source, LUPUS)
        held.put(without_title(2, condition="Asthma", updated="2026-03-02"))
        held.data_timestamp = NEXT
        report = refresh_query(archive, source, LUPUS)
    assert (report.state, report.vanished) == ("incomplete", ())
    head = archive.head("ctgov", sample_id(2))
    assert head is not None
    assert head.vanished_at is None


def test_what_was_wrong_before_a_restart_is_not_told_of_the_run(archive: Archive) -> None:
    faults = (Fault("not_a_trial", path="/api/v2/studies"), Fault("data_moves", path="/api/v2/studies"))
    with running(holdings(*map(sample, range(1, 15))), *faults) as (source, _, _):
        report = refresh_query(archive, source, LUPUS)
    assert [fault.struck for fault in faults] == [1, 1]
    assert (report.state, report.message) == ("complete", "")
    assert archive.connection.execute("SELECT count(*) FROM quarantine").fetchone() == (1,)
