from __future__ import annotations

from pathlib import Path

import pytest

from harvest import run_log
from harvest.archive import Archive
from harvest.errors import RecordNotFound, UnexpectedShape
from harvest.http import Client
from harvest.local_registry import LocalRegistry
from harvest.refresh_ids import refresh_ids
from harvest.registry_faults import Fault, FaultPlan
from harvest.sources.clinconnect import PACE, ClinConnect, parse_page, prepare_page
from tests.harvest.sample_records import SWIFT, Pauses, holdings, sample

ID = "NCT99300001"
PAGE = """<!doctype html><html><head><title>x</title><script>var a = "Eligibility criteria";</script></head><body>
<nav><a href="/">ClinConnect</a></nav><p>Search / Trial {id}</p>
<h1>[Synthetic] A Page</h1><p>Launched by HARBOUR CLINIC · Mar 14, 2025</p>
<h2>Trial Information</h2><p>Current as of July 27, 2025</p><span>Not yet recruiting</span>
<h2>Keywords</h2><span>Cd19</span>
<h2>ClinConnect Summary</h2><p>Platelets must be at least 999.</p>
<h2>Gender</h2><p>ALL</p>
<h2>Eligibility criteria</h2><ul><li>Inclusion Criteria:</li><li>1. Platelets <b>≥</b> 50 × 10\\^9/L; ALT &le; 3 ULN</li></ul>
<h2>About Harbour Clinic</h2><p>A clinic.</p>
<h2>Locations</h2><h2>Trial Officials</h2><p>Bo Example, MD</p><p>Principal Investigator</p>
<a href="mailto:bo@example.org">write</a>
<h2>Timeline</h2><p>First submit</p><p>or ask ada@example.org</p></body></html>"""


def page(identifier: str = ID, **changes: str) -> bytes:
    text = PAGE.replace("{id}", identifier)
    for old, new in changes.items():
        text = text.replace(old.replace("_", " "), new)
    return text.encode()


def test_the_text_is_read_in_the_order_of_the_page() -> None:
    trial = parse_page(page(), "test")
    assert trial.source_id == ID
    assert trial.title == "[Synthetic] A Page"
    assert trial.eligibility_text == "• Inclusion Criteria:\n• 1. Platelets ≥ 50 × 10\\^9/L; ALT ≤ 3 ULN"
    assert (trial.status, trial.sex) == ("NOT_YET_RECRUITING", "ALL")
    assert (trial.first_posted, trial.last_update_posted) == ("2025-03-14", "2025-07-27")
    assert trial.sponsors[0].name == "HARBOUR CLINIC"


def test_the_summary_is_never_evidence() -> None:
    assert "999" not in parse_page(page(), "test").eligibility_text


def test_class_names_and_tags_do_not_matter() -> None:
    text = page().decode().replace("<h2>", '<div class="q7"><span>').replace("</h2>", "</span></div>")
    text = (
        text.replace("<ul>", "<div>")
        .replace("</ul>", "</div>")
        .replace("<li>", "<p>")
        .replace("</li>", "</p>")
    )
    trial = parse_page(text.encode(), "test")
    assert trial.eligibility_text == "Inclusion Criteria:\n1. Platelets ≥ 50 × 10\\^9/L; ALT ≤ 3 ULN"


@pytest.mark.parametrize("line", ["Recruiting", "Active, not recruiting", "Completed"])
def test_status_tokens_are_canonical(line: str) -> None:
    trial = parse_page(page(Not_yet_recruiting=line), "test")
    assert trial.status == line.upper().replace(",", "").replace(" ", "_")


def test_an_unknown_status_is_kept_and_reported() -> None:
    trial = parse_page(page(Not_yet_recruiting="Paused for review"), "test")
    assert trial.status == "Paused for review"
    assert trial.unknown_tokens == ("status:Paused for review",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Eligibility_criteria": "Who can join"}, "no heading 'Eligibility criteria'"),
        ({"Trial_Information": "Facts"}, "no heading 'Trial Information'"),
        ({"Search_/_Trial": "Home"}, "no line 'Search / Trial NCT...'"),
        ({"[Synthetic]_A_Page": ""}, "no title"),
        ({"<ul>": "<template>", "</ul>": "</template>"}, "nothing under 'Eligibility criteria'"),
    ],
)
def test_a_page_of_another_shape_is_refused_and_kept(changes: dict[str, str], message: str) -> None:
    with pytest.raises(UnexpectedShape, match=message.replace(".", r"\.")) as caught:
        prepare_page(page(**changes), where="https://clinconnect.io/trials/x")
    assert b"<html>" in caught.value.body
    assert b"Bo Example" not in caught.value.body


def test_a_page_about_another_trial_is_refused() -> None:
    with pytest.raises(UnexpectedShape, match="a page about NCT99300002, not about NCT99300001"):
        parse_page(page("NCT99300002"), "test", ID)


