"""LongEval: long prompts, answered once and graded apart."""

from a360.benchmarks.benchmark import Benchmark, Headline
from a360.benchmarks.prompts import Decoding, Prompts

LONG_EVAL = "https://lmsys.org/blog/2023-06-29-longchat/"

LONG_ANSWER_ROWS = (
    Benchmark(
        id="longeval-lines",
        title="LongEval, lines",
        evaluator="generation",
        task="long_eval_lines",
        folder=None,
        prompts=Prompts(text="prompt", group="num_lines", reference=("expected_number",), whole=True),
        decoding=Decoding(max_new_tokens=100),
        grade="classifier",
        grader="last_number",
        shots=None,
        data=("a360/long-eval-lines",),
        headline=Headline(metric="acc", aggregation="micro"),
        chance=0.0,
        cost=900,
        source=LONG_EVAL,
    ),
    Benchmark(
        id="longeval-topics",
        title="LongEval, topics",
        evaluator="generation",
        task="long_eval_topics",
        folder=None,
        prompts=Prompts(text="prompt", group="num_topics", reference=("topics",), whole=True),
        decoding=Decoding(max_new_tokens=50),
        grade="classifier",
        grader="topics",
        shots=None,
        data=("a360/long-eval-topics",),
        headline=Headline(metric="first_topic", aggregation="micro"),
        chance=0.0,
        cost=500,
        source=LONG_EVAL,
    ),
)
