"""Each way in which a host can misbehave, and what the client makes of it."""

from __future__ import annotations

import gzip
import time
from dataclasses import replace
from email.utils import formatdate

import pytest
import requests

from harvest.archive import Archive
from harvest.errors import (
    BadInput,
    Blocked,
    BrokenAnswer,
    ForeignRedirect,
    HarvestError,
    QueryRejected,
    RecordNotFound,
    RegistryError,
    ResponseTooLarge,
    RobotsDisallow,
    ServerFailed,
    Unreachable,
)
from harvest.http import Client, Politeness, user_agent
from harvest.local_registry import LocalRegistry, Registry
from harvest.refresh import refresh_query
from harvest.registry_faults import Fault, FaultPlan
from harvest.registry_reply import Reply
from harvest.sources.base import Query
from harvest.sources.ctgov import ClinicalTrialsGov
from tests.harvest.sample_records import SWIFT, Pauses, holdings, running, sample, sample_id

LUPUS = Query(cond="lupus")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(status: int) -> None:
    with running(holdings(sample(1)), Fault("status", status=status, times=2)) as (source, _, pauses):
        assert source.fetch(sample_id(1)).raw.source_id == sample_id(1)
    assert len(pauses) == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_lasting_failure_is_final_after_the_last_try(status: int) -> None:
    with running(holdings(sample(1)), Fault("status", status=status, times=99)) as (source, server, _):
        with pytest.raises(ServerFailed, match=f"still {status}.*after 3 tries; run again later"):
            source.fetch(sample_id(1))
        assert len(server.registry.requests) == 3


def test_pauses_grow_and_stay_below_the_cap() -> None:
    patient = replace(SWIFT, tries=8, backoff=1.0, backoff_cap=5.0)
    with running(holdings(sample(1)), Fault("status", status=503, times=7), politeness=patient) as (
        source,
        _,
        pauses,
    ):
        source.fetch(sample_id(1))
    assert 0.5 <= pauses[0] <= 1.5
    assert max(pauses) <= 5.0
    assert sum(pauses[4:]) > sum(pauses[:2])


def test_two_clients_do_not_pause_in_step() -> None:
    seen = []
    for _ in range(2):
        with running(holdings(sample(1)), Fault("status", status=503, times=2)) as (source, _, pauses):
            source.fetch(sample_id(1))
        seen.append(list(pauses))
    assert seen[0] != seen[1]


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured_as_seconds_and_as_a_date(as_date: bool) -> None:
    value = formatdate(time.time() + 7, usegmt=True) if as_date else "7"
    fault = Fault("status", status=429, retry_after=value)
    with running(holdings(sample(1)), fault) as (source, _, pauses):
        source.fetch(sample_id(1))
    assert 4.5 <= pauses[0] <= 7.5


def test_a_retry_after_of_a_day_is_capped() -> None:
    fault = Fault("status", status=429, retry_after="86400")
    with running(holdings(sample(1)), fault, politeness=replace(SWIFT, retry_after_cap=20)) as (
        source,
        _,
        pauses,
    ):
        source.fetch(sample_id(1))
    assert pauses == [20]


def test_an_unreadable_retry_after_is_passed_over() -> None:
    fault = Fault("status", status=429, retry_after="soon")
    with running(holdings(sample(1)), fault) as (source, _, pauses):
        source.fetch(sample_id(1))
    assert 0 < pauses[0] <= 1.5


def test_403_slows_down_once_and_then_stops_with_advice() -> None:
    with running(holdings(sample(1)), Fault("status", status=403, times=99)) as (source, server, pauses):
        with pytest.raises(Blocked, match=r"blocks this program.*trialkb import"):
            source.fetch(sample_id(1))
        assert len(server.registry.requests) == 2
    assert pauses == [SWIFT.blocked_pause]


def test_403_once_only_costs_the_pause() -> None:
    with running(holdings(sample(1)), Fault("status", status=403)) as (source, _, pauses):
        source.fetch(sample_id(1))
    assert pauses == [SWIFT.blocked_pause]


def test_400_is_final_and_says_what_the_registry_said() -> None:
    with running(holdings(sample(1))) as (source, server, pauses):
        with pytest.raises(QueryRejected, match="Unknown area name: `Colour`"):
            source.page(Query(advanced="AREA[Colour]red"), since=None, token=None)
        assert len(server.registry.requests) == 1
    assert pauses == []


def test_404_is_final() -> None:
    with running(holdings(sample(1))) as (source, server, _):
        with pytest.raises(RecordNotFound, match=r"NCT99100002: ClinicalTrials\.gov has no such record"):
            source.fetch(sample_id(2))
        assert len(server.registry.requests) == 1


