"""The main job through the command line: refresh twice, show, comparable, compare, export, rebuild."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from harvest.http import Politeness
from harvest.local_registry import LocalRegistry, load
from kb.digest import content_digest
from nlp.model import Item
from nlp.pipeline import build
from tests.conftest import ROOT, RunCli

HEADLINE = "NCT06886919"
SUBJECT = ("--cond", "lupus", "--intr", "CAR-T")
# Thresholds of fixtures/expected that are read right, of all. A floor: it may only be raised.
EXPECTED_SHARE = 0.92


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "trialkb.db"


def answer(text: str) -> Any:
    return json.loads(text)["answer"]


# ------------------------------------------------------------------- refresh


def test_a_second_refresh_changes_nothing_and_says_so(db: Path, run_cli: RunCli, registry_url: str) -> None:
    words = ("refresh", *SUBJECT, "--ctgov-url", registry_url, "--db", db)
    first = run_cli(*words)
    assert first.code == 0, first.err
    assert HEADLINE in first.out
    assert "new" in first.out
    digest = content_digest(db)
    second = run_cli(*words)
    assert second.code == 0
    assert "Nothing to do" in second.out
    assert content_digest(db) == digest


def test_a_second_full_refresh_reads_all_again_to_the_same_content(
    db: Path, run_cli: RunCli, registry_url: str
) -> None:
    words = ("refresh", HEADLINE, "NCT99000001", "--full", "--ctgov-url", registry_url, "--db", db)
    run_cli(*words)
    digest = content_digest(db)
    again = answer(run_cli(*words, "--json").out)
    assert again["unchanged"] == 2
    assert not again["new"]
    assert not again["changed"]
    assert content_digest(db) == digest


def test_a_refresh_sees_what_was_amended_and_what_vanished(db: Path, run_cli: RunCli, fixtures: Path) -> None:
    holdings = load(fixtures)
    with LocalRegistry(holdings) as server:
        words = ("refresh", *SUBJECT, "--ctgov-url", server.url, "--db", db)
        run_cli(*words)
        before = content_digest(db)
        record = json.loads((fixtures / "ctgov" / "NCT99000001.json").read_text(encoding="utf-8"))
        module = record["protocolSection"]["eligibilityModule"]
        module["eligibilityCriteria"] = module["eligibilityCriteria"].replace("50 × 10", "75 × 10")
        record["protocolSection"]["statusModule"]["lastUpdatePostDateStruct"]["date"] = "2025-08-13"
        holdings.put(record)
        holdings.remove("NCT99000002")
        holdings.data_timestamp = "2025-08-14T09:00:00"
        second = answer(run_cli(*words, "--json").out)
    assert second["changed"] == ["NCT99000001"]
    assert second["vanished"] == ["NCT99000002"]
    assert content_digest(db) != before
    shown = run_cli("show", "NCT99000001", "--db", db).out
    assert "75 × 10" in shown
    assert "≥ 75 10*9/L" in shown


def test_an_alias_leads_to_its_trial(db: Path, run_cli: RunCli, registry_url: str) -> None:
    assert run_cli("refresh", "NCT99000905", "--ctgov-url", registry_url, "--db", db).code == 0
    for identifier in ("NCT99000005", "NCT99000905"):
        assert "NCT99000005" in run_cli("show", identifier, "--db", db).out


def test_an_import_of_the_same_records_gives_the_same_thresholds(
    db: Path, fixture_kb: Path, run_cli: RunCli, fixtures: Path
) -> None:
    assert run_cli("import", fixtures / "ctgov", "--db", db).code == 0
    shown = [answer(run_cli("show", HEADLINE, "--json", "--db", path).out) for path in (db, fixture_kb)]
    marked = [[criterion["marked"] for criterion in each["criteria"]] for each in shown]
    assert marked[0] == marked[1] != []


def test_a_rebuild_offline_gives_the_same_content(own_kb: Path, run_cli: RunCli) -> None:
    digest = content_digest(own_kb)
    run = run_cli("rebuild", "--db", own_kb)
    assert run.code == 0, run.err
    assert content_digest(own_kb) == digest


# ---------------------------------------------------------------------- show


def test_show_marks_the_thresholds_with_reading_and_evidence(fixture_kb: Path, run_cli: RunCli) -> None:
    out = run_cli("show", HEADLINE, "--db", fixture_kb).out
    for part in ("(reconstruction)", "≥ 50 × 109/L]", "Platelet count ≥ 50 10*9/L", "characters", "Source: "):
        assert part in out, part


def test_every_quote_of_show_stands_in_the_raw_text(fixture_kb: Path, run_cli: RunCli) -> None:
    shown = answer(run_cli("show", HEADLINE, "--json", "--db", fixture_kb).out)
    record = json.loads((ROOT / "fixtures" / "ctgov" / f"{HEADLINE}.json").read_text(encoding="utf-8"))
    text = record["protocolSection"]["eligibilityModule"]["eligibilityCriteria"]
    limits = [limit for criterion in shown["criteria"] for limit in criterion["limits"]]
    assert len(limits) >= 40
    for limit in limits:
        start, end = limit["evidence"]["span"]
        quoted = text[start:end].replace("\\", "")
        assert limit["evidence"]["quote"].replace("\\", "") in quoted or quoted in limit["evidence"]["quote"]


def test_a_synthetic_trial_is_marked_wherever_it_appears(fixture_kb: Path, run_cli: RunCli) -> None:
    invented = "NCT99000001"
    for words in (
        ("show", invented),
        ("comparable", HEADLINE),
        ("compare", HEADLINE, invented),
        ("comparable", HEADLINE, "--csv"),
        ("compare", HEADLINE, invented, "--csv"),
    ):
        run = run_cli(*words, "--db", fixture_kb)
        assert run.code == 0, run.err
        assert "synthetic" in run.out.lower(), words
    for words in (("show", invented, "--json"), ("comparable", HEADLINE, "--json")):
        data = json.loads(run_cli(*words, "--db", fixture_kb).out)
        assert invented in data["provenance"]["synthetic_trials"]


# ------------------------------------------------------- comparable, compare


def test_comparable_ranks_lupus_car_t_first_and_says_why(fixture_kb: Path, run_cli: RunCli) -> None:
    matches = answer(run_cli("comparable", HEADLINE, "--json", "--db", fixture_kb).out)["matches"]
    ranked = [match["trial"]["trial"] for match in matches]
    assert HEADLINE not in ranked
    about_lupus = {"NCT99000001", "NCT99000002", "NCT99000005", "NCT99000006", "NCT99000016"}
    assert set(ranked[:5]) & about_lupus
    others = [ranked.index(each) for each in ("NCT99000013", "NCT99000015") if each in ranked]
    assert all(place >= 5 for place in others)
    best = matches[0]
    assert best["reasons"]
    assert sum(reason["contribution"] for reason in best["reasons"]) == pytest.approx(best["score"], abs=1e-6)


def test_compare_keeps_the_platelets_of_everyone_and_of_a_group_in_rows_of_their_own(
    fixture_kb: Path, run_cli: RunCli
) -> None:
    trials = (HEADLINE, "NCT99000003", "NCT99000009")
    data = answer(run_cli("compare", *trials, "--json", "--db", fixture_kb).out)
    assert [trial["trial"] for trial in data["trials"]] == list(trials)
    rows = {row["population"]: row["cells"] for row in data["rows"] if row["concept"] == "plt"}
    here, unstated, of_a_group = rows.pop(None)
    assert (here[0]["min_value"], unstated, of_a_group) == (50, [], [])
    ((group, (*others, there)),) = rows.items()
    assert "SLE-ITP" in group
    assert others == [[], []]
    assert (there[0]["min_value"], there[0]["max_value"]) == (30, 50)


# -------------------------------------------------------------------- export


def test_the_canonical_export_holds_every_trial_and_is_the_same_twice(
    fixture_kb: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        run = run_cli("export", "--format", "jsonl", "-o", tmp_path / name, "--db", fixture_kb)
        assert run.code == 0, run.err
    first = (tmp_path / "one.jsonl").read_bytes()
    assert first == (tmp_path / "two.jsonl").read_bytes()
    rows = [json.loads(line) for line in first.decode("utf-8").splitlines()]
    ids = {row["trial"]["source_id"] for row in rows if row["type"] == "trial"}
    assert ids >= {path.stem for path in (ROOT / "fixtures" / "ctgov").glob("NCT*.json")}


def test_the_flat_export_has_a_row_for_the_platelets(fixture_kb: Path, run_cli: RunCli) -> None:
    run = run_cli("export", "--format", "csv", "--trials", HEADLINE, "--db", fixture_kb)
    assert run.code == 0, run.err
    rows = list(csv.DictReader(io.StringIO(run.out)))
    platelets = [row for row in rows if row["conceptId"] == "plt"]
    assert any(row["min"] in ("50", "50.0") for row in platelets)


# ------------------------------------------------- what the trials were built from


def _expected() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((ROOT / "fixtures" / "expected").glob("NCT*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        for threshold in data["thresholds"]:
            yield data["nct_id"], threshold


@cache
def _items(nct_id: str) -> tuple[Item, ...]:
    record = json.loads((ROOT / "fixtures" / "ctgov" / f"{nct_id}.json").read_text(encoding="utf-8"))
    return _extractor().extract(record["protocolSection"]["eligibilityModule"]["eligibilityCriteria"]).items


_extractor = cache(build)
# Units that a text leaves out; both codes of UCUM's international unit.
UNSAID = {"{score}", "{titer}", "1", None}


def _same(item: Item, wanted: dict[str, Any]) -> bool:
    unit = wanted["unit"]
    return (
        item.section == wanted["section"]
        and item.concept == wanted["concept"]
        and item.comparator == wanted["comparator"]
        and (item.low, item.high) == (wanted["low"], wanted["high"])
        and item.relative_to == wanted["relative_to"]
        and (unit in UNSAID or str(item.unit).replace("[iU]", "[IU]") == unit)
    )


def test_the_thresholds_that_the_synthetic_trials_were_built_from_are_read() -> None:
    wanted = list(_expected())
    missed = [
        f"{nct_id}: {threshold['concept']} {threshold['text']!r}"
        for nct_id, threshold in wanted
        if not any(_same(item, threshold) for item in _items(nct_id))
    ]
    assert len(wanted) > 250
    assert 1 - len(missed) / len(wanted) >= EXPECTED_SHARE, "\n".join(missed)


def test_text_in_another_language_stays_unread() -> None:
    text = json.loads((ROOT / "fixtures" / "ctgov" / "NCT99000017.json").read_text(encoding="utf-8"))
    criteria = text["protocolSection"]["eligibilityModule"]["eligibilityCriteria"]
    extraction = _extractor().extract(criteria)
    line = next(c for c in extraction.criteria if "泼尼松" in c.text)
    assert "unread" in json.dumps(line.to_json()["expression"])
    assert not [
        item for item in extraction.items if item.criterion == line.path and item.section == line.section
    ]


# ----------------------------------------------------------- the shared records


def test_patience_is_the_default_of_the_client() -> None:
    assert Politeness().pace == 1.0


def test_a_sample_of_real_records_goes_through_the_main_job(
    shared: Path, db: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    sample = tmp_path / "sample.jsonl"
    with gzip.open(
        shared / "data" / "registry" / "ctgov-v2-studies.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        chosen = list(islice(lines, 0, None, 40))
    sample.write_text("".join(chosen), encoding="utf-8")
    report = answer(run_cli("import", sample, "--json", "--db", db).out)
    assert len(report["new"]) == len(chosen)
    for identifier in report["new"][:3]:
        assert run_cli("comparable", identifier, "--db", db).code == 0
        assert run_cli("show", identifier, "--db", db).code == 0
