"""The manifest of an export, the digests in it, and files that stand only once they are whole."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from kb.export import omop
from kb.export.base import Format
from kb.export.errors import CannotWrite
from kb.export.model import Context, Loss, TrialRecord
from kb.export.notices import notices

MANIFEST_VERSION = 1


def sha(text: str | bytes) -> str:
    """The sha256 of a text (as UTF-8) or of bytes, in hex."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def file_sha(path: Path) -> str | None:
    """The sha256 of a file, None where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def input_digest(made: Format, record: TrialRecord, context: Context) -> str:
    """Digest of all that one trial's text depends on: the record, the format, its options, the vocabulary's facts."""
    concepts = sorted({item.concept for item in record.items if item.concept})
    facts = [asdict(found) for found in map(context.concept, concepts) if found]
    body = [
        made.name,
        made.version,
        context.tool_version,
        omop.shipped_digest(),
        asdict(context.options),
        facts,
        record.digest(),
    ]
    return sha(json.dumps(body, sort_keys=True))


@contextmanager
def atomic(path: Path) -> Iterator[IO[str]]:
    """A text file that stands under its name only once it is whole; one that holds these bytes already stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if same_bytes(Path(name), path):
            os.unlink(name)
        else:
            os.chmod(name, 0o666 & ~umask())
            os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def same_bytes(new: Path, old: Path) -> bool:
    """Whether the old file is there and holds what the new one does."""
    with suppress(FileNotFoundError):
        return new.stat().st_size == old.stat().st_size and file_sha(new) == file_sha(old)
    return False


def umask() -> int:
    """The process's umask; a temporary file is private, and the finished one is as open as this allows."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically."""
    with atomic(path) as file:
        file.write(text)


def loss_lines(losses: Iterable[Loss]) -> str:
    """Losses as JSON Lines."""
    return "".join(json.dumps(loss.to_json(), ensure_ascii=False) + "\n" for loss in losses)


def read_manifest(path: Path, name: str) -> dict[str, Any]:
    """The manifest of an earlier export in this format, ``{}`` where there is none.

    Raises CannotWrite where the file is no manifest of this format: it is someone else's, and stays.
    """
    try:
        loaded = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, UnicodeDecodeError) as error:
        raise CannotWrite(
            f"{path} is not a manifest of an export ({error}); choose another target"
        ) from error
    if (
        not isinstance(loaded, dict)
        or loaded.get("manifest_version") != MANIFEST_VERSION
        or "format" not in loaded
    ):
        raise CannotWrite(f"{path} is not a manifest that this trialkb wrote; choose another target")
    if loaded["format"] != name:
        raise CannotWrite(
            f"{path} belongs to an export as {loaded['format']}, not {name}; choose another target"
        )
    return loaded


def manifest_text(made: Format, context: Context, trials: list[dict[str, Any]], files: list[str]) -> str:
    """The manifest as JSON. It holds no clock time: same knowledge base, same bytes."""
    body = {
        "manifest_version": MANIFEST_VERSION,
        "format": made.name,
        "format_version": made.version,
        "tool": {"name": "trialkb", "version": context.tool_version},
        "data_timestamp": context.data_timestamp,
        "vocabulary": sorted({trial["vocabulary"] for trial in trials}),
        "options": asdict(context.options),
        "content": sha(json.dumps([[trial["trial"], trial["input"]] for trial in trials])),
        "files": sorted(files),
        "trials": trials,
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def trial_entry(record: TrialRecord, digest: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """One trial's entry in a manifest."""
    return {
        "trial": record.id,
        "source": record.trial.source,
        "version": record.trial.version,
        "vocabulary": record.vocabulary,
        "input": digest,
        "criteria": dict(counts),
        "synthetic": record.trial.synthetic,
    }


def notice_text(context: Context) -> str:
    """The notices as the text of a file."""
    found = notices(context.sources, context.data_timestamp, synthetic=context.synthetic)
    return "\n\n".join(found) + "\n"
