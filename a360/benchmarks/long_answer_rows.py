"""LongEval and MT-bench: long prompts and conversations, answered once and graded apart."""

from a360.benchmarks.benchmark import Benchmark, Headline
from a360.benchmarks.conversations import Conversations
from a360.benchmarks.prompts import Decoding, Prompts

MT_BENCH = "a360/mt-bench"
"""Questions, reference answers and the judge's prompts, converted from the files of their authors."""
TEMPERATURES = (
    ("writing", 0.7), ("roleplay", 0.7), ("extraction", 0.0), ("math", 0.0), ("coding", 0.0),
    ("reasoning", 0.0), ("stem", 0.1), ("humanities", 0.1),
)  # fmt: skip
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
        judge="optional",
        shots=None,
        data=("a360/long-eval-topics",),
        headline=Headline(metric="first_topic", aggregation="micro"),
        chance=0.0,
        cost=500,
        source=LONG_EVAL,
    ),
    Benchmark(
        id="mt-bench",
        title="MT-bench",
        evaluator="conversation",
        task="mt_bench",
        folder=None,
        conversations=Conversations(
            questions=f"{MT_BENCH}/questions/*",
            references=f"{MT_BENCH}/references/*",
            judge_prompts=f"{MT_BENCH}/judge_prompts",
            templates=("single-v1", "single-v1-multi-turn"),
            reference_templates=("single-math-v1", "single-math-v1-multi-turn"),
            reference_categories=("math", "reasoning", "coding"),
        ),
        decoding=Decoding(max_new_tokens=1024, temperatures=TEMPERATURES),
        demo_decoding=Decoding(max_new_tokens=32, temperatures=TEMPERATURES),
        grade="judge",
        grader="mt_bench",
        judge="needed",
        shots=None,
        data=(MT_BENCH,),
        headline=Headline(metric="rating", aggregation="micro"),
        cost=200,
        source="https://arxiv.org/abs/2306.05685",
    ),
)
