"""Nulls in rows: lm-eval writes the word None for them, so what reads one has to fail, and nothing else."""

from collections.abc import Sequence
from typing import TypeAlias

import pyarrow as pa
from jinja2 import StrictUndefined, UndefinedError

Row: TypeAlias = dict[str, object]


class NullReadError(UndefinedError):
    """A null was read; the message says its place."""


class Null(StrictUndefined):
    """A null of a row: reading it raises ``NullReadError`` with its place, as ``choices.text[2]``."""

    __slots__ = ()
    __repr__ = StrictUndefined.__str__  # a template writes a list of texts by their repr


def has_null(column: pa.ChunkedArray | pa.Array) -> bool:
    """Whether a value, or a value inside a list or structure, is null."""
    if isinstance(column, pa.ChunkedArray):
        return any(map(has_null, column.chunks))
    if column.null_count:
        return True
    if pa.types.is_struct(column.type):
        return any(map(has_null, column.flatten()))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return has_null(column.flatten())
    return False


def mark_nulls(row: Row, columns: Sequence[str]) -> Row:
    """The row with a ``Null`` for every null in some of its columns."""
    return row | {name: _marked(row[name], name) for name in columns}


def _marked(value: object, place: str) -> object:
    if value is None:
        return Null(hint=f"{place} is null, expected a value", exc=NullReadError)
    if isinstance(value, dict):
        return {key: _marked(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, f"{place}[{index}]") for index, item in enumerate(value)]
    return value
