from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from nlp.pipeline import Extractor, build


@pytest.fixture(scope="session")
def registry_texts(shared: Path) -> list[str]:
    """The eligibility texts of all real registry records."""
    path = shared / "data" / "registry" / "ctgov-v2-studies.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [record["protocolSection"]["eligibilityModule"]["eligibilityCriteria"] for record in records]


@pytest.fixture(scope="session")
def extractor() -> Extractor:
    """One Extractor for all tests: it holds no state of the texts it read."""
    return build()
