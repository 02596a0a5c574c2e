"""Every example of every concept, read by the whole pipeline."""

from __future__ import annotations

import pytest

from nlp import pipeline
from nlp.model import Item
from nlp.vocab import Concept, Example

EXTRACTOR = pipeline.build()
VOCABULARY = EXTRACTOR.vocabulary


def agrees(item: Item, concept: Concept, example: Example) -> bool:
    """Whether the item says what the example reads; a unit may be another spelling of the same size."""
    reads = dict(example.reads or {})
    if item.concept not in reads.pop("concepts", (concept.id,)):
        return False
    unit = reads.pop("unit", None)
    if unit is not None and item.unit != unit:
        same = item.unit is not None and VOCABULARY.units.convert(1.0, item.unit, unit, concept.id) == 1.0
        if not same:
            return False
    return all(getattr(item, key) == value for key, value in reads.items())


@pytest.mark.parametrize("concept", VOCABULARY.concepts.values(), ids=lambda concept: str(concept.id))
def test_examples(concept: Concept) -> None:
    for example in concept.examples:
        items = EXTRACTOR.extract(example.text, "inclusion").items
        if example.reads is None:
            assert concept.id not in [item.concept for item in items], example.text
        else:
            assert any(agrees(item, concept, example) for item in items), (example.text, items)
