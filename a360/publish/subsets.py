"""Averages over some groups of a perplexity's documents as curves of their own. Pure.

Follows ``series``, beside ``averages``: the original curves plot such an average beside those of the groups.
Which groups it takes is often assumed, so that the page shows its label as the table does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from a360.publish.rows import BenchmarkView
from a360.publish.series import Curve, evaluated_places, make_series
from a360.records import Metric, Result
from a360.results.collect import Collected


def subset_curves(collected: Collected, views: Mapping[str, BenchmarkView]) -> tuple[Curve, ...]:
    """One curve for every pooled average over a labelled subset of a perplexity's groups."""
    index = {place.checkpoint: i for i, place in enumerate(evaluated_places(collected.results))}
    found: dict[tuple[str, str, str], list[tuple[Result, Metric] | None]] = {}
    for result in collected.results:
        for metric in result.metrics:
            if (
                views[result.benchmark].kind == "perplexity"
                and metric.subset
                and metric.aggregation == "micro"
            ):
                name = (result.benchmark, metric.subset, metric.metric)
                found.setdefault(name, [None] * len(index))[index[result.checkpoint]] = (result, metric)
    return tuple(_curve(views[name[0]], name, found[name]) for name in sorted(found))


def _curve(
    view: BenchmarkView, name: tuple[str, str, str], points: Sequence[tuple[Result, Metric] | None]
) -> Curve:
    benchmark, subset, metric = name
    shown = replace(view, title=f"{view.title}: {subset}", label=f"{metric}, {subset}", chance=None)
    return Curve(
        benchmark=f"{benchmark}/{subset}",
        view=shown,
        metric=metric,
        target=None,
        headline=make_series(shown.label, [point and point[1] for point in points]),
        variants=(),
        parts=(),
        prompts=tuple(point and point[0].prompts for point in points),
        truncated=tuple(point and point[0].truncated_prompts for point in points),
        reasons=tuple(point and point[1].reason for point in points),
    )
