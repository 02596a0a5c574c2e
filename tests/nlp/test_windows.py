"""A sentence in; the time window that its measurements got, out."""

from __future__ import annotations

import pytest

from nlp.pipeline import Extractor, build

EXTRACTOR: Extractor = build()


@pytest.mark.parametrize(
    ("text", "governed"),
    [
        ("ALT < 3 x ULN within 7 days before enrollment", {"alt"}),
        ("Platelets ≥ 50 x 10^9/L and Hb ≥ 8 g/dL within 7 days prior to apheresis", {"plt", "hgb"}),
        ("Within 14 days before the first dose, ALT < 3 x ULN", {"alt"}),
        ("LVEF ≥ 50 % as measured by echocardiogram within 28 days of screening", {"lvef"}),
        ("Negative serum pregnancy test within 7 days before leukapheresis", {"pregnancy_test"}),
        ("Prednisone > 20 mg/d within 1 week before apheresis", {"prednisone_eq"}),
        ("LVEF ≥ 50 % and no stroke within 6 months", set()),
        ("Hb ≥ 8 g/dL. No transfusion within 7 days", set()),
        ("Stroke within 6 months", set()),
    ],
)
def test_a_window_says_which_values_count(text: str, governed: set[str]) -> None:
    items = EXTRACTOR.extract(text, "inclusion").items
    assert {item.concept for item in items if item.window and item.entity_type != "Temporal"} == governed


def test_a_window_keeps_its_direction_and_anchor() -> None:
    (window,) = {item.window for item in EXTRACTOR.extract("INR ≤ 1.5 within 7 days before surgery").items}
    assert window is not None
    assert (window.value, window.unit, window.direction, window.anchor) == (7.0, "d", "before", "surgery")
