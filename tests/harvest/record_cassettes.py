"""Record the transport cassettes: ``python -m tests.harvest.record_cassettes local|live``.

``local`` records against the embedded registry, under the made-up host http://registry.test, so that the
cassettes are the same on every machine. ``live`` records a few requests to the real hosts, for someone who
has the internet; contacts are taken out before anything is written. Each cassette says in its first line
which of the two it is. The tests replay them and never record.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import vcr

from harvest.archive import Archive
from harvest.errors import HarvestError
from harvest.http import Client, Politeness
from harvest.local_registry import LocalRegistry, load
from harvest.redact import redact
from harvest.refresh import refresh_query
from harvest.registry_faults import Fault, FaultPlan
from harvest.sources.base import Query
from harvest.sources.clinconnect import ClinConnect, read_page, redact_page
from harvest.sources.ctgov import ClinicalTrialsGov

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "fixtures" / "cassettes"
LOCAL_HOST = "http://registry.test"
LIVE_CTGOV, LIVE_CLINCONNECT = "https://clinicaltrials.gov", "https://clinconnect.io"
SWIFT = Politeness(pace=0, backoff=0, blocked_pause=0, tries=3)
POLITE = Politeness()
SEARCH = Query(cond="lupus", intr="CAR-T")

Task = Callable[[Client, str], Any]


def _search(client: Client, url: str) -> Any:
    with Archive.open(Path(":memory:"), write=True) as archive:
        return refresh_query(archive, ClinicalTrialsGov(client, url, page_size=5), SEARCH)


# Each cassette by name: what is done over it. The tests do the same over the recording.
LOCAL: dict[str, Task] = {
    "search": _search,
    "record": lambda client, url: ClinicalTrialsGov(client, url).fetch("NCT06886919"),
    "alias": lambda client, url: ClinicalTrialsGov(client, url).fetch("NCT99000905"),
    "unknown_id": lambda client, url: ClinicalTrialsGov(client, url).fetch("NCT00000001"),
    "wrong_query": lambda client, url: ClinicalTrialsGov(client, url).page(
        Query(advanced="AREA[Colour]red"), since=None, token=None
    ),
    "batch": lambda client, url: list(
        ClinicalTrialsGov(client, url).fetch_many(["NCT99000001", "NCT99000905", "NCT00000001"])
    ),
    "tried_again": lambda client, url: ClinicalTrialsGov(client, url).fetch("NCT99000002"),
    "blocked": lambda client, url: ClinicalTrialsGov(client, url).fetch("NCT99000003"),
    "page": lambda client, url: ClinConnect(client, url).fetch("NCT06886919"),
}
FAULTS = (
    Fault("status", status=503, path="NCT99000002", times=2),
    Fault("status", status=403, path="NCT99000003", times=2),
)
LIVE: dict[str, tuple[str, Task]] = {
    "version": (LIVE_CTGOV, lambda client, url: ClinicalTrialsGov(client, url).data_version()),
    "record": (LIVE_CTGOV, lambda client, url: ClinicalTrialsGov(client, url).fetch("NCT06886919")),
    "search": (
        LIVE_CTGOV,
        lambda client, url: ClinicalTrialsGov(client, url, page_size=5).page(SEARCH, since=None, token=None),
    ),
    "unknown_id": (LIVE_CTGOV, lambda client, url: ClinicalTrialsGov(client, url).fetch("NCT99999999")),
    "page": (LIVE_CLINCONNECT, lambda client, url: ClinConnect(client, url).fetch("NCT06886919")),
}


def recorder(mode: str, url: str) -> Any:
    """A recorder (mode ``all``) or player (mode ``none``) whose requests go to ``url`` or LOCAL_HOST."""

    def rename(request: Any) -> Any:
        request.uri = request.uri.replace(url, LOCAL_HOST) if url.startswith("http://127.") else request.uri
        return request

    def without_people(response: dict[str, Any]) -> dict[str, Any]:
        response["headers"] = {
            name: value
            for name, value in response["headers"].items()
            if name.lower() in ("content-type", "location", "retry-after", "etag")
        }
        response["body"]["string"] = _without_people(response["body"]["string"])
        return response

    return vcr.VCR(
        record_mode=mode,
        match_on=["method", "scheme", "host", "path", "query"],
        before_record_request=rename,
        before_record_response=without_people,
        decode_compressed_response=True,
        filter_headers=["Connection", "Accept-Encoding", "User-Agent"],
    )


def _without_people(body: bytes) -> bytes:
    """A body without contacts: each record of a JSON answer, or a page; anything else as it is."""
    if body.lstrip().startswith(b"<"):
        page = read_page(body, "recording")
        return str(page.soup).encode() if redact_page(page) else body
    try:
        document = json.loads(body)
    except ValueError:
        return body
    if not isinstance(document, dict):
        return body
    removed = [redact(record) for record in document.get("studies", [document])]
    return json.dumps(document, ensure_ascii=False).encode() if any(removed) else body


def record(name: str, folder: Path, url: str, task: Task, politeness: Politeness, said: str) -> None:
    """Record one cassette and write where it is from into its first line."""
    path = folder / f"{name}.yaml"
    path.unlink(missing_ok=True)
    with recorder("all", url).use_cassette(str(path)), Client((url,), politeness) as client:
        try:
            task(client, url)
        except HarvestError as error:
            print(f"{name}: {error}")
    path.write_text(f"# {said}\n{path.read_text('utf-8')}", "utf-8")


def main(which: str) -> None:
    """Record all cassettes of one kind."""
    folder = FOLDER / which
    folder.mkdir(parents=True, exist_ok=True)
    if which == "local":
        said = "Recorded against trialkb's own embedded registry, not against the real host."
        with LocalRegistry(load(ROOT / "fixtures"), plan=FaultPlan(FAULTS)) as server:
            for name, task in LOCAL.items():
                record(name, folder, server.url, task, SWIFT, said)
    else:
        said = f"Recorded from the real host on {datetime.now(UTC):%Y-%m-%d}; contacts were taken out."
        for name, (url, task) in LIVE.items():
            record(name, folder, url, task, POLITE, said)


if __name__ == "__main__":
    main(sys.argv[1])
