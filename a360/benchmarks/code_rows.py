"""Rows whose answers are programs: drawn or greedy, run in a sandbox by a stage of their own.

Prompts, stop words and lengths are those of bigcode's evaluation harness, with which the original numbers
were made; a row that ends in ``-harness`` is asked as lm-eval asks it, which gives other numbers.
"""

from dataclasses import replace

from a360.benchmarks.benchmark import Benchmark, Headline
from a360.benchmarks.prompts import Decoding, Prompts

HUB = "https://huggingface.co/datasets/"
_HUMANEVAL_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>")
_HARNESS_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
_MBPP_STOPS = ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```")


def _drawn(stops: tuple[str, ...], temperature: float, samples: int) -> Decoding:
    return Decoding(
        max_new_tokens=512,
        total_tokens=512,
        until=stops,
        temperature=temperature,
        top_p=0.95,
        samples=samples,
    )


def _short(decoding: Decoding, samples: int) -> Decoding:
    """For a demo: at most 64 new tokens."""
    return replace(decoding, max_new_tokens=64, samples=samples)


_HUMANEVAL = Benchmark(
    id="humaneval-t02",
    title="HumanEval, temperature 0.2",
    evaluator="generation",
    task="humaneval",
    folder=None,
    prompts=Prompts(text="prompt", strip=True, reference=("prompt", "test", "entry_point")),
    decoding=_drawn(_HUMANEVAL_STOPS, 0.2, 20),
    demo_decoding=_short(_drawn(_HUMANEVAL_STOPS, 0.2, 20), 10),
    grade="code",
    grader="code",
    shots=None,
    data=("openai/openai_humaneval",),
    headline=Headline(metric="pass@1"),
    cost=2_000,
    source="https://arxiv.org/abs/2107.03374",
)
_MBPP = Benchmark(
    id="mbpp-t01",
    title="MBPP, temperature 0.1",
    evaluator="generation",
    task="mbpp",
    folder=None,
    prompts=Prompts(files="*/test-*", template="mbpp-docstring", reference=("test_list",)),
    decoding=_drawn(_MBPP_STOPS, 0.1, 16),
    demo_decoding=_short(_drawn(_MBPP_STOPS, 0.1, 16), 2),
    grade="code",
    grader="code",
    shots=None,
    data=("google-research-datasets/mbpp/full",),
    headline=Headline(metric="pass@1"),
    cost=4_000,
    source="https://arxiv.org/abs/2108.07732",
)
_GREEDY = Decoding(max_new_tokens=512, total_tokens=512, until=_HUMANEVAL_STOPS)
_DONE = Decoding(max_new_tokens=256, until=("[DONE]",))
_HARNESS = Decoding(max_new_tokens=1024, until=_HARNESS_STOPS)

CODE_ROWS = (
    _HUMANEVAL,
    replace(
        _HUMANEVAL,
        id="humaneval-t08",
        title="HumanEval, temperature 0.8",
        decoding=_drawn(_HUMANEVAL_STOPS, 0.8, 20),
        demo_decoding=_short(_drawn(_HUMANEVAL_STOPS, 0.8, 20), 2),
    ),
    replace(
        _HUMANEVAL,
        id="humaneval-greedy",
        title="HumanEval, greedy",
        decoding=_GREEDY,
        demo_decoding=replace(_GREEDY, max_new_tokens=64),
        cost=100,
    ),
    replace(
        _HUMANEVAL,
        id="humaneval-harness",
        title="HumanEval, as lm-eval asks it",
        prompts=Prompts(text="prompt", reference=("prompt", "test", "entry_point")),
        decoding=_HARNESS,
        demo_decoding=replace(_HARNESS, max_new_tokens=64),
        cost=200,
        source=HUB + "openai/openai_humaneval",
    ),
    _MBPP,
    replace(
        _MBPP,
        id="mbpp-t08",
        title="MBPP, temperature 0.8",
        decoding=_drawn(_MBPP_STOPS, 0.8, 16),
        demo_decoding=_short(_drawn(_MBPP_STOPS, 0.8, 16), 2),
    ),
    replace(
        _MBPP,
        id="mbpp-harness",
        title="MBPP, as lm-eval asks it",
        prompts=Prompts(
            files="*/test-*",
            template="mbpp-tests",
            examples=(2, 3, 4),
            example_files="*/prompt-*",
            reference=("test_list",),
        ),
        decoding=_DONE,
        demo_decoding=replace(_DONE, max_new_tokens=64),
        shots=3,
        cost=500,
    ),
)
