"""lm-eval's result dictionary -> metric records. Pure.

lm-eval's own numbers are taken as they are; added to them are unweighted means over tasks (macro)
and pooled perplexities of a group, each from the same items.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

from a360.benchmarks import Benchmark
from a360.errors import DataError
from a360.records import Direction, Metric
from a360.results.headline import mark_headline
from a360.results.items import Sample

TOO_LARGE = "exceeds the largest float"
_LOWER = ("perplexity", "bits_per_byte", "brier", "ter")


class HarnessResults(TypedDict):
    """The parts of lm-eval's ``EvalResults`` that are read here."""

    results: dict[str, dict[str, object]]
    groups: dict[str, dict[str, object]]
    higher_is_better: dict[str, dict[str, bool | None]]
    samples: dict[str, list[dict[str, object]]]


def metric_records(benchmark: Benchmark, results: HarnessResults) -> tuple[Metric, ...]:
    """Every metric of one benchmark, exactly one of them the headline.

    Raises:
        DataError: the headline metric is not among them.
    """
    samples = results["samples"]
    records: list[Metric] = []
    for task in sorted(samples):
        counts = _documents(samples[task])
        records += _reported(results, task, counts, "item")
    for group in sorted(results.get("groups") or {}):
        records += _reported(results, group, None, "micro")
    records += [
        macro_mean(benchmark, macro.subset, [_find(records, t, benchmark) for t in macro.tasks])
        for macro in benchmark.macros
    ]
    if benchmark.pooled:
        records += _pooled(benchmark, samples)
    return mark_headline(benchmark, records)


def _reported(
    results: HarnessResults, name: str, counts: Mapping[str, int] | None, aggregation: str
) -> list[Metric]:
    values = results["results"].get(name) or results["groups"][name]
    better = results["higher_is_better"].get(name, {})
    records = []
    for label, value in values.items():
        metric, comma, filter_name = label.partition(",")
        if not comma or metric.endswith("_stderr"):
            continue
        number, reason = _finite(value)
        n = counts[filter_name] if counts else int(str(values["sample_len"]))
        records.append(
            Metric.model_validate(
                {
                    "metric": metric,
                    "filter": filter_name,
                    "task": name,
                    "aggregation": aggregation,
                    "value": number,
                    "stderr": _finite(values.get(f"{metric}_stderr,{filter_name}"))[0],
                    "n": n,
                    "direction": _direction(metric, better.get(metric)),
                    "reason": reason,
                }
            )
        )
    return records


def _documents(samples: Sequence[Sample]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for sample in samples:
        counts[str(sample["filter"])] = counts.get(str(sample["filter"]), 0) + 1
    return counts


def _finite(value: object) -> tuple[float | None, str | None]:
    if isinstance(value, int | float) or hasattr(value, "__float__"):
        number = float(value)  # numpy scalars occur
        if number == math.inf:
            return None, TOO_LARGE
        return (number, None) if math.isfinite(number) else (None, f"the harness reports {number}")
    return None, f"the harness reports {value!r}"


def _direction(metric: str, higher: bool | None) -> Direction:
    if any(word in metric for word in _LOWER):
        return "lower"
    return "lower" if higher is False else "higher"


def _find(records: Sequence[Metric], task: str, benchmark: Benchmark) -> Metric:
    for record in records:
        if record.task == task and record.metric == benchmark.macro_metric and record.aggregation == "item":
            return record
    raise DataError(f"benchmark {benchmark.id} has no {benchmark.macro_metric} for task {task} of its mean")


def macro_mean(benchmark: Benchmark, subset: str | None, parts: Sequence[Metric]) -> Metric:
    """The unweighted mean of a metric over tasks; its stderr is that of a mean of independent estimates."""
    missing = [part.task for part in parts if part.value is None]
    values = [part.value for part in parts if part.value is not None]
    errors = [part.stderr for part in parts if part.stderr is not None]
    value = None if missing else mean(values)
    reason = f"no value for {', '.join(missing)}" if missing else TOO_LARGE if value is None else None
    return Metric(
        metric=parts[0].metric,
        filter=parts[0].filter,
        task=benchmark.task,
        subset=subset,
        aggregation="macro",
        value=value,
        stderr=finite(math.hypot(*errors) / len(parts)) if len(errors) == len(parts) else None,
        n=sum(part.n for part in parts),
        direction=parts[0].direction,
        reason=reason,
    )


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean; None where the sum exceeds the largest float."""
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return None


def exp(exponent: float) -> float | None:
    """The exponential; None beyond the largest float: a page-long word may have such a perplexity."""
    try:
        return math.exp(exponent)
    except OverflowError:
        return None


def finite(value: float) -> float | None:
    """The number, None for infinity."""
    return value if math.isfinite(value) else None


def _pooled(benchmark: Benchmark, samples: Mapping[str, Sequence[Sample]]) -> list[Metric]:
    """Perplexities over the documents of all tasks together.

    With ll the sum of log-likelihoods (nats) and w that of the weights (words or bytes):
    perplexity = exp(-ll / w), bits per byte = -ll / (w ln 2).
    Source: lm_eval/api/metrics.py, ``weighted_perplexity`` and ``bits_per_byte``.
    """
    documents = [sample for task in sorted(samples) for sample in samples[task]]
    records = []
    for metric in ("word_perplexity", "byte_perplexity", "bits_per_byte"):
        pairs = [pair for document in documents if isinstance(pair := document[metric], list | tuple)]
        loglikelihood, weight = math.fsum(p[0] for p in pairs), math.fsum(p[1] for p in pairs)
        rate = -loglikelihood / weight
        value = rate / math.log(2) if metric == "bits_per_byte" else exp(rate)
        records.append(
            Metric(
                metric=metric,
                filter="none",
                task=benchmark.task,
                aggregation="micro",
                value=value,
                stderr=None,
                n=len(pairs),
                direction="lower",
                reason=TOO_LARGE if value is None else None,
            )
        )
    return records