def test_officials_and_addresses_are_removed_and_that_is_noted() -> None:
    prepared = prepare_page(page(), where="test")
    assert prepared.raw.redacted == ("contact links", "mail addresses in text", "trial officials")
    for person in (b"Bo Example", b"bo@example.org", b"ada@example.org"):
        assert person not in prepared.raw.body
    assert b"Timeline" in prepared.raw.body


def test_nesting_and_size_are_bounded() -> None:
    deep = b"<div>" * 8_000 + page()
    with pytest.raises(UnexpectedShape):
        prepare_page(b"<p>" * 30_000, where="test")
    with pytest.raises(UnexpectedShape, match="too large"):
        prepare_page(b" " * (5 << 20), where="test")
    assert prepare_page(deep, where="test").trial.source_id == ID


def test_a_trial_is_fetched_over_http_and_asked_for_conditionally_after_that(archive: Archive) -> None:
    held = holdings(sample(1))
    held.pages[ID] = page()
    with LocalRegistry(held) as server, Client((server.url,), SWIFT) as client:
        site = ClinConnect(client, server.url)
        assert refresh_ids(archive, site, [ID.lower()]).new == (ID,)
        second = refresh_ids(archive, site, [ID])
        assert (second.unchanged, second.changed) == (1, ())
        held.pages[ID] = page(Not_yet_recruiting="Recruiting", July_27="July 28")
        assert refresh_ids(archive, site, [ID]).changed == (ID,)
        assert server.registry.requests == ["/robots.txt", *[f"/trials/{ID}"] * 3]
    assert client.requests_sent == 4


def test_an_unknown_trial_is_not_found(archive: Archive) -> None:
    with (
        LocalRegistry(holdings(sample(1))) as server,
        Client((server.url,), SWIFT) as client,
        pytest.raises(RecordNotFound, match=f"{ID}: no such record"),
    ):
        refresh_ids(archive, ClinConnect(client, server.url), [ID])


def test_a_changed_layout_stops_the_run_and_the_page_is_kept(archive: Archive) -> None:
    held = holdings(sample(1))
    held.pages[ID] = page(Eligibility_criteria="Who can join")
    with (
        LocalRegistry(held) as server,
        Client((server.url,), SWIFT) as client,
        pytest.raises(UnexpectedShape, match="its layout changed"),
    ):
        refresh_ids(archive, ClinConnect(client, server.url), [ID])
    row = archive.connection.execute(
        "SELECT reason, size FROM quarantine JOIN blob USING (sha256)"
    ).fetchone()
    assert "Eligibility criteria" in row[0]
    assert row[1] > 500
    assert run_log.runs(archive)[0].state == "failed"
    assert list(archive.heads()) == []


def test_a_json_answer_is_no_page(archive: Archive) -> None:
    held = holdings(sample(1))
    held.pages[ID] = b'{"studies": []}'
    with (
        LocalRegistry(held) as server,
        Client((server.url,), SWIFT) as client,
        pytest.raises(UnexpectedShape, match="not a ClinConnect trial page"),
    ):
        refresh_ids(archive, ClinConnect(client, server.url), [ID])


def test_a_host_that_forbids_its_pages_is_not_asked(archive: Archive) -> None:
    plan = FaultPlan(
        [Fault("status", status=200, path="/robots.txt", body="User-agent: *\nDisallow: /trials/")]
    )
    with LocalRegistry(holdings(sample(1)), plan=plan) as server, Client((server.url,), SWIFT) as client:
        with pytest.raises(Exception, match=r"robots\.txt of this host forbids"):
            refresh_ids(archive, ClinConnect(client, server.url), [ID])
        assert server.registry.requests == ["/robots.txt"]


def test_a_crawl_delay_of_the_host_is_waited_for() -> None:
    plan = FaultPlan([Fault("status", status=200, path="/robots.txt", body="User-agent: *\nCrawl-delay: 7")])
    held = holdings(sample(1))
    held.pages[ID] = page()
    pauses = Pauses()
    with (
        LocalRegistry(held, plan=plan) as server,
        Client((server.url,), SWIFT, sleep=pauses) as client,
    ):
        ClinConnect(client, server.url).fetch(ID)
        ClinConnect(client, server.url).fetch(ID)
    assert 6 < sum(pauses) <= 7


def test_several_seconds_between_pages() -> None:
    assert 1 / PACE >= 3


def test_the_headline_page_gives_the_text_of_the_published_page(fixtures: Path, shared: Path) -> None:
    published = (shared / "seed" / "clinconnect-NCT06886919.txt").read_text("utf-8")
    trial = parse_page((fixtures / "clinconnect" / "NCT06886919.html").read_bytes(), "test")
    told = published[published.index("Eligibility criteria") : published.index("About Beijing")]
    assert trial.eligibility_text.replace("• ", "").split() == told.replace("• ", "").split()[2:]
