"""What can go wrong in the knowledge base.

::

    KbError
    ├── BadQuestion         the question itself is wrong: an unknown id, a malformed id, a bad query
    │   ├── TrialNotFound   no such trial is stored
    │   ├── ConceptUnknown  no such concept in the stored vocabulary
    │   └── QueryInvalid    `find`/`sql`/`search` text that cannot be read; carries the column
    └── StoreError          the database file
        ├── StoreMissing    there is no database at this path
        ├── StoreInvalid    the file is not a trialkb knowledge base, or is damaged
        ├── SchemaMismatch  written by another version of the schema: rebuild it
        ├── StoreLocked     another process is writing
        └── StoreReadOnly   the file, its folder or its disk cannot be written (read-only, full)
"""

from __future__ import annotations


class KbError(Exception):
    """Base of every error of this room. Its text is one line: what, where, what to do."""


class BadQuestion(KbError):
    """The question cannot be answered as it was put."""


class TrialNotFound(BadQuestion):
    """No trial with this id is stored."""


class ConceptUnknown(BadQuestion):
    """No concept of this name is in the stored vocabulary."""


class QueryInvalid(BadQuestion):
    """A query that cannot be read. ``column`` is 1-based, or None where no place is known."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


class StoreError(KbError):
    """The database file cannot be used as it is."""


class StoreMissing(StoreError):
    """There is no database at this path."""


class StoreInvalid(StoreError):
    """The file is not a knowledge base, or it is damaged."""


class SchemaMismatch(StoreError):
    """The database was written by another version of the schema."""


class StoreLocked(StoreError):
    """Another process holds the write lock."""


class StoreReadOnly(StoreError):
    """The database cannot be written: read-only file or folder, or a full disk."""
