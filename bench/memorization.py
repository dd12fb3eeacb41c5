"""Training sequences per second that a model goes on with: a360's own loop against transformers' generate.

Both get the same sequences and give the same tokens, which is checked. A model of Amber's shape with random
weights (``--layers 32``, bfloat16, 13.5 GB) or a small one; prints one line of JSON for each batch size, with
the ratio to generate of the same batch.

    python bench/memorization.py --device cuda --layers 32 --batches 32,256,1024
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from a360.evaluators.continuation import continue_greedily

SHOWN, ASKED = 32, 32
AMBER = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "vocab_size": 32000}
SMALL = {"hidden_size": 192, "intermediate_size": 512, "num_attention_heads": 6, "vocab_size": 4096}


def main() -> None:
    """Measures every batch size once after a warm-up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layers", type=int, default=4, help="32: Amber's shape")
    parser.add_argument("--batches", default="8,64,256")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    model = build(arguments.layers, arguments.device)
    for size in map(int, arguments.batches.split(",")):
        generator = torch.Generator().manual_seed(size)
        shown = torch.randint(2, model.config.vocab_size, (size, SHOWN), generator=generator)
        print(json.dumps(measure(model, shown.to(arguments.device), arguments.repeats)), flush=True)


def build(layers: int, device: str) -> Any:
    """A Llama with random weights, without an end of text."""
    shape: dict[str, Any] = AMBER if layers == 32 else SMALL
    torch.manual_seed(0)
    config = LlamaConfig(**shape, num_hidden_layers=layers, max_position_embeddings=2048, eos_token_id=None)
    with torch.device(device):
        model: Any = LlamaForCausalLM(config)
    return model.to(torch.bfloat16 if device == "cuda" else torch.float32).eval()


def measure(model: Any, shown: torch.Tensor, repeats: int) -> dict[str, object]:
    """Best seconds of both for one batch, and whether their tokens are the same."""

    def own() -> torch.Tensor:
        return continue_greedily(model, shown, ASKED)

    def theirs() -> torch.Tensor:
        mask = torch.ones_like(shown)
        found: torch.Tensor = model.generate(
            shown, attention_mask=mask, do_sample=False, max_new_tokens=ASKED, pad_token_id=0
        )
        return found[:, SHOWN:]

    same = (own() == theirs()).float().mean().item()  # warms both up
    seconds = {name: best(of, repeats) for name, of in (("a360", own), ("generate", theirs))}
    peak = torch.cuda.max_memory_allocated() / 2**30 if shown.is_cuda else None
    return {
        "batch": len(shown),
        "sequences_per_second": round(len(shown) / seconds["a360"], 1),
        "ratio_to_generate": round(seconds["generate"] / seconds["a360"], 2),
        "same_tokens": round(same, 4),
        "peak_gib": peak and round(peak, 1),
    }


def best(run: Callable[[], torch.Tensor], repeats: int) -> float:
    """Least seconds of one call."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        if run().is_cuda:
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return min(found)


if __name__ == "__main__":
    main()
