"""A Llama that says one thing: after a question mark it always gives the same answer, greedily.

It looks at the last token only, as tests/bigram_model.py does: embeddings are unit vectors, attention and MLP
add nothing, the final norm makes the vector sqrt(size) long. A random model answers nothing that a metric of
answers would notice; this one is sometimes right.
"""

from itertools import pairwise
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tests.tiny_model import write_checkpoint

CERTAIN = 8.0
"""Logit of the token that follows; all others have 0."""


def write_parrot(target_dir: Path, *, answer: str, positions: int = 2048, after: str = "?") -> Path:
    """The directory of the checkpoint, with the tokenizer of tests/tiny_model.py.

    It speaks after another text where ``after`` names one that is one token.
    """
    write_checkpoint(target_dir, seed=1, positions=positions)
    tokenizer = AutoTokenizer.from_pretrained(target_dir)
    said = tokenizer(f"{after}{answer}", add_special_tokens=False)["input_ids"]
    assert len(set(said)) == len(said), "a token that comes twice has two successors"
    size = len(tokenizer) + len(tokenizer) % 2  # what is rotated has two halves
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=size,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=positions,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        for token, following in pairwise(said):
            model.lm_head.weight[following, token] = CERTAIN / size**0.5
    model.save_pretrained(target_dir)
    return target_dir
