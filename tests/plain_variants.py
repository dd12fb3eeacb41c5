"""a360's own variants of benchmarks by a plain script: transformers, pyarrow and the definitions.

``python tests/plain_variants.py CHECKPOINT MIRROR`` prints one JSON object. It imports neither lm-eval nor
a360, asks the model for one text at a time, and says of every document what a360's items say:
log-likelihoods, or the hash of the prompt.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class Scorer:
    """A checkpoint that scores and continues one text at a time, in float32 on one thread."""

    def __init__(self, checkpoint_dir: str) -> None:
        torch.set_num_threads(1)
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint_dir)
        self.model = AutoModelForCausalLM.from_pretrained(checkpoint_dir, dtype=torch.float32)

    def tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def loglikelihood(self, context: list[int], continuation: list[int]) -> float:
        ids = torch.tensor([context + continuation])
        with torch.no_grad():
            logprobs = torch.log_softmax(self.model(ids[:, :-1]).logits[0], dim=-1)
        targets = ids[0, len(context) :, None]
        return float(logprobs[-len(continuation) :].gather(1, targets).sum())


def rows(mirror_dir: Path, pattern: str) -> list[dict[str, object]]:
    [path] = mirror_dir.glob(pattern)
    found: list[dict[str, object]] = pq.read_table(path).to_pylist()
    return found


def siqa(scorer: Scorer, mirror_dir: Path) -> list[list[float]]:
    """LLM360's prompt ends in a space and a choice begins with one, so a choice follows two."""
    found = []
    for row in rows(mirror_dir, "lighteval/siqa/default/validation*"):
        prompt = f"Question: {row['context']}\n{row['question']}\nAnswer:"
        context = scorer.tokens(prompt)
        likelihoods = []
        for letter in "ABC":
            whole = scorer.tokens(f"{prompt}  {row[f'answer{letter}']}")
            likelihoods.append(scorer.loglikelihood(context, whole[len(context) :]))
        found.append(likelihoods)
    return found


def crows(scorer: Scorer, mirror_dir: Path) -> dict[str, float]:
    """Of each type of bias the share of pairs whose first sentence is likelier after the beginning token."""
    wins: dict[str, list[bool]] = {}
    for row in rows(mirror_dir, "jannalu/crows_pairs_multilingual/english/test*"):
        begin = [scorer.tokenizer.bos_token_id]
        more, less = (
            scorer.loglikelihood(begin, scorer.tokens(str(row[f"sent_{s}"]))) for s in ("more", "less")
        )
        wins.setdefault(str(row["bias_type"]), []).append(more > less)
    return {bias: sum(won) / len(won) for bias, won in wins.items()}


def drop(_: Scorer, mirror_dir: Path) -> list[str]:
    """Three examples, drawn anew for every document, each with its first answer after a space."""
    train = rows(mirror_dir, "EleutherAI/drop/default/train*")
    draw = random.Random(1234)
    found = []
    for row in rows(mirror_dir, "EleutherAI/drop/default/validation*"):
        chosen = draw.sample(train, 4)[:3]  # one more, in case the document itself is drawn
        examples = [f"{e['passage']} {e['question']} {drop_answer(e['answer'])}" for e in chosen]
        prompt = "\n\n".join([*examples, f"{row['passage']} {row['question']}"])
        found.append(hashlib.sha256(prompt.encode()).hexdigest()[:16])
    return found


def drop_answer(answer: object) -> str:
    """A number, else spans, else a date."""
    assert isinstance(answer, dict)
    date = answer["date"]
    spans = answer["spans"] or [f"{date['day']} {date['month']} {date['year']}".strip()]
    return str(answer["number"]) or ", ".join(spans)


if __name__ == "__main__":
    scorer, mirror_dir = Scorer(sys.argv[1]), Path(sys.argv[2])
    parts = {part.__name__: part(scorer, mirror_dir) for part in (siqa, crows, drop)}
    print(json.dumps(parts))
    assert not {"lm_eval", "a360"} & sys.modules.keys()
