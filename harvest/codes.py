"""Registry tokens -> canonical tokens. An unknown token is reported and kept as it stands, never guessed.

The lists are ``harvest/data/codes.json``; the canonical tokens are those of ClinicalTrials.gov API v2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

FIELDS = ("status", "phase", "sex", "study_type")


@cache
def code_list(field: str) -> Mapping[str, str]:
    """The list of one field: folded spelling -> canonical token. Raises KeyError for an unknown field."""
    document = json.loads(files("harvest").joinpath("data/codes.json").read_text("utf-8"))
    fields = document["fields"]
    if set(fields) != set(FIELDS):
        raise ValueError(f"codes.json holds {sorted(fields)}, expected {sorted(FIELDS)}")
    tokens: dict[str, str] = {}
    for canonical, spellings in fields[field].items():
        for spelling in (canonical, *spellings):
            if tokens.setdefault(_fold(spelling), canonical) != canonical:
                raise ValueError(f"codes.json: {spelling!r} stands for two tokens of {field}")
    return tokens


def _fold(token: str) -> str:
    """One spelling for a token whatever its case and separators: "Not yet recruiting" = NOT_YET_RECRUITING."""
    return "_".join(
        token.upper().replace(",", " ").replace("-", " ").replace("/", " ").replace("_", " ").split()
    )


@lru_cache(maxsize=4096)
def canonical(field: str, token: str) -> tuple[str, bool]:
    """``(token, known)``: the canonical token, or the token as it stands and False.

    Raises KeyError where ``field`` is not one of :data:`FIELDS`.
    """
    known = code_list(field).get(_fold(token))
    return (token, False) if known is None else (known, True)
