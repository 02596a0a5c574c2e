"""Indexes that are computed from SQL and kept: in the open store, and beside the file.

Each is a set of numpy arrays, stamped with the generation of the knowledge base, which every write raises.
Where the stamps differ it is made anew, so that it is never stale; where the folder cannot be written it is
made in memory, which costs time and not the answer.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kb.store import SCHEMA_VERSION, Store

Arrays = Mapping[str, npt.NDArray[Any]]

INDEX_FORMAT = 4
"""Raised with every change of what an index holds."""

KEPT_FROM = 20_000
"""Elements from which an index is kept beside the file; a smaller one is made in less than 0.1 s."""


def kept_index(store: Store, name: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays of the index ``name``: from this store, from ``<db>.<name>.npz``, or made anew."""
    stamp = _stamp(store)
    held = store.held.get(name)
    if held is not None and held[0] == stamp:
        arrays: Arrays = held[1]
        return arrays
    path = store.path.with_name(f"{store.path.name}.{name}.npz")
    found: Arrays | None = None
    if store.as_of is None:
        with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
            found = _load(path, stamp)
    if found is None:
        found = make()
        if store.as_of is None and sum(array.size for array in found.values()) >= KEPT_FROM:
            with suppress(OSError):
                _save(path, stamp, found)
    store.held[name] = (stamp, found)
    return found


def _stamp(store: Store) -> str:
    """Tells the content that is indexed: also a rebuilt file's, whose generation starts again."""
    row = store.connection.execute(
        "SELECT group_concat(key || '=' || value) FROM (SELECT * FROM meta ORDER BY key)"
    )
    return f"{SCHEMA_VERSION}.{INDEX_FORMAT}:{store.as_of}:{row.fetchone()[0]}"


def _save(path: Path, stamp: str, arrays: Arrays) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as out:
            everything: dict[str, Any] = {"stamp": np.array(stamp), **arrays}
            np.savez(out, **everything)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _load(path: Path, stamp: str) -> dict[str, npt.NDArray[Any]]:
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["stamp"]) != stamp:
            raise ValueError("the index is of another generation")
        return {name: stored[name] for name in stored.files if name != "stamp"}
