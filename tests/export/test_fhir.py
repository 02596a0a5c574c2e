"""FHIR R5 Bundle and R4B Group: what is said, and what the strict walk rejects that fhir.resources lets pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class
from lark.exceptions import LarkError
from ucumvert import get_ucum_parser

from kb.export.fhir import Fhir
from kb.export.fhir_check import check_resource, check_text, is_ucum
from kb.export.fhir_group import FhirGroup
from kb.export.model import Context, Loss, TrialRecord
from nlp import vocab
from nlp.model import AnyOf, If, Not, Window
from tests.export.bench import Bench


def characteristics(record: TrialRecord, context: Context) -> dict[str, dict[str, Any]]:
    bundle = json.loads(Fhir().render(record, context).text)
    variable = bundle["entry"][0]["resource"]
    (root,) = variable["characteristic"]
    return {each["linkId"]: each for each in root["definitionByCombination"]["characteristic"]}


def one(bench: Bench, context: Context) -> dict[str, Any]:
    record = bench.record()
    assert Fhir().validate(Fhir().render(record, context).text) == []
    (found,) = characteristics(record, context).values()
    return found


def test_bundle_can_be_posted_as_it_is(record: TrialRecord, context: Context) -> None:
    text = Fhir().render(record, context).text
    bundle = json.loads(text)
    assert Fhir().validate(text) == []
    assert bundle["type"] == "transaction"
    variable, study = bundle["entry"]
    assert study["resource"]["recruitment"]["eligibility"]["reference"] == variable["fullUrl"]
    assert [each["request"]["url"] for each in bundle["entry"]] == [
        "EvidenceVariable/nct99000001-eligibility", "ResearchStudy/nct99000001",
    ]  # fmt: skip


def test_synthetic_trials_carry_the_test_data_tag(record: TrialRecord, context: Context) -> None:
    bundle = json.loads(Fhir().render(record, context).text)
    for resource in (bundle, *(each["resource"] for each in bundle["entry"])):
        assert resource["meta"]["tag"][0]["code"] == "HTEST"


def test_notices_stand_in_copyright(record: TrialRecord, context: Context) -> None:
    variable = json.loads(Fhir().render(record, context).text)["entry"][0]["resource"]
    for word in ("LOINC", "UCUM", "MeSH", "Not a medical device", "2026-11-20"):
        assert word in variable["copyright"]


def test_lower_bound_is_a_quantity_with_comparator(bench: Bench, context: Context) -> None:
    bench.criterion(bench.least("plt", 50, "10*9/L", window=Window(28, "d", "before", "enrolment")))
    found = one(bench, context)
    value = found["definitionByTypeAndValue"]
    assert value["valueQuantity"] == {
        "value": 50, "comparator": ">=", "unit": "10*9/L", "system": "http://unitsofmeasure.org", "code": "10*9/L",
    }  # fmt: skip
    assert value["type"]["coding"][0] == {
        "system": "http://loinc.org", "code": "777-3", "display": "Platelets [#/volume] in Blood by Automated count",
    }  # fmt: skip
    (when,) = found["timeFromEvent"]
    assert (when["range"]["low"]["value"], when["range"]["high"]["value"]) == (-28, 0)
    assert when["eventCodeableConcept"] == {"text": "enrolment"}


def test_multiple_of_uln_is_a_unit_and_never_an_offset(bench: Bench, context: Context) -> None:
    bench.criterion(bench.most_uln("alt", 2.5))
    value = one(bench, context)["definitionByTypeAndValue"]
    assert value["valueQuantity"]["system"] == "http://hl7.org/fhir/characteristic-offset"
    assert (value["valueQuantity"]["value"], value["valueQuantity"]["code"]) == (2.5, "UNL")
    assert "offset" not in value


def test_inclusive_range_is_a_range(bench: Bench, context: Context) -> None:
    bench.criterion(bench.leaf("age", "18-70", comparator="range", low=18.0, high=70.0, unit="a",
                               low_inclusive=True, high_inclusive=True))  # fmt: skip
    value = one(bench, context)["definitionByTypeAndValue"]
    assert value["type"]["coding"][0]["code"] == "30525-0"
    assert (value["valueRange"]["low"]["value"], value["valueRange"]["high"]["value"]) == (18, 70)


def test_half_open_range_is_two_characteristics(bench: Bench, context: Context) -> None:
    bench.criterion(bench.leaf("hgb", "> 80, <= 160", comparator="range", low=80.0, high=160.0, unit="g/L",
                               low_inclusive=False, high_inclusive=True))  # fmt: skip
    both = one(bench, context)["definitionByCombination"]
    assert both["code"] == "all-of"
    assert [
        each["definitionByTypeAndValue"]["valueQuantity"]["comparator"] for each in both["characteristic"]
    ] == [">", "<="]


def test_set_is_any_of(bench: Bench, context: Context) -> None:
    bench.criterion(bench.leaf("ecog", "0 or 1", comparator="set", values=(0.0, 1.0), kind="ordinal"))
    either = one(bench, context)["definitionByCombination"]
    assert either["code"] == "any-of"
    assert [
        each["definitionByTypeAndValue"]["valueQuantity"]["value"] for each in either["characteristic"]
    ] == [0, 1]


def test_exclusion_is_exclude(bench: Bench, context: Context) -> None:
    bench.criterion(
        Not(bench.leaf("hbsag", "positive", comparator="positive", kind="qualitative")), "exclusion"
    )
    found = one(bench, context)
    assert found["exclude"] is True
    assert found["definitionByTypeAndValue"]["valueCodeableConcept"]["coding"][0]["code"] == "POS"


def test_not_of_not_is_plain(bench: Bench, context: Context) -> None:
    bench.criterion(Not(Not(bench.least("plt", 50, "10*9/L"))))
    assert one(bench, context)["exclude"] is False


def test_if_is_its_three_ways_to_be_true(bench: Bench, context: Context) -> None:
    low = bench.most("plt", 50, "10*9/L")
    bench.criterion(If(low, bench.least("hgb", 100, "g/L"), bench.least("hgb", 80, "g/L")))
    ways = one(bench, context)["definitionByCombination"]
    assert ways["code"] == "any-of"
    assert [way["definitionByCombination"]["code"] for way in ways["characteristic"]] == ["all-of"] * 3
    assert ways["characteristic"][1]["definitionByCombination"]["characteristic"][0]["exclude"] is True


def test_link_ids_are_unique(record: TrialRecord, context: Context) -> None:
    def links(node: dict[str, Any]) -> list[str]:
        parts = node.get("definitionByCombination", {}).get("characteristic", [])
        return [node["linkId"], *(link for part in parts for link in links(part))]

    found = [link for each in characteristics(record, context).values() for link in links(each)]
    assert len(found) == len(set(found)) > len(record.criteria)


def test_every_criterion_is_there_in_its_words(record: TrialRecord, context: Context) -> None:
    found = characteristics(record, context)
    assert {f"{each.section}-{each.path}" for each in record.criteria} == set(found)
    assert all(
        found[f"{each.section}-{each.path}"]["description"] in " ".join(each.text.split())
        for each in record.criteria
    )


def test_losses(record: TrialRecord, context: Context) -> None:
    found = {loss.path: loss for loss in Fhir().render(record, context).losses}
    assert [found[path].outcome for path in "12345678"] == [
        "whole", "whole", "whole", "degraded", "degraded", "whole", "degraded", "whole",
    ]  # fmt: skip
    assert [reason.code for reason in found["5"].reasons] == ["unread"]


def test_within_the_past_months_is_a_time(bench: Bench, context: Context) -> None:
    bench.criterion(Not(bench.leaf(None, "within 6 months", concept_text="myocardial infarction", comparator="within",
                                   kind="temporal", high=6.0, high_inclusive=True, unit="mo")), "exclusion")  # fmt: skip
    found = one(bench, context)
    assert found["definitionCodeableConcept"] == {"text": "myocardial infarction"}
    assert found["timeFromEvent"][0]["range"]["low"]["value"] == -6


def test_concept_without_loinc_is_said(bench: Bench, context: Context) -> None:
    bench.criterion(bench.least("sledai_2k", 8, "{score}"))
    record = bench.record()
    (loss,) = Fhir().render(record, context).losses
    assert [reason.code for reason in loss.reasons] == ["no_loinc"]
    assert one(bench, context)["definitionByTypeAndValue"]["valueQuantity"]["code"] == "1"


def test_a_trial_without_criteria_is_valid(bench: Bench, context: Context) -> None:
    assert Fhir().validate(Fhir().render(bench.record(), context).text) == []
    assert FhirGroup().validate(FhirGroup().render(bench.record(), context).text) == []


# ------------------------------------------------------------- the strict walk


@pytest.fixture
def variable(record: TrialRecord, context: Context) -> dict[str, Any]:
    resource: dict[str, Any] = json.loads(Fhir().render(record, context).text)["entry"][0]["resource"]
    return resource


def _parts(variable: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = variable["characteristic"][0]["definitionByCombination"]["characteristic"]
    return found


def _quantity(variable: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _parts(variable)[1]["definitionByTypeAndValue"]["valueQuantity"]
    return found


FAULTS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("comparator", lambda v: _quantity(v).update(comparator="≥")),
    ("is none of all-of", lambda v: _parts(v)[2]["definitionByCombination"].update(code="or")),
    ("status", lambda v: v.update(status="bogus")),
    ("evv-1", lambda v: _parts(v)[1].update(definitionByCombination=_parts(v)[2]["definitionByCombination"])),
    ("'x10^9/L' is not UCUM", lambda v: _quantity(v).update(code="x10^9/L")),
    ("'K/uL' is not UCUM", lambda v: _quantity(v).update(code="K/uL")),
    ("'mL/min/1.73.m2' is not UCUM", lambda v: _quantity(v).update(code="mL/min/1.73.m2")),
    ("'ULN' is none of UNL", lambda v: _quantity(v).update(code="ULN", system="http://hl7.org/fhir/characteristic-offset")),
    ("adds to the limit", lambda v: _parts(v)[1]["definitionByTypeAndValue"].update(
        offset={"coding": [{"system": "http://hl7.org/fhir/characteristic-offset", "code": "UNL"}]})),
    ("without a threshold", lambda v: _parts(v)[2]["definitionByCombination"].update(code="at-least")),
    ("without its system", lambda v: _quantity(v).pop("system")),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "change"), FAULTS, ids=[fault for fault, _ in FAULTS])
def test_walk_rejects_what_fhir_resources_accepts(
    fault: str, change: Callable[[dict[str, Any]], object], variable: dict[str, Any]
) -> None:
    assert check_resource(variable, "R5") == []
    broken = copy.deepcopy(variable)
    change(broken)
    get_fhir_model_class("EvidenceVariable").model_validate(broken)  # accepted: that is why the walk is there
    assert any(fault in each for each in check_resource(broken, "R5")), check_resource(broken, "R5")


@pytest.mark.parametrize(
    "change", [{"colour": "red"}, {"actual": "maybe"}, {"characteristic": [{"linkId": 5}]}]
)
def test_models_reject_the_rest(change: dict[str, Any], variable: dict[str, Any]) -> None:
    assert check_resource(variable | change, "R5") != []


def test_what_is_no_resource_is_said() -> None:
    assert check_text("{", "R5") != []
    assert check_text("[]", "R5") != []
    assert check_text('{"resourceType": "Trial"}', "R5") != []


def test_ucum_check_agrees_with_the_grammar_on_every_unit_of_the_vocabulary() -> None:
    parser = get_ucum_parser()
    codes = {unit for concept in vocab.load().concepts.values() for unit in concept.units}
    assert len(codes) > 60

    def parses(code: str) -> bool:
        try:
            parser.parse(code)
        except LarkError:
            return False
        return True

    assert {code for code in codes if is_ucum(code)} == {code for code in codes if parses(code)}


@pytest.mark.parametrize(
    "code", ["x10^9/L", "10⁹/L", "K/uL", "cells/mm3", "mL/min/1.73.m2", "IU/L", "bpm", "", "mg / L", "µmol/L"]
)
def test_no_ucum(code: str) -> None:
    assert not is_ucum(code)


# ------------------------------------------------------------- R4B Group


def group(record: TrialRecord, context: Context) -> tuple[list[dict[str, Any]], dict[str, Loss]]:
    rendered = FhirGroup().render(record, context)
    assert FhirGroup().validate(rendered.text) == []
    body = json.loads(rendered.text)
    return body.get("characteristic", []), {loss.path: loss for loss in rendered.losses}


def test_group_holds_the_and_part(record: TrialRecord, context: Context) -> None:
    found, losses = group(record, context)
    assert [losses[path].outcome for path in "12345678"] == [
        "whole", "degraded", "dropped", "dropped", "degraded", "whole", "degraded", "whole",
    ]  # fmt: skip
    assert [each["exclude"] for each in found] == [False, False, False, True, True, True]


def test_group_of_an_excluded_alternative_is_two_exclusions(bench: Bench, context: Context) -> None:
    bench.criterion(Not(AnyOf((bench.most("plt", 50, "10*9/L"), bench.most("hgb", 60, "g/L")))), "exclusion")
    found, losses = group(bench.record(), context)
    assert [each["exclude"] for each in found] == [True, True]
    assert losses["1"].outcome == "whole"


def test_group_cannot_exclude_a_half_open_range(bench: Bench, context: Context) -> None:
    bench.criterion(Not(bench.leaf("hgb", "> 80, <= 160", comparator="range", low=80.0, high=160.0, unit="g/L",
                                   low_inclusive=False, high_inclusive=True)), "exclusion")  # fmt: skip
    found, losses = group(bench.record(), context)
    assert (found, losses["1"].outcome) == ([], "dropped")


def test_group_text_carries_the_notices(record: TrialRecord, context: Context) -> None:
    text = json.loads(FhirGroup().render(record, context).text)["text"]["div"]
    assert "LOINC" in text
    assert "Not a medical device" in text
