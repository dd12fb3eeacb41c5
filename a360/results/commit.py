"""The only commit point of a pair, that of its generation before it, and the record of a failed attempt.

Objects first, then one marker by put-if-absent. Whoever loses the race has done nothing wrong: the
pair is committed, and the loser ends with exit code 0.
"""

import hashlib
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from a360.errors import ConfigError, DataError
from a360.identity import canonical_json
from a360.records import Failure, Generations, Plan, Result, StoredObject
from a360.results.places import (
    CommitName,
    answers_place,
    commit_place,
    failure_place,
    generations_place,
    items_place,
    plan_place,
)
from a360.storage import Store, probe_conditional_put

MARKER_LIMIT_BYTES = 1_000_000


def write_items(store: Store, key: str, items: pa.Table) -> StoredObject:
    """Stores per-item outcomes before the marker that names them."""
    return _write_table(store, items, lambda sha256: items_place(key, sha256))


def write_answers(store: Store, generation_key: str, answers: pa.Table) -> StoredObject:
    """Stores what a checkpoint answered before the document that names it."""
    return _write_table(store, answers, lambda sha256: answers_place(generation_key, sha256))


def _write_table(store: Store, table: pa.Table, place_of: Callable[[str], str]) -> StoredObject:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = bytes(sink.getvalue())
    sha256 = hashlib.sha256(data).hexdigest()
    place = place_of(sha256)
    store.put_if_absent(place, data)
    return StoredObject(key=place, bytes=len(data), sha256=sha256, rows=table.num_rows)


def commit_generations(store: Store, generations: Generations) -> bool:
    """True when this call committed the generation, False when another one was there already."""
    name = CommitName(generations.benchmark, generations.checkpoint, generations.generation_key)
    place = generations_place(generations.model, name)
    return store.put_if_absent(place, canonical_json(generations).encode())


def commit_result(store: Store, result: Result) -> bool:
    """True when this call made the pair done, False when it was done already.

    Raises:
        DataError: the marker would exceed 1 MB.
    """
    data = canonical_json(result).encode()
    if len(data) > MARKER_LIMIT_BYTES:
        result = result.model_copy(update={"raw": {"omitted": "too large for a commit marker"}})
        data = canonical_json(result).encode()
    name = CommitName(result.benchmark, result.checkpoint, result.key)
    if len(data) > MARKER_LIMIT_BYTES:
        raise DataError(
            f"result is too large: {name}: found {len(data)} bytes, expected at most {MARKER_LIMIT_BYTES}"
        )
    return store.put_if_absent(commit_place(result.model, name), data)


def record_failure(store: Store, failure: Failure) -> None:
    """Stores one failed attempt; it never overwrites another."""
    name = CommitName(failure.benchmark, failure.checkpoint, failure.key)
    store.put_if_absent(failure_place(failure.model, name, failure.attempt), canonical_json(failure).encode())


def write_plan(store: Store, plan: Plan) -> str:
    """Stores a plan under its id, which is the hash of its content; returns the place."""
    place = plan_place(plan.id)
    store.put_if_absent(place, canonical_json(plan).encode())
    return place


def require_conditional_put(store: Store, *, single_writer: bool) -> bool:
    """What the probe says of the store's conditional put.

    Raises:
        ConfigError: the store ignores it and the suite does not promise a single writer.
    """
    honoured = probe_conditional_put(store)
    if not honoured and not single_writer:
        raise ConfigError(
            f"store ignores conditional put: {store.uri}: a second put-if-absent of one key succeeded",
            hint="Use a store that honours If-None-Match, or set store.single_writer: true for one process.",
        )
    return honoured
