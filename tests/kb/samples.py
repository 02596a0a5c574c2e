"""Hand-made trials and readings, small enough to follow by eye."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harvest.model import Intervention, MeshTerm, Sponsor, Trial
from kb.concepts import ConceptRow
from nlp.model import AnyOf, Criterion, Expression, Extraction, Item, Leaf, Not, Section

CONCEPTS = (
    ConceptRow("plt", "Platelet count", "haematology", "10*9/L", ("777-3",), 1, 2000, None, ("platelets", "PLT")),
    ConceptRow("anc", "Absolute neutrophil count", "haematology", "10*9/L", ("751-8",), 0.05, 20, None, ("neutrophils",)),
    ConceptRow("alt", "Alanine aminotransferase", "liver", "U/L", (), 1, 5000, None, ("ALT",)),
    ConceptRow("crea", "Creatinine", "renal", "umol/L", (), 10, 2000, 113.12, ("creatinine",)),
    ConceptRow("crcl", "Creatinine clearance", "renal", "mL/min", (), 1, 250, None, ("CrCl",)),
    ConceptRow("lvef", "Left ventricular ejection fraction", "cardiac", "%", (), 5, 90, None, ("LVEF",)),
    ConceptRow("qtc", "QTc interval", "cardiac", "ms", (), 200, 800, None, ("QTc",)),
    ConceptRow("ecog", "ECOG performance status", "performance", "{score}", (), 0, 5, None, ("ECOG",)),
    ConceptRow("nyha", "NYHA class", "cardiac", "{class}", (), 1, 4, None, ("NYHA",)),
    ConceptRow("csf_wbc", "CSF white cells", "csf", "/uL", (), 0, 1000, None, ()),
)  # fmt: skip

VOCABULARY = "v" * 64

_SIGNS = {">=": ("low", True), ">": ("low", False), "<=": ("high", True), "<": ("high", False)}


def item(
    text: str,
    words: str,
    concept: str | None,
    comparator: str,
    value: float | tuple[float, float] | None = None,
    unit: str | None = None,
    *,
    identifier: str = "i1",
    section: Section = "inclusion",
    path: str = "1",
    factor: float | None = 1.0,
    **more: Any,
) -> Item:
    """An item whose value words stand in ``text``; canonical value = value x ``factor`` (None: unsure)."""
    start = text.index(words)
    bounds: dict[str, Any] = dict.fromkeys(
        ("low", "high", "low_inclusive", "high_inclusive", "canonical_low", "canonical_high")
    )
    if comparator in _SIGNS and isinstance(value, (int, float)):
        side, inclusive = _SIGNS[comparator]
        bounds |= {side: float(value), f"{side}_inclusive": inclusive}
    elif isinstance(value, tuple):
        bounds |= {"low": value[0], "high": value[1], "low_inclusive": True, "high_inclusive": True}
    relative = more.get("relative_to")
    if factor is not None and relative is None:
        for side in ("low", "high"):
            if bounds[side] is not None:
                bounds[f"canonical_{side}"] = bounds[side] * factor
    row = next((one for one in CONCEPTS if one.id == concept), None)
    made: dict[str, Any] = {
        "id": identifier, "section": section, "criterion": path, "concept": concept,
        "concept_name": row.name if row else None, "concept_text": concept, "concept_span": None,
        "role": "requirement", "entity_type": "Measurement", "kind": "numeric", "comparator": comparator,
        "values": None, "unit": unit, "unit_text": unit,
        "canonical_unit": row.canonical_unit if row and factor is not None and relative is None else None,
        "relative_to": None, "value_text": words, "value_span": (start, start + len(words)),
        "condition": None, "exception": None, "population": None, "window": None, "rule": "test", "flags": (),
    }  # fmt: skip
    return Item(**(made | bounds | more))


def criterion(
    text: str,
    line: str,
    expression: Expression,
    path: str = "1",
    section: Section = "inclusion",
    **more: Any,
) -> Criterion:
    """The criterion whose words are ``line``, found in ``text``."""
    start = text.index(line)
    made: dict[str, Any] = {"coverage": 1.0} | more
    return Criterion(path, section, line, (start, start + len(line)), expression, **made)


def trial(number: int = 1, text: str = "", **changes: Any) -> Trial:
    """A lupus CD19 CAR-T trial; ``changes`` replace fields."""
    made = Trial(
        source="ctgov",
        source_id=f"NCT9900{number:04d}",
        url=f"https://clinicaltrials.gov/study/NCT9900{number:04d}",
        version=f"{number:064x}",
        title=f"CD19 CAR-T cells in lupus, trial {number}",
        eligibility_text=text,
        conditions=("Systemic Lupus Erythematosus",),
        keywords=("CAR-T",),
        condition_mesh=(MeshTerm("D008180", "Lupus Erythematosus, Systemic"),),
        condition_ancestors=(
            MeshTerm("D003240", "Connective Tissue Diseases"),
            MeshTerm("D001327", "Autoimmune Diseases"),
        ),
        interventions=(Intervention("BIOLOGICAL", "CD19 CAR-T cells", None, ()),),
        sponsors=(Sponsor("Ward Hospital", "OTHER", "lead"),),
        phases=("PHASE1",),
        status="RECRUITING",
        last_update_posted="2026-01-10",
        synthetic=True,
    )
    return replace(made, **changes)


def platelets_trial(number: int = 1, value: float = 50, **changes: Any) -> tuple[Trial, Extraction]:
    """A trial with one inclusion line "Platelets >= N x 10^9/L" and one exclusion line "QTc > 480 ms"."""
    line = f"Platelets >= {value:g} x 10^9/L"
    text = f"Inclusion Criteria:\n* {line}\nExclusion Criteria:\n* QTc > 480 ms\n"
    items = (
        item(text, f">= {value:g} x 10^9/L", "plt", ">=", value, "10*9/L"),
        item(text, "> 480 ms", "qtc", ">", 480, "ms", identifier="i2", section="exclusion"),
    )
    criteria = (
        criterion(text, line, Leaf("i1")),
        criterion(text, "QTc > 480 ms", Not(Leaf("i2")), section="exclusion"),
    )
    return trial(number, text, **changes), Extraction(items, criteria, VOCABULARY)


def renal_extraction(text: str, line: str) -> Extraction:
    """ "creatinine <= 1.5 x ULN or CrCl >= 40 mL/min" as alternatives."""
    items = (
        item(text, "<= 1.5 x ULN", "crea", "<=", 1.5, relative_to="ULN"),
        item(text, ">= 40 mL/min", "crcl", ">=", 40, "mL/min", identifier="i2"),
    )
    return Extraction(items, (criterion(text, line, AnyOf((Leaf("i1"), Leaf("i2")))),), VOCABULARY)
