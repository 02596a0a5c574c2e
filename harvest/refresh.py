"""The incremental run: a search or a list of ids, brought into the archive page by page.

One run is one state of the registry's data: ``/version`` is read before and after, and a run whose data
moved under it starts again. Every page and the checkpoint behind it are stored in one transaction, so a run
that is killed goes on where it stood, and what is done twice changes nothing.

A search runs in stages::

    pages    the records: all of them the first time, later those updated since the day before the last
             complete run's data
    ids      only the ids that the search returns now (later runs, or where a total did not fit)
    fill     the records among them that the archive lacks
    sweep    ids that the search returned before and does not now: gone from the registry, or from the search
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from harvest import quarantine, run_log
from harvest.archive import Archive, Outcome
from harvest.batches import batches, fetch_batch
from harvest.errors import (
    HarvestError,
    InvalidTrialId,
    RegistryError,
    TokenRejected,
    UnexpectedShape,
)
from harvest.fault_points import reach
from harvest.report import REPORTED, Report, in_short, make_report, refused_body
from harvest.run_log import Checkpoint
from harvest.sources.base import Query
from harvest.sources.ctgov import ClinicalTrialsGov
from harvest.sources.ctgov_record import utc_now

log = logging.getLogger(__name__)

# Times a search starts again because the registry's data moved or a token died, within one run.
RESTARTS = 3
# Pages in a row, without a single id that had not come yet, after which paging leads nowhere: empty pages
# happen, an endless row of them would ask the host forever.
STALLED_PAGES = 50
Progress = Callable[[int, int | None], None]


class _DataMoved(Exception):
    """The registry's data version changed during the run."""


