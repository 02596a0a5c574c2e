"""A ClinicalTrials.gov v2 record (OpenAPI file of API 2.0.3) -> Trial. Pure: bytes in, trial out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from harvest import codes
from harvest.canonical import canonical_record, decode, sha256
from harvest.errors import UnexpectedShape
from harvest.model import Arm, Intervention, MeshTerm, RawRecord, Sponsor, Trial
from harvest.redact import redact_mail, redact_people
from harvest.sources.base import Prepared
from harvest.trial_id import is_synthetic, nct_id

NAME = "ctgov"
# Where a person reads the record: the same for every mirror, so that it never depends on the host asked.
PUBLIC_URL = "https://clinicaltrials.gov/study/{id}"
# "enrollment unknown" in old records, a sentinel and no count.
ENROLLMENT_UNKNOWN = 99_999_999

Json = Mapping[str, Any]


def utc_now() -> str:
    """The time in UTC, ISO 8601 to the second, e.g. ``2026-10-02T09:00:04Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def prepare(
    record: Any,
    *,
    where: str,
    url: str = "",
    fetched_at: str | None = None,
    data_timestamp: str | None = None,
    keep_contacts: bool = False,
) -> Prepared:
    """A decoded v2 record -> what the archive stores. ``record`` is changed: its contacts are removed.

    ``where`` names the record's origin in messages (a URL, a file and line). Raises UnexpectedShape for
    what is not a trial record, InvalidTrialId for a bad id.
    """
    if not isinstance(record, dict):
        raise UnexpectedShape(f"{where}: a {type(record).__name__}, not a ClinicalTrials.gov v2 record")
    # First of all: a record that is refused below is kept too, and then without contacts.
    removed = () if keep_contacts else redact_people(record)
    try:
        body, version, rest = canonical_record(record)
        if keep_contacts:
            # People are no part of the version, kept or not: with them it is another content of the same one.
            with_people, version = version, version_without_people(body)
            rest = rest if version == with_people else sha256(f"{rest} {with_people}".encode())
        elif b"@" in body and (mail := redact_mail(record)):
            removed = tuple(sorted({*removed, *mail}))
            body, version, rest = canonical_record(record)
    except UnexpectedShape as error:
        raise UnexpectedShape(f"{where}: {error}", _as_it_came(record), url, "application/json") from error
    try:
        identifier = _identifier(record, where)
        _title(record, identifier, where)
    except UnexpectedShape as error:
        raise UnexpectedShape(str(error), body, url, "application/json") from error
    raw = RawRecord(
        source=NAME,
        source_id=identifier,
        url=url or PUBLIC_URL.format(id=identifier),
        fetched_at=fetched_at or utc_now(),
        sha256=sha256(body),
        media_type="application/json",
        body=body,
        data_timestamp=data_timestamp or _version_holder(record),
        redacted=removed,
    )
    updated = _date(_module(record, "statusModule"), "lastUpdatePostDateStruct")
    aliases = _texts(_module(record, "identificationModule"), "nctIdAliases")
    return Prepared(raw, version, rest, updated, aliases, partial(trial_of, record, version, where))


def version_without_people(body: bytes) -> str:
    """The version of a record whose people were kept: that of the same record without them."""
    record = decode(body, "a stored record")
    redact_people(record)
    if b"@" in body:
        redact_mail(record)
    return canonical_record(record)[1]


def _as_it_came(record: Json) -> bytes:
    """The JSON of a record that has no canonical form; empty where it is too deep even for that."""
    try:
        return json.dumps(record).encode("ascii")
    except RecursionError:
        return b""


def parse(raw: RawRecord) -> Trial:
    """The trial in a raw record of the archive. Raises UnexpectedShape."""
    where = f"{raw.source} {raw.source_id}"
    record = decode(raw.body, where)
    if not isinstance(record, dict):
        raise UnexpectedShape(f"{where}: not a ClinicalTrials.gov v2 record", raw.body, raw.url)
    # Where something was removed, nothing is left to remove.
    version = canonical_record(record)[1] if raw.redacted else version_without_people(raw.body)
    return trial_of(record, version, where)


