"""One file a registry. A new one is a module here and a line in :data:`PARSERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harvest.model import RawRecord, Trial
from harvest.sources import clinconnect, ctgov_record

# The name under which a registry's records are archived -> the pure reader of its raw records.
PARSERS: Mapping[str, Callable[[RawRecord], Trial]] = {
    ctgov_record.NAME: ctgov_record.parse,
    clinconnect.NAME: clinconnect.parse,
}
