"""Rows of the files that a benchmark's data ids name, for a360's own evaluators.

``*.parquet``, ``*.jsonl`` and ``*.jsonl.zst`` of a staged mirror. Nothing is skipped: a line that cannot be
used ends the evaluation with its file and number. No loader of ``datasets`` is involved, so data sets whose
loading script is dead (the Pile's) are read all the same.
"""

import io
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from a360.datasets.source_files import parse_json
from a360.errors import DataError

READ_ROWS = 256
"""Rows of a parquet file held at once; a row may be a book."""
NOT_DATA = ("", ".md", ".py")
"""Endings of what lies beside data: cards, licences, loading scripts."""
DESCRIPTIONS = ("dataset_infos.json", "dataset_info.json")
"""What ``datasets`` writes about a data set. Any other ``.json`` may hold rows, so it is refused."""

_HINT = "Every line must be a document; mirror the data again without this one, or mend it."


class Row(NamedTuple):
    """One row or line, and where it was read, for messages."""

    value: object
    place: str

    def field(self, name: str) -> object:
        """The value of a field, which may be dotted. Raises DataError where the row has none."""
        value = self.value
        for part in name.split("."):
            if not isinstance(value, dict):
                self.refuse(f"the field {name} is missing", f"a {kind_of(value)}", f"an object with {part}")
            if part not in value:
                self.refuse(f"the field {name} is missing", ", ".join(map(str, value)) or "{}", part)
            value = value[part]
        return value

    def text(self, name: str) -> str:
        """The text of a field. Raises DataError where it is none, empty, or no Unicode."""
        value = self.field(name)
        if not isinstance(value, str):
            self.refuse(f"{name} is no text", f"a {kind_of(value)}", "a string")
        if not value:
            self.refuse(f"{name} is empty", "no character", "a text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            self.refuse(f"{name} is no Unicode text", error.reason, "a string without lone surrogates")
        return value

    def group(self, name: str | None) -> str | None:
        """The group that a field names; None without a field. Raises DataError where it names none."""
        if name is None:
            return None
        value = self.field(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or not value:
            found = "an empty string" if value == "" else f"a {kind_of(value)}"
            self.refuse(f"{name} names no group", found, "a name or a whole number")
        return value

    def refuse(self, fault: str, found: str, expected: str) -> NoReturn:
        """Raises DataError about this row."""
        refuse(self.place, fault, found, expected)


def read_rows(mirror_dir: Path, paths: Iterable[str], fields: Collection[str]) -> Iterator[Row]:
    """The rows of some files of a mirror, in the order of the paths and of their rows.

    Raises:
        DataError: a file is of no known kind or damaged, a line is broken, a column is missing; always with
            file and line or row, and what was expected.
    """
    for path in paths:
        if _is_data(path):
            for number, value in _rows(mirror_dir / path, path, fields):
                yield Row(value, f"{path}:{number}")


def refuse(place: str, fault: str, found: str, expected: str) -> NoReturn:
    """Raises DataError about what was read at a place."""
    raise DataError(
        f"document cannot be scored: {place}: {fault}: found {found}, expected {expected}", hint=_HINT
    )


def kind_of(value: object) -> str:
    """What a value is, in a word."""
    return "null" if value is None else type(value).__name__


def _is_data(path: str) -> bool:
    name = PurePosixPath(path).name
    if name.endswith((".parquet", ".jsonl", ".jsonl.zst")):
        return True
    ending = PurePosixPath(path).suffix
    if name.startswith(".") or ending in NOT_DATA or name in DESCRIPTIONS:
        return False
    raise DataError(
        f"texts cannot be read: {path}: found a file ending in {ending}, "
        "expected .parquet, .jsonl or .jsonl.zst",
        hint="Convert it, or name a folder of the mirror without it.",
    )


def _rows(file: Path, path: str, fields: Collection[str]) -> Iterator[tuple[int, object]]:
    """(number from 1, row) of a file.

    Raises DataError also for what pyarrow says about damage; an error with a number is the disk's.
    """
    try:
        if path.endswith(".parquet"):
            yield from _parquet_rows(file, path, fields)
        else:
            yield from _json_rows(file, path)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        first = str(error).splitlines()[0]
        raise DataError(f"texts cannot be read: {path} is damaged: {first}", hint=_HINT) from None


def _parquet_rows(file: Path, path: str, fields: Collection[str]) -> Iterator[tuple[int, object]]:
    columns = sorted({field.partition(".")[0] for field in fields})
    with pq.ParquetFile(file) as parquet:
        present = parquet.schema_arrow.names
        if absent := [column for column in columns if column not in present]:
            raise DataError(
                f"texts lack a field: {path} has columns {', '.join(present)}, expected {absent[0]}",
                hint="Name the fields of the text and of the group as the data set has them.",
            )
        number = 0
        for batch in parquet.iter_batches(batch_size=READ_ROWS, columns=columns):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def _json_rows(file: Path, path: str) -> Iterator[tuple[int, object]]:
    compression = "zstd" if path.endswith(".zst") else None
    with pa.input_stream(str(file), compression=compression) as stream:
        for number, line in enumerate(io.BufferedReader(stream), start=1):
            try:
                row = parse_json(line.decode("utf-8"))
            except ValueError as error:  # no UTF-8, no JSON
                refuse(f"{path}:{number}", "the line is broken", str(error), "one JSON object")
            yield number, row
