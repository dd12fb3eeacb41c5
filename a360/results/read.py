"""Reads what was committed: names by LIST alone, documents in parallel, through the index where it helps."""

import hashlib
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from a360.errors import A360Error, DataError, MissingError, TransientError
from a360.identity import canonical_json
from a360.records import Failure, Generations, Plan, Result, StoredObject
from a360.results.places import (
    CommitName,
    commit_place,
    commits_prefix,
    failures_prefix,
    generations_place,
    generations_prefix,
    index_place,
    parse_commit,
    parse_failure,
    parse_generations,
    plan_place,
)
from a360.storage import Store

_log = logging.getLogger(__name__)
_THREADS = 16
R = TypeVar("R", Plan, Result, Failure, Generations)


def list_commits(store: Store, model: str) -> dict[CommitName, str]:
    """Every committed (benchmark, checkpoint, key) -> version of its marker; reads no document."""
    commits = {}
    for entry in store.list(commits_prefix(model)):
        name = parse_commit(model, entry.key)
        if name:
            commits[name] = entry.version
    return commits


def list_generations(store: Store, model: str) -> frozenset[CommitName]:
    """Every committed (benchmark, checkpoint, generation key); reads no document."""
    names = (parse_generations(model, entry.key) for entry in store.list(generations_prefix(model)))
    return frozenset(name for name in names if name)


def read_generations(store: Store, model: str, name: CommitName) -> Generations:
    """A committed generation.

    Raises:
        TransientError: it is not there: nobody has evaluated the pair yet.
        DataError: it is damaged.
    """
    place = generations_place(model, name)
    try:
        data = store.read(place)
    except MissingError:
        raise TransientError(
            f"nothing to grade: {name.checkpoint}/{name.benchmark}: expected a generation at {place}",
            hint="The evaluate stage of the pair comes first; plan again when it failed.",
        ) from None
    return _parse(Generations, data, place)


def read_object(store: Store, stored: StoredObject) -> bytes:
    """The bytes of an object that a document names; what differs is read a second time before it counts.

    Raises:
        DataError: it is gone, or its bytes are not the document's, twice.
    """
    for _ in range(2):
        data = store.read(stored.key)
        sha256 = hashlib.sha256(data).hexdigest()
        if (len(data), sha256) == (stored.bytes, stored.sha256):
            return data
    raise DataError(
        f"object is damaged: {stored.key} in {store.uri}: found {len(data):,} bytes with sha256 {sha256}, "
        f"its document promises {stored.bytes:,} bytes with sha256 {stored.sha256}",
        hint="Delete the document that names it and plan again with --retry-failed: it is then made anew.",
    )


def read_failures(store: Store, model: str, only: CommitName | None = None) -> dict[CommitName, Failure]:
    """The newest failure of every pair that has one, or of one pair; a damaged one bars nothing."""
    newest: dict[CommitName, tuple[float, str]] = {}
    for entry in store.list(failures_prefix(model, only)):
        parsed = parse_failure(model, entry.key)
        if parsed:
            newest[parsed[0]] = max(newest.get(parsed[0], (0.0, "")), (entry.modified, entry.key))
    places = [place for _, place in newest.values()]
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        documents = pool.map(store.read, places)
        failures = {}
        for name, place, data in zip(newest, places, documents, strict=True):
            try:
                failures[name] = _parse(Failure, data, place)
            except DataError as error:
                _log.warning("%s", error.message)
    return failures


def read_plan(store: Store, plan_id: str) -> Plan:
    """A stored plan.

    Raises:
        DataError: there is no such plan, or it is damaged.
    """
    place = plan_place(plan_id)
    try:
        data = store.read(place)
    except MissingError:
        raise DataError(
            f"no plan {plan_id}: expected it at {place} in {store.uri}", hint="a360 plan writes it."
        ) from None
    return _parse(Plan, data, place)


class Stored(NamedTuple):
    """The results of some names, in their order, and what is wrong with the markers that are damaged."""

    results: tuple[Result, ...]
    damaged: dict[CommitName, DataError]


def read_results(store: Store, model: str, names: Iterable[CommitName]) -> Stored:
    """The results of the given names, without ``raw``; refreshes the index on the way.

    The index only saves reading: losing it, two processes writing it at once, or a store that may not be
    written changes nothing.
    """
    commits = list_commits(store, model)
    wanted = [name for name in names if name in commits]
    indexed = _read_index(store, model)
    stale = [name for name in wanted if (str(commit_place(model, name)), commits[name]) not in indexed]
    places = [commit_place(model, name) for name in stale]
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        documents = list(pool.map(store.read, places))
    damaged = {}
    for name, place, data in zip(stale, places, documents, strict=True):
        try:
            result = _parse(Result, data, place).model_copy(update={"raw": {}})
            indexed[place, commits[name]] = canonical_json(result)
        except DataError as error:
            damaged[name] = error
    if len(stale) > len(damaged):
        live = {(commit_place(model, name), version) for name, version in commits.items()}
        with suppress(A360Error):
            _write_index(store, model, {key: text for key, text in indexed.items() if key in live})
    results = (
        _parse(Result, indexed[commit_place(model, name), commits[name]].encode(), str(name))
        for name in wanted
        if name not in damaged
    )
    return Stored(tuple(results), damaged)


_INDEX_SCHEMA = pa.schema(
    [("place", pa.string()), ("version", pa.string()), ("document", pa.string())],
    metadata={"schema": "a360.index/1"},
)


def _read_index(store: Store, model: str) -> dict[tuple[str, str], str]:
    try:
        data = store.read(index_place(model))
    except MissingError:
        return {}
    try:
        rows = pq.read_table(pa.BufferReader(data), schema=_INDEX_SCHEMA).to_pylist()
    except (pa.ArrowException, OSError, TypeError, UnicodeDecodeError):
        return {}  # a cache: damaged, or from another version, it is made anew
    return {(row["place"], row["version"]): row["document"] for row in rows}


def _write_index(store: Store, model: str, indexed: dict[tuple[str, str], str]) -> None:
    rows = sorted((place, version, document) for (place, version), document in indexed.items())
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table([pa.array(c, pa.string()) for c in columns], schema=_INDEX_SCHEMA), sink, compression="zstd"
    )
    store.write(index_place(model), bytes(sink.getvalue()))


def _parse(kind: type[R], data: bytes, place: str) -> R:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise DataError(
            f"document is damaged: {place}: expected a {kind.__name__}: {error.error_count()} faults, first "
            f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}",
            hint="Delete it and plan again: it is then made anew.",
        ) from None
