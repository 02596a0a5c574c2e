"""Raw and expected, side by side in ``pairs/``: a missing answer is written, and the test fails for review."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from harvest.model import Trial
from harvest.sources import PARSERS
from harvest.sources.clinconnect import prepare_page
from harvest.sources.ctgov_record import parse, prepare

HERE = Path(__file__).parent / "pairs"
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
RECORDS = sorted((HERE / "ctgov").glob("*.json"))
RAW = [path for path in RECORDS if not path.name.endswith(".expected.json")]
PAGES = sorted((FIXTURES / "clinconnect").glob("*.html"))


def told(trial: Trial) -> dict[str, object]:
    """What a pair says of a trial: every field that is not empty."""
    fields = json.loads(json.dumps(asdict(trial)))
    return {key: value for key, value in fields.items() if value not in (None, "", [], False)}


def compare(trial: Trial, answer: Path) -> None:
    if not answer.exists():
        answer.write_text(json.dumps(told(trial), indent=1, ensure_ascii=False) + "\n", "utf-8")
        pytest.fail(f"{answer.name} was missing and has been written: review it, then run again")
    assert told(trial) == json.loads(answer.read_text("utf-8"))


@pytest.mark.parametrize("path", RAW, ids=lambda path: path.stem)
def test_record(path: Path) -> None:
    prepared = prepare(json.loads(path.read_bytes()), where=path.name)
    compare(prepared.trial, path.with_suffix(".expected.json"))
    assert parse(prepared.raw) == prepared.trial


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page(path: Path) -> None:
    prepared = prepare_page(path.read_bytes(), where=path.name)
    compare(prepared.trial, HERE / "clinconnect" / f"{path.stem}.expected.json")
    assert PARSERS["clinconnect"](prepared.raw) == prepared.trial


def test_every_source_has_a_pair() -> None:
    folders = {path.name for path in HERE.iterdir() if any(path.glob("*.expected.json"))}
    assert folders == set(PARSERS)


def test_every_registered_source_is_a_module_and_every_module_is_registered() -> None:
    import harvest.sources

    modules = {path.stem for path in Path(harvest.sources.__file__).parent.glob("*.py")}
    assert modules == {"__init__", "base", "ctgov", "ctgov_record", "clinconnect"}
    assert set(PARSERS) == {"ctgov", "clinconnect"}


@pytest.mark.parametrize("path", sorted((FIXTURES / "ctgov").glob("*.json")), ids=lambda path: path.stem)
def test_criteria_reach_the_trial_character_by_character(path: Path) -> None:
    record = json.loads(path.read_bytes())
    trial = prepare(record, where=path.name).trial
    assert trial.eligibility_text == record["protocolSection"]["eligibilityModule"]["eligibilityCriteria"]
    assert trial.source_id == path.stem
    assert trial.synthetic == path.stem.startswith("NCT99")
    assert trial.reconstruction == (path.stem == "NCT06886919")
    assert trial.unknown_tokens == ()
