"""What every registry offers: fetch and search (network), and parse (pure: bytes in, Trial out)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Protocol

from harvest.archive_rows import Blob, pack
from harvest.model import RawRecord, Trial


@dataclass(frozen=True)
class Prepared:
    """A record made ready for the archive: contacts out, canonical bytes, hashes; its trial when asked for.

    ``version`` and ``rest`` are explained in :mod:`harvest.canonical`; ``record_date`` is the day of the
    registry's last update, by which versions are ordered; ``validators`` are ETag and Last-Modified for
    the next conditional request, where the source uses them; ``aliases`` are ids that the record had before;
    ``parse`` makes the trial, which storing does not need.
    """

    raw: RawRecord
    version: str
    rest: str
    record_date: str | None
    aliases: tuple[str, ...]
    parse: Callable[[], Trial] = field(compare=False)
    validators: dict[str, str] = field(default_factory=dict)

    @cached_property
    def trial(self) -> Trial:
        """The trial in the record."""
        return self.parse()

    @property
    def blob(self) -> Blob:
        """The body as the archive keeps it."""
        return pack(self.raw.body)


class Storable(Protocol):
    """What the archive needs of a record: :class:`Prepared`, or what a worker process sends of one."""

    @property
    def raw(self) -> RawRecord: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def rest(self) -> str: ...  # noqa: D102
    @property
    def record_date(self) -> str | None: ...  # noqa: D102
    @property
    def validators(self) -> dict[str, str]: ...  # noqa: D102
    @property
    def aliases(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def blob(self) -> Blob: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Query:
    """A search, field for field as ClinicalTrials.gov API v2 has it; empty = not restricted.

    ``everything`` must be set where all other fields are empty: the whole registry is meant.
    """

    cond: str = ""
    intr: str = ""
    term: str = ""
    spons: str = ""
    status: tuple[str, ...] = ()
    advanced: str = ""
    everything: bool = False

    def is_empty(self) -> bool:
        """Whether nothing restricts the search."""
        return not (self.cond or self.intr or self.term or self.spons or self.status or self.advanced)

    def to_json(self) -> dict[str, Any]:
        """The fields that are set, for the archive and for reports."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items() if v}

    def words(self) -> str:
        """The search on one line for people: ``cond=lupus status=RECRUITING,COMPLETED``."""
        if self.everything and self.is_empty():
            return "the whole registry"
        told = ((key, value) for key, value in self.to_json().items() if key != "everything")
        return " ".join(f"{key}={','.join(v) if isinstance(v, list) else v}" for key, v in told)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Query:
        """The inverse of :meth:`to_json`."""
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search: the records as they came, the total (first page only), the next token."""

    records: tuple[dict[str, Any], ...]
    total: int | None
    next_token: str | None
    url: str


class Source(Protocol):
    """One registry."""

    name: str

    def data_version(self) -> str | None:
        """The time of the registry's data, which names one consistent state of it; None if unknown."""
        ...

    def fetch(self, identifier: str) -> Prepared:
        """One record by its id. Raises RecordNotFound, UnexpectedShape, RegistryError."""
        ...

    def parse(self, raw: RawRecord) -> Trial:
        """The trial in a raw record; pure. Raises UnexpectedShape."""
        ...


class SearchableSource(Source, Protocol):
    """A registry that can be searched and asked for many ids at once."""

    def page(self, query: Query, *, since: str | None, token: str | None, ids_only: bool = False) -> Page:
        """One page of a search; ``since`` restricts it to records updated on or after that day."""
        ...

    def fetch_many(self, identifiers: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The records of a batch of ids, in any order; ids that the registry does not know are missing."""
        ...
