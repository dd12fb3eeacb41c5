"""Everything the HTML page says, as plain values: the data block its script draws from, and its tables. Pure.

Follows ``series`` and ``coverage``; ``html`` puts it into the template. Nothing here depends on the clock, so
equal results give equal pages.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from a360.identity import hash_value
from a360.publish.axes import Axis, Scale, make_scale, short_number
from a360.publish.coverage import SIGNS, make_matrix
from a360.publish.series import Best, Curve, Series, all_places
from a360.records import Provenance, Result
from a360.results.collect import Collected

MAX_LINES = 8
"""A panel shows at most this many parts as lines of their own colour; more get small charts."""
LOG_RANGE = 10.0
"""A perplexity that falls by more than this starts on a logarithmic axis."""


@dataclass(frozen=True, kw_only=True)
class LastBest:
    """A line of the table of last and best values."""

    curve: Curve
    first: Best
    last: Best
    best: Best

    def change(self) -> float:
        """Last minus first."""
        return self.last.value - self.first.value

    def truncated(self) -> str:
        """The largest share of truncated prompts of any checkpoint, as ``3 of 24``."""
        pairs = [
            (t, p)
            for t, p in zip(self.curve.truncated, self.curve.prompts, strict=True)
            if t is not None and p
        ]
        cut, prompts = max(pairs, key=lambda pair: pair[0] / pair[1], default=(0, 0))
        return f"{cut:,} of {prompts:,}" if cut else "none"


def lines_in_panel(curve: Curve) -> tuple[Series, ...]:
    """The thin lines beside the headline: variants, and the sources of a perplexity."""
    parts = curve.parts if curve.view.kind == "perplexity" and len(curve.parts) <= MAX_LINES else ()
    return (*curve.variants, *parts)


def y_scales(curve: Curve) -> dict[str, Scale]:
    """The y axis of a panel, holding line, band, chance and target; perplexity also has a logarithmic one."""
    line = curve.headline
    edges = [
        v + sign * (e or 0.0)
        for v, e in zip(line.values, line.stderr, strict=True)
        if v is not None
        for sign in (-1, 1)
    ]
    values = [
        *edges,
        *(value for series in lines_in_panel(curve) for value in series.values if value is not None),
    ]
    values += [mark for mark in (curve.view.chance, curve.target) if mark is not None] if edges else []
    scales = {"linear": make_scale(values, log=False, margin=0.06)}
    positive = [value for value in values if value > 0]
    if curve.view.kind == "perplexity" and positive:
        scales["log"] = make_scale(positive, log=True, margin=0.06)
    return scales


def starts_log_y(curves: Sequence[Curve]) -> bool:
    """Whether some perplexity falls so far that its end could not be read on a linear axis."""
    spans = [
        [p.value for p in curve.measured() if p.value > 0]
        for curve in curves
        if curve.view.kind == "perplexity"
    ]
    return any(span and max(span) > LOG_RANGE * min(span) for span in spans)


def page_data(collected: Collected, axes: Sequence[Axis], curves: Sequence[Curve]) -> dict[str, JsonValue]:
    """The page's JSON block: axes with their marks, curves, coverage."""
    places, matrix = all_places(collected), make_matrix(collected)
    evaluated = {result.checkpoint for result in collected.results}
    return {
        "schema_name": "a360.page/1",
        "model": collected.plan.model,
        "checkpoints": [place.checkpoint for place in places],
        "phases": [place.phase for place in places],
        "steps": [place.step for place in places],
        "tokens": [place.tokens for place in places],
        "evaluated": [i for i, place in enumerate(places) if place.checkpoint in evaluated],
        "axes": [_axis_data(axis) for axis in axes],
        "starts_log_y": starts_log_y(curves),
        "curves": [_curve_data(curve) for curve in curves],
        "coverage": {
            "states": {sign.letter: state for state, sign in SIGNS.items()},
            "rows": dict(matrix.rows),
            "reasons": list(matrix.reasons),
            "why": {benchmark: {str(i): r for i, r in row.items()} for benchmark, row in matrix.why.items()},
        },
    }


