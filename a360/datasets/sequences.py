"""Training sequences in the order of training: some of every chunk are drawn into a mirror, once.

A chunk is a file of JSON lines, ``{"token_ids": [...], "source": ...}``, of any size: it is read in one pass,
and only lines that are drawn are kept. Which ones follows from a hash of the seed and the line's number, so
that a chunk whose sources lie one after the other is drawn from evenly.
"""

import hashlib
import heapq
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from a360.datasets.mirror import MirrorFile, MirrorRepository
from a360.datasets.row_files import Row, kind_of, read_rows
from a360.datasets.source_files import parse_json
from a360.datasets.target import OWN_REVISION, MirrorTarget, require_free_name
from a360.errors import ConfigError, DataError
from a360.identity import canonical_json
from a360.storage.content_hash import full_sha256
from a360.storage.os_errors import os_failure

KEPT_TOKENS = 64
CONTROL = "control"
FILE_NAME = "sequences-00000-of-00001.parquet"
SCHEMA = pa.schema([("tokens", pa.list_(pa.int32())), ("source", pa.string()), ("line", pa.int64())])


class TrainingSequence(NamedTuple):
    """The beginning of a sequence, and where in the training data it stands."""

    chunk: str
    """The folder it is kept in: ``chunk-007`` or ``control``."""
    line: int
    source: str
    tokens: tuple[int, ...]
    place: str


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How many sequences are drawn of a chunk, and which."""

    sequences: int = 1000
    seed: int = 0

    def rank(self, line: int) -> int:
        """Where a line stands in the draw: the lowest ranks are drawn."""
        return xxhash.xxh3_64_intdigest(f"{self.seed}:{line}".encode())


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What was drawn of one chunk."""

    lines: int
    sequences: int
    sources: Mapping[str, int]


def draw_sequences(
    target: MirrorTarget, name: str, sources: Mapping[str, Path], draw: Draw
) -> dict[str, Drawn]:
    """Draws from files by folder (``chunk-000``, ``control``) into a repository; other folders of it stay.

    A chunk with fewer sequences than are wanted gives all of them; ``Drawn`` says so.

    Raises:
        ConfigError: the name is kept for the mirror itself, or the mirror has it from the hub.
        DataError: a drawn line is broken, is too short, or has no tokens; by file and line.
    """
    require_free_name(name, target.store.uri)
    with target.locked():
        target.require_own(name)
        present = target.manifest.repositories.get(name)
        files = dict(present.files if present else {})
        counts = {}
        for folder, path in sorted(sources.items()):
            rows, counts[folder] = _draw(path, draw)
            kept = target.work_dir / f"{folder}.parquet"
            write_sequences(kept, rows)
            place = f"{folder}/{FILE_NAME}"
            files[place] = MirrorFile(bytes=kept.stat().st_size, sha256=full_sha256(kept))
            target.place(kept, f"{name}/{place}")
        listed = canonical_json({place: file.sha256 for place, file in files.items()})
        revision = OWN_REVISION + hashlib.sha256(listed.encode()).hexdigest()
        target.commit({name: MirrorRepository(revision=revision, files=files)})
    return counts


def write_sequences(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows of ``SCHEMA`` as one file; the same rows give the same bytes."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), path, compression="zstd")


def chunk_folders(paths: Iterable[Path]) -> dict[str, Path]:
    """Folder -> file, by the number at the end of its name; ``control.jsonl`` is the control.

    Raises:
        ConfigError: a name has no number, or two have the same.
    """
    found: dict[str, Path] = {}
    for path in paths:
        stem = re.sub(r"\.jsonl(\.zst)?$", "", path.name)
        number = re.search(r"(\d+)$", stem)
        if stem == path.name or (stem != CONTROL and number is None):
            raise ConfigError(
                f"{path} is no chunk, expected a name such as train_007.jsonl or {CONTROL}.jsonl"
            )
        folder = CONTROL if number is None else f"chunk-{int(number.group(1)):03d}"
        if folder in found:
            raise ConfigError(f"{path} and {found[folder]} are both {folder}, expected each chunk once")
        found[folder] = path
    return found


def read_sequences(mirror_dir: Path, paths: Iterable[str]) -> Iterator[TrainingSequence]:
    """The drawn sequences of some files of a mirror, in order.

    Raises:
        DataError: a row is no drawn sequence.
    """
    for row in read_rows(mirror_dir, paths, SCHEMA.names):
        tokens, line = row.field("tokens"), row.field("line")
        if not isinstance(line, int) or not isinstance(tokens, list) or len(tokens) != KEPT_TOKENS:
            row.refuse(
                "tokens or line are not a sequence's", kind_of(tokens), f"{KEPT_TOKENS} tokens and a line"
            )
        chunk = row.place.split("/")[-2]
        yield TrainingSequence(chunk, line, row.text("source"), tuple(tokens), row.place)


def _draw(path: Path, draw: Draw) -> tuple[list[dict[str, object]], Drawn]:
    """The lines with the smallest hashes, in the order of the file."""
    lines = 0

    def ranked() -> Iterator[tuple[int, int, bytes]]:
        nonlocal lines
        for lines, line in enumerate(_lines(path), start=1):
            yield draw.rank(lines), lines, line

    chosen = sorted(heapq.nsmallest(draw.sequences, ranked()), key=lambda ranked: ranked[1])
    rows = [_row(path, number, line) for _, number, line in chosen]
    if not rows:
        raise DataError(f"chunk has no sequence: {path}: the file is empty")
    sources: dict[str, int] = {}
    for row in rows:
        sources[str(row["source"])] = sources.get(str(row["source"]), 0) + 1
    return rows, Drawn(lines=lines, sequences=len(rows), sources=sources)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with pa.input_stream(str(path), compression="zstd" if path.suffix == ".zst" else None) as stream:
            yield from io.BufferedReader(stream)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise os_failure(error, str(path)) from error
        raise DataError(f"chunk cannot be read: {path}: {str(error).splitlines()[0]}") from None


def _row(path: Path, number: int, line: bytes) -> dict[str, object]:
    place = f"{path}:{number}"
    try:
        row = Row(parse_json(line.decode("utf-8")), place)
    except ValueError as error:
        raise DataError(f"sequence cannot be drawn: {place}: the line is broken: {error}") from None
    tokens = row.field("token_ids")
    if not isinstance(tokens, list) or not all(type(token) is int and token >= 0 for token in tokens):
        row.refuse("token_ids are no tokens", kind_of(tokens), "a list of whole numbers from 0")
    if len(tokens) < KEPT_TOKENS:
        row.refuse("the sequence is too short", f"{len(tokens)} tokens", f"at least {KEPT_TOKENS}")
    return {"tokens": tokens[:KEPT_TOKENS], "source": row.text("source"), "line": number}
