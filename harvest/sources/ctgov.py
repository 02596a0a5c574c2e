"""ClinicalTrials.gov API v2 (OpenAPI file of API 2.0.3): search and fetch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harvest.canonical import decode
from harvest.errors import (
    BrokenAnswer,
    QueryRejected,
    RecordNotFound,
    RegistryError,
    TokenRejected,
    UnexpectedShape,
)
from harvest.http import Answer, Client
from harvest.model import RawRecord, Trial
from harvest.sources import ctgov_record
from harvest.sources.base import Page, Prepared, Query
from harvest.trial_id import holds_only_ids, nct_id

DEFAULT_URL = "https://clinicaltrials.gov"
# The largest page the API gives; larger sizes are silently cut to it.
PAGE_SIZE = 1000
# Ids in one filter.ids: AACT sends 500 in a URL; 100 keeps the URL below 2 kB.
ID_BATCH = 100


def check_json(answer: Answer) -> None:
    """A 200 must be JSON: HTML with status 200, cut-off or broken JSON is tried again."""
    start = answer.body[:64].lstrip().lower()
    if answer.media_type == "text/html" or start.startswith((b"<!doctype", b"<html")):
        raise BrokenAnswer(f"{answer.url}: HTML where JSON was due; the API may be down, run again later")
    try:
        decode(answer.body, answer.url)
    except UnexpectedShape as error:
        raise BrokenAnswer(f"{error}; the answer is broken, run again later") from error


@dataclass
class ClinicalTrialsGov:
    """ClinicalTrials.gov API v2 behind ``base_url`` (the API's own paths are added)."""

    client: Client
    base_url: str = DEFAULT_URL
    page_size: int = PAGE_SIZE
    name: str = field(default=ctgov_record.NAME, init=False)

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        return self.client.get(
            f"{self.base_url.rstrip('/')}/api/v2/{path}",
            params,
            headers={"Accept": "application/json"},
            check=check_json,
        )

    def data_version(self) -> str | None:
        """``dataTimestamp`` of ``/version``, or None where the registry leaves it out."""
        answer = self._get("version")
        if answer.status != 200:
            raise RegistryError(f"{answer.url}: {answer.status} {answer.text()}; is this a v2 registry?")
        document = decode(answer.body, answer.url)
        if not isinstance(document, dict) or "apiVersion" not in document:
            raise RegistryError(f"{answer.url}: no apiVersion in it; is this a v2 registry?")
        stamp = document.get("dataTimestamp")
        return stamp if isinstance(stamp, str) and stamp else None

    def fetch(self, identifier: str, *, keep_contacts: bool = False) -> Prepared:
        """The record of one id; an old alias is followed to the record that it became.

        Raises InvalidTrialId, RecordNotFound, UnexpectedShape, RegistryError.
        """
        identifier = nct_id(identifier)
        answer = self._get(f"studies/{identifier}")
        if answer.status == 404:
            raise RecordNotFound(f"{identifier}: ClinicalTrials.gov has no such record ({answer.text()})")
        if answer.status == 400:
            raise QueryRejected(f"{identifier}: the registry refuses the id: {answer.text()}")
        if answer.status != 200:
            raise RegistryError(f"{answer.url}: unexpected status {answer.status} {answer.text()}")
        return self.prepare(decode(answer.body, answer.url), answer.url, keep_contacts=keep_contacts)

    def prepare(
        self, record: Any, url: str, *, data_timestamp: str | None = None, keep_contacts: bool = False
    ) -> Prepared:
        """A record of a page made ready for the archive. Raises UnexpectedShape, InvalidTrialId."""
        return ctgov_record.prepare(
            record, where=url, url=url, data_timestamp=data_timestamp, keep_contacts=keep_contacts
        )

    def parse(self, raw: RawRecord) -> Trial:
        """See :func:`harvest.sources.ctgov_record.parse`."""
        return ctgov_record.parse(raw)

    def page(self, query: Query, *, since: str | None, token: str | None, ids_only: bool = False) -> Page:
        """One page of a search. The first page (no token) also gives the total.

        Raises QueryRejected (the registry's own words), TokenRejected, RegistryError.
        """
        params = search_params(query, since=since, ids_only=ids_only)
        params["pageSize"] = str(self.page_size)
        if token is None:
            params["countTotal"] = "true"
        else:
            params["pageToken"] = token
        return self._page(params, token)

    def fetch_many(self, identifiers: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The records of at most :data:`ID_BATCH` ids by ``filter.ids``, which finds aliases too.

        The registry silently leaves out ids that it does not have. Raises ValueError for a longer batch.
        """
        if len(identifiers) > ID_BATCH:
            raise ValueError(f"{len(identifiers)} ids in one batch; at most {ID_BATCH}")
        params = {"filter.ids": ",".join(identifiers), "pageSize": str(self.page_size)}
        token: str | None = None
        while True:
            page = self._page(params if token is None else {**params, "pageToken": token}, token)
            yield from page.records
            token = page.next_token
            if token is None:
                return

    def _page(self, params: Mapping[str, str], token: str | None) -> Page:
        answer = self._get("studies", params)
        if answer.status == 400:
            # A rejected token cannot be told from a rejected query by its text (no recorded example
            # exists); a query that passed its first page was right, so the token must be what died.
            if token is not None:
                raise TokenRejected(f"{answer.url}: page token refused ({answer.text()})")
            raise QueryRejected(
                f"the registry refuses the query: {answer.text()}; check its spelling, quotes and brackets"
            )
        if answer.status != 200:
            raise RegistryError(f"{answer.url}: unexpected status {answer.status} {answer.text()}")
        document = decode(answer.body, answer.url)
        studies = document.get("studies") if isinstance(document, dict) else None
        if not isinstance(studies, list):
            raise UnexpectedShape(f"{answer.url}: no list 'studies' in the page", answer.body, answer.url)
        total, following = document.get("totalCount"), document.get("nextPageToken")
        return Page(
            tuple(studies),
            total if isinstance(total, int) else None,
            following if isinstance(following, str) and following else None,
            answer.url,
        )


def search_params(query: Query, *, since: str | None = None, ids_only: bool = False) -> dict[str, str]:
    """The query as parameters of ``/studies``. Raises QueryRejected for an empty one that is not meant.

    ``since`` (``YYYY-MM-DD``) is AND-ed to the advanced filter: day granularity, inclusive.
    """
    if query.is_empty() and not query.everything:
        raise QueryRejected("an empty query means the whole registry: say --all if you mean that")
    for text in (query.cond, query.intr, query.term, query.spons):
        if holds_only_ids(text):
            # The API's own rule: "If any query parameter contains only NCT IDs, filters are ignored".
            raise QueryRejected(
                f"{text!r} is an id, no search (the registry would ignore all filters beside it): "
                f"trialkb refresh {text}"
            )
    advanced = [f"({query.advanced})"] if query.advanced else []
    if since:
        advanced.append(f"AREA[LastUpdatePostDate]RANGE[{since},MAX]")
    params = {
        "query.cond": query.cond,
        "query.intr": query.intr,
        "query.term": query.term,
        "query.spons": query.spons,
        "filter.overallStatus": ",".join(query.status),
        "filter.advanced": " AND ".join(advanced),
        "fields": "NCTId" if ids_only else "",
    }
    return {key: value for key, value in params.items() if value}
