"""SQLite's errors, and those of the disk under it, as this room's: each with the file and what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harvest.errors import ArchiveError, ArchiveLocked, ArchiveUnwritable, ArchiveVersion


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as this room's, each with the file and what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise ArchiveLocked(f"{path}: another process is writing it; wait for it to end") from error
        if "readonly" in text or "read-only" in text:
            raise ArchiveUnwritable(f"{path}: read-only; nothing was stored") from error
        if "full" in text or "disk I/O" in text:
            raise ArchiveUnwritable(
                f"{path}: the disk is full or fails ({text}); nothing of this step was stored, free space and run again"
            ) from error
        raise ArchiveError(f"{path}: {text}") from error
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise ArchiveVersion(f"{path}: not an SQLite file; name another file with --db") from error
        raise ArchiveError(f"{path}: {error}") from error
    except PermissionError as error:
        raise ArchiveUnwritable(f"{path}: no permission to write there") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
            raise
        raise ArchiveUnwritable(f"{path}: {error.strerror}; free space and run again") from error
