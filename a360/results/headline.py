"""Which of a result's metrics stands for its benchmark. Pure; evaluators and graders share it."""

from collections.abc import Sequence

from a360.benchmarks import Benchmark
from a360.errors import DataError
from a360.records import Metric


def mark_headline(benchmark: Benchmark, records: Sequence[Metric]) -> tuple[Metric, ...]:
    """The records, the one that stands for the benchmark marked; those of its metric with the row's target.

    Raises:
        DataError: none or several of them fit.
    """
    wanted = benchmark.headline
    marked = []
    for record in records:
        fits = (record.metric, record.filter, record.aggregation) == (
            wanted.metric,
            wanted.filter,
            wanted.aggregation,
        )
        is_headline = fits and record.task == benchmark.task and record.subset is None
        aimed = benchmark.target is not None and record.metric == wanted.metric
        aim = {"direction": "target", "target": benchmark.target} if aimed else {}
        marked.append(record.model_copy(update={"headline": is_headline, **aim}))
    if sum(record.headline for record in marked) != 1:
        found = sorted({f"{r.metric},{r.filter} ({r.aggregation})" for r in records})
        raise DataError(
            f"benchmark {benchmark.id} has not one headline: found {', '.join(found)}, "
            f"expected {wanted.metric},{wanted.filter} ({wanted.aggregation}) once"
        )
    return tuple(marked)
