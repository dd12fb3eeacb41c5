"""The table of a committed generation: what was shown, what was answered, and what a grader compares it with.

Written by evaluators, read by graders, which need neither the mirror nor the checkpoint. It knows neither.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from a360.errors import DataError
from a360.identity import canonical_json

SCHEMA = pa.schema(
    [
        ("item", pa.int32()),
        ("sample", pa.int32()),
        ("place", pa.string()),
        ("group", pa.string()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("reference", pa.string()),
    ],
    metadata={"schema": "a360.answers/1"},
)


NOT_ASKED = "not_asked"
"""Where an answer's reference has this, the model was not asked: it says why, the response is empty."""


class AnswerRow(NamedTuple):
    """One answer of a model. ``item`` counts the prompts from 0, ``sample`` the answers to one prompt."""

    item: int
    sample: int
    place: str
    """Where the prompt's text was read: file and row."""
    group: str | None
    prompt: str
    response: str
    reference: dict[str, JsonValue]
    """What a grader needs beside the response: the right word, unit tests, a category."""


def answer_table(answers: Iterable[AnswerRow]) -> pa.Table:
    """The answers as a table, in their order."""
    rows = [{**answer._asdict(), "reference": canonical_json(answer.reference)} for answer in answers]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def parse_answers(data: bytes, place: str) -> tuple[AnswerRow, ...]:
    """The answers of a table's bytes.

    Raises:
        DataError: it is no table of answers.
    """
    try:
        rows = pq.read_table(pa.BufferReader(data), schema=SCHEMA).to_pylist()
        return tuple(AnswerRow(**{**row, "reference": json.loads(row["reference"])}) for row in rows)
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        raise DataError(f"answers cannot be read: {place}: {str(error).splitlines()[0]}") from None
