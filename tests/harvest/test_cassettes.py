"""The transport over recorded answers: nothing is recorded here, and a request that is not in one fails."""

from __future__ import annotations

from typing import Any

import pytest
from vcr.errors import CannotOverwriteExistingCassetteException

from harvest.errors import Blocked, QueryRejected, RecordNotFound
from harvest.http import Client
from tests.harvest.record_cassettes import FOLDER, LIVE, LOCAL, LOCAL_HOST, SWIFT, recorder


def replay(name: str) -> tuple[Any, Any]:
    """What the task of a cassette gives over its recording, and the cassette."""
    path = FOLDER / "local" / f"{name}.yaml"
    with (
        recorder("none", LOCAL_HOST).use_cassette(str(path)) as cassette,
        Client((LOCAL_HOST,), SWIFT) as client,
    ):
        try:
            return LOCAL[name](client, LOCAL_HOST), cassette
        finally:
            assert cassette.all_played


def test_search() -> None:
    report, cassette = replay("search")
    assert (report.state, len(report.new), report.requests) == ("complete", 15, 5)
    assert cassette.play_count == 5


def test_record() -> None:
    prepared, _ = replay("record")
    assert prepared.trial.source_id == "NCT06886919"
    assert prepared.trial.reconstruction


def test_alias_is_followed() -> None:
    prepared, cassette = replay("alias")
    assert prepared.trial.source_id == "NCT99000005"
    assert [response["status"]["code"] for response in cassette.responses] == [301, 200]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("unknown_id", RecordNotFound, "NCT00000001"),
        ("wrong_query", QueryRejected, "Unknown area name: `Colour`"),
        ("blocked", Blocked, "blocks this program"),
    ],
)
def test_final_errors(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        replay(name)


def test_batch_leaves_out_the_unknown_and_finds_the_alias() -> None:
    records, _ = replay("batch")
    found = {record["protocolSection"]["identificationModule"]["nctId"] for record in records}
    assert found == {"NCT99000001", "NCT99000005"}


def test_503_is_tried_again() -> None:
    prepared, cassette = replay("tried_again")
    assert prepared.trial.source_id == "NCT99000002"
    assert cassette.play_count == 3


def test_page_comes_after_robots() -> None:
    prepared, cassette = replay("page")
    assert prepared.trial.source == "clinconnect"
    assert [request.path for request in cassette.requests] == ["/robots.txt", "/trials/NCT06886919"]


def test_every_cassette_says_where_it_is_from() -> None:
    paths = sorted(FOLDER.rglob("*.yaml"))
    assert {path.stem for path in paths if path.parent.name == "local"} == set(LOCAL)
    for path in paths:
        said = path.read_text("utf-8").split("\n", 1)[0]
        assert said.startswith(
            "# Recorded against trialkb's own" if path.parent.name == "local" else "# Recorded from"
        )


def test_a_request_that_was_not_recorded_fails() -> None:
    path = FOLDER / "local" / "record.yaml"
    with (
        recorder("none", LOCAL_HOST).use_cassette(str(path)),
        Client((LOCAL_HOST,), SWIFT) as client,
        pytest.raises(CannotOverwriteExistingCassetteException, match="NCT99000001"),
    ):
        client.get(f"{LOCAL_HOST}/api/v2/studies/NCT99000001")


@pytest.mark.parametrize("name", LIVE)
def test_live_recordings_are_read_as_the_local_ones(name: str) -> None:
    path = FOLDER / "live" / f"{name}.yaml"
    if not path.exists():
        pytest.skip("no recording from the real hosts; 'make cassettes-live' makes some, with the internet")
    url, task = LIVE[name]
    with recorder("none", url).use_cassette(str(path)), Client((url,), SWIFT) as client:
        if name == "unknown_id":
            with pytest.raises(RecordNotFound):
                task(client, url)
        else:
            assert task(client, url)
