"""What a grader gets and what it gives. A grader is a function of the two, without store or credentials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pydantic import JsonValue

from a360.benchmarks import Benchmark, Classifier
from a360.errors import ConfigError
from a360.records import Grading, Metric
from a360.results.answers import AnswerRow


class Question(NamedTuple):
    """What a judge is shown."""

    system: str
    prompt: str


class Judgment(NamedTuple):
    """What a judge said. ``value`` None: none of its answers could be parsed."""

    value: float | None
    text: str
    """The last answer."""
    tries: int


AskJudge = Callable[[Sequence[Question], Callable[[str], float | None]], list[Judgment]]
"""The judgment of every question, in order; the function finds the value in a judge's words."""


@dataclass(frozen=True, kw_only=True)
class GradeTask:
    """The answers of one pair, and the grading of its plan."""

    benchmark: Benchmark
    grading: Grading
    answers: tuple[AnswerRow, ...]
    mirror_dir: Path = Path()
    """Where the classifier's files are; read by graders that have one."""
    judge: AskJudge | None = None
    """Asked by graders that have a judge."""
    allow_weak_sandbox: bool = False
    """Whether programs are judged where the sandbox does not hold; the result records it."""
    on_progress: Callable[[int, int], None] = lambda done, total: None
    """Gets (answers graded, answers)."""

    def require_classifier(self) -> Classifier:
        """The benchmark's classifier. Raises ConfigError where it has none."""
        if self.benchmark.classifier is None:
            raise ConfigError(f"benchmark {self.benchmark.id} has no classifier for {self.grading.grader}")
        return self.benchmark.classifier

    def require_judge(self) -> AskJudge:
        """The judge. Raises ConfigError where there is none."""
        if self.judge is None:
            raise ConfigError(f"benchmark {self.benchmark.id} has no judge for {self.grading.grader}")
        return self.judge


@dataclass(frozen=True, kw_only=True)
class Graded:
    """What a grader hands to the commit."""

    metrics: tuple[Metric, ...]
    items: pa.Table
    """In the schema of a360/results/items.py."""
    raw: dict[str, JsonValue] = field(default_factory=dict)


Grade = Callable[[GradeTask], Graded]
