from __future__ import annotations

from pathlib import Path

from nlp.explain import rule_book
from nlp.pipeline import build


def test_the_page_is_what_the_rules_say_now() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
    assert page.read_text("utf-8") == rule_book(build()), "run `trialkb vocabulary rules > docs/rules.md`"
