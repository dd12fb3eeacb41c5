"""Greedy continuation of sequences of one length, many at a time: no padding, one forward a token.

Shape suffixes: B rows of a batch, T tokens.
"""

from typing import Any

import torch


@torch.inference_mode()
def continue_greedily(
    model: Any, shown_BT: torch.Tensor, count: int, end_of_text: int | None = None
) -> torch.Tensor:
    """The ``count`` tokens with which a model of transformers goes on, BT.

    Where ``end_of_text`` is given, it ends a row: what follows it is -1. Else it is a token like any other.
    """
    said, past, asked_BT = [], None, shown_BT
    ended_B = torch.zeros(len(shown_BT), dtype=torch.bool, device=shown_BT.device)
    for _ in range(count):
        out = model(input_ids=asked_BT, past_key_values=past, use_cache=True, logits_to_keep=1)
        past, next_B = out.past_key_values, out.logits[:, -1].argmax(-1)
        said.append(torch.where(ended_B, -1, next_B))
        if end_of_text is not None:
            ended_B |= next_B == end_of_text
        asked_BT = next_B[:, None]
    return torch.stack(said, dim=1)
