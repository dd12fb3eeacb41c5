"""Prompts from texts, and the table of answers that graders read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import Benchmark, Decoding, Headline, Prompts, find_benchmark, locked_task_hash
from a360.benchmarks.prompts import prompts_hash
from a360.datasets.prompts import read_prompts
from a360.errors import DataError
from a360.results.answers import AnswerRow, answer_table, parse_answers

ROWS = [
    AnswerRow(0, 0, "f:1", "g", "a prompt", " an answer\n", {"word": "é", "tests": ["x"]}),
    AnswerRow(0, 1, "f:1", None, "a prompt", "", {}),
]


def as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def test_answers_come_back_as_they_were_written() -> None:
    assert list(parse_answers(as_bytes(answer_table(ROWS)), "p")) == ROWS


@pytest.mark.parametrize(
    "data", [b"rubbish", b"", as_bytes(pa.table({"x": [1]})), as_bytes(answer_table(ROWS))[:-9]]
)
def test_what_is_no_table_of_answers_is_named(data: bytes) -> None:
    with pytest.raises(DataError, match="answers cannot be read: v1/x"):
        parse_answers(data, "v1/x")


def write_texts(directory: Path, texts: list[str]) -> None:
    rows = [{"text": text, "source": f"s{number % 2}"} for number, text in enumerate(texts)]
    pq.write_table(pa.Table.from_pylist(rows), directory / "t.parquet")


def test_a_prompt_ends_with_a_word_as_the_text_has_it_and_the_next_word_is_kept(tmp_path: Path) -> None:
    write_texts(tmp_path, ["  one\ttwo\n\nthree  four.  five"])
    [prompt] = read_prompts(tmp_path, ["t.parquet"], Prompts(group="source", words=3))
    assert prompt == ("  one\ttwo\n\nthree", "s0", "t.parquet:1", {"word": "four."})


def test_without_a_number_of_words_the_text_is_the_prompt(tmp_path: Path) -> None:
    write_texts(tmp_path, ["Judaism is an ethnic religion comprising "])
    [prompt] = read_prompts(tmp_path, ["t.parquet"], Prompts())
    assert prompt == ("Judaism is an ethnic religion comprising ", None, "t.parquet:1", {})


def test_a_text_without_a_next_word_is_refused_with_its_place(tmp_path: Path) -> None:
    write_texts(tmp_path, ["one two three", "one two "])
    with pytest.raises(
        DataError, match=r"text is too short: t\.parquet:2: found 2 words, expected more than 2"
    ):
        list(read_prompts(tmp_path, ["t.parquet"], Prompts(words=2)))


def test_prompts_are_their_own_lock() -> None:
    row = find_benchmark("demo-next-word")
    assert row.prompts
    assert locked_task_hash(row) == prompts_hash(row.prompts)
    assert prompts_hash(Prompts(words=3)) != prompts_hash(Prompts(words=4)) != prompts_hash(Prompts())


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluator": "generation"},
        {"prompts": Prompts()},
        {"grade": "code"},
        {"grader": "next_word"},
        {"evaluator": "generation", "prompts": Prompts(), "decoding": Decoding(max_new_tokens=1)},
    ],
    ids=lambda changes: "+".join(changes),
)
def test_a_row_that_is_half_generated_or_half_graded_is_refused(changes: dict[str, object]) -> None:
    settings = {
        "id": "x", "title": "x", "task": "x", "folder": None, "shots": None, "data": ("x",), "cost": 1.0,
        "headline": Headline(metric="acc"), "source": "https://x", **changes,
    }  # fmt: skip
    with pytest.raises(ValueError, match="benchmark x: "):
        Benchmark(**settings)  # type: ignore[arg-type]