def _identifier(record: Json, where: str) -> str:
    identification = _module(record, "identificationModule")
    found = identification.get("nctId")
    if not isinstance(found, str) or not found:
        raise UnexpectedShape(f"{where}: no protocolSection.identificationModule.nctId, so no trial record")
    return nct_id(found)


def _title(record: Json, identifier: str, where: str) -> str:
    identification = _module(record, "identificationModule")
    title = _text(identification, "briefTitle") or _text(identification, "officialTitle")
    if title is None:
        raise UnexpectedShape(f"{where}: {identifier} has no title, so it is no trial record")
    return title


def _version_holder(record: Json) -> str | None:
    """The date of the data that the record came with, as the registry itself says it."""
    derived = record.get("derivedSection")
    misc = derived.get("miscInfoModule") if isinstance(derived, dict) else None
    holder = misc.get("versionHolder") if isinstance(misc, dict) else None
    return holder if isinstance(holder, str) else None


def _module(record: Json, name: str) -> Json:
    protocol = record.get("protocolSection")
    module = protocol.get(name) if isinstance(protocol, dict) else None
    return module if isinstance(module, dict) else {}


def _text(mapping: Json, key: str) -> str | None:
    value = mapping.get(key)
    return clean(value) if isinstance(value, str) and value else None


def clean(text: str) -> str:
    """The text with lone surrogates as U+FFFD (one for one, so that offsets stay); they fit no UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def _texts(mapping: Json, key: str) -> tuple[str, ...]:
    value = mapping.get(key)
    return tuple(clean(item) for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _objects(mapping: Json, key: str) -> Iterator[Json]:
    value = mapping.get(key)
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _date(module: Json, struct: str) -> str | None:
    value = module.get(struct)
    return _text(value, "date") if isinstance(value, dict) else None


def mesh_id(identifier: str) -> str:
    """``D000007938`` -> ``D007938``: dumps until 2024-09 padded to ten characters, later ones to seven."""
    if identifier[:1] in ("D", "C") and identifier[1:].isascii() and identifier[1:].isdigit():
        return identifier[0] + identifier[1:].lstrip("0").zfill(6)
    return identifier


def _mesh(record: Json, module: str, key: str) -> tuple[MeshTerm, ...]:
    derived = record.get("derivedSection")
    browse = derived.get(module) if isinstance(derived, dict) else None
    if not isinstance(browse, dict):
        return ()
    return tuple(
        MeshTerm(mesh_id(item["id"]), clean(item["term"]))
        for item in _objects(browse, key)
        if isinstance(item.get("id"), str) and isinstance(item.get("term"), str)
    )


class _Tokens:
    """Canonical tokens of one record; collects those that the code lists do not know."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def read(self, field: str, token: str | None) -> str | None:
        if token is None:
            return None
        value, known = codes.canonical(field, token)
        if not known:
            self.unknown.append(f"{field}:{token}")
        return value


