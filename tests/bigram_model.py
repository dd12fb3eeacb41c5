"""A Llama whose every next-token probability is known: it looks at the last token only.

Token embeddings are unit vectors, attention and MLP add nothing, and the final norm of a unit vector of 16
dimensions is exactly 4 times the vector (``rms_norm_eps`` is 0). So the head, which holds
log P(next | last) / 4, gives log-probabilities as logits. Saved in float64.
"""

import math
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = ("<s>", *"abcdefghijklmno")
SIZE = len(WORDS)


def probability(after: str, word: str) -> float:
    """P(word | after): unequal, never zero."""
    return _share(WORDS.index(after), WORDS.index(word)) / sum(
        _share(WORDS.index(after), other) for other in range(SIZE)
    )


def loglikelihood(words: list[str], first: str = "<s>") -> float:
    """The closed form in nats: the sum of log P(word | word before it)."""
    return math.fsum(
        math.log(probability(after, word)) for after, word in zip([first, *words], words, strict=False)
    )


def _share(after: int, word: int) -> int:
    return 1 + (7 * after + 3 * word + after * word) % 11


def write_bigram(target_dir: Path, *, positions: int = 64) -> Path:
    """The directory of the checkpoint."""
    config = LlamaConfig(
        vocab_size=SIZE,
        hidden_size=SIZE,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=positions,
        rms_norm_eps=0.0,
        bos_token_id=0,
        eos_token_id=None,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).double()
    table = [[math.log(probability(after, word)) / 4 for after in WORDS] for word in WORDS]
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(SIZE))
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.lm_head.weight.copy_(torch.tensor(table, dtype=torch.float64))
    model.save_pretrained(target_dir)
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<s>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token="<s>", model_max_length=positions
    )
    fast.save_pretrained(target_dir)
    return target_dir
