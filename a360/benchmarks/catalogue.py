"""One row per benchmark. A new benchmark is a new row, its lock entry and its demo rows."""

import difflib

from a360.benchmarks.benchmark import Benchmark, Headline
from a360.benchmarks.mmlu import mmlu_macros
from a360.benchmarks.pile import ASSUMED_18
from a360.benchmarks.texts import Texts

HUB = "https://huggingface.co/datasets/"


class UnknownBenchmarkError(LookupError):
    """An id that the catalogue does not have; the message names the nearest ones."""


_REAL = (
    Benchmark(
        id="mmlu-5shot",
        title="MMLU, 5-shot",
        task="mmlu",
        folder="mmlu/default",
        shots=5,
        data=("cais/mmlu",),
        headline=Headline(metric="acc", aggregation="macro"),
        chance=0.25,
        macro_metric="acc",
        macros=mmlu_macros(),
        cost=10_700,
        source=HUB + "cais/mmlu",
    ),
    Benchmark(
        id="arc-challenge-25shot",
        title="ARC-Challenge, 25-shot",
        task="arc_challenge",
        folder="arc",
        shots=25,
        data=("allenai/ai2_arc/ARC-Challenge",),
        headline=Headline(metric="acc_norm"),
        chance=0.25,
        cost=5_000,
        source=HUB + "allenai/ai2_arc",
    ),
    Benchmark(
        id="hellaswag-10shot",
        title="HellaSwag, 10-shot",
        task="hellaswag",
        folder="hellaswag",
        shots=10,
        data=("Rowan/hellaswag",),
        headline=Headline(metric="acc_norm"),
        chance=0.25,
        cost=51_700,
        source=HUB + "Rowan/hellaswag",
    ),
    Benchmark(
        id="truthfulqa-mc2",
        title="TruthfulQA, MC2",
        task="truthfulqa_mc2",
        folder="truthfulqa",
        shots=None,
        data=("truthfulqa/truthful_qa",),
        headline=Headline(metric="acc"),
        cost=1_500,
        source=HUB + "truthfulqa/truthful_qa",
    ),
    Benchmark(
        id="boolq",
        title="BoolQ, 0-shot",
        task="boolq",
        folder="super_glue/boolq",
        shots=0,
        data=("aps/super_glue/boolq",),
        headline=Headline(metric="acc"),
        chance=0.5,
        cost=540,
        source=HUB + "aps/super_glue",
    ),
    Benchmark(
        id="gsm8k-5shot",
        title="GSM8K, 5-shot",
        task="gsm8k",
        folder="gsm8k",
        shots=5,
        data=("openai/gsm8k/main",),
        headline=Headline(metric="exact_match", filter="strict-match"),
        chance=0.0,
        cost=6_000,
        source=HUB + "openai/gsm8k",
    ),
    Benchmark(
        id="wikitext",
        title="WikiText-2",
        kind="perplexity",
        task="wikitext",
        folder="wikitext",
        shots=None,
        data=("EleutherAI/wikitext_document_level/wikitext-2-raw-v1",),
        headline=Headline(metric="word_perplexity"),
        direction="lower",
        cost=340,
        source=HUB + "EleutherAI/wikitext_document_level",
    ),
    Benchmark(
        id="pile",
        title="The Pile, test split",
        kind="perplexity",
        evaluator="perplexity",
        task="pile",
        folder=None,
        texts=Texts(group="meta.pile_set_name", average_groups=ASSUMED_18),
        shots=None,
        data=("pile/test",),
        headline=Headline(metric="bits_per_byte", aggregation="micro"),
        direction="lower",
        cost=400_000,
        source="https://pile.eleuther.ai/",
    ),
    Benchmark(
        id="pile-10k",
        title="The Pile, 10,000 documents",
        kind="perplexity",
        evaluator="perplexity",
        task="pile_10k",
        folder=None,
        texts=Texts(group="meta.pile_set_name", average_groups=ASSUMED_18),
        shots=None,
        data=("NeelNanda/pile-10k",),
        headline=Headline(metric="bits_per_byte", aggregation="micro"),
        direction="lower",
        cost=17_000,
        source=HUB + "NeelNanda/pile-10k",
    ),
)

_OWN = (
    Benchmark(
        id="demo-heldout-perplexity",
        title="Held-out text of the demo's corpus",
        kind="perplexity",
        task="demo_heldout",
        folder=None,
        shots=None,
        data=("a360/demo-heldout",),
        headline=Headline(metric="bits_per_byte", aggregation="micro"),
        direction="lower",
        pooled=True,
        cost=100,
        source="https://docs.python.org/3/reference/",
        stand_in=True,
    ),
)

CATALOGUE: dict[str, Benchmark] = {row.id: row for row in (*_REAL, *(row.demo() for row in _REAL), *_OWN)}


def find_benchmark(benchmark_id: str) -> Benchmark:
    """The row of an id.

    Raises:
        UnknownBenchmarkError: with the nearest ids in its message.
    """
    if benchmark_id in CATALOGUE:
        return CATALOGUE[benchmark_id]
    near = difflib.get_close_matches(benchmark_id, CATALOGUE, n=3, cutoff=0.4)
    guess = f"did you mean {' or '.join(near)}?" if near else "a360 suites benchmarks lists them"
    raise UnknownBenchmarkError(f"unknown benchmark {benchmark_id!r}: {guess}")
