"""Results as rows: the tidy table with one row per metric, and wide rows with one per checkpoint. Pure.

First step of publishing. Everything else (page, figures, W&B runs) is made from these rows or from the
curves of ``series``, which share the order and the names given here.
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from a360.benchmarks import Benchmark
from a360.errors import DataError
from a360.records import Direction, Metric, Result

Kind = Literal["downstream", "perplexity", "average"]
Scalar = str | int | float

SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("checkpoint", pa.string()),
        ("phase", pa.int64()),
        ("step", pa.int64()),
        ("tokens", pa.int64()),
        ("benchmark", pa.string()),
        ("metric", pa.string()),
        ("filter", pa.string()),
        ("task", pa.string()),
        ("subset", pa.string()),
        ("aggregation", pa.string()),
        ("value", pa.float64()),
        ("stderr", pa.float64()),
        ("n", pa.int64()),
        ("direction", pa.string()),
        ("target", pa.float64()),
        ("headline", pa.bool_()),
        ("reason", pa.string()),
        ("key", pa.string()),
        ("digest", pa.string()),
        ("prompts", pa.int64()),
        ("truncated_prompts", pa.int64()),
    ],
    metadata={"schema": "a360.table/1"},
)


@dataclass(frozen=True, kw_only=True)
class BenchmarkView:
    """How a benchmark is shown."""

    kind: Kind
    title: str
    chance: float | None
    """The headline's value for a model that guesses."""
    direction: Direction
    label: str
    """The headline metric in words, e.g. ``acc, macro``."""


class Identity(NamedTuple):
    """What makes a metric of a result different from its others."""

    metric: str
    filter: str
    task: str
    subset: str | None
    aggregation: str


@dataclass(frozen=True, kw_only=True)
class WideRow:
    """One checkpoint: its place in the training run and every number of one kind of benchmark."""

    checkpoint: str
    phase: int
    step: int
    tokens: int | None
    values: dict[str, float]
    """``<benchmark>/<metric>`` and ``<benchmark>/<metric>_stderr``; a missing number is left out."""

    def flat(self) -> dict[str, Scalar]:
        """The row as one flat mapping."""
        place: dict[str, Scalar] = {
            "checkpoint": self.checkpoint,
            "phase": self.phase,
            "training_step": self.step,
        }
        if self.tokens is not None:
            place["tokens"] = self.tokens
        return {**place, **self.values}


def benchmark_views(benchmarks: Iterable[Benchmark]) -> dict[str, BenchmarkView]:
    """The view of each benchmark, by id."""
    views = {}
    for row in benchmarks:
        headline = row.headline
        words = [headline.metric]
        words += [headline.filter] if headline.filter != "none" else []
        words += [headline.aggregation] if headline.aggregation != "item" else []
        views[row.id] = BenchmarkView(
            kind=row.kind, title=row.title, chance=row.chance, direction=row.direction, label=", ".join(words)
        )
    return views


def identity_of(metric: Metric) -> Identity:
    """What the metric measures, without what it came to."""
    return Identity(metric.metric, metric.filter, metric.task, metric.subset, metric.aggregation)


def headline_of(result: Result) -> Metric:
    """The metric that stands for the benchmark.

    Raises:
        DataError: none or several are marked as headline.
    """
    marked = [metric for metric in result.metrics if metric.headline]
    if len(marked) != 1:
        raise DataError(
            f"{len(marked)} headline metrics in the result of {result.checkpoint} on {result.benchmark} "
            f"(key {result.key}), expected 1"
        )
    return marked[0]


def sort_results(results: Iterable[Result]) -> list[Result]:
    """The results by place in the training run, then benchmark.

    Raises:
        DataError: a pair has two results, or a checkpoint id stands at two places of the training run.
    """
    ordered = sorted(results, key=lambda r: (r.phase, r.step, r.checkpoint, r.benchmark))
    pairs = Counter((r.checkpoint, r.benchmark) for r in ordered)
    for (checkpoint, benchmark), count in pairs.items():
        if count > 1:
            keys = ", ".join(r.key for r in ordered if (r.checkpoint, r.benchmark) == (checkpoint, benchmark))
            raise DataError(f"{count} results of {checkpoint} on {benchmark} ({keys}), expected 1")
    places: dict[str, tuple[int, int, int | None]] = {}
    for r in ordered:
        place = (r.phase, r.step, r.tokens)
        if places.setdefault(r.checkpoint, place) != place:
            raise DataError(
                f"checkpoint {r.checkpoint} is at (phase, step, tokens) {places[r.checkpoint]} in one result "
                f"and at {place} in that of {r.benchmark}, expected one place",
                hint="Did the suite's naming change between two plans?",
            )
    return ordered


