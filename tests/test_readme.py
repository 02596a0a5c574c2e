"""README.md shows what one really sees: its output blocks equal a fresh run of the demo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cli
from commands import output
from commands.demo import STEPS
from tests.readme_blocks import BLOCK, COMMANDS, command_list, filled, rewritten, transcript

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outputs() -> dict[str, list[str]]:
    return transcript()


def test_the_demo_runs_every_step(outputs: dict[str, list[str]]) -> None:
    assert len(outputs) == len(STEPS)
    assert all(len(lines) > 2 for lines in outputs.values())


@pytest.mark.parametrize(
    "match", list(BLOCK.finditer(README)), ids=lambda match: match["spec"].split("|")[0].strip()
)
def test_each_block_is_real_output(match: re.Match[str], outputs: dict[str, list[str]]) -> None:
    assert match["body"] == filled(match["spec"], outputs), "run `make readme`"


def test_every_console_block_is_held_to_the_demo() -> None:
    assert len(BLOCK.findall(README)) == README.count("```console") >= 4


def test_a_changed_output_would_be_noticed(outputs: dict[str, list[str]]) -> None:
    changed = {command: [f"{line}!" for line in lines] for command, lines in outputs.items()}
    assert rewritten(README, changed) != README


def test_the_opening_says_what_it_is_and_the_two_commands() -> None:
    opening = README[:1200]
    assert "make demo" in opening
    assert "make test" in opening


@pytest.mark.parametrize(
    "words",
    [
        "never seen",
        "reconstruct",
        "synthetic",
        "not a medical device",
        "one environment per checkout",
        "LOINC",
    ],
)
def test_what_a_reader_must_know_is_said(words: str) -> None:
    assert words in README.lower() or words in README


def test_every_command_is_listed() -> None:
    found = COMMANDS.search(README)
    assert found is not None
    assert command_list() in found[0], "run `make readme`"


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "README.md", ROOT / "fixtures" / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_of_the_docs_is_in_their_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", index))


def test_the_exit_codes_of_the_docs_are_those_of_the_code() -> None:
    said = {
        int(code)
        for code in re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "command-line.md").read_text(), re.MULTILINE)
    }
    known = {
        value
        for name, value in {**vars(output), **vars(cli)}.items()
        if name.startswith("EXIT_") and isinstance(value, int)
    }
    assert said == known | {0}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)} <= said
