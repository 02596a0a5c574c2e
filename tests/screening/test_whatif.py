"""What-if counts equal counting the same patients one by one; CSV and Parquet agree; bad input is refused."""

from __future__ import annotations

import csv
import random
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from commands import patient_files
from kb import cohort as cohort_module
from kb import cohort_judging
from kb.cohort import CohortInvalid, open_cohort
from kb.judging import Knowledge
from kb.patient_formats import from_json
from kb.screen import TrialCriteria, screen_trial
from kb.whatif import ChangeInvalid, WhatIf, parse_change, what_if
from nlp.model import All, Fact, If
from nlp.pipeline import Extractor

TEXT = """Inclusion Criteria:
* Age 18 to 65 years
* Platelets >= 50 x 10^9/L
* Hemoglobin >= 8 g/dL
* ALT <= 2.5 x ULN (for subjects with Gilbert syndrome, ALT <= 5 x ULN)
* Creatinine <= 1.5 x ULN or creatinine clearance >= 40 mL/min
Exclusion Criteria:
* QTc > 480 ms
* HBsAg positive
* Uncontrolled asthma
* Prior CAR-T therapy
"""
TODAY = date(2026, 1, 1)
HEADER = (
    "patient", "age", "sex", "platelets (/uL)", "hgb", "alt", "alt uln", "scr", "scr uln", "crcl", "qtc", "hbsag",
    "gilbert", "asthma",
)  # fmt: skip
LABS = {"platelets (/uL)": ("plt", "/uL"), "hgb": ("hgb", "g/L"), "alt": ("alt", "U/L"), "scr": ("scr", "umol/L"),
        "crcl": ("crcl", "mL/min"), "qtc": ("qtc", "ms")}  # fmt: skip


@pytest.fixture(scope="module")
def trial(extractor: Extractor) -> TrialCriteria:
    return TrialCriteria(
        "NCT99000001", "ctgov", "", "", TEXT, extractor.extract(TEXT), "18 Years", "65 Years", "ALL"
    )


def people(count: int) -> list[dict[str, str]]:
    chance = random.Random(3)
    choices: dict[str, tuple[Any, ...]] = {
        "age": (17, 18, 40, 65, 65.5, 66), "sex": ("male", "female"), "platelets (/uL)": (29999, 30000, 49999, 50000, 90000),
        "hgb": (79, 80, 81), "alt": (90, 100, 101, 200, 201), "alt uln": (40, 40, 40, ""), "scr": (60, 145.5, 146, 200),
        "scr uln": (97,), "crcl": (39, 40, 80), "qtc": (480, 480.5, 500, 501), "hbsag": ("Positive", "negative", "neg"),
        "gilbert": ("yes", "no"), "asthma": ("yes", "no", "0"),
    }  # fmt: skip
    rows = []
    for number in range(count):
        row = {
            name: str("" if chance.random() < 0.05 else chance.choice(options))
            for name, options in choices.items()
        }
        rows.append({"patient": str(number), **row})
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, HEADER)
        writer.writeheader()
        writer.writerows(rows)
    return path


def body(row: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"id": row["patient"], "labs": {}, "results": {}, "conditions": {}}
    if row["age"]:
        made["age"] = {"value": float(row["age"]), "unit": "a"}
    if row["sex"]:
        made["sex"] = row["sex"]
    for header, (concept, unit) in LABS.items():
        if row[header]:
            made["labs"][concept] = {"value": float(row[header]), "unit": unit}
            if row.get(f"{header} uln"):
                made["labs"][concept]["uln"] = float(row[f"{header} uln"])
    if row["hbsag"]:
        made["results"]["hbsag"] = "positive" if row["hbsag"] == "Positive" else "negative"
    made["conditions"] = {name: row[name] == "yes" for name in ("gilbert", "asthma") if row[name]}
    return made


def run(trial: TrialCriteria, path: Path, knowledge: Knowledge, *changes: str) -> WhatIf:
    catalogue = patient_files.catalogue()
    units = {concept.id: concept.unit for concept in patient_files.vocabulary().concepts.values()}
    wanted = [parse_change(text, trial, catalogue, knowledge) for text in changes]
    return what_if(trial, wanted, open_cohort(path, catalogue, units), knowledge, TODAY)


