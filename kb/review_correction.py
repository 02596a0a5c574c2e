"""What a reviewer may say a reading should be: the fields, their values, and that they fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from kb.errors import BadQuestion
from nlp.model import COMPARATORS, RELATIVE_TO, Kind, Role, Window

# What of an item a review is about: its meaning, not its ids, its place in the text or who read it.
READING = (
    "concept", "concept_text", "role", "entity_type", "kind", "comparator", "low", "high", "low_inclusive",
    "high_inclusive", "values", "unit", "relative_to", "population", "window", "condition", "exception",
)  # fmt: skip
# What a correction may set; the spans stay, for the words stay.
CORRECTABLE = frozenset(READING) - {"condition", "exception"}
_CHOICES: Mapping[str, Sequence[str]] = {
    "comparator": COMPARATORS,
    "relative_to": RELATIVE_TO,
    "role": get_args(Role),
    "kind": get_args(Kind),
}


class ReviewInvalid(BadQuestion):
    """A review that cannot be taken: names the field, or the line of the file."""


def checked_correction(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a correction, checked. Raises ReviewInvalid naming the first that cannot be."""
    for name, value in fields.items():
        if name not in CORRECTABLE:
            raise ReviewInvalid(f"{name!r} cannot be corrected; choose from {', '.join(sorted(CORRECTABLE))}")
        choices = _CHOICES.get(name)
        if choices is not None and value not in choices and not (value is None and name == "relative_to"):
            raise ReviewInvalid(f"{name} cannot be {value!r}; choose from {', '.join(choices)}")
        if name in ("low", "high") and (
            isinstance(value, bool) or not isinstance(value, (int, float, type(None)))
        ):
            raise ReviewInvalid(f"{name} must be a number or null, not {value!r}")
        if name in ("low_inclusive", "high_inclusive") and not isinstance(value, (bool, type(None))):
            raise ReviewInvalid(f"{name} must be true, false or null, not {value!r}")
        if name == "values" and not _is_numbers(value):
            raise ReviewInvalid(f"values must be a list of numbers or null, not {value!r}")
        if name == "window" and not (value is None or (isinstance(value, dict) and set(value) == _WINDOW)):
            raise ReviewInvalid(f"window must be null or an object of {', '.join(sorted(_WINDOW))}")
        if name in _TEXTS and not isinstance(value, (str, type(None))):
            raise ReviewInvalid(f"{name} must be text or null, not {value!r}")
    low, high = fields.get("low"), fields.get("high")
    if low is not None and high is not None and low > high:
        raise ReviewInvalid(f"low {low:g} is above high {high:g}")
    return dict(fields)


_WINDOW = frozenset(Window.__dataclass_fields__)
_TEXTS = frozenset({"concept", "concept_text", "entity_type", "unit", "population"})


def _is_numbers(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and all(
        isinstance(one, (int, float)) and not isinstance(one, bool) for one in value
    )


# ------------------------------------------------------------ fields that fit together

_BOUNDS = frozenset({"comparator", "low", "high", "low_inclusive", "high_inclusive", "values"})
_LOWER, _UPPER = (">", ">="), ("<", "<=")


def corrected_reading(reading: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The reading with the fields given in their place, and the fields that hang on them brought along.

    Who says only ``comparator: ">="`` means an inclusive bound; who moves a bound to the other side
    means the comparator of that side. Raises ReviewInvalid where the fields contradict each other.
    """
    whole = dict(reading) | checked_correction(given)
    if _BOUNDS.isdisjoint(given):
        return whole
    sign = given.get("comparator") or _sign_of(whole, given)
    whole["comparator"] = sign
    if sign not in ("set", "within", "range", "=", *_LOWER, *_UPPER):
        whole |= dict.fromkeys(("low", "high", "low_inclusive", "high_inclusive", "values"))
        return whole
    if sign == "set":
        if not whole["values"]:
            raise ReviewInvalid("the comparator 'set' needs values, a list of numbers")
        return whole | dict.fromkeys(("low", "high", "low_inclusive", "high_inclusive"))
    if sign in (*_LOWER, *_UPPER):
        return _one_bound(whole, given, sign)
    if whole["low"] is None and whole["high"] is None:
        raise ReviewInvalid(f"the comparator {sign!r} needs low or high")
    return whole


def _sign_of(whole: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """The comparator that the bounds say, where none was given."""
    low, high = whole["low"], whole["high"]
    sign = str(whole["comparator"])
    if sign in ("within", "set") or (low is None and high is None):
        return sign
    if low is not None and high is not None:
        return "=" if low == high else "range"
    strict = whole["low_inclusive" if high is None else "high_inclusive"] is False
    side = _LOWER if high is None else _UPPER
    return side[0] if strict else side[1]


def _one_bound(whole: dict[str, Any], given: Mapping[str, Any], sign: str) -> dict[str, Any]:
    side, other = ("low", "high") if sign in _LOWER else ("high", "low")
    if given.get(other) is not None:
        raise ReviewInvalid(f"the comparator {sign!r} goes with {side}, not with {other}; or say 'range'")
    if whole[side] is None:
        whole[side] = whole[other]  # the bound was read on the wrong side
    if whole[side] is None and whole["relative_to"] is None:
        raise ReviewInvalid(f"the comparator {sign!r} needs {side}")
    inclusive = sign in (">=", "<=")
    if given.get(f"{side}_inclusive", inclusive) is not inclusive:
        raise ReviewInvalid(f"{side}_inclusive contradicts the comparator {sign!r}")
    bound = {side: whole[side], f"{side}_inclusive": None if whole[side] is None else inclusive}
    return whole | {other: None, f"{other}_inclusive": None, "values": None} | bound
