"""The generation evaluator: answers of a loaded model to prompts, for a grader that runs apart.

Called by a360/evaluate.py with prompts from a360/datasets/prompts.py. Answers are lm-eval's own
(``generate_until`` of HFLM), so a prompt that is too long loses its left side and is counted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
from lm_eval.api.instance import Instance
from lm_eval.api.model import CacheHook
from pydantic import JsonValue

from a360.benchmarks import Benchmark
from a360.datasets.prompts import Prompt
from a360.errors import ConfigError, DataError
from a360.evaluators.journaled_lm import Asked, JournaledLM, MeasuringHFLM
from a360.records import Protocol
from a360.results.answers import NOT_ASKED, AnswerRow, answer_table
from a360.results.journal import Journal


@dataclass(frozen=True, kw_only=True)
class Generated(Asked):
    """What the generation evaluator hands to the commit."""

    answers: pa.Table


def generate_answers(
    benchmark: Benchmark,
    protocol: Protocol,
    prompts: Iterable[Prompt],
    model: MeasuringHFLM,
    journal: Journal,
    on_progress: Callable[[int, int], None],
) -> Generated:
    """The answers to every prompt, in the order of the prompts.

    Raises:
        ConfigError: the decoding is not one that this evaluator knows, or leaves no room for a prompt.
        DataError: there is no prompt.
    """
    chosen = _choose(benchmark, prompts, protocol.limit)
    arguments = generation_arguments(protocol, model.max_length)
    lm = JournaledLM(model, journal, on_progress)
    left_out = _left_out(chosen, protocol, model) if benchmark.prompts and benchmark.prompts.whole else {}
    numbers = [number for number, prompt in enumerate(chosen) if prompt.group not in left_out]
    asked = [(number, sample) for number in numbers for sample in range(len(arguments))]
    requests = [
        Instance(
            request_type="generate_until", doc={}, arguments=(chosen[number].text, arguments[sample]), idx=0
        )
        for number, sample in asked
    ]
    try:
        responses = lm.generate_until(requests)
    finally:
        model.set_cache_hook(CacheHook(None))  # else a cycle of references keeps the weights
    answers = [
        _row(number, sample, chosen[number], str(response))
        for (number, sample), response in zip(asked, responses, strict=True)
    ]
    for number, prompt in enumerate(chosen):
        if prompt.group in left_out:
            row = _row(number, 0, prompt, "")
            answers.append(row._replace(reference={**row.reference, NOT_ASKED: left_out[prompt.group]}))
    return Generated(answers=answer_table(answers), **lm.asked())


def _row(number: int, sample: int, prompt: Prompt, response: str) -> AnswerRow:
    return AnswerRow(number, sample, prompt.place, prompt.group, prompt.text, response, prompt.reference)


def _left_out(chosen: Sequence[Prompt], protocol: Protocol, model: MeasuringHFLM) -> dict[str | None, str]:
    """Group -> why it is not asked: the left side of its longest prompt would be cut."""
    room = model.max_length - int(str(protocol.decoding["max_new_tokens"]))
    longest: dict[str | None, int] = {}
    for prompt in chosen:
        length = len(model.tok_encode(prompt.text))
        longest[prompt.group] = max(length, longest.get(prompt.group, 0))
    return {
        group: f"not asked: a prompt has {tokens:,} tokens, beside the answer there is room for {room:,}"
        for group, tokens in longest.items()
        if tokens > room
    }


def _choose(benchmark: Benchmark, prompts: Iterable[Prompt], limit: int | None) -> list[Prompt]:
    """All prompts, or the first so many of every group; the rest is read too, for it may be damaged."""
    counts: dict[str | None, int] = {}
    chosen = []
    for prompt in prompts:
        counts[prompt.group] = counts.get(prompt.group, 0) + 1
        if limit is None or counts[prompt.group] <= limit:
            chosen.append(prompt)
    if not chosen:
        places = ", ".join(benchmark.data)
        raise DataError(f"no prompts: benchmark {benchmark.id}: the files of {places} have no row")
    return chosen


def generation_arguments(protocol: Protocol, max_length: int) -> list[dict[str, JsonValue]]:
    """lm-eval's generation arguments, for each answer to a prompt.

    To lm-eval all are greedy: a sampler leaves it one token to choose (a360/evaluators/sampling.py).

    Raises:
        ConfigError: the decoding is not one that this evaluator knows, or leaves no room for a prompt.
    """
    decoding = dict(protocol.decoding)
    new_tokens, until = decoding.pop("max_new_tokens", None), decoding.pop("until", None)
    total, temperature = decoding.pop("total_tokens", None), decoding.pop("temperature", None)
    top_p, samples, seed = (decoding.pop(name, default) for name, default in _GREEDY.items())
    if decoding or not (isinstance(new_tokens, int) and isinstance(until, list) and isinstance(samples, int)):
        raise ConfigError(
            f"decoding is not known: benchmark {protocol.benchmark}: {protocol.decoding}, "
            "expected max_new_tokens and until, and perhaps temperature, top_p, samples, seed, total_tokens",
            hint="Plan with the version of a360 that evaluates.",
        )
    if new_tokens >= max_length:
        raise ConfigError(
            f"no room for a prompt: benchmark {protocol.benchmark}: {new_tokens} new tokens, "
            f"the model sees at most {max_length}",
            hint="Raise model.max_length.",
        )
    shared: dict[str, JsonValue] = {"do_sample": False, "max_gen_toks": new_tokens, "until": until}
    if total is not None:
        shared["total_tokens"] = total
    if temperature is None:
        return [shared]
    # A list: lm-eval would take a mapping's keys for all of it when it sorts requests into batches.
    return [{**shared, "sampling": [temperature, top_p, seed, sample]} for sample in range(samples)]


_GREEDY: dict[str, JsonValue] = {"top_p": 1.0, "samples": 1, "seed": 0}
