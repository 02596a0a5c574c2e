"""The code of docs/guide.md runs over the fixtures, block after block in one namespace."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from commands.knowledge_feed import the_reading
from harvest.sources import ctgov_record
from kb import open_kb
from kb.api import Answers, record_of
from kb.build import TrialRecord, build
from kb.store import Store

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "guide.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guide") / "kb.sqlite"
    records = [
        TrialRecord(ctgov_record.prepare(json.loads(one.read_text("utf-8")), where=one.name).trial)
        for one in sorted((ROOT / "fixtures" / "ctgov").glob("*.json"))
    ]
    with Store.open(path, "write") as store:
        build(store, records, the_reading())
    return path


def test_the_guide_runs(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) >= 6
    namespace: dict[str, object] = {"path": filled}
    for number, block in enumerate(BLOCKS, start=1):
        exec(compile(block, f"docs/guide.md, block {number}", "exec"), namespace)
    assert "state it" in capsys.readouterr().out


def test_records_are_flat(filled: Path) -> None:
    with open_kb(filled) as kb:
        answers: list[Answers[object]] = [
            Answers(kb.comparable("NCT06886919")),
            Answers(kb.limits(["NCT06886919"])),
            Answers(kb.comparable("NCT06886919")[0].contrast.rows),
            Answers(kb.landscape(cond=["lupus"])[1]),
            Answers(kb.find("cond lupus and platelets")),
            Answers(kb.search("lupus")),
        ]
        for some in answers:
            assert some
            for record in some.records():
                assert all(value is None or isinstance(value, (str, int, float)) for value in record.values())


class TakenRecords:
    """Stands in for pandas.DataFrame: what it is given is kept. pandas itself is 70 MB that no code needs."""

    def __init__(self, records: list[dict[str, object]]) -> None:
        self.records = records


def test_a_data_frame_is_made_of_the_records(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=TakenRecords))
    with open_kb(filled) as kb:
        limits = kb.limits(["NCT06886919"], "platelets")
        frame = limits.to_pandas()
        assert isinstance(frame, TakenRecords)
        assert frame.records == limits.records()
        assert [(one["min_value"], one["unit"], one["trial"]) for one in frame.records] == [
            (50.0, "10*9/L", "NCT06886919")
        ]


def test_without_pandas_the_error_names_it(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with open_kb(filled) as kb, pytest.raises(ModuleNotFoundError, match="pandas"):
        kb.search("lupus").to_pandas()


def test_pandas_where_it_is_there(filled: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed: to_pandas is for those who have it")
    with open_kb(filled) as kb:
        assert list(kb.limits(["NCT06886919"], "platelets").to_pandas()["min_value"]) == [50.0]


def test_what_is_no_answer_has_no_record() -> None:
    with pytest.raises(TypeError, match="no flat record"):
        record_of(3)