@pytest.mark.parametrize(
    "kind", ["html", "truncated_json", "invalid_json", "wrong_encoding", "cut_connection", "drop"]
)
def test_a_broken_answer_is_asked_for_again(kind: str) -> None:
    with running(holdings(sample(1)), Fault(kind, times=2)) as (source, _, pauses):
        assert source.fetch(sample_id(1)).trial.title == "[Synthetic] Trial 1"
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("html", BrokenAnswer, "HTML where JSON was due"),
        ("truncated_json", BrokenAnswer, "not JSON"),
        ("invalid_json", BrokenAnswer, "not JSON"),
        ("wrong_encoding", BrokenAnswer, "not UTF-8"),
        ("cut_connection", Unreachable, "after 3 tries"),
        ("drop", Unreachable, "after 3 tries"),
    ],
)
def test_an_answer_that_stays_broken_is_a_clear_error(
    kind: str, error: type[HarvestError], message: str
) -> None:
    with (
        running(holdings(sample(1)), Fault(kind, times=99)) as (source, _, _),
        pytest.raises(error, match=message) as caught,
    ):
        source.fetch(sample_id(1))
    assert "\n" not in str(caught.value)


def test_a_host_that_does_not_answer_in_time_is_given_up() -> None:
    impatient = replace(SWIFT, read_timeout=0.2)
    fault = Fault("slow", seconds=0.6, times=99)
    with (
        running(holdings(sample(1)), fault, politeness=impatient) as (source, _, _),
        pytest.raises(Unreachable, match="timed out"),
    ):
        source.fetch(sample_id(1))


def test_a_body_that_trickles_in_forever_is_given_up() -> None:
    record = sample(1)
    record["protocolSection"]["descriptionModule"] = {"briefSummary": "long " * 20_000}
    fault = Fault("slow", trickle=0.05, times=99)
    with (
        running(holdings(record), fault, politeness=replace(SWIFT, deadline=0.3, tries=2)) as (source, _, _),
        pytest.raises(Unreachable, match=r"not complete after 0\.3 seconds"),
    ):
        source.fetch(sample_id(1))


def test_nobody_listens() -> None:
    with LocalRegistry(holdings(sample(1))) as server:
        gone = server.url
    with Client((gone,), SWIFT, sleep=Pauses()) as client, pytest.raises(Unreachable, match="refused"):
        ClinicalTrialsGov(client, gone).fetch(sample_id(1))


def test_a_host_without_a_name() -> None:
    url = "https://registry.invalid"
    with (
        Client((url,), SWIFT, sleep=Pauses()) as client,
        pytest.raises(Unreachable, match=r"registry\.invalid"),
    ):
        ClinicalTrialsGov(client, url).fetch(sample_id(1))


def test_a_gzip_bomb_is_cut_off_at_the_limit() -> None:
    fault = Fault("gzip_bomb", size=64 << 20)
    started = time.monotonic()
    with (
        running(holdings(sample(1)), fault) as (source, _, pauses),
        pytest.raises(ResponseTooLarge, match="more than 1048576 bytes"),
    ):
        source.fetch(sample_id(1))
    assert time.monotonic() - started < 30
    assert pauses == []


@pytest.mark.parametrize("location", ["http://evil.example/", "//evil.example/x", "http://127.0.0.1:1/x"])
def test_a_redirect_to_another_host_is_refused(location: str) -> None:
    with (
        running(holdings(sample(1)), Fault("redirect", location=location)) as (source, server, _),
        pytest.raises(ForeignRedirect, match="not a configured registry"),
    ):
        source.fetch(sample_id(1))
    assert len(server.registry.requests) == 1


def test_a_redirect_to_a_file_is_refused() -> None:
    with (
        running(holdings(sample(1)), Fault("redirect", location="file:///etc/passwd")) as (source, _, _),
        pytest.raises(HarvestError, match="not an http or https address"),
    ):
        source.fetch(sample_id(1))


def test_redirects_in_a_circle_end() -> None:
    fault = Fault("redirect", location=f"/api/v2/studies/{sample_id(1)}", times=99)
    with (
        running(holdings(sample(1)), fault) as (source, _, _),
        pytest.raises(HarvestError, match="more than 5 redirects"),
    ):
        source.fetch(sample_id(1))


