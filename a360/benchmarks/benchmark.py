"""What a row of the catalogue says."""

from dataclasses import dataclass, replace
from typing import Literal

from a360.benchmarks.conversations import Conversations
from a360.benchmarks.memorization import Memorization
from a360.benchmarks.prompts import Decoding, Prompts
from a360.benchmarks.texts import GroupSubset, Texts
from a360.records import Aggregation, Direction, GradeKind


@dataclass(frozen=True, kw_only=True)
class Headline:
    """Which of a result's metrics stands for the benchmark."""

    metric: str
    filter: str = "none"
    aggregation: Aggregation = "item"


@dataclass(frozen=True, kw_only=True)
class Macro:
    """An unweighted mean of a metric over tasks; ``subset`` None is the mean over all of them."""

    subset: str | None
    tasks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A model that judges answers. Its weights are in the mirror, and their hash is part of the key."""

    model: str
    """Place in the mirror of configuration and weights: ``models/<owner>/<name>``."""
    tokenizer: str
    """Place of the tokenizer, which may be another repository's."""
    labels: tuple[str, ...]
    """What its configuration has to call the classes, in any order."""
    wanted: str
    """The class whose share is counted."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark: data only. Adding a benchmark is adding a row."""

    id: str
    version: int = 1
    title: str
    kind: Literal["downstream", "perplexity"] = "downstream"
    evaluator: Literal["harness", "perplexity", "generation", "conversation", "memorization"] = "harness"
    task: str
    """lm-eval's task or group; for a360's own evaluators the name of the whole beside its groups."""
    folder: str | None
    """The folder of lm_eval/tasks that defines it; None for a360's own tasks."""
    texts: Texts | None = None
    """What the perplexity evaluator reads and how; None for the others."""
    groups: tuple[str, ...] = ()
    """The groups that its documents are in, where they are known before they are read."""
    memorization: Memorization | None = None
    """What the memorization evaluator asks; None for the others."""
    prompts: Prompts | None = None
    """What the generation evaluator shows; None for the others."""
    conversations: Conversations | None = None
    """What the conversation evaluator asks; None for the others."""
    decoding: Decoding | None = None
    demo_decoding: Decoding | None = None
    """That of its twin, where the row's own is too much for a demo."""
    grade: GradeKind = "none"
    """The pod that turns committed answers into metrics."""
    grader: str | None = None
    """The grader's name in a360/grading/graders.py; None where nothing is graded apart."""
    classifier: Classifier | None = None
    """The model that the grader asks; None for the others."""
    judge: Literal["needed", "optional"] | None = None
    """Whether the grader asks the suite's judge; where it may, the stage is the judge's if there is one."""
    shots: int | None
    """None where the task pins its own number or has none."""
    data: tuple[str, ...]
    """Places in the mirror: a hub repository, or a folder of one."""
    headline: Headline
    direction: Direction = "higher"
    """Direction of the headline."""
    target: float | None = None
    """What the headline should come to, where neither higher nor lower is better."""
    chance: float | None = None
    macro_metric: str | None = None
    """Metric of which ``macros`` are means."""
    macros: tuple[Macro, ...] = ()
    pooled: bool = False
    """Perplexity of a group: pooled over the items of all its tasks."""
    cost: float
    """Thousand prompt tokens of one evaluation of the full data, roughly; orders work, never a key."""
    source: str
    """Link to the data or paper."""
    gated: bool = False
    """Its data is open only to a token whose owner has accepted its conditions."""
    stand_in: bool = False
    """Served by the project's own rows under a ``demo-`` id."""

    def __post_init__(self) -> None:
        if (self.evaluator == "perplexity") != (self.texts is not None):
            raise ValueError(f"benchmark {self.id}: the perplexity evaluator, and no other, has texts")
        if (self.evaluator == "memorization") != (self.memorization is not None):
            raise ValueError(
                f"benchmark {self.id}: the memorization evaluator, and no other, has its settings"
            )
        if (self.evaluator == "generation") != (self.prompts is not None):
            raise ValueError(f"benchmark {self.id}: the generation evaluator, and no other, has prompts")
        if (self.evaluator == "conversation") != (self.conversations is not None):
            raise ValueError(
                f"benchmark {self.id}: the conversation evaluator, and no other, has conversations"
            )
        generates = self.evaluator in ("generation", "conversation")
        if generates != (self.decoding is not None):
            raise ValueError(f"benchmark {self.id}: what is generated, and nothing else, has a decoding")
        if {self.grader is not None} != {self.grade != "none", generates}:
            raise ValueError(f"benchmark {self.id}: what is generated, and nothing else, has a grader")
        if self.classifier and self.grade != "classifier":
            raise ValueError(f"benchmark {self.id}: a classifier is asked in the stage of that name")
        if (self.judge == "needed" and self.grade != "judge") or (
            self.judge is None and self.grade == "judge"
        ):
            raise ValueError(f"benchmark {self.id}: a judge is asked in the stage of that name")

    def judged(self) -> "Benchmark":
        """The row of a suite that has a judge: the same answers, another stage of grading where one may."""
        return self if self.judge is None else replace(self, grade="judge")

    def places(self) -> tuple[str, ...]:
        """Every place in the mirror that its evaluation and grading read."""
        return (*self.data, *self.classifier_data())

    def classifier_data(self) -> tuple[str, ...]:
        """Places in the mirror of the classifier and its tokenizer; none without one."""
        if self.classifier is None:
            return ()
        return tuple(dict.fromkeys((self.classifier.model, self.classifier.tokenizer)))

    def averaged(self, subset: GroupSubset) -> "Benchmark":
        """The row with another subset of its groups to average over; another protocol."""
        return replace(self, texts=replace(self.texts or Texts(), average_groups=subset))

    def demo(self, *, cost: float = 100.0) -> "Benchmark":
        """The row's twin on the project's own rows: the same task under a ``demo-`` id."""
        return replace(
            self,
            id=f"demo-{self.id}",
            title=f"{self.title} (demo rows)",
            stand_in=True,
            gated=False,
            decoding=self.demo_decoding or self.decoding,
            cost=cost,
        )
