"""A limit in brackets for those who have what stands before its colon."""

from __future__ import annotations

import pytest

from nlp.model import If
from nlp.pipeline import Extractor


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("ALT <= 2.5 x ULN (Gilbert syndrome: <= 5 x ULN)", "Gilbert syndrome"),
        ("ALT and AST ≤ 2.5 × ULN (liver metastases: ≤ 5 × ULN)", "liver metastases"),
        ("QTc ≤ 450 ms (women: ≤ 470 ms)", "women"),
    ],
)
def test_the_group_has_its_own_limit(extractor: Extractor, text: str, group: str) -> None:
    (criterion,) = extractor.extract(text, "inclusion").criteria
    expression = criterion.expression
    assert isinstance(expression, If)
    assert expression.condition.text == group  # type: ignore[union-attr]


def test_a_time_before_the_colon_is_no_group(extractor: Extractor) -> None:
    (criterion,) = extractor.extract("ALT ≤ 2.5 x ULN (screening: ≤ 3 x ULN)", "inclusion").criteria
    assert not isinstance(criterion.expression, If)
