"""Looks for the broken file when ``datasets`` only says that something is broken."""

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

READ_ROWS = 1024


def find_damage(mirror_dir: Path, places: Iterable[str]) -> str | None:
    """The first broken parquet or JSONL file below some places, with its row or line and the reason, or None.

    ``places`` are files or folders, relative to the mirror. Rows count from 0 and lines from 1.
    """
    for place in places:
        root = mirror_dir / place
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            fault = None
            if path.suffix == ".parquet":
                fault = _parquet_fault(path)
            elif path.suffix == ".jsonl":
                fault = _jsonl_fault(path)
            if fault:
                return f"{path.relative_to(mirror_dir)}, {fault}"
    return None


def _parquet_fault(path: Path) -> str | None:
    rows = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=READ_ROWS):
                rows += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        return f"after row {rows}: {str(error).splitlines()[0]}"
    return None


def _jsonl_fault(path: Path) -> str | None:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                json.loads(line)
            except ValueError as error:
                return f"line {number}: {error}"
    return None