@pytest.fixture(params=["at once", "in chunks, forgetting"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param != "at once":
        monkeypatch.setattr(cohort_module, "CHUNK", 64)
        monkeypatch.setattr(cohort_judging, "_REMEMBERED", 3)
    return str(request.param)


def test_counts_equal_those_of_one_patient_after_the_other(
    trial: TrialCriteria, tmp_path: Path, knowledge: Knowledge, engine: str
) -> None:
    rows = people(400)
    found = run(trial, write(tmp_path / "c.csv", rows), knowledge)
    catalogue = patient_files.catalogue()
    counts: dict[str, Counter[bool | None]] = {}
    excluded = alone = 0
    alone_by: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for row in rows:
        patient = from_json(body(row), "c", catalogue, TODAY)[0]
        answer = screen_trial(trial, patient, knowledge)
        values = {
            f"{one.section} {one.path}": one.value for one in answer.criteria if one.section != "registry"
        }
        for name, value in values.items():
            counts.setdefault(name, Counter())[value] += 1
        false = [name for name, value in values.items() if value is False]
        excluded += bool(false)
        alone += len(false) == 1
        alone_by.update(false if len(false) == 1 else ())
        pairs.update([(false[0], false[1])] if len(false) == 2 else ())
    assert found.patients == 400
    base = found.scenarios[0]
    assert (base.excluded, base.passes + base.unknown + base.excluded) == (excluded, 400)
    assert len(found.criteria) == 8
    for one in found.criteria:
        seen = counts[one.criterion]
        assert (one.true, one.false, one.unknown) == (seen[True], seen[False], seen[None]), one.criterion
        assert one.alone == alone_by[one.criterion]
    assert {(a, b): n for a, b, n in found.pairs} == dict(pairs)
    assert found.silent == ("exclusion 4",)
    assert alone > 20


def test_changes_one_at_a_time_and_together(
    trial: TrialCriteria, tmp_path: Path, knowledge: Knowledge, engine: str
) -> None:
    usual = {"age": "40", "sex": "male", "platelets (/uL)": "90000", "hgb": "120", "alt": "30", "alt uln": "40",
             "scr": "60", "scr uln": "97", "crcl": "90", "qtc": "400", "hbsag": "neg", "gilbert": "no", "asthma": "no"}  # fmt: skip
    changed = [{}, {"platelets (/uL)": "30000"}, {"qtc": "490"}, {"platelets (/uL)": "40000", "qtc": "500"}, {"qtc": "501"},
               {"platelets (/uL)": "", "qtc": "490"}]  # fmt: skip
    rows = [{"patient": str(number), **usual, **change} for number, change in enumerate(changed)]
    path = write(tmp_path / "c.csv", rows)
    found = run(trial, path, knowledge, "platelets >= 30 10*9/L", "qtc <= 500 ms")
    assert [(one.name, one.excluded, one.let_in, one.shut_out) for one in found.scenarios] == [
        ("as stated", 5, 0, 0),
        ("platelets >= 30 10*9/L", 4, 1, 0),
        ("qtc <= 500 ms", 3, 2, 0),
        ("all together", 1, 4, 0),
    ]
    stricter = run(trial, path, knowledge, "platelets >= 100 10*9/L")
    assert (stricter.scenarios[1].shut_out, stricter.scenarios[1].let_in) == (1, 0)


def test_the_general_limit_is_changed_not_the_exception(trial: TrialCriteria, knowledge: Knowledge) -> None:
    change = parse_change("ALT <= 3 x ULN", trial, patient_files.catalogue(), knowledge)
    assert (change.before.high, change.after.high, change.after.relative_to) == (2.5, 3, "ULN")
    turned = parse_change("QTc < 500 ms", trial, patient_files.catalogue(), knowledge)
    assert (turned.after.comparator, turned.after.low, turned.after.low_inclusive) == (">=", 500, True)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("more platelets", "no threshold"),
        ("platelets >= 30 boojums", "'boojums' is not known"),
        ("platelets >= 30 mmol/L", "no unit of what"),
        ("platelets <= 30 10*9/L", "no thresholds that"),
        ("lvef >= 40 %", "states nothing about"),
        ("alt <= 80 U/L", "no thresholds that"),
    ],
)
def test_a_change_that_cannot_be_made(
    trial: TrialCriteria, knowledge: Knowledge, text: str, named: str
) -> None:
    with pytest.raises(ChangeInvalid, match=named):
        parse_change(text, trial, patient_files.catalogue(), knowledge)


