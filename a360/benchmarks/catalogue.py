"""One row per benchmark. A new benchmark is a new row, its lock entry and its demo rows."""

import difflib

from a360.benchmarks.answer_rows import ANSWER_ROWS
from a360.benchmarks.benchmark import Benchmark, Headline
from a360.benchmarks.choice_rows import CHOICE_ROWS
from a360.benchmarks.code_rows import CODE_ROWS
from a360.benchmarks.long_answer_rows import LONG_ANSWER_ROWS
from a360.benchmarks.prompts import Decoding, Prompts
from a360.benchmarks.text_rows import TEXT_ROWS


class UnknownBenchmarkError(LookupError):
    """An id that the catalogue does not have; the message names the nearest ones."""


_REAL = (*CHOICE_ROWS, *TEXT_ROWS, *ANSWER_ROWS, *LONG_ANSWER_ROWS, *CODE_ROWS)

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
    Benchmark(
        id="demo-next-word",
        title="Next word of held-out text",
        evaluator="generation",
        task="demo_next_word",
        folder=None,
        prompts=Prompts(group="source", words=32),
        decoding=Decoding(max_new_tokens=8),
        grade="classifier",
        grader="next_word",
        shots=None,
        data=("a360/demo-heldout",),
        headline=Headline(metric="acc", aggregation="micro"),
        chance=0.0,
        cost=30,
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
