"""Drawn and bounded answers of a real model against a plain loop without a cache, one prompt at a time."""

from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance

from a360.evaluators.harness import load_model
from a360.evaluators.journaled_lm import MeasuringHFLM
from a360.evaluators.sampling import Sampling, uniform_numbers
from tests.documents import make_checkpoint, make_result
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

PROMPTS = (
    "Question: what is the capital of the country? Answer: the",
    "water iron gold",
    "The following are multiple choice questions (with answers) about science. A. B. C. D.",
    "0 1 2 3 4 5 6 7 8 9",
)
NEW_TOKENS = 16
EOS = 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MeasuringHFLM:
    directory = write_checkpoint(tmp_path_factory.mktemp("generation") / "model", seed=5)
    base = make_result("x", make_checkpoint(1), "k" * 16).protocol
    plain = {"dtype": "float32", "max_length": None, "softmax_dtype": None}
    return load_model(directory, base.model_copy(update=plain), device="cpu", batch_size=4, threads=1)


def generate(model: MeasuringHFLM, **arguments: Any) -> list[str]:
    asked = {"do_sample": False, "max_gen_toks": NEW_TOKENS, "until": [], **arguments}
    requests = [
        Instance(request_type="generate_until", doc={}, arguments=(prompt, asked), idx=0)
        for prompt in PROMPTS
    ]
    answers: list[str] = model.generate_until(requests, disable_tqdm=True)
    return answers


def kept_by_top_p(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The fewest likeliest tokens that have ``top_p`` together."""
    kept, total = torch.zeros_like(probabilities), 0.0
    for token in probabilities.argsort(descending=True).tolist():
        if total >= top_p:
            break
        kept[token], total = probabilities[token], total + float(probabilities[token])
    return kept / kept.sum()


def plain_answer(model: MeasuringHFLM, prompt: str, sampling: Sampling) -> str:
    """Token by token, each where its number falls in the cumulative distribution."""
    shown = model.tok_encode(prompt)
    said: list[int] = []
    for number in uniform_numbers(sampling, shown, NEW_TOKENS):
        with torch.inference_mode():
            logits = model.model(input_ids=torch.tensor([shown + said])).logits[0, -1]
        probabilities = kept_by_top_p((logits / sampling.temperature).softmax(-1).double(), sampling.top_p)
        total, token = 0.0, 0
        for token, probability in enumerate(probabilities.tolist()):  # noqa: B007
            total += probability
            if number < total:
                break
        if token == EOS:
            break
        said.append(token)
    return str(model.tok_decode(said))


@pytest.mark.parametrize(
    "sampling", [Sampling(0.8, 0.9, 42, 0), Sampling(1.0, 1.0, 0, 3), Sampling(0.1, 0.9, 42, 1)]
)
def test_a_plain_loop_draws_the_same_answers(model: MeasuringHFLM, sampling: Sampling) -> None:
    drawn = generate(model, sampling=list(sampling))
    assert drawn == [plain_answer(model, prompt, sampling) for prompt in PROMPTS]


def test_samples_of_a_prompt_differ_and_a_cold_one_is_nearly_greedy(model: MeasuringHFLM) -> None:
    samples = [generate(model, sampling=list(Sampling(1.0, 1.0, 0, sample))) for sample in range(4)]
    assert all(len(set(of)) == 4 for of in zip(*samples, strict=True))
    assert generate(model, sampling=list(Sampling(1e-4, 1.0, 0, 0))) == generate(model)


def test_prompt_and_answer_have_at_most_the_total_whatever_stands_beside(model: MeasuringHFLM) -> None:
    lengths = [len(model.tok_encode(prompt)) for prompt in PROMPTS]
    total = max(lengths) + 2
    whole, bounded = generate(model), generate(model, total_tokens=total)
    for prompt_tokens, answer, cut in zip(lengths, whole, bounded, strict=True):
        if total - prompt_tokens >= NEW_TOKENS:
            assert cut == answer
        else:
            assert answer.startswith(cut.rstrip("\ufffd"))  # the last token may be half a character
            assert len(cut) < len(answer)
    assert whole[1] == bounded[1]
    assert whole[2] != bounded[2]
    assert generate(model, total_tokens=min(lengths))[lengths.index(min(lengths))] == ""