@dataclass
class QueryRefresh:
    """One run of one search; :meth:`run` does it."""

    archive: Archive
    source: ClinicalTrialsGov
    query: Query
    keep_contacts: bool = False
    full: bool = False
    progress: Progress | None = None
    run_id: int = field(default=0, init=False)
    data: str | None = field(default=None, init=False)
    since: str | None = field(default=None, init=False)
    problems: list[str] = field(default_factory=list, init=False)
    # Records that came and are no trials, by id where they have one: they are told, and kept apart, but the
    # registry has nothing more to give, so the next run goes on from this one.
    refused: dict[str, str] = field(default_factory=dict, init=False)
    _nameless: int = field(default=0, init=False)
    _sent_before: int = field(default=0, init=False)
    _counted: int = field(default=0, init=False)

    def run(self) -> Report:
        """Bring the search into the archive. Raises what the source raises; what had arrived is kept."""
        self.key = run_log.query_key(self.source.name, self.query)
        self._sent_before = self.source.client.requests_sent
        self.data = self.source.data_version()
        last = run_log.last_whole(self.archive, self.key)
        if last is not None and not self.full:
            if self.data is not None and last.data_after == self.data:
                return self._nothing_to_do()
            self.since = day_before(last.data_after) if last.data_after else None
        point = self._resume_or_begin()
        try:
            for restart in range(RESTARTS + 1):
                try:
                    listed = self._stages(point)
                    after = self.source.data_version()
                    if after != self.data:
                        raise _DataMoved(f"the data moved from {self.data} to {after}")
                    return self._finish(listed)
                except (_DataMoved, TokenRejected) as error:
                    log.warning(
                        "starting the search again", extra={"why": str(error), "restart": restart + 1}
                    )
                    self.data = self.source.data_version()
                    self.problems.clear()
                    self.refused.clear()
                    point = self._start_again()
            raise RegistryError(
                f"{self.source.base_url}: the data moved {RESTARTS + 1} times during the run; run again later"
            )
        except HarvestError as error:
            self._fail(str(error))
            raise

    # ---------------------------------------------------------- the stages

    def _stages(self, point: Checkpoint) -> set[str]:
        """All stages from where ``point`` stands; gives the ids that the search returns now."""
        if point.stage == "pages":
            total = self._pages(point, ids_only=False)
            arrived = run_log.arrived(self.archive, self.key, "pages")
            if self.since is None and (total is None or total == len(arrived)):
                self._sweep(arrived)
                return arrived
            point = Checkpoint(self.key, self.run_id, self.data, "ids", None, None)
        total = self._pages(point, ids_only=True)
        listed = run_log.arrived(self.archive, self.key, "ids")
        if total is not None and total not in (len(listed), len(listed) + self._nameless):
            self.problems.append(f"the registry counts {total} records and listed {len(listed)}")
        self._fill(listed)
        self._sweep(listed)
        return listed

    def _pages(self, point: Checkpoint, *, ids_only: bool) -> int | None:
        """Read page after page, and end on a missing token only: empty pages happen. Gives the total."""
        token, total = point.token, point.total
        self._nameless = 0
        since = None if ids_only else self.since
        stalled, arrived = 0, run_log.count_arrived(self.archive, self.key, point.stage)
        while True:
            page = self.source.page(self.query, since=since, token=token, ids_only=ids_only)
            total = page.total if page.total is not None else total
            token = page.next_token
            with self.archive.transaction():
                run_log.set_checkpoint(
                    self.archive,
                    Checkpoint(self.key, self.run_id, self.data, point.stage, token, total),
                )
                if ids_only:
                    ids: Iterable[str] = list(listed_ids(page.records))
                    self._nameless += len(page.records) - len(list(ids))
                else:
                    ids = self._store(page.records, page.url)
                run_log.count_requests(self.archive, self.run_id, self._uncounted())
                added = run_log.arrive(self.archive, self.key, point.stage, ids)
            reach("refresh.after_page")
            arrived += added
            log.info(
                "page stored",
                extra={"run": self.run_id, "stage": point.stage, "arrived": arrived, "total": total},
            )
            if self.progress is not None:
                self.progress(arrived, total)
            if token is None:
                return total
            stalled = 0 if added else stalled + 1
            if stalled == STALLED_PAGES:
                raise RegistryError(
                    f"{self.source.base_url}: {stalled} pages in a row brought nothing new and promised more;"
                    " what came is stored, run again later"
                )

    def _fill(self, listed: set[str]) -> None:
        """Fetch the records of the search that the archive lacks, or that it holds as vanished."""
        lacking = [each for each in sorted(listed) if not self._stands(each)]
        for batch in batches(lacking):
            records, failed = fetch_batch(self.source, batch)
            self.problems += failed.values()
            with self.archive.transaction():
                self._store(records, f"{self.source.base_url}/api/v2/studies?filter.ids=...")
        for each in lacking:
            if not self._stands(each) and each not in self.refused:
                self.problems.append(f"{each} is listed and was not given")
                with self.archive.transaction():
                    run_log.note(self.archive, self.run_id, each, "missing")

    def _stands(self, source_id: str) -> bool:
        head = self.archive.head(self.source.name, source_id)
        return head is not None and head.vanished_at is None

    def _sweep(self, listed: set[str]) -> None:
        """Ask for the ids that the search returned before and does not now."""
        gone = sorted(run_log.known_ids(self.archive, self.key) - listed)
        for batch in batches(gone):
            records, failed = fetch_batch(self.source, batch)
            self.problems += failed.values()
            nameless = self._refused_without_id()
            with self.archive.transaction():
                run_log.note_gone(self.archive, self.key, self.run_id, batch)
                still = set(self._store(records, f"{self.source.base_url}/api/v2/studies?filter.ids=..."))
                # What came without an id may be any of them.
                unsure = self._refused_without_id() > nameless
                for each in batch:
                    if each in failed or each in self.refused or (unsure and each not in still):
                        continue
                    if self.archive.resolve(self.source.name, each) in still:
                        # A trial that was merged into another one stands no longer; see Archive.put_alias.
                        outcome: Outcome = "left" if self._stands(each) else "vanished"
                        run_log.note(self.archive, self.run_id, each, outcome)
                    elif self.archive.mark_vanished(self.source.name, each, utc_now(), self.run_id):
                        run_log.note(self.archive, self.run_id, each, "vanished")

    def _store(self, records: Sequence[dict[str, Any]], url: str) -> list[str]:
        """Store the records of a page inside a transaction; gives their ids. A broken one is kept apart."""
        ids: list[str] = []
        for record in records:
            try:
                prepared = self.source.prepare(
                    record, url, data_timestamp=self.data, keep_contacts=self.keep_contacts
                )
            except (UnexpectedShape, InvalidTrialId) as error:
                body = refused_body(error, record)
                page = quarantine.keep(
                    self.archive, self.source.name, url, utc_now(), str(error), body, self.run_id
                )
                self.refused[next(listed_ids([record]), f"#{page}")] = f"{error} (kept as page {page})"
                continue
            outcome = self.archive.put(prepared, run=self.run_id, origin="search", data_version=self.data)
            run_log.note(self.archive, self.run_id, prepared.raw.source_id, outcome)
            ids.append(prepared.raw.source_id)
        return ids

    def _refused_without_id(self) -> int:
        return sum(each.startswith("#") for each in self.refused)

    # ---------------------------------------------------- beginning and end

    def _resume_or_begin(self) -> Checkpoint:
        point = run_log.checkpoint(self.archive, self.key)
        if point is not None and point.data_version == self.data and self.data is not None:
            log.info("going on with run %d", point.run, extra={"stage": point.stage})
            self.run_id = point.run
            stands_at_page = point.token is not None or not run_log.arrived(
                self.archive, self.key, point.stage
            )
            with self.archive.transaction():
                self.archive.connection.execute("UPDATE run SET state = 'running' WHERE id = ?", (point.run,))
                if not stands_at_page:
                    # The stage had ended when the run was killed: its last page is read again.
                    run_log.forget_stage(self.archive, self.key, point.stage)
            return point
        request = {"query": self.query.to_json(), "since": self.since, "url": self.source.base_url}
        self.run_id = run_log.begin(
            self.archive, "refresh", self.source.name, self.key, request, utc_now(), self.data
        )
        return self._start_again()

    def _start_again(self) -> Checkpoint:
        point = Checkpoint(self.key, self.run_id, self.data, "pages", None, None)
        with self.archive.transaction():
            run_log.clear_checkpoint(self.archive, self.key)
            run_log.set_checkpoint(self.archive, point)
        return point

    def _nothing_to_do(self) -> Report:
        run = run_log.begin(
            self.archive,
            "refresh",
            self.source.name,
            self.key,
            {"query": self.query.to_json()},
            utc_now(),
            self.data,
        )
        unchanged = len(run_log.known_ids(self.archive, self.key))
        requests = self._sent()
        message = f"the registry's data is still that of {self.data}"
        with self.archive.transaction():
            run_log.end(
                self.archive, run, "complete", utc_now(), data=self.data, requests=requests, message=message
            )
        return Report(
            run, self.source.name, "complete", self.data, unchanged=unchanged, requests=requests,
            up_to_date=True, message=message,
        )  # fmt: skip

    def _finish(self, listed: set[str]) -> Report:
        reach("refresh.before_end")
        whole = not self.problems
        complete = whole and not self.refused
        message = in_short([*self.problems, *self.refused.values()])
        requests = self._sent()
        with self.archive.transaction():
            ids = {name: run_log.found(self.archive, self.run_id, name) for name in REPORTED}
            counts = run_log.end(
                self.archive, self.run_id, "complete" if complete else "incomplete", utc_now(),
                data=self.data, requests=self._uncounted(), message=message,
                refused=len(self.refused) if whole else 0,
            )  # fmt: skip
            # One that was amended out of the search counts as changed, and has left it all the same.
            gone = run_log.gone(self.archive, self.key, self.run_id)
            ids["left"] = tuple(each for each in gone if self._stands(each))
            run_log.clear_checkpoint(self.archive, self.key)
            if whole:
                run_log.remember_ids(self.archive, self.key, listed)
        reach("refresh.after_end")
        # Trials that the registry listed and that were not sent again are unchanged too.
        counts["unchanged"] = len(listed.difference(ids["new"], ids["changed"], ids["drifted"]))
        return make_report(self.run_id, self.source.name, complete, self.data, ids, counts, requests, message)

    def _sent(self) -> int:
        return self.source.client.requests_sent - self._sent_before

    def _uncounted(self) -> int:
        """Requests that the run in the archive does not count yet: a killed one must not have lost them."""
        sent = self._sent()
        new, self._counted = sent - self._counted, sent
        return new

    def _fail(self, message: str) -> None:
        with self.archive.transaction():
            run_log.end(
                self.archive, self.run_id, "failed", utc_now(), data=None,
                requests=self._uncounted(), message=message,
            )  # fmt: skip


def refresh_query(
    archive: Archive,
    source: ClinicalTrialsGov,
    query: Query,
    *,
    keep_contacts: bool = False,
    full: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Bring a search into the archive; ``full`` reads all its records again. See :class:`QueryRefresh`."""
    return QueryRefresh(archive, source, query, keep_contacts, full, progress).run()


def day_before(data_version: str) -> str:
    """The day before a data timestamp, e.g. ``2026-10-02T09:00:04`` -> ``2026-10-01``.

    The window is a day wider than the time between two runs: days are counted in the registry's own zone.
    """
    return (date.fromisoformat(data_version[:10]) - timedelta(days=1)).isoformat()


def listed_ids(records: Iterable[Any]) -> Iterator[str]:
    """The ids in a page that was asked for ids only; what holds none is left out (the total will tell)."""
    for record in records:
        try:
            yield str(record["protocolSection"]["identificationModule"]["nctId"])
        except (TypeError, KeyError):
            log.warning("an entry without an id in a list of ids")