def _axis_data(axis: Axis) -> dict[str, JsonValue]:
    scales = {"linear": axis.linear, "log": axis.log}
    drawn: dict[str, JsonValue] = {
        name: {**_scale_data(scale), "positions": [_rounded(position) for position in scale.positions]}
        for name, scale in scales.items()
    }
    return {"name": axis.name, "title": axis.title, "starts_log": axis.starts_log, **drawn}


def _scale_data(scale: Scale) -> dict[str, JsonValue]:
    ticks: list[JsonValue] = [[_rounded(tick.position), tick.text] for tick in scale.ticks]
    return {"low": _rounded(scale.low), "high": _rounded(scale.high), "ticks": ticks}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.10g}")


def _curve_data(curve: Curve) -> dict[str, JsonValue]:
    line = curve.headline
    return {
        "id": curve.benchmark,
        "title": curve.view.title,
        "kind": curve.view.kind,
        "label": curve.view.label,
        "direction": curve.view.direction,
        "chance": curve.view.chance,
        "target": curve.target,
        "values": list(line.values),
        "stderr": list(line.stderr),
        "n": _same_or_list(line.n),
        "lines": [{"name": series.name, "values": list(series.values)} for series in lines_in_panel(curve)],
        "y": {name: _scale_data(scale) for name, scale in y_scales(curve).items()},
    }


def _same_or_list(values: Sequence[int | None]) -> JsonValue:
    """One number where all are equal: n is the same for every checkpoint of a protocol."""
    known = {value for value in values if value is not None}
    return known.pop() if len(known) == 1 else list(values)


def last_and_best(curves: Sequence[Curve]) -> list[LastBest]:
    """One line per benchmark that has a value."""
    lines = []
    for curve in curves:
        measured, best = curve.measured(), curve.best()
        if best:
            lines.append(LastBest(curve=curve, first=measured[0], last=measured[-1], best=best))
    return lines


def protocol_rows(results: Sequence[Result]) -> list[dict[str, str]]:
    """One row per protocol that produced a result; a benchmark with two has numbers that do not compare."""
    counts = Counter(hash_value(result.protocol) for result in results)
    protocols = {hash_value(result.protocol): result.protocol for result in results}
    return [
        {
            "benchmark": p.benchmark,
            "protocol": key,
            "version": str(p.benchmark_version),
            "shots": "the task's" if p.shots is None else str(p.shots),
            "limit": "all" if p.limit is None else f"{p.limit:,}",
            "max length": "the model's" if p.max_length is None else f"{p.max_length:,}",
            "dtype": p.dtype if p.softmax_dtype is None else f"{p.dtype}, softmax {p.softmax_dtype}",
            "task hash": p.task_hash,
            "data revision": p.data_revision,
            "numerics": p.numerics,
            "results": f"{counts[key]:,}",
        }
        for key, p in sorted(protocols.items(), key=lambda item: (item[1].benchmark, item[0]))
    ]


def environment_rows(results: Sequence[Result]) -> list[tuple[str, list[tuple[str, int]]]]:
    """What the results were computed with: (fact, [(value, number of results)]), most frequent first."""
    facts: dict[str, Counter[str]] = {}
    for result in results:
        for name, value in _environment(result.provenance).items():
            facts.setdefault(name, Counter())[value] += 1
    return [
        (name, sorted(counts.items(), key=lambda item: (-item[1], item[0]))) for name, counts in facts.items()
    ]


def _environment(provenance: Provenance) -> Mapping[str, str]:
    return {
        "packages": ", ".join(f"{name} {version}" for name, version in sorted(provenance.packages.items())),
        "engine": provenance.engine,
        "device": provenance.gpu or provenance.device,
        "threads": str(provenance.threads),
        "batch size": str(provenance.batch_size),
        "image": provenance.image_digest or "none (not in a container)",
        "source": provenance.git_sha or "not recorded",
        "tokenizer": provenance.tokenizer_hash,
        "one commit per pair": "by the store" if provenance.conditional_put else "by a single writer",
    }


def plain(value: float | None) -> str:
    """A measured value for people: four significant digits, thousands shortened."""
    if value is None:
        return ""
    return (
        f"{value:,.3f}" if abs(value) < 10 else f"{value:,.2f}" if abs(value) < 1000 else short_number(value)
    )
