"""Perplexities with transformers alone, one document at a time: what the evaluator is compared with.

``python plain_perplexity.py MODEL_DIR DOCUMENTS.json WINDOW STRIDE [GROUP…]`` prints JSON. DOCUMENTS is a
list of [group, text]; the average over documents of the GROUPs is given too. Knows neither a360 nor lm-eval.
"""

import json
import math
import sys
from typing import TypedDict

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class Numbers(TypedDict):
    token_perplexity: float
    word_perplexity: float
    byte_perplexity: float
    bits_per_byte: float
    document_perplexity: float
    loglikelihoods: list[float]


def loglikelihood(model: torch.nn.Module, sequence: list[int], window: int, stride: int) -> float:
    """Of everything after the first token, which is BOS. No padding, no batch."""
    total, done, last = 0.0, 0, len(sequence) - 1
    while done < last:
        end = min(last, done + (stride if done else window))
        shown = sequence[max(0, end - window) : end]
        with torch.no_grad():
            logits = model(torch.tensor([shown])).logits[0]
        for position in range(done, end):
            row = torch.log_softmax(logits[position - end].double(), dim=-1)
            total += float(row[sequence[position + 1]])
        done = end
    return total


def numbers(documents: list[tuple[str, float, int]]) -> Numbers:
    """Of (text, log-likelihood, tokens)."""
    total = sum(value for _, value, _ in documents)
    n_bytes = sum(len(text.encode("utf-8")) for text, _, _ in documents)
    each = [math.exp(-value / tokens) for _, value, tokens in documents]
    n_words = sum(1 + _gaps(text) for text, _, _ in documents)
    return {
        "token_perplexity": math.exp(-total / sum(tokens for _, _, tokens in documents)),
        "word_perplexity": math.exp(-total / n_words),
        "byte_perplexity": math.exp(-total / n_bytes),
        "bits_per_byte": -total / n_bytes / math.log(2),
        "document_perplexity": sum(each) / len(each),
        "loglikelihoods": [value for _, value, _ in documents],
    }


def macro(groups: list[Numbers]) -> dict[str, float]:
    """Of every metric the unweighted mean over groups."""
    names = [name for name in groups[0] if name != "loglikelihoods"]
    return {name: sum(group[name] for group in groups) / len(groups) for name in names}  # type: ignore[literal-required]


def _gaps(text: str) -> int:
    """Runs of whitespace."""
    return sum(a.isspace() and not (i and text[i - 1].isspace()) for i, a in enumerate(text))


def main(model_dir: str, documents_path: str, window: str, stride: str, *chosen: str) -> None:
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    model.train(False)
    groups: dict[str, list[tuple[str, float, int]]] = {}
    with open(documents_path, encoding="utf-8") as file:
        documents = json.load(file)
    for group, text in documents:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        value = loglikelihood(model, [tokenizer.bos_token_id, *tokens], int(window), int(stride))
        groups.setdefault(group, []).append((text, value, len(tokens)))
    pooled = [document for members in groups.values() for document in members]
    parts = {group: numbers(members) for group, members in groups.items()}
    some = [document for group in chosen for document in groups[group]]
    said = {
        "numbers": {"": numbers(pooled), **parts},
        "macro": macro(list(parts.values())),
        "chosen": numbers(some)["document_perplexity"] if some else None,
        "chosen_macro": macro([parts[group] for group in chosen])["document_perplexity"] if some else None,
        "modules": sorted({name.split(".")[0] for name in sys.modules}),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