def test_cells_that_say_nothing_are_counted(
    trial: TrialCriteria, tmp_path: Path, knowledge: Knowledge, engine: str
) -> None:
    row = dict.fromkeys(HEADER, "")
    rows = [row | {"qtc": "long", "hgb": "nan"}, row | {"qtc": "400", "asthma": "perhaps"}]
    found = run(trial, write(tmp_path / "c.csv", rows), knowledge)
    assert dict(found.odd) == {"qtc": 1, "hgb": 1, "asthma": 1}
    assert found.scenarios[0].excluded == 0


def test_parquet(trial: TrialCriteria, tmp_path: Path, knowledge: Knowledge) -> None:
    duckdb = pytest.importorskip("duckdb")
    path, target = write(tmp_path / "c.csv", people(50)), tmp_path / "c.parquet"
    duckdb.sql(f"COPY (SELECT * FROM read_csv('{path}')) TO '{target}' (FORMAT parquet)")
    assert run(trial, target, knowledge) == run(trial, path, knowledge)


def test_faulty_cohorts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = patient_files.catalogue()

    def fault(name: str, text: str) -> str:
        (tmp_path / name).write_text(text, "utf-8")
        with pytest.raises(CohortInvalid) as caught:
            list(open_cohort(tmp_path / name, catalogue, {}).chunks())
        return str(caught.value)

    assert "a .csv or .parquet file" in fault("c.txt", "a")
    assert "no column but ids" in fault("ids.csv", "patient\n1\n")
    assert "both hold plt" in fault("two.csv", "plt,platelets\n1,2\n")
    assert "c.parquet" in fault("c.parquet", "not parquet")
    assert "bad.csv" in fault("bad.csv", "plt,alt\n" + "1,2\n" * 30000 + "3,4,5,6\n")
    assert "line 3: 1 cells for 2 columns" in fault("short.csv", "plt,alt\n1,2\n3\n")
    (tmp_path / "latin.csv").write_bytes(b"plt,alt\n1,\xb5\n")
    with pytest.raises(CohortInvalid, match="not UTF-8"):
        list(open_cohort(tmp_path / "latin.csv", catalogue, {}).chunks())
    monkeypatch.setattr(cohort_module, "_duckdb", lambda: None)
    assert "needs DuckDB" in fault("d.parquet", "x")


# ------------------------------------------------------- everything that screen judges, whatif judges

WIDE = """Inclusion Criteria:
* Platelets >= 50 x 10^9/L within 14 days before enrolment
* SLEDAI >= 6
* Transaminases <= 3 x ULN
* For subjects >= 65 years: LVEF >= 55 %
* Hemoglobin >= 9 g/dL for women, >= 10 g/dL for men
Exclusion Criteria:
* Stroke within 6 months before screening
* Serum creatinine > 2 mg/dL in cohort B
"""
WIDE_CELLS: dict[str, tuple[str, ...]] = {
    "as_of": ("", "2026-01-01", "2026-02-01"), "age": ("40", "64.9", "65", ""), "sex": ("male", "f", ""),
    "plt": ("49", "50", "<20", ">=60", ""), "plt date": ("2025-12-31", "2025-12-01", "2026-03-01", ""),
    "sledai_2k": ("5", "6", "", "12"), "sledai": ("", "", "4"), "alt": ("119", "121", ""), "alt uln": ("40", ""),
    "ast": ("119", "121", ""), "ast uln": ("40",), "lvef": ("54", "55", ""), "hgb (g/dL)": ("9.5", "8.9", "10", ""),
    "stroke": ("yes", "no", ""), "stroke date": ("2025-11-01", "2025-01-01", ""), "scr": ("180", "170", ""),
    "population cohort B": ("yes", "no", ""),
}  # fmt: skip


