"""``trialkb extract --jsonl``: the same answers, in the same order, from one process and from several."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator

import pytest

from commands import extract_rows
from commands.extract_rows import Answers, answer, in_one, in_processes
from commands.output import CommandError
from nlp.pipeline import Extractor, build


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return build()


def _line(number: int) -> bytes:
    text = f"Platelets >= {number} x 10^9/L, or no history of stroke"
    return json.dumps({"doc_id": str(number), "section": "inclusion", "text": text}).encode() + b"\n"


def _lines(count: int) -> list[bytes]:
    lines = [_line(number) for number in range(1, count + 1)]
    lines[2:2] = [b"\n", b"{no\n", b"\xff\n"]
    lines.append(b'{"doc_id": 1}\n')
    return lines


def _joined(answers: Iterator[Answers]) -> tuple[str, list[tuple[int, str]]]:
    found = list(answers)
    return "".join(each.output for each in found), [fault for each in found for fault in each.faults]


def test_two_processes_answer_as_one_does(extractor: Extractor) -> None:
    lines = _lines(700)
    assert _joined(in_processes(lines, 2)) == _joined(in_one(extractor, lines))


def test_faults_carry_the_number_of_their_line(extractor: Extractor) -> None:
    output, faults = answer(extractor, _lines(3), 1)
    assert [number for number, _ in faults] == [4, 5, 7]
    assert [json.loads(line)["doc_id"] for line in output.splitlines()] == ["1", "2", "3"]


def test_a_later_batch_counts_on() -> None:
    batches = list(extract_rows._batches(_line(number) for number in range(1000)))
    assert [first for _, first in batches] == [1 + 256 * each for each in range(4)]
    assert sum(len(batch) for batch, _ in batches) == 1000


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="the patch must be inherited"
)
def test_a_process_that_dies_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract_rows, "answer", lambda *_: os._exit(9))
    with pytest.raises(CommandError, match="ended from outside"):
        list(in_processes(_lines(3), 2))