def test_an_alias_is_followed_to_the_record_that_it_became() -> None:
    with running(holdings(sample(1, aliases=["NCT99100900"]))) as (source, server, _):
        prepared = source.fetch("NCT99100900")
    assert prepared.raw.source_id == sample_id(1)
    assert prepared.trial.aliases == ("NCT99100900",)
    assert len(server.registry.requests) == 2


def test_a_compressed_answer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Registry.reply

    def packed(self: Registry, path: str, query: str, headers: dict[str, str]) -> Reply:
        assert "gzip" in headers["accept-encoding"]
        reply = plain(self, path, query, headers)
        return Reply(reply.status, reply.media_type, gzip.compress(reply.body), {"Content-Encoding": "gzip"})

    monkeypatch.setattr(Registry, "reply", packed)
    with running(holdings(sample(1))) as (source, _, _):
        assert source.fetch(sample_id(1)).raw.source_id == sample_id(1)


def test_the_client_says_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harvest.http.version", lambda name: "1.2.3")
    assert user_agent() == "trialkb/1.2.3"
    agent = user_agent("mailto:ops@example.org")
    assert agent == "trialkb/1.2.3 (mailto:ops@example.org)"
    with Client(("http://127.0.0.1",), Politeness(contact="mailto:ops@example.org")) as client:
        assert client._session.headers["User-Agent"] == agent


@pytest.mark.parametrize("contact", ["a@b.org\r\nX-Evil: 1", "李@example.org", "\x00"])
def test_a_contact_that_fits_no_header_is_refused(contact: str) -> None:
    with pytest.raises(BadInput, match="ASCII"):
        user_agent(contact)


def test_501_is_final_and_says_so(archive: Archive) -> None:
    fault = Fault("status", path="/studies", status=501, body="Not Implemented", times=9)
    with (
        running(holdings(sample(1)), fault) as (source, _, pauses),
        pytest.raises(RegistryError, match="unexpected status 501 Not Implemented"),
    ):
        refresh_query(archive, source, Query(cond="lupus"))
    assert (fault.struck, pauses) == (1, [])


def test_the_client_never_calls_itself_a_browser() -> None:
    assert user_agent().startswith("trialkb/")
    assert "Mozilla" not in user_agent()


def test_certificates_are_verified() -> None:
    with Client(("https://127.0.0.1",), SWIFT) as client:
        assert client._session.verify is True


def test_a_host_without_a_certificate_is_refused_and_not_retried() -> None:
    pauses = Pauses()
    with LocalRegistry(holdings(sample(1))) as server:
        secure = server.url.replace("http://", "https://")
        with Client((secure,), SWIFT, sleep=pauses) as client, pytest.raises(Unreachable, match=r"TLS|SSL"):
            client.get(secure)
    assert pauses == []


def test_the_pace_is_kept() -> None:
    with (
        LocalRegistry(holdings(sample(1))) as server,
        Client((server.url,), replace(SWIFT, pace=10)) as client,
    ):
        started = time.monotonic()
        for _ in range(4):
            client.get(f"{server.url}/api/v2/version")
        assert time.monotonic() - started >= 0.28


def test_robots_of_the_host_are_obeyed() -> None:
    with (
        LocalRegistry(holdings(sample(1))) as server,
        Client((server.url,), SWIFT) as client,
        pytest.raises(RobotsDisallow, match=r"robots\.txt"),
    ):
        client.get(f"{server.url}/private/x", obey_robots=True)
    assert server.registry.requests == ["/robots.txt"]


def test_without_robots_txt_everything_is_allowed() -> None:
    plan = FaultPlan([Fault("status", status=404, path="/robots.txt")])
    with LocalRegistry(holdings(sample(1)), plan=plan) as server, Client((server.url,), SWIFT) as client:
        assert client.get(f"{server.url}/private/x", obey_robots=True).status == 404


def test_with_an_unreadable_robots_txt_nothing_is_allowed() -> None:
    plan = FaultPlan([Fault("status", status=503, path="/robots.txt", times=99)])
    with (
        LocalRegistry(holdings(sample(1)), plan=plan) as server,
        Client((server.url,), SWIFT, sleep=Pauses()) as client,
        pytest.raises(RobotsDisallow, match="no page is fetched"),
    ):
        client.get(f"{server.url}/trials/{sample_id(1)}", obey_robots=True)


def test_no_other_module_of_the_room_speaks_http() -> None:
    from pathlib import Path

    import harvest.http

    folder = Path(harvest.http.__file__).parent
    importers = [
        path.name
        for path in folder.rglob("*.py")
        if "import requests" in path.read_text() or "urllib3" in path.read_text()
    ]
    assert importers == ["http.py"]
    assert requests.__name__ == "requests"