def trial_of(record: Json, version: str, where: str) -> Trial:
    """A decoded v2 record -> Trial; ``version`` as :func:`harvest.canonical.canonical_record` gives it.

    Absent in the record is None or an empty tuple in the trial. Raises UnexpectedShape where there is no
    id or no title, without which a record is no trial.
    """
    identifier = _identifier(record, where)
    identification = _module(record, "identificationModule")
    status = _module(record, "statusModule")
    design = _module(record, "designModule")
    eligibility = _module(record, "eligibilityModule")
    conditions = _module(record, "conditionsModule")
    tokens = _Tokens()
    title = _title(record, identifier, where)
    phases = tuple(tokens.read("phase", phase) or phase for phase in _texts(design, "phases"))
    return Trial(
        source=NAME,
        source_id=identifier,
        url=PUBLIC_URL.format(id=identifier),
        version=version,
        title=title,
        eligibility_text=_text(eligibility, "eligibilityCriteria") or "",
        aliases=_texts(identification, "nctIdAliases"),
        official_title=_text(identification, "officialTitle"),
        acronym=_text(identification, "acronym"),
        brief_summary=_text(_module(record, "descriptionModule"), "briefSummary"),
        status=tokens.read("status", _text(status, "overallStatus")),
        study_type=tokens.read("study_type", _text(design, "studyType")),
        phases=phases,
        conditions=_texts(conditions, "conditions"),
        keywords=_texts(conditions, "keywords"),
        condition_mesh=_mesh(record, "conditionBrowseModule", "meshes"),
        condition_ancestors=_mesh(record, "conditionBrowseModule", "ancestors"),
        interventions=_interventions(record),
        intervention_mesh=_mesh(record, "interventionBrowseModule", "meshes"),
        intervention_ancestors=_mesh(record, "interventionBrowseModule", "ancestors"),
        arms=_arms(record),
        sponsors=_sponsors(record),
        countries=_countries(record),
        enrollment=_enrollment(design),
        minimum_age=_text(eligibility, "minimumAge"),
        maximum_age=_text(eligibility, "maximumAge"),
        sex=tokens.read("sex", _text(eligibility, "sex")),
        healthy_volunteers=_boolean(eligibility, "healthyVolunteers"),
        start_date=_date(status, "startDateStruct"),
        completion_date=_date(status, "completionDateStruct"),
        first_posted=_date(status, "studyFirstPostDateStruct"),
        last_update_posted=_date(status, "lastUpdatePostDateStruct"),
        synthetic=is_synthetic(identifier) or _marked(record, "synthetic"),
        reconstruction=_marked(record, "reconstruction"),
        unknown_tokens=tuple(tokens.unknown),
    )


def _marked(record: Json, mark: str) -> bool:
    """Whether a fixture says of itself that it is ``synthetic`` or a ``reconstruction``.

    The registry's own records have no key ``trialkb``.
    """
    note = record.get("trialkb")
    return isinstance(note, dict) and note.get(mark) is True


def _boolean(mapping: Json, key: str) -> bool | None:
    value = mapping.get(key)
    return value if isinstance(value, bool) else None


def _enrollment(design: Json) -> int | None:
    info = design.get("enrollmentInfo")
    count = info.get("count") if isinstance(info, dict) else None
    if not isinstance(count, int) or isinstance(count, bool) or count >= ENROLLMENT_UNKNOWN:
        return None
    return count


def _interventions(record: Json) -> tuple[Intervention, ...]:
    module = _module(record, "armsInterventionsModule")
    return tuple(
        Intervention(
            _text(item, "type"), clean(item["name"]), _text(item, "description"), _texts(item, "otherNames")
        )
        for item in _objects(module, "interventions")
        if isinstance(item.get("name"), str)
    )


def _arms(record: Json) -> tuple[Arm, ...]:
    module = _module(record, "armsInterventionsModule")
    return tuple(
        Arm(
            clean(item["label"]),
            _text(item, "type"),
            _text(item, "description"),
            _texts(item, "interventionNames"),
        )
        for item in _objects(module, "armGroups")
        if isinstance(item.get("label"), str)
    )


def _sponsors(record: Json) -> tuple[Sponsor, ...]:
    module = _module(record, "sponsorCollaboratorsModule")
    lead = module.get("leadSponsor")
    named: list[tuple[Json, str]] = [(lead, "lead")] if isinstance(lead, dict) else []
    named += [(item, "collaborator") for item in _objects(module, "collaborators")]
    return tuple(
        Sponsor(clean(item["name"]), _text(item, "class"), role)
        for item, role in named
        if isinstance(item.get("name"), str)
    )


def _countries(record: Json) -> tuple[str, ...]:
    locations = _objects(_module(record, "contactsLocationsModule"), "locations")
    named = (_text(location, "country") for location in locations)
    return tuple(sorted({country for country in named if country}))
