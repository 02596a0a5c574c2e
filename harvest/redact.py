"""Personal contacts are taken out of a v2 record before anything is stored, and what was taken is noted.

Names, telephone numbers and mail addresses of contacts, officials and investigators are not needed to
compare trials. The paths are those of the OpenAPI file of API 2.0.3.
"""

from __future__ import annotations

import re
from typing import Any

# Fields of responsibleParty that name a person; "type" stays.
PERSON_FIELDS = (
    "investigatorFullName",
    "investigatorTitle",
    "investigatorAffiliation",
    "oldNameTitle",
    "oldOrganization",
)

# A mail address in running text. Deliberately wide: a false one costs a word, a missed one a person.
MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
REMOVED = "[mail address removed]"


def redact(record: dict[str, Any]) -> tuple[str, ...]:
    """Remove contacts, officials, investigators and mail addresses from ``record``, in place.

    Returns the names of what was removed, sorted, e.g. ``("centralContacts", "locations.contacts")``; empty
    where there was nothing.
    """
    return tuple(sorted({*redact_people(record), *redact_mail(record)}))


def redact_people(record: dict[str, Any]) -> tuple[str, ...]:
    """Remove the fields of contacts, officials and investigators; gives their names as :func:`redact`."""
    removed: set[str] = set()
    protocol = record.get("protocolSection")
    if isinstance(protocol, dict):
        _redact_contacts(protocol.get("contactsLocationsModule"), removed)
        _redact_sponsor(protocol.get("sponsorCollaboratorsModule"), removed)
    results = record.get("resultsSection")
    if isinstance(results, dict) and isinstance(results.get("moreInfoModule"), dict):
        _pop(results["moreInfoModule"], "pointOfContact", "resultsSection.pointOfContact", removed)
    return tuple(sorted(removed))


def redact_mail(record: dict[str, Any]) -> tuple[str, ...]:
    """Remove the mail addresses in all texts; a walk that a record without any ``@`` can be spared."""
    removed: set[str] = set()
    for key, value in record.items():
        record[key] = _without_mail(value, removed)
    return tuple(removed)


def _pop(mapping: dict[str, Any], key: str, name: str, removed: set[str]) -> None:
    if key in mapping:
        del mapping[key]
        removed.add(name)


def _redact_contacts(module: Any, removed: set[str]) -> None:
    if not isinstance(module, dict):
        return
    _pop(module, "centralContacts", "centralContacts", removed)
    _pop(module, "overallOfficials", "overallOfficials", removed)
    locations = module.get("locations")
    for location in locations if isinstance(locations, list) else ():
        if isinstance(location, dict):
            _pop(location, "contacts", "locations.contacts", removed)


def _redact_sponsor(module: Any, removed: set[str]) -> None:
    party = module.get("responsibleParty") if isinstance(module, dict) else None
    if isinstance(party, dict):
        for field in PERSON_FIELDS:
            _pop(party, field, f"responsibleParty.{field}", removed)


def _without_mail(value: Any, removed: set[str]) -> Any:
    """The value with mail addresses replaced, in place where nothing has to be replaced at the top."""
    if isinstance(value, str):
        if "@" not in value:
            return value
        text, count = MAIL_ADDRESS.subn(REMOVED, value)
        if count:
            removed.add("mail addresses in text")
        return text
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (str, dict, list)):
                value[key] = _without_mail(inner, removed)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, (str, dict, list)):
                value[index] = _without_mail(inner, removed)
    return value
