"""Means of per-answer values with their standard errors: per group, and over all of them. Pure."""

import math
from collections.abc import Mapping, Sequence

from a360.records import Aggregation, Direction, Metric


def mean_records(
    metric: str, task: str, groups: Mapping[str, Sequence[float]], direction: Direction
) -> list[Metric]:
    """The mean of every group (item) and that over all answers (micro), in the order of the groups' names."""
    records = [mean_record(metric, name, "item", groups[name], direction) for name in sorted(groups)]
    everything = [value for name in sorted(groups) for value in groups[name]]
    return [*records, mean_record(metric, task, "micro", everything, direction)]


def mean_record(
    metric: str,
    task: str,
    aggregation: Aggregation,
    values: Sequence[float],
    direction: Direction,
    *,
    subset: str | None = None,
) -> Metric:
    """Mean and its standard error: sample standard deviation / sqrt(n), none for one value."""
    n = len(values)
    mean = math.fsum(values) / n if n else None
    squares = math.fsum((value - (mean or 0.0)) ** 2 for value in values)
    return Metric(
        metric=metric,
        filter="none",
        task=task,
        subset=subset,
        aggregation=aggregation,
        value=mean,
        stderr=math.sqrt(squares / (n - 1) / n) if n > 1 else None,
        n=n,
        direction=direction,
        reason=None if n else "no answer to take a mean of",
    )
