"""Draws that belong to a prompt: right distribution, the same in any batch, another for any sample."""

from collections import Counter

import numpy as np
import pytest
import torch

from a360.evaluators.sampling import Batch, DrawnToken, Sampling, TotalTokens, uniform_numbers

LOGITS_V = torch.tensor([2.0, 1.0, 0.0, -1.0, -torch.inf])


def draw(sampling: Sampling, prompts: list[list[int]], logits_BV: torch.Tensor, step: int = 0) -> list[int]:
    """The drawn token of every row, ``step`` tokens after prompts that are padded to one width."""
    width = max(map(len, prompts))
    shown = torch.zeros((len(prompts), width + step), dtype=torch.long)
    scores_BV = DrawnToken(sampling, Batch(prompts, width), 8)(shown, logits_BV)
    assert (scores_BV > -torch.inf).sum(-1).tolist() == [1] * len(prompts)
    return scores_BV.argmax(-1).tolist()


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.8)])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature: float, top_p: float) -> None:
    rows = 4000
    prompts = [[number] for number in range(rows)]
    sampling = Sampling(temperature, top_p, 0, 0)
    counts = Counter(draw(sampling, prompts, LOGITS_V.repeat(rows, 1)))
    expected_V = (LOGITS_V / temperature).softmax(-1)
    if top_p < 1:
        expected_V[2:] = 0  # the first two have more than 0.8 together
        expected_V /= expected_V.sum()
    for token, share in enumerate(expected_V.tolist()):
        assert counts[token] / rows == pytest.approx(share, abs=4 * (share * (1 - share) / rows) ** 0.5)


def test_a_row_draws_the_same_beside_other_rows_and_with_padding() -> None:
    sampling = Sampling(1.0, 1.0, 7, 3)
    for step in range(8):
        alone = draw(sampling, [[5, 6]], LOGITS_V[None], step)
        [_, beside, _] = draw(sampling, [[1, 2, 3, 4], [5, 6], [9]], LOGITS_V.repeat(3, 1), step)
        assert [beside] == alone


def test_a_row_draws_other_numbers_for_every_token() -> None:
    rows, flat_V = [[number] for number in range(64)], torch.zeros((64, 1000))
    steps = [draw(Sampling(1.0, 1.0, 0, 0), rows, flat_V, step) for step in range(8)]
    assert len({tuple(step) for step in steps}) == 8


@pytest.mark.parametrize("other", [Sampling(1.0, 1.0, 0, 1), Sampling(1.0, 1.0, 1, 0)])
def test_another_sample_or_seed_has_other_numbers(other: Sampling) -> None:
    numbers = uniform_numbers(Sampling(1.0, 1.0, 0, 0), [1, 2], 8)
    assert not np.isin(uniform_numbers(other, [1, 2], 8), numbers).any()
    assert not np.isin(uniform_numbers(Sampling(1.0, 1.0, 0, 0), [12], 8), numbers).any()


def test_the_numbers_never_change() -> None:
    numbers = uniform_numbers(Sampling(0.8, 0.95, 42, 1), [3, 1, 4, 1, 5], 3)
    assert numbers.tolist() == [0.6846418357195223, 0.6783185685875015, 0.4554130149244935]


def test_no_token_without_probability_is_drawn_at_either_end(monkeypatch: pytest.MonkeyPatch) -> None:
    logits_BV = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]])
    for number, expected in ((0.0, 1), (1 - 2**-53, 2)):
        monkeypatch.setattr(
            "a360.evaluators.sampling.uniform_numbers", lambda *_, number=number: np.full(8, number)
        )
        assert draw(Sampling(1.0, 1.0, 0, 0), [[1]], logits_BV) == [expected]


def test_a_row_ends_when_prompt_and_answer_have_the_total() -> None:
    batch = Batch([[1, 2, 3, 4], [1, 2], [1, 2, 3, 4, 5, 6]], 6)
    bound = TotalTokens(5, batch, end_of_text=0)
    ended = [
        (bound(torch.zeros((3, 6 + step), dtype=torch.long), torch.ones((3, 3)))[:, 1] == -torch.inf).tolist()
        for step in range(4)
    ]
    assert ended == [[False, False, True], [True, False, True], [True, False, True], [True, True, True]]
