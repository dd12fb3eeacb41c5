"""A tiny Llama with random weights and its own tokenizer, saved as a real Hugging Face checkpoint.

Weights are drawn with a large spread, so that log-likelihoods differ clearly between choices.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_TEXT = (
    "Question: what is the capital of the country? Answer: the city. The following are multiple choice "
    "questions (with answers) about science. A. B. C. D. water iron gold day night year "
    "0 1 2 3 4 5 6 7 8 9 #### yes no "
)


def write_checkpoint(target_dir: Path, *, seed: int, vocab_size: int = 400, positions: int = 2048) -> Path:
    """The directory of a new checkpoint."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TEXT] * 4, trainer)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", model_max_length=positions
    )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=positions,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(target_dir)
    fast.save_pretrained(target_dir)
    return target_dir
