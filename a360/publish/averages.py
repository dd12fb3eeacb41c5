"""Averages over benchmarks as curves and as rows of the tidy table. Pure.

Follows ``series``: an average is computed from the headlines that the curves of its parts show, at every
checkpoint that has all of them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from a360.benchmarks.averages import Average, averages_of
from a360.publish.rows import SCHEMA, BenchmarkView
from a360.publish.series import Curve, Series, evaluated_places, make_curves
from a360.publish.subsets import subset_curves
from a360.results.collect import Collected

METRIC = "mean"


def all_curves(collected: Collected, views: Mapping[str, BenchmarkView]) -> tuple[Curve, ...]:
    """The curves of the plan's benchmarks in its order, then those of averages over groups and benchmarks.

    Raises:
        ConfigError: a benchmark has no view.
    """
    curves = make_curves(collected, views)
    by_id = {curve.benchmark: curve for curve in curves}
    averages = averages_of(by_id)
    for average in averages:
        by_id[average.id] = average_curve(average, by_id)
    return (*curves, *subset_curves(collected, views), *(by_id[average.id] for average in averages))


def average_curve(average: Average, curves: Mapping[str, Curve]) -> Curve:
    """The mean of its parts at each checkpoint; its stderr is that of a mean of independent estimates."""
    parts = [curves[part] for part in average.parts]
    columns = list(zip(*(_points(part.headline) for part in parts), strict=True))
    return Curve(
        benchmark=average.id,
        view=BenchmarkView(
            kind="average",
            title=average.title,
            chance=None,
            direction=parts[0].view.direction,
            label=f"mean of {len(parts)}",
        ),
        metric=METRIC,
        target=None,
        headline=Series(
            name=METRIC,
            values=tuple(_mean([value for value, _, _ in column]) for column in columns),
            stderr=tuple(_mean_error([error for _, error, _ in column]) for column in columns),
            n=tuple(_sum(n for _, _, n in column) for column in columns),
        ),
        variants=tuple(
            Series(
                name=part.view.title,
                values=part.headline.values,
                stderr=part.headline.stderr,
                n=part.headline.n,
            )
            for part in parts
        ),
        parts=(),
        prompts=tuple(map(_sum, zip(*(part.prompts for part in parts), strict=True))),
        truncated=tuple(map(_sum, zip(*(part.truncated for part in parts), strict=True))),
        reasons=tuple(None for _ in columns),
    )


def _points(series: Series) -> list[tuple[float | None, float | None, int | None]]:
    return list(zip(series.values, series.stderr, series.n, strict=True))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def _mean_error(errors: Sequence[float | None]) -> float | None:
    known = [error for error in errors if error is not None]
    return math.hypot(*known) / len(known) if len(known) == len(errors) else None


def _sum(numbers: Iterable[int | None]) -> int | None:
    listed = list(numbers)
    known = [number for number in listed if number is not None]
    return sum(known) if len(known) == len(listed) else None


def average_table(collected: Collected, curves: Sequence[Curve]) -> pa.Table:
    """Rows of the tidy table, one per average and checkpoint; one without a value names what it lacks."""
    places = evaluated_places(collected.results)
    by_id = {curve.benchmark: curve for curve in curves}
    rows = []
    for average in averages_of(collected.plan.benchmarks):
        curve = by_id[average.id]
        for i, place in enumerate(places):
            missing = [part for part in average.parts if by_id[part].headline.values[i] is None]
            rows.append(
                {
                    "model": collected.plan.model,
                    "checkpoint": place.checkpoint,
                    "phase": place.phase,
                    "step": place.step,
                    "tokens": place.tokens,
                    "benchmark": average.id,
                    "metric": METRIC,
                    "filter": "none",
                    "task": average.id,
                    "aggregation": "macro",
                    "value": curve.headline.values[i],
                    "stderr": None if missing else curve.headline.stderr[i],
                    "n": curve.headline.n[i],
                    "direction": curve.view.direction,
                    "headline": True,
                    "reason": f"no value for {', '.join(missing)}" if missing else None,
                    "prompts": curve.prompts[i],
                    "truncated_prompts": curve.truncated[i],
                }
            )
    return pa.Table.from_pylist(rows, schema=SCHEMA)