def wide_body(row: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"id": "p", "labs": {}, "conditions": {}, "populations": {}}
    for header, (concept, unit) in {
        "plt": ("plt", "10*9/L"), "sledai_2k": ("sledai_2k", "{score}"), "sledai": ("sledai", "{score}"), "alt": ("alt", "U/L"),
        "ast": ("ast", "U/L"), "lvef": ("lvef", "%"), "hgb (g/dL)": ("hgb", "g/dL"), "scr": ("scr", "umol/L"),
    }.items():  # fmt: skip
        number = row[header].lstrip("<>=")
        if number:
            lab: dict[str, Any] = {"value": float(number), "unit": unit}
            if row[header] != number:
                lab["comparator"] = row[header][: -len(number)]
            lab |= {"uln": float(row[f"{header} uln"])} if row.get(f"{header} uln") else {}
            lab |= {"date": row["plt date"]} if header == "plt" and row["plt date"] else {}
            made["labs"][concept] = lab
    if row["age"]:
        made["age"] = {"value": float(row["age"]), "unit": "a"}
    made |= {"sex": {"f": "female"}.get(row["sex"], row["sex"])} if row["sex"] else {}
    made |= {"as_of": row["as_of"]} if row["as_of"] else {}
    if row["stroke"]:
        dated = {"start": row["stroke date"]} if row["stroke date"] else {}
        made["conditions"]["stroke"] = {"present": row["stroke"] == "yes", **dated}
    if row["population cohort B"]:
        made["populations"]["cohort B"] = row["population cohort B"] == "yes"
    return made


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_windows_kinds_members_and_groups(
    extractor: Extractor, tmp_path: Path, knowledge: Knowledge, engine: str, suffix: str
) -> None:
    whole = TrialCriteria("NCT99000002", "ctgov", "", "", WIDE, extractor.extract(WIDE))
    chance = random.Random(11)
    rows = [{name: chance.choice(cells) for name, cells in WIDE_CELLS.items()} for _ in range(300)]
    path = tmp_path / "wide.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(WIDE_CELLS))
        writer.writeheader()
        writer.writerows(rows)
    if suffix == "parquet":
        duckdb = pytest.importorskip("duckdb")
        target = tmp_path / "wide.parquet"
        duckdb.sql(f"COPY (SELECT * FROM read_csv('{path}', all_varchar = true)) TO '{target}'")
        path = target
    found = run(whole, path, knowledge)
    catalogue = patient_files.catalogue()
    counts: dict[str, Counter[bool | None]] = {}
    for row in rows:
        person = from_json(wide_body(row), "c", catalogue, TODAY)[0]
        for one in screen_trial(whole, person, knowledge).criteria:
            counts.setdefault(f"{one.section} {one.path}", Counter())[one.value] += 1
    assert found.silent == ()
    assert not found.odd
    assert len(found.criteria) == len(counts) == 7
    for effect in found.criteria:
        seen = counts[effect.criterion]
        assert (effect.true, effect.false, effect.unknown) == (seen[True], seen[False], seen[None]), effect
        assert min(seen.values()) > 0, effect


def test_columns_that_nothing_looks_at(trial: TrialCriteria, tmp_path: Path, knowledge: Knowledge) -> None:
    path = tmp_path / "c.csv"
    path.write_text("id,plt,platlets,shoe size\n1,60,60,40\n", "utf-8")
    assert run(trial, path, knowledge).unused == ("platlets", "shoe size")
    path.write_text("id,shoe size\n1,40\n", "utf-8")
    with pytest.raises(
        CohortInvalid, match="no column answers a criterion of NCT99000001; it has id, shoe size"
    ):
        run(trial, path, knowledge)


def test_a_criterion_that_no_cell_could_decide_is_silent(
    tmp_path: Path, knowledge: Knowledge, extractor: Extractor
) -> None:
    women = If(Fact("women of childbearing potential", (0, 1)), Fact("contraception", (1, 2)), All(()))
    made = extractor.extract("Inclusion Criteria:\n* Platelets >= 50 x 10^9/L\n* Consent")
    second = replace(made.criteria[1], expression=All((women, Fact("consent", (2, 3)))))
    whole = TrialCriteria("N", "ctgov", "", "", "", replace(made, criteria=(made.criteria[0], second)))
    path = tmp_path / "c.csv"
    path.write_text("sex,plt\nfemale,60\nmale,60\n", "utf-8")
    found = run(whole, path, knowledge)
    assert (found.silent, found.scenarios[0].passes) == (("inclusion 2",), 2)
    third = replace(second, expression=women)  # a man needs none of it
    whole = replace(whole, extraction=replace(made, criteria=(made.criteria[0], third)))
    found = run(whole, path, knowledge)
    assert (found.silent, found.scenarios[0].passes, found.scenarios[0].unknown) == ((), 1, 1)


def test_a_file_with_semicolons(trial: TrialCriteria, tmp_path: Path, knowledge: Knowledge) -> None:
    path = tmp_path / "c.csv"
    path.write_text("plt;qtc\n30;400\n60;490\n", "utf-8")
    assert run(trial, path, knowledge).scenarios[0].excluded == 2
