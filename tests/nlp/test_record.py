"""Records: frozen dataclasses with a quick constructor."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, field, replace

import pytest

from nlp.record import record


@record
class Limit:
    """A record of two fields."""

    value: float
    unit: str | None = None


def test_fields_are_set_by_position_and_by_name() -> None:
    assert Limit(1.0) == Limit(value=1.0, unit=None)
    assert Limit(1.0, "g") != Limit(1.0)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Limit(1.0).value = 2.0  # type: ignore[misc]


def test_a_record_hashes_matches_copies_and_pickles() -> None:
    limit = Limit(2.0, "mg")
    match limit:
        case Limit(value, unit):
            assert (value, unit) == (2.0, "mg")
    assert {limit: 1}[Limit(2.0, "mg")] == 1
    assert copy.deepcopy(limit) == pickle.loads(pickle.dumps(limit)) == limit
    assert replace(limit, unit=None) == Limit(2.0)


@pytest.mark.parametrize("arguments", [(), (1.0, "g", 3)])
def test_a_wrong_number_of_fields_is_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError, match="Limit"):
        Limit(*arguments)  # type: ignore[arg-type]


def test_default_factories_are_refused() -> None:
    with pytest.raises(TypeError, match="default factories"):

        @record
        class _Row:
            """A record that would share its list."""

            values: list[int] = field(default_factory=list)
