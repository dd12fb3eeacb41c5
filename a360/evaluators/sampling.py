"""Sampling that belongs to the prompt: the same tokens in any batch, in any order, after any restart.

A sampler with one stream of random numbers gives other answers when a row has other neighbours or a run is
resumed. Here the numbers of a row come from a hash of its own prompt, the seed and the number of the sample;
a token is where its number falls in the cumulative distribution. Tempering and top-p are transformers'.

Shape suffixes: B rows of a batch, T new tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from transformers import LogitsProcessor
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from a360.identity import canonical_json


class Sampling(NamedTuple):
    """How the tokens of one answer are drawn."""

    temperature: float
    top_p: float
    seed: int
    sample: int
    """Which of the answers to one prompt: each has its own numbers."""


class Batch(NamedTuple):
    """The prompts of a padded batch."""

    prompts: Sequence[Sequence[int]]
    """Tokens of every row without its padding."""
    width: int
    """Tokens of every row with its padding."""

    @classmethod
    def without_padding(cls, context: torch.Tensor, mask: torch.Tensor) -> "Batch":
        """The rows of a context and its attention mask."""
        rows = zip(context.cpu(), mask.cpu().bool(), strict=True)
        return cls([row[shown].tolist() for row, shown in rows], context.shape[1])


def uniform_numbers(sampling: Sampling, prompt: Sequence[int], count: int) -> npt.NDArray[np.float64]:
    """``count`` numbers in [0, 1) that a prompt's tokens, the seed and the sample determine."""
    named = canonical_json({"prompt": list(prompt), "sample": sampling.sample, "seed": sampling.seed})
    key = xxhash.xxh3_128_intdigest(named.encode())
    return np.random.Generator(np.random.Philox(key=key)).random(count)


class DrawnToken(LogitsProcessor):
    """Leaves one token possible, the one that is drawn, so that a greedy choice takes it."""

    def __init__(self, sampling: Sampling, batch: Batch, new_tokens: int) -> None:
        self._warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(sampling.temperature)]
        if sampling.top_p < 1:
            self._warpers.append(TopPLogitsWarper(sampling.top_p))
        self._width = batch.width
        numbers = [uniform_numbers(sampling, prompt, new_tokens) for prompt in batch.prompts]
        self._uniform_BT = torch.from_numpy(np.stack(numbers))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores BV of the next token: minus infinity but for the drawn one."""
        step = input_ids.shape[1] - self._width
        warped_BV = scores.float()
        for warper in self._warpers:
            warped_BV = warper(input_ids, warped_BV)
        cumulative_BV = warped_BV.softmax(-1, dtype=torch.float64).cumsum(-1)
        uniform_B1 = self._uniform_BT[:, step : step + 1].to(scores.device)
        # From the right: no number falls on a token without probability.
        drawn_B1 = torch.searchsorted(cumulative_BV, uniform_B1 * cumulative_BV[:, -1:], right=True)
        drawn_B1.clamp_(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(-1, drawn_B1, 0.0)


class TotalTokens(LogitsProcessor):
    """Ends a row when prompt and answer have so many tokens together, however long its neighbours are.

    It forces the end of text, for that ends a row alone. A prompt that fills the total gets no answer.
    """

    def __init__(self, total: int, batch: Batch, end_of_text: int) -> None:
        self._end_of_text = end_of_text
        self._last_B = torch.tensor([batch.width + max(0, total - len(row)) for row in batch.prompts])

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores BV of the next token: in a row that has spent its total only the end of text is left."""
        spent_B = input_ids.shape[1] >= self._last_B.to(scores.device)
        ended_BV = torch.full_like(scores, -torch.inf)
        ended_BV[:, self._end_of_text] = 0.0
        return torch.where(spent_B[:, None], ended_BV, scores)
