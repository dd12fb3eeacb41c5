"""The request-level journal: a killed process loses at most the requests since its last flush.

Every attempt appends parquet files of (request hash, response) below the generation key; a later
attempt reads all of them and asks the model only for the rest. It knows nothing of any evaluator.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from a360.results.places import journal_place, journal_prefix
from a360.storage import Store

_log = logging.getLogger(__name__)
_SCHEMA = pa.schema(
    [
        ("request", pa.binary(16)),
        ("occurrence", pa.int32()),
        ("response", pa.string()),
        ("tokens", pa.int32()),
        ("truncated", pa.bool_()),
    ]
)

Response = float | str | tuple[float, bool]


class Answer(NamedTuple):
    """What the model said to a request, what it cost in tokens, and whether the prompt was cut."""

    response: Response
    tokens: int
    truncated: bool


def request_hash(kind: str, arguments: Sequence[object]) -> bytes:
    """16 bytes that stand for a request: its kind and arguments, exactly."""
    text = json.dumps([kind, *arguments], sort_keys=True, ensure_ascii=True)
    return xxhash.xxh3_128_digest(text.encode())


class Journal:
    """Answers of earlier attempts, and the place where this attempt's answers go.

    The same request may be asked several times (repeated sampling): its n-th answer belongs to its
    n-th occurrence.
    """

    def __init__(
        self,
        store: Store,
        generation_key: str,
        attempt: str,
        *,
        flush_seconds: float = 60.0,
        flush_requests: int = 2000,
        on_flush: Callable[[int], None] | None = None,
    ) -> None:
        self._store = store
        self._key = generation_key
        self._attempt = attempt
        self._flush_seconds = flush_seconds
        self._flush_requests = flush_requests
        self._on_flush = on_flush
        self._known: dict[tuple[bytes, int], Answer] = {}
        self._rows: list[tuple[bytes, int, Answer]] = []
        self._sequence = 0
        self._flushed_at = time.monotonic()

    def load(self) -> int:
        """The number of answers that earlier attempts left; a damaged file has none."""
        places = [entry.key for entry in self._store.list(journal_prefix(self._key))]
        with ThreadPoolExecutor(max_workers=16) as pool:
            for place, data in zip(places, pool.map(self._store.read, places), strict=True):
                self._known.update(_parse(place, data) or {})
        return len(self._known)

    def known(self, request: bytes, occurrence: int) -> Answer | None:
        """The answer, of this or an earlier attempt, or None."""
        return self._known.get((request, occurrence))

    def add(self, request: bytes, answer: Answer) -> None:
        """Takes the next answer to a request, and flushes when it is time."""
        occurrence = 0
        while (request, occurrence) in self._known:
            occurrence += 1
        self._known[request, occurrence] = answer
        self._rows.append((request, occurrence, answer))
        overdue = time.monotonic() - self._flushed_at >= self._flush_seconds
        if overdue or len(self._rows) >= self._flush_requests:
            self.flush()

    def flush(self) -> None:
        """Writes what has been added since the last flush.

        Safe to call from a signal handler that interrupts a flush: rows are dropped only after they
        were written, and rows written twice are equal.
        """
        rows = tuple(self._rows)
        self._flushed_at = time.monotonic()
        if not rows:
            return
        place = journal_place(self._key, self._attempt, self._sequence)
        self._sequence += 1
        self._store.write(place, _serialise(rows))
        del self._rows[: len(rows)]
        if self._on_flush:
            self._on_flush(len(rows))


def _serialise(rows: Sequence[tuple[bytes, int, Answer]]) -> bytes:
    columns = {
        "request": [request for request, _, _ in rows],
        "occurrence": [occurrence for _, occurrence, _ in rows],
        "response": [json.dumps(answer.response) for _, _, answer in rows],
        "tokens": [answer.tokens for _, _, answer in rows],
        "truncated": [answer.truncated for _, _, answer in rows],
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=_SCHEMA), sink, compression="zstd")
    return bytes(sink.getvalue())


def _parse(place: str, data: bytes) -> dict[tuple[bytes, int], Answer] | None:
    try:
        table = pq.read_table(pa.BufferReader(data), schema=_SCHEMA)
    except (pa.ArrowException, OSError, TypeError, UnicodeDecodeError) as error:
        _log.warning("journal file is damaged, its requests are asked again: %s: %s", place, error)
        return None
    return {
        (row["request"], row["occurrence"]): Answer(
            _response(row["response"]), row["tokens"], row["truncated"]
        )
        for row in table.to_pylist()
    }


def _response(text: str) -> Response:
    value = json.loads(text)
    if isinstance(value, list):
        return float(value[0]), bool(value[1])
    return value if isinstance(value, str) else float(value)
