"""Rows as lm-eval loaded them: is every field that a template may write there?"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from lm_eval.api.task import Task

from a360.benchmarks import Benchmark
from a360.errors import DataError
from a360.evaluators.tasks import LoadedTasks


def verify_rows(benchmark: Benchmark, tasks: LoadedTasks) -> None:
    """Refuses rows without a field: a template would write the word None in its place and score it.

    Raises:
        DataError: a value, or a value inside a list or structure, is missing in a split that the task reads.
    """
    for name, task in tasks.leaves.items():
        for split in _splits(task):
            rows = task.dataset[split]
            for column in rows.column_names:
                if _has_null(rows.data.column(column)):
                    row, place = next(_nulls(rows[column], column))
                    raise DataError(
                        f"a row lacks a field: benchmark {benchmark.id}, task {name}, split {split}, row "
                        f"{row}: {place} is null, expected a value",
                        hint="Compare the mirror with the data set's schema.",
                    )


def _splits(task: Task) -> list[str]:
    config = task.config
    named = (config.test_split, config.validation_split, config.training_split, config.fewshot_split)
    return [split for split in task.dataset if split in named]


def _has_null(column: pa.ChunkedArray | pa.Array) -> bool:
    if isinstance(column, pa.ChunkedArray):
        return any(map(_has_null, column.chunks))
    if column.null_count:
        return True
    if pa.types.is_struct(column.type):
        return any(map(_has_null, column.flatten()))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _has_null(column.flatten())
    return False


def _nulls(values: Iterable[object], name: str) -> Iterator[tuple[int, str]]:
    """(row, place) of every missing value; a place reads ``choices.text[2]``."""
    for row, value in enumerate(values):
        yield from ((row, f"{name}{place}") for place in _null_places(value))


def _null_places(value: object) -> Iterator[str]:
    if value is None:
        yield ""
    elif isinstance(value, dict):
        yield from (f".{key}{place}" for key, item in value.items() for place in _null_places(item))
    elif isinstance(value, list):
        yield from (f"[{index}]{place}" for index, item in enumerate(value) for place in _null_places(item))
