"""Circe as a file: the envelope, the key whitelist with its faults, the loss report, a site's own ids."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kb.export import omop
from kb.export.circe import Circe
from kb.export.circe_check import check_cohort
from kb.export.errors import BadOption
from kb.export.model import Context, Loss, TrialRecord
from nlp.model import All, AnyOf, If, Not, Window
from tests.export.bench import Bench


@pytest.fixture
def envelope(record: TrialRecord, context: Context) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Circe().render(record, context).text)
    return loaded


def losses(bench: Bench, context: Context) -> dict[str, Loss]:
    return {loss.path: loss for loss in Circe().render(bench.record(), context).losses}


def measurement(envelope: dict[str, Any], rule: int) -> dict[str, Any]:
    group = envelope["expression"]["InclusionRules"][rule]["expression"]
    found: dict[str, Any] = group["CriteriaList"][0]["Criteria"]["Measurement"]
    return found


def test_envelope_carries_the_tag_a_screening_list_looks_for(envelope: dict[str, Any]) -> None:
    assert set(envelope) == {"name", "description", "expressionType", "expression"}
    assert envelope["description"].startswith("[UC1] [acronym=NCT99000001] ")
    assert envelope["expressionType"] == "SIMPLE_EXPRESSION"


def test_description_states_policy_losses_notices(envelope: dict[str, Any]) -> None:
    for words in (
        "not selected",
        "2 exported whole",
        "LOINC",
        "Not a medical device",
        "synthetic",
        "2026-11-20",
    ):
        assert words in envelope["description"]


def test_brackets_in_a_tag_cannot_break_the_description(record: TrialRecord, context: Context) -> None:
    odd = replace(context, options=replace(context.options, tag="A] [acronym=X"))
    text = json.loads(Circe().render(record, odd).text)["description"]
    assert text.startswith("[A acronym=X] [acronym=NCT99000001]")


def test_xuln_is_a_ratio_without_unit(envelope: dict[str, Any]) -> None:
    assert measurement(envelope, 2)["RangeHighRatio"] == {"Value": 1.5, "Op": "lte"}
    assert "Unit" not in measurement(envelope, 2)


def test_unit_families_carry_the_rescaled_limit(envelope: dict[str, Any]) -> None:
    group = envelope["expression"]["InclusionRules"][1]["expression"]
    found = {
        tuple(unit["CONCEPT_ID"] for unit in each["Criteria"]["Measurement"]["Unit"]): each["Criteria"][
            "Measurement"
        ]["ValueAsNumber"]["Value"]
        for each in group["CriteriaList"]
    }
    assert group["Type"] == "ANY"
    assert found[8816, 8848, 8961, 9444] == 50
    assert found[8647, 8784, 8785] == 50000


def test_only_loinc_names_travel(envelope: dict[str, Any]) -> None:
    items = [item for each in envelope["expression"]["ConceptSets"] for item in each["expression"]["items"]]
    assert items
    for item in items:
        assert item["concept"].get("VOCABULARY_ID", "LOINC") == "LOINC"
        assert set(item["concept"]) <= {"CONCEPT_ID", "CONCEPT_NAME", "CONCEPT_CODE", "VOCABULARY_ID"}


def test_entry_event_of_a_condition(record: TrialRecord, context: Context) -> None:
    chosen = replace(context, options=replace(context.options, entry_concepts=(257628,)))
    envelope = json.loads(Circe().render(record, chosen).text)
    assert check_cohort(envelope) == []
    (entry,) = envelope["expression"]["PrimaryCriteria"]["CriteriaList"]
    assert (
        envelope["expression"]["ConceptSets"][entry["ConditionOccurrence"]["CodesetId"]]["name"]
        == "entry event"
    )


def _set(path: list[Any], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(envelope: dict[str, Any]) -> None:
        place: Any = envelope["expression"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


_LINE = ["InclusionRules", 1, "expression", "CriteriaList", 0]
_MEASUREMENT = [*_LINE, "Criteria", "Measurement"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            _set([*_MEASUREMENT, "RangeHighRatoi"], {"Value": 2.5, "Op": "lte"}),
            "unknown key 'RangeHighRatoi'",
        ),
        (_set([*_MEASUREMENT, "CodesetId"], 99), "no concept set 99"),
        (_set(["InclusionRules", 1, "expression", "Type"], "EITHER"), "'EITHER' is none of"),
        (_set([*_MEASUREMENT, "ValueAsNumber", "Op"], "ge"), "'ge' is none of"),
        (_set([*_MEASUREMENT, "ValueAsNumber", "Value"], "2.5x"), "'2.5x' is no int"),
        (_set([*_MEASUREMENT, "ValueAsNumber", "Extent"], 3), "Extent belongs to bt"),
        (_set([*_MEASUREMENT, "Unit"], []), "not a list of at least 1"),
        (_set([*_LINE, "Occurrence", "Type"], 3), "3 is none of"),
        (_set([*_LINE, "StartWindow", "Start", "Coeff"], 0), "0 is none of"),
        (_set([*_LINE, "Criteria"], {"Measurment": {}}), "unknown key 'Measurment'"),
        (_set(["InclusionRules", 1, "expression", "CriteriaList"], []), "an empty group holds for everyone"),
        (_set(["PrimaryCriteria"], {}), "'CriteriaList' is missing"),
        (_set(["ConceptSets", 0, "expression", "items", 0, "concept", "CONCEPT_ID"], "1"), "'1' is no int"),
    ],
)
def test_whitelist_rejects_what_importers_let_pass(
    change: Callable[[dict[str, Any]], None], fault: str, envelope: dict[str, Any]
) -> None:
    assert check_cohort(envelope) == []
    broken = copy.deepcopy(envelope)
    change(broken)
    assert any(fault in each for each in check_cohort(broken)), check_cohort(broken)


def test_what_is_no_json_is_said() -> None:
    assert Circe().validate("{") != []
    assert Circe().validate("[]") != []


def test_a_concept_without_omop_id_is_a_line(bench: Bench, context: Context) -> None:
    bench.criterion(bench.most("qtc", 480, "ms"))
    loss = losses(bench, context)["1"]
    assert (loss.outcome, [reason.code for reason in loss.reasons]) == ("dropped", ["no_omop_concept"])


def test_unread_and_facts_are_lines(record: TrialRecord, context: Context) -> None:
    found = {loss.path: loss for loss in Circe().render(record, context).losses}
    assert [reason.code for reason in found["5"].reasons] == ["unread"]
    assert [reason.code for reason in found["7"].reasons] == ["no_omop_condition"]
    assert found["5"].outcome == "degraded"
    assert found["7"].outcome == "dropped"


def test_an_alternative_that_cannot_be_asked_drops_the_whole(bench: Bench, context: Context) -> None:
    bench.criterion(AnyOf((bench.least("plt", 50, "10*9/L"), bench.unread("or so"))))
    assert losses(bench, context)["1"].outcome == "dropped"


def test_an_excluded_combination_that_cannot_be_asked_drops_the_whole(bench: Bench, context: Context) -> None:
    bench.criterion(Not(All((bench.least("plt", 50, "10*9/L"), bench.fact("bleeding")))), "exclusion")
    assert losses(bench, context)["1"].outcome == "dropped"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"flags": ("implausible_value",)}, "suspect"),
        ({"population": "donors"}, "population"),
        ({"unit": None}, "no_unit"),
        ({"unit": "furlong"}, "no_omop_unit"),
        ({"window": Window(5, "{half-life}", "before", None)}, "window"),
        ({"window": Window(4, "wk", "after", "infusion")}, "window"),
        ({"window": Window(6, "mo", "before", "screening")}, "calendar"),
        ({"relative_to": "baseline"}, "reference"),
        ({"low": 0.00001}, "precision"),
        ({"low": None}, "no_range"),
    ],
)
def test_every_reason_is_said(fields: dict[str, Any], code: str, bench: Bench, context: Context) -> None:
    given = {"unit": "10*9/L", "low": 50.0, **fields}
    bench.criterion(bench.leaf("plt", "at least so much", low_inclusive=True, **given))
    loss = losses(bench, context)["1"]
    assert code in [reason.code for reason in loss.reasons]
    assert loss.outcome == ("degraded" if code in ("calendar", "precision") else "dropped")


def test_a_contradiction_is_shown_and_not_acted_on(bench: Bench, context: Context) -> None:
    bench.criterion(bench.leaf("age", "18.2-18.8", comparator="range", low=18.2, high=18.8, unit="a",
                               low_inclusive=True, high_inclusive=True))  # fmt: skip
    assert [reason.code for reason in losses(bench, context)["1"].reasons] == ["contradiction"]


def test_a_sites_own_ids(bench: Bench, context: Context) -> None:
    bench.criterion(
        Not(bench.leaf("hbsag", "positive", comparator="positive", kind="qualitative")), "exclusion"
    )
    bench.criterion(
        If(bench.fact("Gilbert's syndrome"), bench.most_uln("alt", 5), bench.most_uln("alt", 2.5))
    )
    rows = (
        '{"kind": "measurement", "concept": "hbsag", "ids": [111]}',
        '{"kind": "result", "result": "positive", "ids": [222]}',
        '{"kind": "result", "result": "negative", "ids": [333]}',
        '{"kind": "condition", "names": ["Gilbert syndrome"], "ids": [444]}',
    )
    own = replace(context, options=replace(context.options, omop=rows))
    assert {loss.outcome for loss in losses(bench, own).values()} == {"whole"}
    text = Circe().render(bench.record(), own).text
    assert Circe().validate(text) == []
    # known to be true of "not positive" is: a recorded negative
    assert measurement(json.loads(text), 0)["ValueAsConcept"] == [{"CONCEPT_ID": 333}]


@pytest.mark.parametrize("row", ["{", "[]", '{"kind": "x", "ids": [1]}', '{"kind": "unit", "ucum": "g", "ids": []}',
                                 '{"kind": "unit", "ids": [1]}', '{"kind": "unit", "ucum": "g", "ids": ["a"]}'])  # fmt: skip
def test_a_bad_row_is_named(row: str) -> None:
    with pytest.raises(BadOption, match="line 2"):
        omop.parse(["", row], "ids.jsonl")


def test_shipped_ids_are_unique_a_unit_and_positive() -> None:
    table = omop.shipped()
    ids = [each for ids in table.units.values() for each in ids]
    assert len(ids) == len(set(ids)) > 30
    assert len(table.measurements) > 20


def test_same_input_same_bytes(record: TrialRecord, context: Context) -> None:
    assert Circe().render(record, context) == Circe().render(record, context)
