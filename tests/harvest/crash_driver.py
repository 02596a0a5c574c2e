"""A process to be killed: refreshes a search into an archive, or imports a file. Run by test_crash.py.

``python -m tests.harvest.crash_driver ARCHIVE URL|PATH``
"""

from __future__ import annotations

import sys
from pathlib import Path

from harvest.archive import Archive
from harvest.bulk import import_path
from harvest.http import Client
from harvest.refresh import refresh_query
from harvest.run_lock import run_lock
from harvest.sources.base import Query
from harvest.sources.ctgov import ClinicalTrialsGov
from tests.harvest.sample_records import SWIFT


def main(archive_path: Path, where: str) -> None:
    """Do the one run."""
    with run_lock(archive_path, "refresh"), Archive.open(archive_path, write=True) as archive:
        if where.startswith("http"):
            with Client((where,), SWIFT) as client:
                refresh_query(archive, ClinicalTrialsGov(client, where, page_size=10), Query(cond="lupus"))
        else:
            import_path(archive, Path(where))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
