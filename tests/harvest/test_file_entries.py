"""The entries of zips and folders: as zipfile and the file system give them, in memory that does not grow."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harvest.file_entries import files_of, unpacked, zip_entries

ROOT = Path(__file__).resolve().parents[2]
NAMES = st.text("aZ0é中🙂/\\._- \n", min_size=1, max_size=30)


def packed(
    entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as bundle:
        for name, body in entries:
            bundle.writestr(name, body)
        bundle.comment = comment
    return buffer.getvalue()


def read(data: bytes, most: int = 1 << 20) -> list[tuple[str, bytes]]:
    stream = io.BytesIO(data)
    return [(entry.name, unpacked(io.BytesIO(data), entry, most)) for entry in zip_entries(stream)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    entries=st.lists(st.tuples(NAMES, st.binary(max_size=300)), max_size=6, unique_by=lambda pair: pair[0]),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=40),
    before=st.binary(max_size=40),
)
def test_entries_are_those_that_zipfile_gives(
    entries: list[tuple[str, bytes]], method: int, comment: bytes, before: bytes
) -> None:
    data = before + packed(entries, method, comment)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            expected = [(info.orig_filename, bundle.read(info)) for info in bundle.infolist()]
    except zipfile.BadZipFile:
        # Bytes before the zip, or its comment, that look like the end of a directory.
        with pytest.raises(zipfile.BadZipFile):
            read(data)
    else:
        assert read(data) == expected


def test_sizes_beyond_32_bits_are_read(tmp_path: Path) -> None:
    """An entry announced with zip64 sizes, and a directory of more than 65,535 entries."""
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        with bundle.open("first.json", "w", force_zip64=True) as stream:
            stream.write(b'{"a": 1}')
        for number in range(70_000):
            bundle.writestr(f"{number}.json", b"")
    with path.open("rb") as directory, path.open("rb") as content:
        entries = list(zip_entries(directory))
        assert len(entries) == 70_001
        assert unpacked(content, entries[0], 100) == b'{"a": 1}'


@pytest.mark.parametrize("cut", [1, 10, 30, 60, 100])
def test_a_cut_off_zip_is_an_error(cut: int) -> None:
    data = packed([("a.json", b"x" * 50), ("b.json", b"y" * 50)], zipfile.ZIP_STORED)
    with pytest.raises(zipfile.BadZipFile):
        read(data[:-cut])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.integers(0, 10_000), value=st.integers(1, 255))
def test_a_damaged_byte_is_an_error_or_changes_no_content(place: int, value: int) -> None:
    data = bytearray(packed([("a.json", b'{"a": 1}' * 9), ("b.json", b'{"b": 2}' * 9)]))
    data[place % len(data)] ^= value
    try:
        bodies = {body for _, body in read(bytes(data))}
    except (zipfile.BadZipFile, OSError, ValueError, zlib.error):
        return
    assert bodies <= {b'{"a": 1}' * 9, b'{"b": 2}' * 9}


def test_one_byte_more_than_allowed_tells_that_an_entry_is_too_long() -> None:
    data = packed([("a.json", b"x" * 1000)])
    assert [len(body) for _, body in read(data, most=100)] == [101]
    assert [len(body) for _, body in read(data, most=1000)] == [1000]


def test_an_encrypted_or_unusual_entry_is_refused() -> None:
    data = packed([("a.json", b"x" * 100)], zipfile.ZIP_BZIP2)
    with pytest.raises(zipfile.BadZipFile, match="unusual"):
        read(data)


def test_files_come_by_name_also_from_below(tmp_path: Path) -> None:
    for name in ("b.json", "a/2.json", "a/1.json", "é.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    (tmp_path / "a" / "round").symlink_to(tmp_path, target_is_directory=True)
    found = [path.relative_to(tmp_path).as_posix() for path in files_of(tmp_path)]
    assert found == ["a/1.json", "a/2.json", "b.json", "é.json"]


PEAK = """
import re, sys
from pathlib import Path
from harvest import bulk
count = sum(1 for _ in bulk.pieces(Path(sys.argv[1])))
print(count, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def peak_of(path: Path) -> tuple[int, int]:
    """How many documents a path has, and the peak memory in kB of a process that reads them.

    Not ru_maxrss: a child begins with what its parent had.
    """
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    count, peak = map(int, done.stdout.split())
    return count, peak


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_memory_does_not_grow_with_the_entries_of_a_zip(tmp_path: Path) -> None:
    peaks = []
    for number in (100, 30_000):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(packed([(f"{each}.json", b"{}") for each in range(number)]))
        count, peak = peak_of(path)
        assert count == number
        peaks.append(peak)
    # zipfile's own list would take 18 MB more.
    assert peaks[1] - peaks[0] < 4000


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_memory_does_not_grow_with_the_files_of_a_folder(tmp_path: Path) -> None:
    peaks = []
    for number in (10, 8_000):
        folder = tmp_path / str(number)
        folder.mkdir()
        for each in range(number):
            os.close(os.open(folder / f"{'long' * 30}{each}.json", os.O_CREAT | os.O_WRONLY))
        count, peak = peak_of(folder)
        assert count == number
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 4000
