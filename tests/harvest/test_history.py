from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harvest import local_registry
from harvest.archive import Archive
from harvest.errors import HistoryUnusable, RecordNotFound
from harvest.history import Change, ClinicalTrialsGovHistory, checked, fetch_history, wanted
from harvest.local_registry import Holdings
from harvest.refresh_ids import refresh_ids
from harvest.registry_faults import Fault
from tests.harvest.sample_records import holdings, running, sample, sample_id

ID = sample_id(1)


def with_history() -> Holdings:
    """A trial whose platelet limit went from 75 over a change of status to 50."""
    held = holdings(sample(1, updated="2026-02-01"))
    held.histories[ID] = [
        {
            "date": "2025-01-10",
            "moduleLabels": ["Eligibility"],
            "study": sample(1, platelets=75, updated="2025-01-12"),
        },
        {
            "date": "2025-06-10",
            "moduleLabels": ["Study Status"],
            "study": sample(1, platelets=75, updated="2025-06-12"),
        },
        {"date": "2026-01-30", "moduleLabels": ["Eligibility"], "study": sample(1, updated="2026-01-31")},
    ]
    return held


def test_past_versions_come_into_the_archive_and_do_not_become_the_head(archive: Archive) -> None:
    with running(with_history()) as (source, server, _):
        refresh_ids(archive, source, [ID])
        history = ClinicalTrialsGovHistory(source.client, server.url)
        report = fetch_history(archive, history, ID.lower(), every=True)
    assert report.message == "3 versions in the registry, 3 fetched"
    versions = archive.versions(ID)
    assert [(each.record_date, each.registry_version) for each in versions] == [
        ("2025-01-10", 0), ("2025-06-10", 1), ("2026-01-30", 2), ("2026-02-01", None),
    ]  # fmt: skip
    assert [each.is_head for each in versions] == [False, False, False, True]


def test_only_versions_that_touched_the_criteria_are_asked_for(archive: Archive) -> None:
    with running(with_history()) as (source, server, _):
        refresh_ids(archive, source, [ID])
        history = ClinicalTrialsGovHistory(source.client, server.url)
        fetch_history(archive, history, ID)
        assert f"/api/int/studies/{ID}/history/1" not in server.registry.requests
        server.registry.requests.clear()
        report = fetch_history(archive, history, ID)
        assert server.registry.requests == [f"/api/int/studies/{ID}/history"]
    assert report.message == "3 versions in the registry, 0 fetched"


def test_an_index_that_moves_is_refused_and_nothing_is_stored(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = with_history()
    with running(held) as (source, server, _):
        refresh_ids(archive, source, [ID])
        history = ClinicalTrialsGovHistory(source.client, server.url)
        version = history.version

        def and_then_amended(identifier: str, change: Change) -> Any:
            held.histories[ID] = [*held.histories[ID], held.histories[ID][-1]]
            return version(identifier, change)

        monkeypatch.setattr(history, "version", and_then_amended)
        with pytest.raises(HistoryUnusable, match="changed while it was read"):
            fetch_history(archive, history, ID)
    assert len(archive.versions(ID)) == 1


@pytest.mark.parametrize(
    "listed",
    [
        [{"version": 0, "date": "2025-01-01"}, {"version": 2, "date": "2025-01-02"}],
        [{"version": 0, "date": "2025-01-01"}, {"version": 0, "date": "2025-01-02"}],
        [{"version": 0}],
        [{"date": "2025-01-01"}],
        ["x"],
    ],
)
def test_a_broken_index_is_refused(listed: list[Any]) -> None:
    with pytest.raises(HistoryUnusable):
        checked(listed, "test")


def test_the_first_version_and_those_of_the_criteria() -> None:
    changes = tuple(
        Change(n, "2025-01-01", labels) for n, labels in enumerate([(), ("Study Status",), ("Eligibility",)])
    )
    assert [each.number for each in wanted(changes, every=False)] == [0, 2]
    assert [each.number for each in wanted(changes, every=True)] == [0, 1, 2]


def test_a_trial_that_is_not_stored_or_has_no_history(archive: Archive) -> None:
    held = with_history()
    held.put(sample(2))
    with running(held) as (source, server, _):
        history = ClinicalTrialsGovHistory(source.client, server.url)
        with pytest.raises(RecordNotFound, match="not in the archive"):
            fetch_history(archive, history, ID)
        refresh_ids(archive, source, [sample_id(2)])
        with pytest.raises(RecordNotFound, match="no history of it"):
            fetch_history(archive, history, sample_id(2))


def test_html_instead_of_the_history_is_refused(archive: Archive) -> None:
    fault = Fault("html", path="/api/int", times=99)
    with running(with_history(), fault) as (source, server, _):
        refresh_ids(archive, source, [ID])
        with pytest.raises(Exception, match="HTML where JSON was due"):
            fetch_history(archive, ClinicalTrialsGovHistory(source.client, server.url), ID)


def test_the_fixture_with_a_history(archive: Archive, fixtures: Path) -> None:
    held = local_registry.load(fixtures)
    with running(held) as (source, server, _):
        refresh_ids(archive, source, ["NCT99000009"])
        fetch_history(archive, ClinicalTrialsGovHistory(source.client, server.url), "NCT99000009")
    versions = archive.versions("NCT99000009")
    assert versions[-1].version == versions[-2].version
    assert versions[0].version != versions[-1].version
