"""The ids of trials: checked here before one reaches a URL, a path or a table."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harvest.errors import InvalidTrialId

# OpenAPI of API 2.0.3 allows leading zeros to be left out; the registry writes, and we take, eight digits.
# NCT00000000 is no id: the API answers 400 to it, and so to a whole batch that holds it.
_NCT = re.compile(r"NCT(?!0{8})[0-9]{8}")

# Ids given to trials that were invented for this project; the registry's own are far below.
SYNTHETIC_PREFIX = "NCT99"


def nct_id(text: str) -> str:
    """The id in capitals, e.g. ``" nct06886919"`` -> ``"NCT06886919"``.

    Raises InvalidTrialId for everything that is not NCT and eight ASCII digits, and for NCT00000000.
    """
    candidate = text.strip().upper()
    if not _NCT.fullmatch(candidate):
        raise InvalidTrialId(
            f"{text[:60]!r} is no ClinicalTrials.gov id: write NCT and eight digits, e.g. NCT06886919"
        )
    return candidate


def nct_ids(texts: Iterable[str]) -> tuple[str, ...]:
    """The ids in capitals, each once, in the order given. Raises InvalidTrialId."""
    return tuple(dict.fromkeys(nct_id(text) for text in texts))


def holds_only_ids(text: str) -> bool:
    """Whether a text for a search is nothing but ids, in any case, between blanks, commas, bars or OR."""
    words = [word for word in re.split(r"[\s,|]+", text.upper()) if word and word not in ("OR", "AND")]
    return bool(words) and all(re.fullmatch(r"NCT[0-9]{1,8}", word) for word in words)


def is_synthetic(identifier: str) -> bool:
    """Whether the id belongs to a trial that was invented for this project's fixtures."""
    return identifier.startswith(SYNTHETIC_PREFIX)
