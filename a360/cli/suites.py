"""The catalogue of suites and benchmarks on the terminal."""

from pathlib import Path

from a360.benchmarks import CATALOGUE, Benchmark
from a360.cli.output import data, print_json, print_table
from a360.errors import ConfigError
from a360.publish.axes import short_number
from a360.suite import parse_suite, shipped_suite_text, shipped_suites, suite_schema


def print_suites() -> None:
    """The names of the shipped suites and what they evaluate, on stdout."""
    print_table(
        ["suite", "training run", "on the hub", "benchmarks"], [_suite_row(name) for name in shipped_suites()]
    )


def _suite_row(name: str) -> list[str]:
    suite = parse_suite(shipped_suite_text(name), where=f"shipped suite {name}", base_dir=Path.cwd())
    benchmarks = ", ".join(benchmark.id for benchmark, _ in suite.chosen())
    return [name, suite.model.name, ", ".join(suite.model.hub) or "-", benchmarks]


def print_suite(name: str) -> None:
    """The YAML text of a shipped suite, on stdout.

    Raises:
        ConfigError: there is no such suite.
    """
    if name not in shipped_suites():
        raise ConfigError(f"no shipped suite {name!r}: expected one of: {', '.join(shipped_suites())}")
    data.file.write(shipped_suite_text(name))


def print_schema() -> None:
    """The JSON Schema of a suite, on stdout."""
    print_json(suite_schema())


def print_benchmarks(*, as_json: bool) -> None:
    """The catalogue, on stdout."""
    if as_json:
        print_json([_benchmark_document(row) for row in CATALOGUE.values()])
        return
    rows = [
        [row.id, row.headline.metric, short_number(row.cost * 1000), ", ".join(row.data)]
        for row in CATALOGUE.values()
    ]
    print_table(
        ["benchmark", "headline", "prompt tokens", "data in the mirror"], rows, numbers=["prompt tokens"]
    )


def _benchmark_document(row: Benchmark) -> dict[str, object]:
    return {
        "id": row.id,
        "title": row.title,
        "kind": row.kind,
        "task": row.task,
        "shots": row.shots,
        "evaluator": row.evaluator,
        "headline": row.headline.metric,
        "direction": row.direction,
        "target": row.target,
        "chance": row.chance,
        "cost": row.cost,
        "data": list(row.data),
        "gated": row.gated,
        "stand_in": row.stand_in,
        "source": row.source,
    }
