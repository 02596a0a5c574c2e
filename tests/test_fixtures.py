"""The fixtures are what their README says they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| (NCT\d{8}) \| `([^`]+)` \|$", re.MULTILINE)
ROWS = ROW.findall((FIXTURES / "README.md").read_text(encoding="utf-8"))
RECORDS = sorted((FIXTURES / "ctgov").glob("NCT*.json"))
EXPECTED = sorted((FIXTURES / "expected").glob("NCT*.json"))


def record(nct_id: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FIXTURES / "ctgov" / f"{nct_id}.json").read_text(encoding="utf-8"))
    return data


def criteria(nct_id: str) -> str:
    return str(record(nct_id)["protocolSection"]["eligibilityModule"]["eligibilityCriteria"])


@pytest.mark.parametrize(("number", "kind", "nct_id", "snippet"), ROWS)
def test_each_kind_of_hard_text_stands_in_its_trial(
    number: str, kind: str, nct_id: str, snippet: str
) -> None:
    assert snippet in criteria(nct_id), f"{nct_id} does not carry no. {number}, {kind.strip()}"


def test_at_least_twenty_of_the_28_kinds_are_carried() -> None:
    numbers = {int(number) for number, *_ in ROWS}
    assert len(numbers) >= 20
    assert numbers <= set(range(1, 29))


def test_every_synthetic_trial_carries_at_least_two_kinds_and_is_listed() -> None:
    listed = {nct_id: {n for n, _, i, _ in ROWS if i == nct_id} for _, _, nct_id, _ in ROWS}
    synthetic = {path.stem for path in RECORDS if path.stem.startswith("NCT99")}
    assert len(synthetic) >= 14
    assert set(listed) == synthetic
    assert min(len(numbers) for numbers in listed.values()) >= 2


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_invented_trials_are_marked_three_times_and_real_ones_never(path: Path) -> None:
    data = record(path.stem)
    module = data["protocolSection"]["identificationModule"]
    assert module["nctId"] == path.stem
    invented = path.stem.startswith("NCT99")
    assert module["briefTitle"].startswith("[Synthetic]") == invented
    assert data["trialkb"].get("synthetic", False) == invented
    if invented:
        assert re.fullmatch(r"NCT\d{8}", data["trialkb"]["modelled_on"])


def test_the_headline_record_is_marked_a_reconstruction_and_says_no_more_than_is_known() -> None:
    data = record("NCT06886919")
    assert data["trialkb"]["reconstruction"] is True
    protocol = data["protocolSection"]
    assert "derivedSection" not in data
    assert "contactsLocationsModule" not in protocol
    assert "armGroups" not in protocol["armsInterventionsModule"]


def test_the_headline_criteria_are_in_the_registrys_markdown() -> None:
    text = criteria("NCT06886919")
    assert "\\>480 ms" in text
    assert "1 × 109/L" in text
    assert text.startswith("Inclusion Criteria:\n\n1. ")


def test_page_and_record_of_the_headline_trial_carry_the_same_criteria() -> None:
    page = (FIXTURES / "clinconnect" / "NCT06886919.html").read_text(encoding="utf-8")
    lines = [line for line in criteria("NCT06886919").split("\n") if line]
    for line in lines:
        escaped = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert f"<li>{escaped}</li>" in page


def test_the_headline_page_carries_the_shared_page_without_its_investigator(shared: Path) -> None:
    source = (shared / "seed" / "clinconnect-NCT06886919.txt").read_text(encoding="utf-8")
    body, officials = source.split("Trial Officials")
    page = (FIXTURES / "clinconnect" / "NCT06886919.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    for line in body.split("\n")[1:]:
        assert line.strip().removeprefix("• ") in text
    investigator = officials.strip().split("\n")[0].split(",")[0]
    assert investigator not in page


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.stem)
def test_expected_thresholds_point_at_text_of_their_trial(path: Path) -> None:
    expected = json.loads(path.read_text(encoding="utf-8"))
    text = criteria(expected["nct_id"])
    assert expected["modelled_on"] == record(expected["nct_id"])["trialkb"]["modelled_on"]
    assert len(expected["thresholds"]) >= 5
    for threshold in expected["thresholds"]:
        assert threshold["text"] in text
        assert threshold["section"] in ("inclusion", "exclusion")


def test_every_synthetic_trial_has_expected_thresholds() -> None:
    assert {p.stem for p in EXPECTED} == {p.stem for p in RECORDS if p.stem.startswith("NCT99")}
