"""Reads ``lock.json``: the hash of every task in the pinned evaluator environment, and of every grader.

A planner takes the hashes from here and needs no lm-eval; every evaluate job recomputes those of tasks
(a360/evaluators/tasks.py), every grade job that of its grader (a360/grading/graders.py), and stops where
they differ.
"""

import json
from functools import cache
from importlib import resources

from a360.benchmarks.benchmark import Benchmark
from a360.benchmarks.conversations import conversations_hash
from a360.benchmarks.memorization import memorization_hash
from a360.benchmarks.prompts import prompts_hash
from a360.benchmarks.texts import texts_hash
from a360.errors import ConfigError


def load_lock() -> dict[str, str]:
    """lm-eval's task or group name -> hash of its resolved leaf tasks."""
    return _load("tasks")


def locked_grader_hash(grader: str) -> str:
    """The locked hash of a grader's sources.

    Raises:
        ConfigError: the lock has no entry for it.
    """
    try:
        return _load("graders")[grader]
    except KeyError:
        raise ConfigError(f"grader {grader!r} has no lock entry", hint="Run: make lock") from None


@cache
def _load(section: str) -> dict[str, str]:
    text = (resources.files("a360.benchmarks") / "lock.json").read_text(encoding="utf-8")
    return {str(name): str(value) for name, value in json.loads(text)[section].items()}


def locked_task_hash(benchmark: Benchmark) -> str:
    """The locked hash of a benchmark's task; a row of a360's own evaluators is its own lock.

    Raises:
        ConfigError: the lock has no entry for it.
    """
    if benchmark.texts:
        return texts_hash(benchmark.texts)
    if benchmark.memorization:
        return memorization_hash(benchmark.memorization)
    if benchmark.prompts:
        return prompts_hash(benchmark.prompts)
    if benchmark.conversations:
        return conversations_hash(benchmark.conversations)
    try:
        return load_lock()[benchmark.task]
    except KeyError:
        raise ConfigError(
            f"benchmark {benchmark.id} has no lock entry: task {benchmark.task!r} is not in lock.json",
            hint="Run: make lock",
        ) from None
