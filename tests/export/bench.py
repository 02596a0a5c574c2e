"""Hand-made trial records for the export tests: each leaf adds its words to the text and knows its span."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harvest.model import Intervention, MeshTerm, Sponsor, Trial
from kb.concepts import ConceptRow
from kb.export.model import ConceptFacts, Context, TrialRecord
from kb.store import Store
from nlp.model import (
    All,
    AnyOf,
    Criterion,
    Expression,
    Extraction,
    Fact,
    If,
    Item,
    Leaf,
    Not,
    Section,
    Unread,
    Window,
)

NAMES = {
    "plt": ("Platelet count", "10*9/L", ("777-3", "26515-7", "778-1")),
    "alt": ("Alanine aminotransferase", "U/L", ("1742-6",)),
    "scr": ("Serum creatinine", "umol/L", ("2160-0", "14682-9")),
    "crcl": ("Creatinine clearance", "mL/min", ("35591-7",)),
    "hgb": ("Haemoglobin", "g/L", ("718-7",)),
    "inr": ("International normalised ratio", "{INR}", ("6301-6",)),
    "qtc": ("Corrected QT interval", "ms", ("8636-3",)),
    "ecog": ("ECOG performance status", "{score}", ("89247-1",)),
    "age": ("Age", "a", ()),
    "hbsag": ("Hepatitis B surface antigen", "{qual}", ("5196-1",)),
    "sledai_2k": ("SLEDAI-2K", "{score}", ()),
    "ast": ("Aspartate aminotransferase", "U/L", ("1920-8",)),
    "transaminases": ("Transaminases", "U/L", ()),
}
MEMBERS = {"transaminases": ("alt", "ast")}
FACTORS = {
    ("10*9/L", "/uL"): 1000.0,
    ("10*9/L", "10*3/uL"): 1.0,
    ("10*9/L", "10*3/mm3"): 1.0,
    ("10*9/L", "10*6/mL"): 1.0,
    ("10*9/L", "/mm3"): 1000.0,
    ("10*9/L", "/L"): 1e9,
    ("g/L", "g/dL"): 0.1,
    ("U/L", "[iU]/L"): 1.0,
}


class Bench:
    """Builds items, criteria and records over one text."""

    def __init__(self) -> None:
        self.text = ""
        self.items: list[Item] = []
        self.criteria: list[Criterion] = []

    def leaf(self, concept: str | None, value_text: str, **fields: Any) -> Leaf:
        """One item, appended to the text; ``fields`` as nlp.model.Item has them."""
        start = len(self.text)
        name = NAMES[concept][0] if concept else None
        surface = fields.pop("concept_text", name)
        self.text += f"{surface} "
        value_start = len(self.text)
        self.text += f"{value_text}; "
        values: dict[str, Any] = {
            "id": f"i{len(self.items) + 1}",
            "section": "inclusion",
            "criterion": str(len(self.criteria) + 1),
            "concept": concept,
            "concept_name": name,
            "concept_text": surface,
            "concept_span": (start, value_start - 1),
            "role": "requirement",
            "entity_type": "Age" if concept == "age" else "Measurement",
            "kind": "numeric",
            "comparator": ">=",
            "value_text": value_text,
            "value_span": (value_start, value_start + len(value_text)),
            "rule": "by-hand",
            "flags": (),
        }
        empty = (
            "low high low_inclusive high_inclusive values unit unit_text canonical_low canonical_high canonical_unit "
            "relative_to condition exception population window"
        )
        item = Item(**{**dict.fromkeys(empty.split()), **values, **fields})
        self.items.append(item)
        return Leaf(item.id)

    def least(self, concept: str | None, low: float, unit: str | None, **fields: Any) -> Leaf:
        """``concept >= low unit``."""
        same = {"canonical_low": low, "canonical_unit": unit} if concept and unit == NAMES[concept][1] else {}
        given = {"low": low, "low_inclusive": True, "unit": unit} | same | fields
        return self.leaf(concept, f">= {low:g} {unit}", **given)

    def most(self, concept: str | None, high: float, unit: str | None, **fields: Any) -> Leaf:
        """``concept <= high unit``."""
        given = {"comparator": "<=", "high": high, "high_inclusive": True, "unit": unit} | fields
        return self.leaf(concept, f"<= {high:g} {unit}", **given)

    def most_uln(self, concept: str, high: float, **fields: Any) -> Leaf:
        """``concept <= high x ULN``."""
        return self.most(concept, high, None, relative_to="ULN", **fields)

    def fact(self, text: str) -> Fact:
        start = len(self.text)
        self.text += f"{text}; "
        return Fact(text, (start, start + len(text)))

    def unread(self, text: str, why: str = "no rule") -> Unread:
        start = len(self.text)
        self.text += f"{text}; "
        return Unread((start, start + len(text)), why)

    def criterion(self, expression: Expression, section: Section = "inclusion") -> None:
        """Close the text written since the last criterion into one."""
        start = self.criteria[-1].span[1] if self.criteria else 0
        path = str(len(self.criteria) + 1)
        self.criteria.append(
            Criterion(path, section, self.text[start:], (start, len(self.text)), expression, 1.0)
        )
        self.items = [replace(i, section=section) if i.criterion == path else i for i in self.items]

    def record(self, source_id: str = "NCT99000001", **trial: Any) -> TrialRecord:
        """The record over all that was said."""
        values: dict[str, Any] = {
            "source": "ctgov",
            "source_id": source_id,
            "url": f"https://clinicaltrials.gov/study/{source_id}",
            "version": "v" + source_id,
            "title": f"A synthetic trial {source_id}",
            "eligibility_text": self.text,
            "status": "RECRUITING",
            "phases": ("PHASE1",),
            "conditions": ("Lupus",),
            "condition_mesh": (MeshTerm("D008180", "Lupus Erythematosus, Systemic"),),
            "interventions": (Intervention("BIOLOGICAL", "CD19 CAR-T"),),
            "sponsors": (Sponsor("Sponsor A", "INDUSTRY"),),
            "synthetic": source_id.startswith("NCT99"),
        }
        return TrialRecord(
            trial=Trial(**{**values, **trial}),
            items=tuple(self.items),
            criteria=tuple(self.criteria),
            vocabulary="abc123",
            data_timestamp="2026-11-20T09:00:05",
        )


def convert(value: float, unit: str, to: str, concept: str | None = None) -> float | None:
    if unit == to:
        return value
    if (unit, to) in FACTORS:
        return value * FACTORS[unit, to]
    if (to, unit) in FACTORS:
        return value / FACTORS[to, unit]
    if concept == "scr" and (unit, to) in (("umol/L", "mg/dL"), ("mg/dL", "umol/L")):
        return value / 88.4 if to == "mg/dL" else value * 88.4
    return None


def make_context() -> Context:
    """A context with the concepts and conversions above."""
    concepts = {
        key: ConceptFacts(key, name, None, unit, codes, MEMBERS.get(key, ()))
        for key, (name, unit, codes) in NAMES.items()
    }
    return Context(concepts, convert, "0.1.0", "2026-11-20T09:00:05", ("ctgov",), True)


def every_kind() -> TrialRecord:
    """One trial with every kind of expression and leaf."""
    bench = Bench()
    bench.criterion(bench.leaf("age", "18-70 years", comparator="range", low=18.0, high=70.0, low_inclusive=True,
                               high_inclusive=True, unit="a"))  # fmt: skip
    bench.criterion(bench.least("plt", 50, "10*9/L", window=Window(28, "d", "before", "enrolment")))
    bench.criterion(AnyOf((bench.most_uln("scr", 1.5), bench.least("crcl", 40, "mL/min"))))
    gilbert = bench.fact("Gilbert syndrome")
    bench.criterion(If(gilbert, bench.most_uln("alt", 5), bench.most_uln("alt", 2.5)))
    bench.criterion(All((bench.least("hgb", 80, "g/L"), bench.unread("good general state"))))
    bench.criterion(Not(bench.leaf("qtc", "> 480 ms", comparator=">", low=480.0, low_inclusive=False, unit="ms")),
                    "exclusion")  # fmt: skip
    bench.criterion(Not(bench.fact("prior CAR-T therapy")), "exclusion")
    bench.criterion(
        Not(bench.leaf("hbsag", "positive", comparator="positive", kind="qualitative")), "exclusion"
    )
    return bench.record()


def small_record(source_id: str, platelets: float) -> TrialRecord:
    """A trial of one criterion: platelets at least ``platelets`` x 10^9/L."""
    bench = Bench()
    bench.criterion(bench.least("plt", platelets, "10*9/L"))
    return bench.record(source_id)


def fill(path: Path, *records: TrialRecord) -> None:
    """Store records in the knowledge base at ``path``."""
    with Store.open(path, "write") as store:
        rows = [ConceptRow(key, name, None, unit, codes) for key, (name, unit, codes) in NAMES.items()]
        store.set_vocabulary("abc123", rows)
        for record in records:
            extraction = Extraction(record.items, record.criteria, record.vocabulary)
            store.put(record.trial, extraction, data_timestamp=record.data_timestamp)
