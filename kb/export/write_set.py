"""Writing a set format: a graph, a set of tables. Its files are made in one go, or, where nothing changed, not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kb.export.base import SetFormat
from kb.export.errors import CannotWrite
from kb.export.folders import staged, take_over
from kb.export.manifest import (
    file_sha,
    input_digest,
    loss_lines,
    manifest_text,
    notice_text,
    read_manifest,
    same_bytes,
    trial_entry,
)
from kb.export.model import Context, TrialRecord
from kb.export.summary import LOSSES, MANIFEST, NOTICE, Progress, Summary
from kb.store import Store


def write_set(
    made: SetFormat,
    source: tuple[Store, Sequence[int]],
    records: Iterator[TrialRecord],
    path: Path,
    context: Context,
    progress: Progress | None,
) -> Summary:
    """A folder of files, written beside the target and then put in its place.

    A node that several trials share stands once, a table holds all trials: a changed trial's lines cannot be
    replaced alone. So all files are made anew if anything in them changed, those that come out the same
    are left as they are, and where nothing changed nothing is made. Raises CannotWrite.
    """
    if path.exists() and not path.is_dir():
        raise CannotWrite(f"{path} is a file, and {made.name} writes a folder; choose another target")
    if path.suffix and not path.exists():
        raise CannotWrite(f"{made.name} writes a folder of files; name one without {path.suffix}")
    old = read_manifest(path / MANIFEST, made.name)
    if not old and path.is_dir() and any(path.iterdir()):
        raise CannotWrite(f"{path} is not empty and was not written by an export; choose another target")
    summary = Summary(path)
    trials: list[dict[str, Any]] = []
    with staged(path) as work:
        with (work / LOSSES).open("w", encoding="utf-8", newline="") as losses:
            for record in records:
                found = tuple(made.losses(record, context))
                losses.write(loss_lines(found))
                counts = summary.count(loss.to_json() for loss in found)
                trials.append(trial_entry(record, input_digest(made, record, context), counts))
                summary.trials += 1
                if progress:
                    progress(record.id)
        (work / NOTICE).write_text(notice_text(context), "utf-8")
        before = {trial["trial"]: trial["input"] for trial in old.get("trials", ())}
        now = {trial["trial"]: trial["input"] for trial in trials}
        summary.unchanged = sum(before.get(trial) == digest for trial, digest in now.items())
        summary.written = summary.trials - summary.unchanged
        summary.removed = len(before.keys() - now.keys())
        state = made.state(*source)
        kept: dict[str, str] = old.get("sha256", {})
        if _manifest(made, context, trials, kept, state) == old and _stands(path, work, kept):
            shutil.rmtree(work)  # nothing changed: what stands there stays
            summary.files = [*kept, MANIFEST, LOSSES, NOTICE]
            return summary
        files = made.write(*source, work, context)
        shas = {name: str(file_sha(work / name)) for name in files}
        manifest = _manifest(made, context, trials, shas, state)
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        (work / MANIFEST).write_text(text, "utf-8")
        summary.files = [*files, MANIFEST, LOSSES, NOTICE]
        take_over(work, path, summary.files)
    return summary


def _manifest(
    made: SetFormat, context: Context, trials: list[dict[str, Any]], shas: Mapping[str, str], state: str
) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(manifest_text(made, context, trials, [*shas, LOSSES, NOTICE]))
    return loaded | {"sha256": dict(shas), "state": state}


def _stands(path: Path, work: Path, shas: Mapping[str, str]) -> bool:
    """Whether the files of the earlier export are there as it wrote them."""
    return all(file_sha(path / name) == digest for name, digest in shas.items()) and all(
        same_bytes(work / name, path / name) for name in (LOSSES, NOTICE)
    )
