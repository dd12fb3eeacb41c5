"""What a grader gets and what it gives. A grader is a function of the two, without store or credentials."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
from pydantic import JsonValue

from a360.benchmarks import Benchmark
from a360.records import Grading, Metric
from a360.results.answers import AnswerRow


@dataclass(frozen=True, kw_only=True)
class GradeTask:
    """The answers of one pair, and the grading of its plan."""

    benchmark: Benchmark
    grading: Grading
    answers: tuple[AnswerRow, ...]
    on_progress: Callable[[int, int], None] = lambda done, total: None
    """Gets (answers graded, answers)."""


@dataclass(frozen=True, kw_only=True)
class Graded:
    """What a grader hands to the commit."""

    metrics: tuple[Metric, ...]
    items: pa.Table
    """In the schema of a360/results/items.py."""
    raw: dict[str, JsonValue] = field(default_factory=dict)


Grade = Callable[[GradeTask], Graded]
