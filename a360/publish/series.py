"""Results -> one curve per benchmark, on an axis of checkpoints that all curves share. Pure.

Follows ``rows``; the page and the figures draw nothing that is not computed here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from a360.errors import ConfigError
from a360.publish.rows import BenchmarkView, Identity, headline_of, identity_of, sort_results
from a360.records import Checkpoint, Metric, Quarantine, Result
from a360.results.collect import Collected

MAX_PARTS = 24
"""More tasks than this (MMLU's 57 subjects) are left to the table."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A checkpoint's place in the training run."""

    checkpoint: str
    phase: int
    step: int
    tokens: int | None


@dataclass(frozen=True, kw_only=True)
class Series:
    """One number per evaluated checkpoint; None where it is missing."""

    name: str
    values: tuple[float | None, ...]
    stderr: tuple[float | None, ...]
    n: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Best:
    """A value of the headline and where it was reached."""

    index: int
    """Into the evaluated checkpoints."""
    value: float
    stderr: float | None
    n: int | None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A benchmark along the training run."""

    benchmark: str
    view: BenchmarkView
    metric: str
    """The headline's metric; empty before the first result."""
    target: float | None
    headline: Series
    variants: tuple[Series, ...]
    """The same metric by another filter or another way of averaging."""
    parts: tuple[Series, ...]
    """The same metric by group, subject or source."""
    prompts: tuple[int | None, ...]
    truncated: tuple[int | None, ...]
    reasons: tuple[str | None, ...]
    """Why the headline of a finished evaluation has no value."""

    def measured(self) -> list[Best]:
        """Every checkpoint that has a value, in order."""
        line = self.headline
        return [
            Best(index=i, value=value, stderr=line.stderr[i], n=line.n[i])
            for i, value in enumerate(line.values)
            if value is not None
        ]

    def best(self) -> Best | None:
        """The first checkpoint that reaches the best value in the headline's direction."""
        aim = self.target or 0.0
        rank = {
            "higher": lambda point: -point.value,
            "lower": lambda point: point.value,
            "target": lambda point: abs(point.value - aim),
        }[self.view.direction]
        return min(self.measured(), key=rank, default=None)


def all_places(collected: Collected) -> tuple[Place, ...]:
    """Every checkpoint of the plan, quarantined ones too, in the order of the training run; one each."""
    plan = collected.plan
    found: dict[str, Place] = {}
    left_out = [item for item in plan.quarantined if item.state != "duplicate"]
    known: list[Checkpoint | Quarantine] = [*plan.checkpoints, *left_out]
    for item in known:
        place = Place(checkpoint=item.id, phase=item.phase, step=item.step, tokens=item.tokens)
        found.setdefault(item.id, place)
    for place in evaluated_places(collected.results):
        found.setdefault(place.checkpoint, place)
    return tuple(sorted(found.values(), key=lambda p: (p.phase, p.step, p.checkpoint)))


def evaluated_places(results: Sequence[Result]) -> tuple[Place, ...]:
    """The checkpoints that have a result, in the order of the training run."""
    places = {
        r.checkpoint: Place(checkpoint=r.checkpoint, phase=r.phase, step=r.step, tokens=r.tokens)
        for r in sort_results(results)
    }
    return tuple(places.values())


def make_curves(collected: Collected, views: Mapping[str, BenchmarkView]) -> tuple[Curve, ...]:
    """One curve per benchmark of the plan, in the plan's order; a benchmark without results has an empty one.

    Raises:
        ConfigError: a benchmark has no view.
    """
    unseen = [benchmark for benchmark in collected.plan.benchmarks if benchmark not in views]
    if unseen:
        raise ConfigError(
            f"no view of benchmark {', '.join(unseen)} in what is published, expected one per benchmark"
        )
    index = {place.checkpoint: i for i, place in enumerate(evaluated_places(collected.results))}
    by_benchmark: dict[str, list[Result | None]] = {}
    for result in sort_results(collected.results):
        row = by_benchmark.setdefault(result.benchmark, [None] * len(index))
        row[index[result.checkpoint]] = result
    return tuple(
        _curve(benchmark, views[benchmark], by_benchmark.get(benchmark, [None] * len(index)))
        for benchmark in collected.plan.benchmarks
    )


def _curve(benchmark: str, view: BenchmarkView, results: Sequence[Result | None]) -> Curve:
    headlines = [headline_of(result) if result else None for result in results]
    marked = [metric for metric in headlines if metric]
    identities = dict.fromkeys(
        identity_of(metric) for result in results if result for metric in result.metrics
    )
    variants, parts = _companions(identity_of(marked[-1]), list(identities)) if marked else ([], [])
    return Curve(
        benchmark=benchmark,
        view=view,
        metric=marked[-1].metric if marked else "",
        target=marked[-1].target if marked else None,
        headline=make_series(view.label, headlines),
        variants=tuple(make_series(_variant_name(i), _pick(results, i)) for i in variants),
        parts=tuple(make_series(_part_name(i, marked[-1].task), _pick(results, i)) for i in parts),
        prompts=tuple(r.prompts if r else None for r in results),
        truncated=tuple(r.truncated_prompts if r else None for r in results),
        reasons=tuple(m.reason if m and m.value is None else None for m in headlines),
    )


def _companions(headline: Identity, others: Sequence[Identity]) -> tuple[list[Identity], list[Identity]]:
    """Variants and parts of a headline: the same metric, over the same rows or over a part of them.

    Groups, where there are some, stand for the subjects in them; those averaged like the headline come first.
    """
    same = [other for other in others if other.metric == headline.metric and other != headline]
    here = [other for other in same if (other.task, other.subset) == (headline.task, headline.subset)]
    parts = [other for other in same if other not in here and other.filter == headline.filter]
    groups = [other for other in parts if other.aggregation != "item"]
    alike = [other for other in groups if other.aggregation == headline.aggregation]
    chosen = alike or groups or parts
    return here, chosen if len(chosen) <= MAX_PARTS else []


def _part_name(identity: Identity, whole: str) -> str:
    """``mmlu_anatomy`` is ``anatomy`` on the page of ``mmlu``."""
    return (identity.subset or identity.task.removeprefix(f"{whole}_")).replace("_", " ")


def _variant_name(identity: Identity) -> str:
    words = [identity.metric]
    words += [identity.filter] if identity.filter != "none" else []
    words += [identity.aggregation] if identity.aggregation != "item" else []
    return ", ".join(words)


def _pick(results: Sequence[Result | None], wanted: Identity) -> list[Metric | None]:
    return [
        next((m for m in result.metrics if identity_of(m) == wanted), None) if result else None
        for result in results
    ]


def make_series(name: str, metrics: Sequence[Metric | None]) -> Series:
    """The values of one metric at every evaluated checkpoint."""
    return Series(
        name=name,
        values=tuple(m.value if m else None for m in metrics),
        stderr=tuple(m.stderr if m else None for m in metrics),
        n=tuple(m.n if m else None for m in metrics),
    )
