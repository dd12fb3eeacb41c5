"""The documents of a perplexity benchmark, read from the files that its data ids name.

``*.parquet``, ``*.jsonl`` and ``*.jsonl.zst`` of a staged mirror: one row or line is one document. Nothing is
skipped: a line that cannot be used ends the evaluation with its file and number. No loader of ``datasets``
is involved, so data sets whose loading script is dead (the Pile's) are read all the same.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from a360.benchmarks import Texts
from a360.datasets.source_files import parse_json
from a360.errors import DataError

READ_ROWS = 256
"""Rows of a parquet file held at once; a row may be a book."""
NOT_DATA = ("", ".md", ".py")
"""Endings of what lies beside data: cards, licences, loading scripts."""
DESCRIPTIONS = ("dataset_infos.json", "dataset_info.json")
"""What ``datasets`` writes about a data set. Any other ``.json`` may hold rows, so it is refused."""

_HINT = "Every line must be a document; mirror the data again without this one, or mend it."


class Document(NamedTuple):
    """One text, the group it belongs to, and where it was read, for messages."""

    text: str
    group: str | None
    place: str


def read_texts(mirror_dir: Path, paths: Iterable[str], texts: Texts) -> Iterator[Document]:
    """The documents of some files of a mirror, in the order of the paths and of their rows.

    Raises:
        DataError: a file is of no known kind or damaged, a line is broken, a field is missing, a text is
            empty or no text; always with file and line or row, and what was expected.
    """
    for path in paths:
        if _is_data(path):
            for number, row in _rows(mirror_dir / path, path, texts):
                place = f"{path}:{number}"
                yield Document(_text(row, texts.text, place), _group(row, texts.group, place), place)


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


def _rows(file: Path, path: str, texts: Texts) -> Iterator[tuple[int, object]]:
    """(number from 1, row) of a file.

    Raises DataError also for what pyarrow says about damage; an error with a number is the disk's.
    """
    try:
        if path.endswith(".parquet"):
            yield from _parquet_rows(file, path, texts)
        else:
            yield from _json_rows(file, path)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        first = str(error).splitlines()[0]
        raise DataError(f"texts cannot be read: {path} is damaged: {first}", hint=_HINT) from None


def _parquet_rows(file: Path, path: str, texts: Texts) -> Iterator[tuple[int, object]]:
    fields = [field for field in (texts.text, texts.group) if field]
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
                _refuse(f"{path}:{number}", "the line is broken", str(error), "one JSON object")
            yield number, row


def _text(row: object, field: str, place: str) -> str:
    value = _field(row, field, place)
    if not isinstance(value, str):
        _refuse(place, f"{field} is no text", f"a {_kind(value)}", "a string")
    if not value:
        _refuse(place, f"{field} is empty", "no character", "a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        _refuse(place, f"{field} is no Unicode text", error.reason, "a string without lone surrogates")
    return value


def _group(row: object, field: str | None, place: str) -> str | None:
    if field is None:
        return None
    value = _field(row, field, place)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        found = "an empty string" if value == "" else f"a {_kind(value)}"
        _refuse(place, f"{field} names no group", found, "a name or a whole number")
    return value


def _field(row: object, field: str, place: str) -> object:
    value = row
    for name in field.split("."):
        if not isinstance(value, dict):
            _refuse(place, f"the field {field} is missing", f"a {_kind(value)}", f"an object with {name}")
        if name not in value:
            _refuse(place, f"the field {field} is missing", ", ".join(map(str, value)) or "{}", name)
        value = value[name]
    return value


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _refuse(place: str, fault: str, found: str, expected: str) -> NoReturn:
    raise DataError(
        f"document cannot be scored: {place}: {fault}: found {found}, expected {expected}", hint=_HINT
    )
