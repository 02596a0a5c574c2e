"""Small v2 records and registries for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harvest.archive import Archive
from harvest.http import Client, Politeness
from harvest.local_registry import Holdings, LocalRegistry
from harvest.registry_faults import Fault, FaultPlan
from harvest.sources.ctgov import ClinicalTrialsGov

DATA = "2026-03-02T09:00:00"
# No pauses: what a test wants to know of them it reads from the recorded sleeps.
SWIFT = Politeness(pace=0, tries=3, connect_timeout=2, read_timeout=2, deadline=3, max_bytes=1 << 20)


def sample(number: int, **changes: Any) -> dict[str, Any]:
    """A v2 record NCT99100000 + number; ``changes``: updated, platelets, status, condition, aliases, mesh."""
    identifier = f"NCT{99100000 + number:08d}"
    platelets = changes.get("platelets", 50)
    record: dict[str, Any] = {
        "protocolSection": {
            "identificationModule": {"nctId": identifier, "briefTitle": f"[Synthetic] Trial {number}"},
            "statusModule": {
                "overallStatus": changes.get("status", "RECRUITING"),
                "lastUpdatePostDateStruct": {"date": changes.get("updated", "2026-01-15"), "type": "ACTUAL"},
            },
            "conditionsModule": {"conditions": [changes.get("condition", "Lupus Nephritis")]},
            "armsInterventionsModule": {
                "interventions": [{"type": "BIOLOGICAL", "name": "CD19 CAR-T cells"}]
            },
            "sponsorCollaboratorsModule": {"leadSponsor": {"name": "Harbour Clinic", "class": "OTHER"}},
            "eligibilityModule": {
                "eligibilityCriteria": f"Inclusion Criteria:\n\n* Platelets \\>= {platelets} x 10\\^9/L",
                "sex": "ALL",
            },
        },
        "derivedSection": {"miscInfoModule": {"versionHolder": changes.get("holder", "2026-03-02")}},
        "hasResults": False,
    }
    if "aliases" in changes:
        record["protocolSection"]["identificationModule"]["nctIdAliases"] = changes["aliases"]
    if "mesh" in changes:
        record["derivedSection"]["conditionBrowseModule"] = {
            "meshes": [{"id": "D008180", "term": changes["mesh"]}]
        }
    return record


def sample_id(number: int) -> str:
    """The id of :func:`sample`."""
    return f"NCT{99100000 + number:08d}"


def with_contacts(record: dict[str, Any]) -> dict[str, Any]:
    """The record with invented people in every place where the registry has them."""
    protocol = record["protocolSection"]
    protocol["contactsLocationsModule"] = {
        "centralContacts": [{"name": "Ada Example", "phone": "555-0100", "email": "ada@example.org"}],
        "overallOfficials": [{"name": "Bo Example", "role": "PRINCIPAL_INVESTIGATOR"}],
        "locations": [
            {"facility": "Harbour Clinic", "country": "Norway", "contacts": [{"name": "Cy Example"}]}
        ],
    }
    protocol["sponsorCollaboratorsModule"]["responsibleParty"] = {
        "type": "PRINCIPAL_INVESTIGATOR",
        "investigatorFullName": "Bo Example",
        "investigatorTitle": "Professor",
    }
    protocol["descriptionModule"] = {"briefSummary": "Write to ada@example.org to take part."}
    return record


def holdings(*records: dict[str, Any], data: str = DATA) -> Holdings:
    """A registry's holdings of these records."""
    held = Holdings(data_timestamp=data)
    for record in records:
        held.put(record)
    return held


class Pauses(list[float]):
    """Takes the place of time.sleep and remembers."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@contextmanager
def running(
    held: Holdings,
    *faults: Fault,
    politeness: Politeness = SWIFT,
    page_size: int = 10,
    origins: tuple[str, ...] = (),
) -> Iterator[tuple[ClinicalTrialsGov, LocalRegistry, Pauses]]:
    """A running registry, a source that asks it, and the pauses that its client made."""
    pauses = Pauses()
    with (
        LocalRegistry(held, plan=FaultPlan(faults)) as server,
        Client((server.url, *origins), politeness, sleep=pauses) as client,
    ):
        yield ClinicalTrialsGov(client, server.url, page_size=page_size), server, pauses


def state_of(archive: Archive) -> list[tuple[Any, ...]]:
    """What the archive holds of trials, without the times of fetching: equal states are equal content."""
    heads = [
        (h.source, h.source_id, h.sha256, h.version, h.rest, h.vanished_at is None) for h in archive.heads()
    ]
    records = archive.connection.execute(
        "SELECT source, source_id, sha256, version, rest, record_date FROM record ORDER BY 1, 2, 4, 5"
    ).fetchall()
    return heads + records
