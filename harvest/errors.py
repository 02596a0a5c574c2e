"""What can go wrong between a registry and the archive.

::

    HarvestError
    ├── BadInput                 what the caller gave cannot be used
    │   ├── InvalidTrialId       an id that is not NCT and eight digits
    │   ├── QueryRejected        the registry's 400: the query is wrong, and its own words say why
    │   ├── UnreadableFile       a file or folder to import: missing, not JSON, not a zip, too large
    │   └── UnexpectedShape      a page or record that is not a trial; keeps the raw bytes
    ├── RecordNotFound           the registry does not have this id
    ├── RegistryError            the registry or the network, not the caller
    │   ├── Unreachable          no connection, no name, no valid certificate, or dropped again and again
    │   ├── Blocked              403: the host does not want us; nothing is retried
    │   ├── ServerFailed         429 or 5xx after the last try
    │   ├── BrokenAnswer         truncated, not JSON, HTML where JSON was due, after the last try
    │   ├── ResponseTooLarge     more bytes than allowed, before or after decompression
    │   ├── ForeignRedirect      a redirect to a host that is not configured
    │   ├── RobotsDisallow       robots.txt of an HTML host forbids the page
    │   ├── TokenRejected        a page token that the registry no longer takes (the query restarts)
    │   └── HistoryUnusable      the undocumented history gave gaps, doubles or a moving index
    ├── ArchiveError             the SQLite file of raw records
    │   ├── ArchiveVersion       written by another version of trialkb, or no archive at all
    │   ├── ArchiveLocked        another process is writing it
    │   ├── ArchiveDamaged       a hash does not fit its content
    │   └── ArchiveUnwritable    read-only, or no space left
    └── IncompleteRun            what arrived was stored, but the registry promised more

Each message is one line: what, where, what to do.
"""

from __future__ import annotations


class HarvestError(Exception):
    """Base of all errors of this room."""


class BadInput(HarvestError):
    """What the caller gave cannot be used."""


class InvalidTrialId(BadInput):
    """An id that is not NCT and eight digits."""


class QueryRejected(BadInput):
    """The registry answered 400: the query itself is wrong. Never retried."""


class UnreadableFile(BadInput):
    """A file or folder to import that is missing or is not what its name says."""


class UnexpectedShape(BadInput):
    """A page or record that is not a trial, or a page whose layout changed.

    ``body`` is the raw page, so that it can be kept and looked at; ``url`` where it came from.
    """

    def __init__(self, message: str, body: bytes = b"", url: str = "", media_type: str = "") -> None:
        super().__init__(message)
        self.body = body
        self.url = url
        self.media_type = media_type


class RecordNotFound(HarvestError):
    """The registry does not have this id."""


class RegistryError(HarvestError):
    """The registry or the way to it failed; the same call may work later."""


class Unreachable(RegistryError):
    """No connection, no such host, no valid certificate, or dropped again and again."""


class Blocked(RegistryError):
    """403 twice: the host does not want us. The run stops."""


class ServerFailed(RegistryError):
    """429 or 5xx, still so after the last try."""


class BrokenAnswer(RegistryError):
    """Truncated, not JSON, or HTML where JSON was due; still so after the last try."""


class ResponseTooLarge(RegistryError):
    """More bytes than the limit, counted after decompression."""


class ForeignRedirect(RegistryError):
    """A redirect to a host that is not configured, or from https to http."""


class RobotsDisallow(RegistryError):
    """robots.txt of an HTML host forbids the page, or could not be read because the host failed."""


class TokenRejected(RegistryError):
    """A page token that the registry no longer takes; the query starts again from its first page."""


class HistoryUnusable(RegistryError):
    """The history endpoint gave gaps, doubles, or an index that moved while it was read."""


class ArchiveError(HarvestError):
    """The SQLite file of raw records."""


class ArchiveVersion(ArchiveError):
    """Not an archive, or one of another version of trialkb."""


class ArchiveLocked(ArchiveError):
    """Another process is writing the archive."""


class ArchiveDamaged(ArchiveError):
    """A stored hash does not fit its content."""


class ArchiveUnwritable(ArchiveError):
    """Read-only, or no space left on the device."""


class IncompleteRun(HarvestError):
    """What arrived was stored, but the registry promised more than it gave."""