def tidy_table(results: Iterable[Result]) -> pa.Table:
    """One row per (checkpoint, benchmark, metric, filter, task, subset, aggregation), in a fixed order."""
    return pa.Table.from_pylist(
        [row for result in sort_results(results) for row in _tidy_rows(result)], schema=SCHEMA
    )


def _tidy_rows(result: Result) -> Iterator[dict[str, Scalar | None]]:
    """The metrics of a result, its headline first."""
    place = result.model_dump(include={"model", "checkpoint", "phase", "step", "tokens", "benchmark"})
    origin = result.model_dump(include={"key", "digest", "prompts", "truncated_prompts"})
    for metric in sorted(
        result.metrics, key=lambda m: (not m.headline, *(part or "" for part in identity_of(m)))
    ):
        yield {**place, **metric.model_dump(), **origin}


def csv_bytes(table: pa.Table) -> bytes:
    """The table as CSV: full precision, empty where a value is missing; equal tables give equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    columns = [[_csv_text(value) for value in column.to_pylist()] for column in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def _csv_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as parquet; equal tables give equal bytes."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def wide_rows(results: Sequence[Result], benchmarks: Collection[str]) -> list[WideRow]:
    """One row per checkpoint with the numbers of some benchmarks, in the order of the training run."""
    chosen = sort_results(result for result in results if result.benchmark in benchmarks)
    names = metric_names(chosen)
    rows: dict[str, WideRow] = {}
    for r in chosen:
        row = rows.setdefault(
            r.checkpoint,
            WideRow(checkpoint=r.checkpoint, phase=r.phase, step=r.step, tokens=r.tokens, values={}),
        )
        for metric in r.metrics:
            name = names[r.benchmark][identity_of(metric)]
            if metric.value is not None:
                row.values[name] = metric.value
            if metric.stderr is not None:
                row.values[f"{name}_stderr"] = metric.stderr
    return list(rows.values())


def metric_key(benchmark: str, name: str) -> str:
    """``<benchmark>/<metric>`` as a key of wide rows, without dots: W&B reads them as nesting."""
    return f"{benchmark}/{name}".replace(".", "_")


def metric_names(results: Iterable[Result]) -> Mapping[str, Mapping[Identity, str]]:
    """Benchmark -> metric -> its key in wide rows, the same for every checkpoint.

    The headline has the short name; another metric adds what differs: task, subset, filter, aggregation.

    Raises:
        DataError: two metrics of a benchmark would have one name.
    """
    names: dict[str, dict[Identity, str]] = {}
    for result in results:
        headline = identity_of(headline_of(result))
        known = names.setdefault(result.benchmark, {})
        for metric in map(identity_of, result.metrics):
            known[metric] = metric_key(result.benchmark, _short_name(metric, headline))
    for benchmark, known in names.items():
        for name, count in Counter(known.values()).items():
            if count > 1:
                same = [identity for identity, other in known.items() if other == name]
                raise DataError(f"{count} metrics of {benchmark} share the name {name}: {same}, expected 1")
    return names


def _short_name(metric: Identity, headline: Identity) -> str:
    elsewhere = (metric.task, metric.subset) != (headline.task, headline.subset)
    place = [metric.task] if metric.task != headline.task else []
    place += [metric.subset or "all"] if metric.subset != headline.subset else []
    name = metric.metric if metric.filter == headline.filter else f"{metric.metric},{metric.filter}"
    same_way = metric.aggregation == headline.aggregation or (elsewhere and metric.aggregation == "item")
    return "/".join([*place, name if same_way else f"{name}_{metric.aggregation}"])
