"""Past versions of a record, from the registry's history. Isolated here: the endpoint is undocumented.

The web page of ClinicalTrials.gov reads ``/api/int/studies/{id}/history`` (an index of versions, 0 = first)
and ``/api/int/studies/{id}/history/{n}`` (one version's ``protocolSection``). Every program that uses them
calls them unstable. So the index is read before and after; an index with gaps, doubles, or one that moved
is refused as :class:`HistoryUnusable`, and what the archive holds stays as it was. Whoever needs another
way to past versions implements :class:`History`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from harvest import quarantine, run_log
from harvest.archive import Archive
from harvest.canonical import decode
from harvest.errors import HarvestError, HistoryUnusable, RecordNotFound, UnexpectedShape
from harvest.http import Client
from harvest.report import REPORTED, Report, make_report
from harvest.sources import ctgov_record
from harvest.sources.base import Prepared
from harvest.sources.ctgov import check_json
from harvest.sources.ctgov_record import utc_now
from harvest.trial_id import nct_id

# The label under which the history says that a version touched the criteria.
ELIGIBILITY_LABEL = "Eligibility"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the index: the version's number, its day, and the modules that it touched."""

    number: int
    date: str
    modules: tuple[str, ...]


class History(Protocol):
    """Where past versions of a record come from."""

    client: Client

    def changes(self, identifier: str) -> tuple[Change, ...]:
        """The index, oldest first. Raises RecordNotFound, HistoryUnusable, RegistryError."""
        ...

    def version(self, identifier: str, change: Change) -> Prepared:
        """One past version. Raises HistoryUnusable, UnexpectedShape, RegistryError."""
        ...


@dataclass
class ClinicalTrialsGovHistory:
    """The history behind ClinicalTrials.gov's own pages."""

    client: Client
    base_url: str

    def _get(self, path: str) -> tuple[Any, str]:
        url = f"{self.base_url.rstrip('/')}/api/int/studies/{path}"
        answer = self.client.get(url, headers={"Accept": "application/json"}, check=check_json)
        if answer.status == 404:
            raise RecordNotFound(f"{path.split('/')[0]}: the registry has no history of it ({answer.text()})")
        if answer.status != 200:
            raise HistoryUnusable(
                f"{url}: status {answer.status} {answer.text()}; its history cannot be read"
            )
        return decode(answer.body, url), url

    def changes(self, identifier: str) -> tuple[Change, ...]:
        """See :class:`History`."""
        document, url = self._get(f"{nct_id(identifier)}/history")
        # `?history=true` wraps the same object; both forms are read.
        inner = document.get("history", document) if isinstance(document, dict) else None
        listed = inner.get("changes") if isinstance(inner, dict) else None
        if not isinstance(listed, list) or not listed:
            raise HistoryUnusable(f"{url}: no list 'changes'; the history's form has changed")
        return checked(listed, url)

    def version(self, identifier: str, change: Change) -> Prepared:
        """See :class:`History`."""
        document, url = self._get(f"{nct_id(identifier)}/history/{change.number}")
        if not isinstance(document, dict) or document.get("studyVersion") != change.number:
            raise HistoryUnusable(f"{url}: another version than the one asked for")
        study = document.get("study")
        prepared = ctgov_record.prepare(study, where=url, url=url, data_timestamp=change.date)
        if prepared.raw.source_id != identifier:
            raise HistoryUnusable(f"{url}: the record of {prepared.raw.source_id}, not of {identifier}")
        return replace(prepared, record_date=change.date)


def checked(listed: list[Any], where: str) -> tuple[Change, ...]:
    """The entries of an index, in order. Raises HistoryUnusable for gaps, doubles and missing fields."""
    changes: list[Change] = []
    for entry in listed:
        try:
            modules = entry.get("moduleLabels") or ()
            changes.append(Change(int(entry["version"]), str(entry["date"]), tuple(map(str, modules))))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise HistoryUnusable(f"{where}: an entry without version or date ({error!r})") from error
    changes.sort(key=lambda change: change.number)
    if [change.number for change in changes] != list(range(len(changes))):
        raise HistoryUnusable(f"{where}: versions are missing or doubled in the index")
    return tuple(changes)


def wanted(changes: tuple[Change, ...], *, every: bool) -> list[Change]:
    """The first version and those that touched the criteria; with ``every`` all of them."""
    return [
        change for change in changes if every or change.number == 0 or ELIGIBILITY_LABEL in change.modules
    ]


def fetch_history(
    archive: Archive,
    history: History,
    identifier: str,
    *,
    every: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Store the past versions of a trial that the archive holds; versions that it has are not asked for.

    Raises RecordNotFound (not in the archive, or no history), HistoryUnusable, RegistryError. Nothing is
    stored unless the whole index stood still while the versions were read.
    """
    identifier = archive.resolve(ctgov_record.NAME, nct_id(identifier))
    if archive.head(ctgov_record.NAME, identifier) is None:
        raise RecordNotFound(f"{identifier}: not in the archive; 'trialkb refresh {identifier}' fetches it")
    run = run_log.begin(
        archive, "history", ctgov_record.NAME, f"history:{identifier}", {"id": identifier}, utc_now(), None
    )
    sent_before = history.client.requests_sent
    try:
        changes = history.changes(identifier)
        held = archive.history_numbers(ctgov_record.NAME, identifier)
        due = [change for change in wanted(changes, every=every) if change.number not in held]
        versions = []
        for done, change in enumerate(due, 1):
            versions.append((change, history.version(identifier, change)))
            if progress is not None:
                progress(done, len(due))
        if due and history.changes(identifier) != changes:
            raise HistoryUnusable(f"{identifier}: its history changed while it was read; run again")
    except HarvestError as error:
        body = error.body if isinstance(error, UnexpectedShape) else b""
        with archive.transaction():
            if body:
                quarantine.keep(archive, ctgov_record.NAME, "", utc_now(), str(error), body, run)
            requests = history.client.requests_sent - sent_before
            run_log.end(archive, run, "failed", utc_now(), data=None, requests=requests, message=str(error))
        raise
    stored = 0
    with archive.transaction():
        for change, prepared in versions:
            archive.put(prepared, run=run, origin="history", registry_version=change.number)
            stored += 1
        run_log.note(archive, run, identifier, "older" if stored else "unchanged")
        requests = history.client.requests_sent - sent_before
        counts = run_log.end(archive, run, "complete", utc_now(), data=None, requests=requests)
        ids = {name: run_log.found(archive, run, name) for name in REPORTED}
    counts["older"] = stored
    message = f"{len(changes)} versions in the registry, {stored} fetched"
    return make_report(run, ctgov_record.NAME, True, None, ids, counts, requests, message)
