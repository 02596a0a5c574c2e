"""One form of a record's JSON, and the hashes by which versions are told apart.

A record reaches us as part of a page, a file, a zip or a line, with keys in any order. Its canonical form
is UTF-8 JSON with sorted keys and no spaces (written by orjson, a whole number always in full), so that the
same content has the same bytes and one hash wherever it came from. Two hashes tell what changed:

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
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from harvest.errors import UnexpectedShape

# Modules of protocolSection that are left out of the version: sites open and close all the time, and
# contacts are not stored at all.
UNVERSIONED_MODULES = frozenset({"contactsLocationsModule"})

# orjson reads a whole number beyond 64 bits as a float, which would lose its last digits: bytes that may
# hold one (19 digits in a row, every digit made a 0 to look for them) are read by the standard library.
_DIGITS_AS_ZERO = bytes(ord("0") if 48 <= byte < 58 else ord(" ") for byte in range(256))
_LONG_NUMBER = b"0" * 19
_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)


def sha256(body: bytes) -> str:
    """The hash of a body, in hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def encode(value: object) -> bytes:
    """The canonical JSON of a value.

    Lone surrogates, which JSON escapes can smuggle in and UTF-8 cannot hold, become U+FFFD: one
    character for one, so that offsets stay. ``value`` must be what :func:`decode` gives or built like it;
    it holds no NaN and no infinity. Raises UnexpectedShape for what is nested deeper than 254 levels.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        pass
    try:
        return orjson.dumps(_encodable(value), option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError) as error:
        raise UnexpectedShape("JSON nested too deeply to be a trial record") from error


def _encodable(value: Any) -> Any:
    """The value without what orjson refuses: lone surrogates, and whole numbers beyond 64 bits."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        return orjson.Fragment(str(value))
    if isinstance(value, dict):
        return {_encodable(key): _encodable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:40]} is beyond what a number can hold")
    return number


def decode(body: bytes, where: str) -> Any:
    """JSON bytes (UTF-8, a byte order mark is allowed) -> its value.

    Raises UnexpectedShape, with ``where`` in its message, for what is not JSON, not UTF-8, or nested
    deeper than Python can follow.
    """
    if _LONG_NUMBER not in body.translate(_DIGITS_AS_ZERO):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # a byte order mark, a lone surrogate, or a fault: the standard library takes or names it
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise UnexpectedShape(f"{where}: not UTF-8 at byte {error.start}", body) from error
    except RecursionError as error:
        raise UnexpectedShape(f"{where}: JSON nested too deeply to be a trial record", body) from error
    except ValueError as error:
        raise UnexpectedShape(f"{where}: not JSON ({error})", body) from error


def canonical_record(record: Mapping[str, Any]) -> tuple[bytes, str, str]:
    """``(body, version, rest)`` of a v2 record from which contacts were already removed.

    Raises UnexpectedShape for what is nested too deeply.
    """
    versioned: dict[str, Any] = {}
    rest = dict(record)
    protocol, derived = record.get("protocolSection"), record.get("derivedSection")
    if isinstance(protocol, dict):
        versioned = {name: module for name, module in protocol.items() if name not in UNVERSIONED_MODULES}
        rest["protocolSection"] = {name: protocol[name] for name in UNVERSIONED_MODULES & protocol.keys()}
    if isinstance(derived, dict):
        rest["derivedSection"] = {name: derived[name] for name in derived if name != "miscInfoModule"}
    return encode(record), sha256(encode(versioned)), sha256(encode(rest))


def file_sha256(path: Path) -> str:
    """The hash of a file's content, read piece by piece."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
