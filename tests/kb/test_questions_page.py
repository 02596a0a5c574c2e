"""Every command line of docs/questions.md runs over the fixtures and finds something."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kb.similarity import settings
from tests.conftest import ROOT, RunCli

PAGE = (ROOT / "docs" / "questions.md").read_text("utf-8")
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines() if line
]


@pytest.mark.parametrize("line", LINES)
def test_the_line_runs(
    line: str, fixture_kb: Path, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "draft.txt").write_text("Inclusion Criteria:\n* Platelets >= 75,000/uL\n* LVEF >= 50%\n")
    words = shlex.split(line)
    assert words[0] == "trialkb"
    done = run_cli(*words[1:], "--db", fixture_kb)
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) > 5
    assert not done.out.startswith("0 trials")
    if "--csv" not in words:
        assert "Source: " in done.out


def test_the_weights_on_the_page_are_those_in_use() -> None:
    said = dict(re.findall(r"^\| (\w+) \| (0\.\d+) \| (?!0\.)", PAGE, re.MULTILINE))
    assert {part: float(weight) for part, weight in said.items()} == dict(settings()[0].weights)
