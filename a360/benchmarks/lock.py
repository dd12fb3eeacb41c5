"""Reads ``lock.json``: what every task resolved to in the pinned evaluator environment.

A planner takes the hashes from here and needs no lm-eval; every evaluate job recomputes them
(a360/evaluators/lock.py) and stops where they differ.
"""

import json
from functools import cache
from importlib import resources

from a360.benchmarks.benchmark import Benchmark
from a360.benchmarks.texts import texts_hash
from a360.errors import ConfigError


@cache
def load_lock() -> dict[str, str]:
    """lm-eval's task or group name -> hash of its resolved leaf tasks."""
    text = (resources.files("a360.benchmarks") / "lock.json").read_text(encoding="utf-8")
    tasks = json.loads(text)["tasks"]
    return {str(name): str(value) for name, value in tasks.items()}


def locked_task_hash(benchmark: Benchmark) -> str:
    """The locked hash of a benchmark's task; a row of the perplexity evaluator is its own lock.

    Raises:
        ConfigError: the lock has no entry for it.
    """
    if benchmark.texts:
        return texts_hash(benchmark.texts)
    try:
        return load_lock()[benchmark.task]
    except KeyError:
        raise ConfigError(
            f"benchmark {benchmark.id} has no lock entry: task {benchmark.task!r} is not in lock.json",
            hint="Run: make lock",
        ) from None
