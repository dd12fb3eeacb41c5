"""Which tokens of training sequences matched, read back from the stored outcomes of memorization."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from a360.records import Result
from a360.results.read import read_object
from a360.storage import Store

READERS = 16


def read_matches(store: Store, results: Iterable[Result]) -> dict[str, dict[tuple[str, int], int]]:
    """Checkpoint -> (chunk, line) -> number of matching tokens, of results of memorization.

    Raises:
        DataError: stored outcomes are damaged.
    """
    wanted = list(results)
    found: dict[str, dict[tuple[str, int], int]] = {}
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        for result, counts in zip(wanted, pool.map(lambda each: _counts(store, each), wanted), strict=True):
            found.setdefault(result.checkpoint, {}).update(counts)
    return found


def _counts(store: Store, result: Result) -> dict[tuple[str, int], int]:
    counts = {}
    for item in result.items:
        data = pa.BufferReader(read_object(store, item))
        for row in pq.read_table(data, columns=["task", "doc_id", "prediction"]).to_pylist():
            counts[row["task"], row["doc_id"]] = row["prediction"].count("1")
    return counts
