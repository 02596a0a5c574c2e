"""Parquet: every table, row for row, read back by DuckDB."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kb.export import source
from kb.export.errors import MissingExtra
from kb.export.model import Context, TrialRecord
from kb.export.parquet import Parquet, tables
from kb.export.write import export
from kb.store import Store


def written(db: Path, folder: Path, context: Context, trials: list[str] | None = None) -> Path:
    with Store.open(db) as store:
        versions = source.select(store, trials)
        export(Parquet(), source.records(store, versions), folder, context, source=(store, versions))
    return folder


def read(folder: Path, table: str) -> list[tuple[Any, ...]]:
    return duckdb.connect().execute(f"SELECT * FROM '{folder}/{table}.parquet'").fetchall()


def test_every_table_row_for_row(db: Path, tmp_path: Path, context: Context) -> None:
    folder = written(db, tmp_path / "out", context)
    assert Parquet().validate_folder(folder) == []
    with Store.open(db) as store:
        names = tables(store)
        assert {"trial", "trial_version", "criterion", "threshold", "concept", "review", "line"} <= set(names)
        for name in names:
            stored = [tuple(row) for row in store.connection.execute(f'SELECT * FROM "{name}"')]
            assert sorted(map(repr, read(folder, name))) == sorted(map(repr, stored)), name


def test_text_with_quotes_lines_and_null_marks_survives(db: Path, tmp_path: Path, context: Context) -> None:
    odd = 'a "quoted", text\nof two lines, \\N and ≥ 50 × 10⁹/L'
    with Store.open(db, "write") as store, store.transaction() as connection:
        connection.execute("UPDATE trial_version SET title = ?, acronym = '', start_date = NULL", (odd,))
    folder = written(db, tmp_path / "out", context)
    rows = duckdb.connect().execute(
        f"SELECT DISTINCT title, acronym, start_date FROM '{folder}/trial_version.parquet'"
    ).fetchall()  # fmt: skip
    assert rows == [(odd, "", None)]


def test_a_selection_holds_its_trials_only(db: Path, tmp_path: Path, context: Context) -> None:
    folder = written(db, tmp_path / "out", context, ["NCT99000002"])
    assert len(read(folder, "trial")) == len(read(folder, "criterion")) == len(read(folder, "threshold")) == 1
    assert len(read(folder, "concept")) > 5


def test_same_knowledge_base_same_bytes(db: Path, tmp_path: Path, context: Context) -> None:
    one, two = (written(db, tmp_path / each, context) for each in ("one", "two"))
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }


def test_every_criterion_is_whole(record: TrialRecord, context: Context) -> None:
    assert {loss.outcome for loss in Parquet().losses(record, context)} == {"whole"}


def test_a_broken_file_is_named(db: Path, tmp_path: Path, context: Context) -> None:
    folder = written(db, tmp_path / "out", context)
    (folder / "line.parquet").write_bytes(b"no parquet")
    (problem,) = Parquet().validate_folder(folder)
    assert "line.parquet" in problem


def test_without_duckdb_the_extra_is_named(
    db: Path, tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise builtins.ImportError(name)

    monkeypatch.setattr("kb.export.parquet.import_module", missing)
    with pytest.raises(MissingExtra, match=r"trialkb\[parquet\]"):
        written(db, tmp_path / "out", context)
    assert not (tmp_path / "out").exists()


def test_a_refresh_touches_only_what_changed(db: Path, tmp_path: Path, context: Context) -> None:
    folder = written(db, tmp_path / "out", context)

    def stamps() -> dict[str, tuple[int, int]]:
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}

    first, place = stamps(), folder.stat().st_ino
    written(db, folder, context)
    assert (stamps(), folder.stat().st_ino) == (first, place)
    with Store.open(db, "write") as store, store.transaction() as connection:
        connection.execute("UPDATE concept SET name = name || ' (renamed)'")
    written(db, folder, context)
    changed = {name for name, stamp in stamps().items() if first[name] != stamp}
    assert "concept.parquet" in changed
    assert not changed & {"trial.parquet", "criterion.parquet", "threshold.parquet", "loss.jsonl"}
    written(db, tmp_path / "fresh", context)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "fresh").iterdir()
    }


def test_a_damaged_file_is_made_anew(db: Path, tmp_path: Path, context: Context) -> None:
    folder = written(db, tmp_path / "out", context)
    (folder / "trial.parquet").write_bytes(b"broken")
    written(db, folder, context)
    assert Parquet().validate_folder(folder) == []
