"""The entries of a zip and of a folder one by one, in memory that does not grow with their number.

``zipfile`` holds an object for each entry (0.6 kB: 360 MB for the registry's whole download), and sorting the
names of a folder holds all of them. Here the directory of a zip is read as it is gone through, and the names of
a folder are sorted on disk.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile

# PKWARE's APPNOTE.TXT: 4.3.7 local header, 4.3.12 central header, 4.3.14 to 4.3.16 the ends of the directory.
_LOCAL = struct.Struct("<4s22xHH")
_CENTRAL = struct.Struct("<4s4xHH4xLLLHHH8xL")
_END = struct.Struct("<4s6xHLLH")
_END64_LOCATOR = struct.Struct("<4s4xQ4x")
_END64 = struct.Struct("<4s28xQQQ")
_LARGEST_END = _END.size + 0xFFFF
_IN_EXTRA = 0xFFFFFFFF
_EXTRA64 = 1
_ENCRYPTED = 1
_UTF8 = 1 << 11
CHUNK = 64 * 1024
INSERTED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One entry as the directory states it; ``offset`` is where its local header lies in the file."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int
    offset: int


def zip_entries(stream: IO[bytes]) -> Iterator[ZipEntry]:
    """The entries in the order of the directory, which is read through ``stream`` as they are asked for.

    Raises BadZipFile.
    """
    count, place, shift = _directory(stream)
    stream.seek(place)
    for _ in range(count):
        header = stream.read(_CENTRAL.size)
        if len(header) < _CENTRAL.size or header[:4] != b"PK\x01\x02":
            raise BadZipFile("its directory is damaged")
        _, flags, method, crc, packed, size, name, extra, comment, offset = _CENTRAL.unpack(header)
        raw = stream.read(name)
        extended = stream.read(extra)
        stream.seek(comment, os.SEEK_CUR)
        if _IN_EXTRA in (packed, size, offset):
            packed, offset = _large(extended, packed, size, offset)
        text = raw.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        yield ZipEntry(text, method, flags, crc, packed, offset + shift)


def _directory(stream: IO[bytes]) -> tuple[int, int, int]:
    """``(number of entries, place of the directory, bytes that stand before the zip)``."""
    length = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, length - _LARGEST_END))
    tail = stream.read()
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise BadZipFile("not a zip file")
    at = length - len(tail) + found
    _, count, size, offset, _ = _END.unpack_from(tail, found)
    stream.seek(max(0, at - _END64_LOCATOR.size))
    locator = stream.read(_END64_LOCATOR.size)
    if len(locator) == _END64_LOCATOR.size and locator[:4] == b"PK\x06\x07":
        at -= _END64_LOCATOR.size + 56
        stream.seek(max(0, at))
        end = stream.read(_END64.size)
        if len(end) < _END64.size or end[:4] != b"PK\x06\x06":
            raise BadZipFile("the end of its directory is damaged")
        _, count, size, offset = _END64.unpack(end)
    shift = at - size - offset
    if shift < 0:
        raise BadZipFile("its directory lies outside of the file")
    return count, at - size, shift


def _large(extended: bytes, packed: int, size: int, offset: int) -> tuple[int, int]:
    """Packed size and offset where they stand in the extra field, being beyond 32 bits."""
    at = 0
    while at + 4 <= len(extended):
        kind, length = struct.unpack_from("<HH", extended, at)
        if kind == _EXTRA64:
            wanted = [value == _IN_EXTRA for value in (size, packed, offset)]
            if length < 8 * sum(wanted) or at + 4 + length > len(extended):
                break
            numbers = iter(struct.unpack_from(f"<{sum(wanted)}Q", extended, at + 4))
            _, packed, offset = (
                next(numbers) if large else value
                for large, value in zip(wanted, (size, packed, offset), strict=True)
            )
            return packed, offset
        at += 4 + length
    raise BadZipFile("the size of an entry is damaged")


def unpacked(stream: IO[bytes], entry: ZipEntry, most: int) -> bytes:
    """What an entry holds, at most ``most`` + 1 bytes of it: one more than allowed tells that it is too long.

    Raises BadZipFile for what is encrypted, packed in another way than the registry packs, or damaged.
    """
    if entry.flags & _ENCRYPTED or entry.method not in (ZIP_STORED, ZIP_DEFLATED):
        raise BadZipFile(f"{entry.name} is encrypted or packed in an unusual way")
    stream.seek(entry.offset)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise BadZipFile(f"{entry.name} is not where the directory says")
    _, name, extra = _LOCAL.unpack(header)
    stream.seek(name + extra, os.SEEK_CUR)
    unpacker = zlib.decompressobj(-15) if entry.method == ZIP_DEFLATED else None
    body = bytearray()
    left = entry.packed
    while left > 0 and len(body) <= most:
        piece = stream.read(min(CHUNK, left))
        if not piece:
            raise BadZipFile(f"{entry.name} is cut off")
        left -= len(piece)
        body += piece if unpacker is None else unpacker.decompress(piece, most + 1 - len(body))
    if len(body) > most:
        return bytes(body[: most + 1])
    if (unpacker is not None and not unpacker.eof) or zlib.crc32(body) != entry.crc:
        raise BadZipFile(f"{entry.name} is damaged")
    return bytes(body)


def files_of(folder: Path) -> Iterator[Path]:
    """The files in a folder and below it, by name; links to folders are not followed. Raises OSError."""
    # "" is a database on disk that SQLite deletes; what fits into its small cache never gets there.
    with closing(sqlite3.connect("", isolation_level=None)) as names:
        names.execute("CREATE TABLE file (path BLOB PRIMARY KEY) WITHOUT ROWID")
        names.execute("BEGIN")
        waiting: list[tuple[bytes]] = []
        try:
            for path in _scan(os.fsencode(folder)):
                waiting.append((path,))
                if len(waiting) == INSERTED_AT_ONCE:
                    names.executemany("INSERT INTO file VALUES (?)", waiting)
                    waiting.clear()
            names.executemany("INSERT INTO file VALUES (?)", waiting)
            for (path,) in names.execute("SELECT path FROM file ORDER BY path"):
                yield Path(os.fsdecode(path))
        except sqlite3.Error as error:
            raise OSError(f"no space to sort the names of its files ({error})") from error


def _scan(folder: bytes) -> Iterator[bytes]:
    below = [folder]
    while below:
        with os.scandir(below.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif entry.is_file():
                    yield entry.path
