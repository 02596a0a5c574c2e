"""A number in a fact that nothing read is flagged, unless it is part of a name, a date or a promise."""

from __future__ import annotations

import pytest

from nlp.expressions import express
from nlp.model import Fact, Unread, leaves


@pytest.mark.parametrize(
    "text",
    [
        "Body weight 20% over the ideal",
        "Score 24 on the questionnaire",
        "Antibiotics during 4 weeks before the visit",
        "QTc by the Fridericia formula 450 ms",
        "Able to walk 150 feet",
        "Coadministration of 10 mg rosuvastatin",
    ],
)
def test_a_bare_number_is_unread(text: str) -> None:
    reading = express(text, [], "inclusion")
    assert any(isinstance(leaf, Unread) for leaf in leaves(reading.expression))
    assert reading.coverage < 1


@pytest.mark.parametrize(
    "text",
    [
        "type 2 diabetes",
        "COVID-19 or CD19 positive lymphoma",
        "ligand 1 (PD-L1) treatment",
        "met the RECIST 1.1 criteria",
        "Genotype 1, 4, 5, or 6",
        "Diagnosed in 2019",
        "24 hour urine collection",
        "use contraception for 3 months after the last dose",
        "lie still for 40 minutes",
        "(1) a condom or (2) a diaphragm",
        "6-minute walk test",
    ],
)
def test_a_number_in_a_name_or_a_promise_is_none(text: str) -> None:
    reading = express(text, [], "inclusion")
    assert all(isinstance(leaf, Fact) for leaf in leaves(reading.expression))
    assert reading.coverage == 1
