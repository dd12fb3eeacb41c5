"""Files that a user brings, line by line: what is broken is refused by file and line, nothing is skipped."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import pyarrow as pa

from a360.errors import DataError
from a360.storage.os_errors import os_failure

_FIELD_CHARACTERS = 1 << 24


class Line(NamedTuple):
    """The fields of a line, and where it stands: ``<file>:<line>``."""

    place: str
    fields: dict[str, object]


def refuse(place: str, found: str, expected: str) -> NoReturn:
    """Raises DataError for a place in a source file."""
    raise DataError(f"{place}: found {found}, expected {expected}", hint="mend the file, or leave it out")


def read_json_lines(path: Path) -> Iterator[Line]:
    """The objects of a ``.jsonl`` or ``.jsonl.zst`` file, one line at a time.

    Raises:
        DataError: a line is no JSON object, or the compressed stream is cut off.
        MissingError: there is no such file.
    """
    for number, line in read_lines(path):
        place = f"{path}:{number}"
        try:
            fields = parse_json(line)
        except ValueError as error:
            refuse(place, f"a broken line ({error})", "one JSON object")
        if not isinstance(fields, dict):
            refuse(place, f"a {type(fields).__name__}", "one JSON object")
        yield Line(place, fields)


def parse_json(text: str) -> object:
    """The value of a JSON text, without what JSON readers take silently and differently.

    Raises:
        ValueError: no JSON, a name twice in one object, or NaN and Infinity, which JSON does not have.
    """
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is named twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without its line end) of each line of a file, also of a ``.zst``.

    Raises:
        DataError: a line is no UTF-8, or the compressed stream is cut off.
        MissingError: there is no such file.
    """
    number = 0
    try:
        with pa.input_stream(str(path), compression="zstd" if path.suffix == ".zst" else None) as stream:
            for number, line in enumerate(io.BufferedReader(stream), start=1):
                try:
                    yield number, line.decode().removesuffix("\n").removesuffix("\r")
                except UnicodeDecodeError as error:
                    refuse(f"{path}:{number}", f"no UTF-8 ({error})", "text")
    except OSError as error:
        if error.errno is None:  # the decompressor's
            refuse(f"{path}:{number + 1}", f"a damaged file ({error})", "a whole one")
        raise os_failure(error, str(path)) from error


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[Line]:
    """The rows of a CSV file with a header; columns without a name are left out.

    Raises:
        DataError: a column is absent, a row has more or fewer fields, quotes do not end, or no UTF-8.
        MissingError: there is no such file.
    """
    csv.field_size_limit(_FIELD_CHARACTERS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                header = next(reader, [])
                if absent := [column for column in columns if column not in header]:
                    refuse(f"{path}:1", f"columns {', '.join(header) or 'none'}", f"a column {absent[0]}")
                for row in reader:
                    place = f"{path}:{reader.line_num}"
                    if len(row) != len(header):
                        refuse(place, f"{len(row)} fields", f"{len(header)} as in the header")
                    yield Line(place, {name: value for name, value in zip(header, row, strict=True) if name})
            except (csv.Error, UnicodeDecodeError) as error:
                refuse(f"{path}:{reader.line_num + 1}", f"a broken row ({error})", "CSV in UTF-8")
    except OSError as error:
        raise os_failure(error, str(path)) from error


def text_field(line: Line, name: str) -> str:
    """A field that is a text with at least one character, and one that UTF-8 can hold.

    Raises:
        DataError: it is absent or something else.
    """
    value = line.fields.get(name)
    if not isinstance(value, str) or not value:
        refuse(
            line.place, "no text" if value in (None, "") else f"a {type(value).__name__}", f"a text {name}"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        refuse(line.place, f"no Unicode in {name} ({error.reason})", "a text without lone surrogates")
    return value
