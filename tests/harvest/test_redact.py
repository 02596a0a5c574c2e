from __future__ import annotations

import json

from harvest.archive import Archive
from harvest.canonical import canonical_record, decode
from harvest.redact import redact
from harvest.sources.ctgov_record import parse, prepare
from tests.harvest.sample_records import sample, with_contacts

PEOPLE = ("Ada Example", "Bo Example", "Cy Example", "Professor", "555-0100", "ada@example.org")


def test_no_person_is_left_and_what_was_removed_is_named() -> None:
    record = with_contacts(sample(1))
    removed = redact(record)
    text = json.dumps(record)
    assert not [person for person in PEOPLE if person in text]
    assert removed == (
        "centralContacts",
        "locations.contacts",
        "mail addresses in text",
        "overallOfficials",
        "responsibleParty.investigatorFullName",
        "responsibleParty.investigatorTitle",
    )


def test_sites_and_the_kind_of_responsible_party_stay() -> None:
    record = with_contacts(sample(1))
    redact(record)
    protocol = record["protocolSection"]
    assert protocol["contactsLocationsModule"]["locations"] == [
        {"facility": "Harbour Clinic", "country": "Norway"}
    ]
    assert protocol["sponsorCollaboratorsModule"]["responsibleParty"] == {"type": "PRINCIPAL_INVESTIGATOR"}


def test_a_record_without_people_is_not_touched() -> None:
    record = sample(1)
    assert redact(record) == ()
    assert record == sample(1)


def test_results_contact_is_removed() -> None:
    record = sample(1)
    record["resultsSection"] = {
        "moreInfoModule": {"pointOfContact": {"title": "Bo Example"}, "certainAgreement": {}}
    }
    assert redact(record) == ("resultsSection.pointOfContact",)
    assert record["resultsSection"] == {"moreInfoModule": {"certainAgreement": {}}}


def test_contacts_stay_where_the_user_asked_for_them() -> None:
    prepared = prepare(with_contacts(sample(1)), where="test", keep_contacts=True)
    assert b"Ada Example" in prepared.raw.body
    assert prepared.raw.redacted == ()


def test_the_version_is_the_same_with_people_and_without(archive: Archive) -> None:
    without = prepare(with_contacts(sample(1)), where="test")
    kept = prepare(with_contacts(sample(1)), where="test", keep_contacts=True)
    later = prepare(with_contacts(sample(1, holder="2026-03-09")), where="test", keep_contacts=True)
    assert kept.version == without.version == kept.trial.version
    assert parse(kept.raw).version == kept.version
    assert (kept.rest != without.rest, kept.rest == later.rest) == (True, True)
    with archive.transaction():
        archive.connection.execute(
            "INSERT INTO run (kind, source, key, started_at, state) VALUES ('import', 'x', 'x', 'x', 'running')"
        )
        outcomes = [archive.put(each, run=1, origin="search") for each in (without, kept, later)]
    assert outcomes == ["new", "drifted", "unchanged"]


def test_a_mail_address_is_removed_however_it_is_written() -> None:
    record = sample(1)
    record["protocolSection"]["descriptionModule"] = {"briefSummary": "Write to ada@example.org @ noon"}
    for body in (json.dumps(record), json.dumps(record).replace("@", "\\u0040")):
        prepared = prepare(decode(body.encode(), "test"), where="test")
        assert b"Write to [mail address removed] @ noon" in prepared.raw.body
        assert prepared.raw.redacted == ("mail addresses in text",)


def test_a_change_of_contacts_alone_is_neither_a_new_version_nor_new_content() -> None:
    first, second = with_contacts(sample(1)), with_contacts(sample(1))
    second["protocolSection"]["contactsLocationsModule"]["centralContacts"][0]["name"] = "Di Example"
    redact(first)
    redact(second)
    assert canonical_record(first) == canonical_record(second)
