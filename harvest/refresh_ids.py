"""A run over a list of ids, at a registry that takes batches of them or at one that has only pages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harvest import quarantine, run_log
from harvest.archive import Archive
from harvest.batches import batches, fetch_batch
from harvest.errors import HarvestError, InvalidTrialId, RecordNotFound, UnexpectedShape
from harvest.fault_points import reach
from harvest.refresh import Progress
from harvest.report import REPORTED, Report, in_short, make_report, refused_body
from harvest.sources.base import Prepared
from harvest.sources.clinconnect import ClinConnect
from harvest.sources.ctgov import ClinicalTrialsGov
from harvest.sources.ctgov_record import utc_now
from harvest.trial_id import nct_ids

# Ids that the message of a run names one by one; the report holds all.
IDS_SHOWN = 20


@dataclass
class IdRefresh:
    """One run over ids; :meth:`run` does it. ``ids`` are NCT ids, checked before anything is asked."""

    archive: Archive
    source: ClinicalTrialsGov | ClinConnect
    ids: Sequence[str]
    keep_contacts: bool = False
    progress: Progress | None = None
    full: bool = False
    run_id: int = field(default=0, init=False)
    data: str | None = field(default=None, init=False)
    problems: list[str] = field(default_factory=list, init=False)
    done: int = field(default=0, init=False)
    _sent_before: int = field(default=0, init=False)

    def run(self) -> Report:
        """Fetch what the archive does not hold as of the registry's present data.

        Raises InvalidTrialId, RecordNotFound (none of the ids exists, nothing was stored), what the source
        raises. Some ids that do not exist beside others that do: the report is incomplete and names them.
        """
        self.ids = nct_ids(self.ids)
        self._sent_before = self.source.client.requests_sent
        self.data = self.source.data_version()
        digest = hashlib.sha256(",".join(sorted(self.ids)).encode()).hexdigest()[:16]
        key = f"{self.source.name}:ids:{digest}"
        self.run_id = run_log.begin(
            self.archive, "refresh", self.source.name, key, {"ids": list(self.ids)}, utc_now(), self.data
        )
        try:
            todo = [each for each in self.ids if self.full or not self._current(each)]
            for each in self.ids:
                if each not in todo:
                    self._note_unchanged(each)
            missing = self._fetch(todo)
            after = self.source.data_version() if todo and self.data is not None else self.data
            if after != self.data:
                # Ids stand alone, so nothing is mixed within a trial; those already read are read again
                # by the next run, since they were seen with the older data.
                self.problems.append(f"the data moved from {self.data} to {after}; run again")
            return self._finish(missing, up_to_date=not todo)
        except HarvestError as error:
            with self.archive.transaction():
                run_log.end(
                    self.archive, self.run_id, "failed", utc_now(), data=None,
                    requests=self._sent(), message=str(error),
                )  # fmt: skip
            raise

    def _current(self, identifier: str) -> bool:
        """Whether the archive holds the trial as of the registry's present data."""
        head = self.archive.head(self.source.name, self.archive.resolve(self.source.name, identifier))
        return head is not None and self.data is not None and head.seen_data == self.data

    def _note_unchanged(self, identifier: str) -> None:
        self._tick()
        with self.archive.transaction():
            run_log.note(
                self.archive, self.run_id, self.archive.resolve(self.source.name, identifier), "unchanged"
            )

    def _tick(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, len(self.ids))

    def _fetch(self, todo: Sequence[str]) -> list[str]:
        """Fetch batch by batch where the registry takes batches; gives the ids that it does not have."""
        alone = list(todo)
        if isinstance(self.source, ClinicalTrialsGov) and len(todo) > 1:
            alone = []
            for batch in batches(todo):
                settled = self._fetch_batch(self.source, batch)
                alone += [each for each in batch if each not in settled]
        return [each for each in alone if not self._fetch_one(each)]

    def _fetch_batch(self, source: ClinicalTrialsGov, batch: Sequence[str]) -> set[str]:
        """One ``filter.ids``; gives those of the batch that came, by their id or by an alias, or that the
        registry could not give (which is a problem of the run)."""
        records, failed = fetch_batch(source, batch)
        self.problems += failed.values()
        settled = set(failed)
        url = f"{source.base_url}/api/v2/studies"
        with self.archive.transaction():
            for record in records:
                try:
                    prepared = source.prepare(
                        record, url, data_timestamp=self.data, keep_contacts=self.keep_contacts
                    )
                except (UnexpectedShape, InvalidTrialId) as error:
                    body = refused_body(error, record)
                    page = quarantine.keep(
                        self.archive, source.name, url, utc_now(), str(error), body, self.run_id
                    )
                    self.problems.append(f"{error} (kept as page {page})")
                    continue
                self._put(prepared)
                settled |= {prepared.raw.source_id, *prepared.aliases}
        for _ in settled & set(batch):
            self._tick()
        reach("refresh.after_page")
        return settled

    def _fetch_one(self, identifier: str) -> bool:
        """One record by itself; False where the registry does not have it."""
        self._tick()
        known = self.archive.resolve(self.source.name, identifier)
        try:
            if isinstance(self.source, ClinConnect):
                head = self.archive.head(self.source.name, known)
                validators = head.validators if head and not self.full else {}
                prepared = self.source.fetch_if_changed(
                    identifier, validators, keep_contacts=self.keep_contacts
                )
            else:
                prepared = self.source.fetch(identifier, keep_contacts=self.keep_contacts)
        except RecordNotFound:
            with self.archive.transaction():
                if self.archive.mark_vanished(self.source.name, known, utc_now(), self.run_id):
                    run_log.note(self.archive, self.run_id, known, "vanished")
                    return True
                head = self.archive.head(self.source.name, known)
                run_log.note(self.archive, self.run_id, identifier, "unchanged" if head else "missing")
            return head is not None
        except UnexpectedShape as error:
            self._keep_page(error)
            if isinstance(self.source, ClinConnect) or len(self.ids) == 1:
                raise  # a page of another layout: all pages will be, so no further one is asked for
            self.problems.append(str(error))
            return True
        with self.archive.transaction():
            if prepared is None:
                self.archive.touch(self.source.name, known, utc_now(), self.data)
                run_log.note(self.archive, self.run_id, known, "unchanged")
            else:
                self._put(prepared)
                if prepared.raw.source_id != identifier:
                    self.archive.put_alias(
                        self.source.name, identifier, prepared.raw.source_id, at=utc_now(), run=self.run_id
                    )
        return True

    def _put(self, prepared: Prepared) -> None:
        outcome = self.archive.put(prepared, run=self.run_id, origin="fetch", data_version=self.data)
        run_log.note(self.archive, self.run_id, prepared.raw.source_id, outcome)

    def _sent(self) -> int:
        return self.source.client.requests_sent - self._sent_before

    def _keep_page(self, error: UnexpectedShape) -> None:
        with self.archive.transaction():
            quarantine.keep(
                self.archive, self.source.name, error.url, utc_now(), str(error), error.body, self.run_id
            )

    def _finish(self, missing: Sequence[str], *, up_to_date: bool) -> Report:
        if missing and len(missing) == len(self.ids):
            raise RecordNotFound(
                f"{', '.join(missing[:5])}: no such record at {self.source.base_url}; check the id"
            )
        if missing:
            more = f" and {len(missing) - IDS_SHOWN} more" if len(missing) > IDS_SHOWN else ""
            self.problems.append(f"not in the registry: {', '.join(missing[:IDS_SHOWN])}{more}")
        reach("refresh.before_end")
        message = in_short(self.problems)
        requests = self._sent()
        with self.archive.transaction():
            ids = {name: run_log.found(self.archive, self.run_id, name) for name in REPORTED}
            counts = run_log.end(
                self.archive, self.run_id, "incomplete" if self.problems else "complete", utc_now(),
                data=self.data, requests=requests, message=message,
            )  # fmt: skip
        reach("refresh.after_end")
        if up_to_date:
            message = f"the registry's data is still that of {self.data}"
        report = make_report(
            self.run_id, self.source.name, not self.problems, self.data, ids, counts, requests, message
        )
        return replace(report, up_to_date=up_to_date)


def refresh_ids(
    archive: Archive,
    source: ClinicalTrialsGov | ClinConnect,
    ids: Sequence[str],
    *,
    keep_contacts: bool = False,
    full: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Bring trials into the archive by id; ``full`` asks even for those that are current."""
    return IdRefresh(archive, source, ids, keep_contacts, progress, full).run()
