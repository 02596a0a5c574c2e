"""One form of a record's JSON, and the hashes by which versions are told apart.

A record reaches us as part of a page, a file, a zip or a line, with keys in any order. Its canonical form
is UTF-8 JSON with sorted keys and no spaces, so that the same content has the same bytes and one hash
wherever it came from. Two hashes tell what changed:

``version``
    ``protocolSection`` without contacts, investigators and site lists: what the sponsor registered. This
    is the version of the trial.
``rest``
    everything else but ``derivedSection.miscInfoModule``, whose ``versionHolder`` is the date of the data
    and changes every working day in every record. MeSH terms, sites and results may drift without an
    amendment of the trial; that is worth keeping, and is not a new version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harvest.errors import UnexpectedShape

# Modules of protocolSection that are left out of the version: sites open and close all the time, and
# contacts are not stored at all.
UNVERSIONED_MODULES = frozenset({"contactsLocationsModule"})

# What was decoded from JSON, or built like it, holds no circle: not looking for one is a third faster.
_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
)


def sha256(body: bytes) -> str:
    """The hash of a body, in hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def encode(value: object) -> bytes:
    """The canonical JSON of a value.

    Lone surrogates, which JSON escapes can smuggle in and UTF-8 cannot hold, become U+FFFD: one
    character for one, so that offsets stay. Raises ValueError for NaN and infinities.
    """
    text = _encoder.encode(value)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text).encode("utf-8")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def decode(body: bytes, where: str) -> Any:
    """JSON bytes (UTF-8, a byte order mark is allowed) -> its value.

    Raises UnexpectedShape, with ``where`` in its message, for what is not JSON, not UTF-8, or nested
    deeper than Python can follow.
    """
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise UnexpectedShape(f"{where}: not UTF-8 at byte {error.start}", body) from error
    except RecursionError as error:
        raise UnexpectedShape(f"{where}: JSON nested too deeply to be a trial record", body) from error
    except ValueError as error:
        raise UnexpectedShape(f"{where}: not JSON ({error})", body) from error


def canonical_record(record: Mapping[str, Any]) -> tuple[bytes, str, str]:
    """``(body, version, rest)`` of a v2 record from which contacts were already removed.

    Each module is encoded once: its bytes go into the body and into one of the two hashes.
    """
    version, rest = hashlib.sha256(), hashlib.sha256()
    parts: list[bytes] = []
    for key in sorted(record):
        value = record[key]
        if key in ("protocolSection", "derivedSection") and isinstance(value, dict):
            modules: list[bytes] = []
            for name in sorted(value):
                piece = encode(name) + b":" + encode(value[name])
                modules.append(piece)
                if key == "protocolSection" and name not in UNVERSIONED_MODULES:
                    version.update(piece + b"\n")
                elif name != "miscInfoModule":
                    rest.update(piece + b"\n")
            parts.append(encode(key) + b":{" + b",".join(modules) + b"}")
        else:
            piece = encode(key) + b":" + encode(value)
            rest.update(piece + b"\n")
            parts.append(piece)
    return b"{" + b",".join(parts) + b"}", version.hexdigest(), rest.hexdigest()


def file_sha256(path: Path) -> str:
    """The hash of a file's content, read piece by piece."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
