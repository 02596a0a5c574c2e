"""The page of requirements names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEST = re.compile(r"\btest_\w+\b")


def test_every_test_that_the_page_names_exists() -> None:
    named = set(TEST.findall((ROOT / "docs" / "harvest-requirements.md").read_text("utf-8")))
    found = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in [path.stem, *re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)]
    }
    assert len(named) > 60
    assert sorted(named - found) == []
