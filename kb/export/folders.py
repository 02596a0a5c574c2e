"""Folders that stand under their name only once they are whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kb.export.manifest import same_bytes, umask


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """An empty folder beside the target that takes its place at the end; where the block raises, or removes
    it, the target stays.

    A killed run leaves nothing but a hidden folder ``.NAME.*.part``, which may be removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        yield work
        if work.exists():
            os.chmod(work, 0o777 & ~umask())
            _replace(work, target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def take_over(work: Path, target: Path, names: Iterable[str]) -> None:
    """A file of the staged folder that the target holds byte for byte becomes the target's own: nobody who
    watches it sees a change."""
    for name in names:
        new, old = work / name, target / name
        if same_bytes(new, old):
            linked = new.with_name(f".{name}.kept")
            with suppress(OSError):  # a file system without links: the new file does as well
                os.link(old, linked)
                os.replace(linked, new)


def _replace(work: Path, target: Path) -> None:
    """Put a finished folder in the place of an earlier export, or of an empty folder."""
    if not target.exists() or not any(target.iterdir()):
        os.replace(work, target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    os.rename(target, aside / target.name)
    try:
        os.rename(work, target)
    except OSError:
        os.rename(aside / target.name, target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
