"""The weights and scales of finding and comparing, in one place: ``data/similarity.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """Weights of the parts and grades of finding by topic; see the data file for their sources."""

    weights: Mapping[str, float]
    condition: Mapping[str, float]
    intervention: Mapping[str, float]
    block: Mapping[str, float]
    too_general: frozenset[str]
    intervention_weight_from_text: float


@dataclass(frozen=True, slots=True)
class Comparing:
    """Constants of the threshold similarity; see the data file for their meaning and sources."""

    damping: float
    tau_floor: float
    tau_floor_linear: float
    tau_floor_linear_share: float
    mad_to_sigma: float
    linear_units: frozenset[str]
    same_band: float

    def is_linear(self, unit: str | None, scale: str) -> bool:
        """Whether distances of this unit are differences; else they are differences of logarithms."""
        return scale == "predicted" or (scale == "absolute" and unit in self.linear_units)

    def position(self, value: float, linear: bool) -> float | None:
        """The place of a value on the axis on which distances are taken; None: it has none there."""
        if linear:
            return value
        return math.log(value) if value > 0 else None

    def tau(self, median: float, mad: float, linear: bool) -> float:
        """The scale of a distance: the key's own robust spread, with a floor."""
        floor = self.tau_floor
        if linear:
            floor = max(self.tau_floor_linear, self.tau_floor_linear_share * abs(median))
        return max(self.mad_to_sigma * mad, floor)

    def distance(self, one: float, other: float) -> float:
        """|difference| of two positions; 0 within the band in which unit conversion rounds."""
        delta = abs(one - other)
        return 0.0 if delta <= self.same_band else delta


RARITY_FLOOR = 0.1
"""What every trial states still counts a little: in a knowledge base of one disease that is most of it."""


def rarity(trials: int, stating: int) -> float:
    """w = ln((N + 1) / (df + 1)) of a key that ``stating`` of ``trials`` trials state, not below the floor."""
    return max(RARITY_FLOOR, math.log((trials + 1) / (stating + 1)))


@lru_cache(maxsize=1)
def settings() -> tuple[Finding, Comparing]:
    """The settings as shipped."""
    data: dict[str, Any] = json.loads((files("kb") / "data" / "similarity.json").read_text("utf-8"))
    finding, comparing = data["finding"], data["comparing"]
    return (
        Finding(
            finding["weights"],
            finding["condition"],
            finding["intervention"],
            finding["block"],
            frozenset(finding["too_general"]),
            finding["intervention_weight_from_text"],
        ),
        Comparing(
            comparing["damping"],
            comparing["tau_floor"],
            comparing["tau_floor_linear"],
            comparing["tau_floor_linear_share"],
            comparing["mad_to_sigma"],
            frozenset(comparing["linear_units"]),
            comparing["same_band"],
        ),
    )
