"""a360's own variants of benchmarks by a plain script: transformers, pyarrow and the definitions.

``python tests/plain_variants.py CHECKPOINT MIRROR PART…`` prints one JSON object, one entry for each part. It
imports neither lm-eval nor a360, asks the model for one text at a time, and says of every document what
a360's items say: log-likelihoods, or the prompt's hash, the answer and its scores.
"""

import hashlib
import json
import random
import re
import string
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

ANSWER_TOKENS = 256
SEED = 1234
Row = dict[str, Any]


class Scorer:
    """A checkpoint that scores and continues one text at a time, in float32 on one thread.

    Of what is too long the beginning is cut off.
    """

    def __init__(self, checkpoint_dir: str) -> None:
        torch.set_num_threads(1)
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint_dir)
        self.model: Any = AutoModelForCausalLM.from_pretrained(checkpoint_dir, dtype=torch.float32)
        self.positions: int = self.model.config.max_position_embeddings

    def tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def loglikelihood(self, context: list[int], continuation: list[int]) -> float:
        ids = torch.tensor([(context + continuation)[-self.positions - 1 :]])
        with torch.no_grad():
            logprobs = torch.log_softmax(self.model(ids[:, :-1]).logits[0], dim=-1)
        targets = ids[0, -len(continuation) :, None]
        return float(logprobs[-len(continuation) :].gather(1, targets).sum())

    def choices(self, prompt: str, choices: list[str]) -> list[float]:
        """Log-likelihood of each choice behind the prompt and a space."""
        context = self.tokens(prompt)
        return [
            self.loglikelihood(context, self.tokens(f"{prompt} {choice}")[len(context) :])
            for choice in choices
        ]

    def answer(self, prompt: str, stop: str) -> str:
        """The greedy continuation up to a stop string or the end token."""
        ids = torch.tensor([self.tokens(prompt)[ANSWER_TOKENS - self.positions :]])
        eos = self.tokenizer.eos_token_id
        with torch.no_grad():
            made = self.model.generate(
                ids, do_sample=False, max_new_tokens=ANSWER_TOKENS, eos_token_id=eos, pad_token_id=eos
            )
        text = self.tokenizer.decode(made[0, ids.shape[1] :].tolist(), skip_special_tokens=True)
        return str(text).split(stop)[0]


def rows(mirror_dir: Path, pattern: str) -> list[Row]:
    [path] = mirror_dir.glob(pattern)
    found: list[Row] = pq.read_table(path).to_pylist()
    return found


class Examples:
    """Examples drawn anew for every document.

    Where a task has no test split one more than needed is drawn, in case the document itself is drawn.
    """

    def __init__(self, train: list[Row], count: int, *, spare: int) -> None:
        self._train, self._count, self._spare, self._draw = train, count, spare, random.Random(SEED)

    def next(self) -> list[Row]:
        return self._draw.sample(self._train, self._count + self._spare)[: self._count]


# --- choices -----------------------------------------------------------------------------------------


def siqa(scorer: Scorer, mirror_dir: Path) -> list[list[float]]:
    """LLM360's prompt ends in a space and a choice begins with one, so a choice follows two."""
    return [
        scorer.choices(
            f"Question: {row['context']}\n{row['question']}\nAnswer:",
            [f" {row[f'answer{letter}']}" for letter in "ABC"],
        )
        for row in rows(mirror_dir, "lighteval/siqa/default/validation*")
    ]


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


def mmlu_0shot(scorer: Scorer, mirror_dir: Path) -> dict[str, list[bool]]:
    return _mmlu(scorer, mirror_dir, shots=0)


def mmlu_5shot(scorer: Scorer, mirror_dir: Path) -> dict[str, list[bool]]:
    return _mmlu(scorer, mirror_dir, shots=5)


def _mmlu(scorer: Scorer, mirror_dir: Path, shots: int) -> dict[str, list[bool]]:
    """Subject -> whether the letter of the right answer is the likeliest, by question."""
    found = {}
    for folder in sorted(path for path in (mirror_dir / "cais/mmlu").iterdir() if path.is_dir()):
        subject = folder.name.replace("_", " ")
        head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        examples = rows(folder, "dev*")[:shots]
        shown = "".join(f"{_mmlu_question(row)} {'ABCD'[row['answer']]}\n\n" for row in examples)
        asked = rows(folder, "test*")
        likelihoods = [scorer.choices(head + shown + _mmlu_question(row), list("ABCD")) for row in asked]
        found[folder.name] = [
            each.index(max(each)) == row["answer"] for each, row in zip(likelihoods, asked, strict=True)
        ]
    return found


def _mmlu_question(row: Row) -> str:
    lines = [f"{letter}. {choice}" for letter, choice in zip("ABCD", row["choices"], strict=True)]
    return "\n".join([row["question"].strip(), *lines, "Answer:"])


def arc(scorer: Scorer, mirror_dir: Path) -> list[bool]:
    """Whether the right answer is the likeliest per character, behind 25 examples."""
    folder = mirror_dir / "allenai/ai2_arc/ARC-Challenge"
    examples = Examples(rows(folder, "train*"), 25, spare=0)

    def right(row: Row) -> int:
        return int(row["choices"]["label"].index(row["answerKey"]))

    def question(row: Row) -> str:
        return f"Question: {row['question']}\nAnswer:"

    found = []
    for row in rows(folder, "test*"):
        texts = row["choices"]["text"]
        shown = [f"{question(e)} {e['choices']['text'][right(e)]}" for e in examples.next()]
        likelihoods = scorer.choices("\n\n".join([*shown, question(row)]), texts)
        found.append(_best_per_character(likelihoods, texts) == right(row))
    return found


def hellaswag(scorer: Scorer, mirror_dir: Path) -> list[bool]:
    """Whether the right ending is the likeliest per character, behind 10 examples."""
    examples = Examples(rows(mirror_dir, "Rowan/hellaswag/default/train*"), 10, spare=1)

    def clean(text: str) -> str:
        return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")

    def beginning(row: Row) -> str:
        return clean(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}")

    found = []
    for row in rows(mirror_dir, "Rowan/hellaswag/default/validation*"):
        endings = [clean(ending) for ending in row["endings"]]
        shown = [f"{beginning(e)} {clean(e['endings'][int(e['label'])])}" for e in examples.next()]
        likelihoods = scorer.choices("\n\n".join([*shown, beginning(row)]), endings)
        found.append(_best_per_character(likelihoods, endings) == int(row["label"]))
    return found


def truthful(scorer: Scorer, mirror_dir: Path) -> list[float]:
    """The share of the probability of all choices that is on the true ones.

    The six questions in front are somebody's text: they are read from the file in which they are published.
    """
    [path] = [
        file for file in metadata.files("lm_eval") or () if file.match("tasks/truthfulqa/truthfulqa_mc1.yaml")
    ]
    template = yaml.safe_load(path.read_text(encoding="utf-8"))["doc_to_text"]
    head = template.partition("prompt_qa = '")[2].partition("'%}")[0]
    found = []
    for row in rows(mirror_dir, "truthfulqa/truthful_qa/multiple_choice/validation*"):
        targets = row["mc2_targets"]
        likelihoods = scorer.choices(f"{head}\n\nQ: {row['question']}\nA:", targets["choices"])
        shares = torch.softmax(torch.tensor(likelihoods, dtype=torch.float64), dim=0)
        found.append(float(shares[torch.tensor(targets["labels"]) == 1].sum()))
    return found


def _best_per_character(likelihoods: list[float], texts: list[str]) -> int:
    rates = [value / len(text) for value, text in zip(likelihoods, texts, strict=True)]
    return rates.index(max(rates))


# --- answers -----------------------------------------------------------------------------------------


def drop(scorer: Scorer, mirror_dir: Path) -> list[Row]:
    """Three examples, each with its first answer after a space; the answer ends at a full stop."""
    examples = Examples(rows(mirror_dir, "EleutherAI/drop/default/train*"), 3, spare=1)
    found = []
    for row in rows(mirror_dir, "EleutherAI/drop/default/validation*"):
        shown = [
            f"{e['passage']} {e['question']} {', '.join(spans_of(e['answer']))}" for e in examples.next()
        ]
        prompt = "\n\n".join([*shown, f"{row['passage']} {row['question']}"])
        answer = scorer.answer(prompt, ".")
        many = row["validated_answers"]
        others = [dict(zip(many, values, strict=True)) for values in zip(*many.values(), strict=True)]
        scores = [drop_score(answer, spans_of(gold)) for gold in [row["answer"], *others]]
        found.append(
            {
                "prompt_hash": hashlib.sha256(prompt.encode()).hexdigest()[:16],
                "answer": answer,
                "em": max(em for em, _ in scores),
                "f1": max(f1 for _, f1 in scores),
            }
        )
    return found


def spans_of(answer: Row) -> list[str]:
    """A number, else spans, else a date."""
    date = answer["date"]
    whole = f"{date['day']} {date['month']} {date['year']}".strip()
    return [str(answer["number"])] if answer["number"] else answer["spans"] or [whole]


def drop_score(answer: str, gold: list[str]) -> tuple[float, float]:
    """Exact match and F1 of one text against the spans of a gold answer, as DROP's authors define them.

    F1 is that of the bags of words, 0 where the gold span has numbers and shares none; the text stands for
    the span that it fits best, and the other spans count 0.
    """
    if not gold[0].strip():
        return 0.0, 0.0
    said, spans = normal(answer), [normal(span) for span in gold]
    best = max(_bag_f1(set(said.split()), set(span.split())) for span in spans)
    return float([said] == spans), round(best / len(spans), 2)


def _bag_f1(said: set[str], gold: set[str]) -> float:
    numbers = {word for word in gold if is_number(word)}
    common = len(said & gold)
    if not common or (numbers and not numbers & said):
        return 0.0
    precision, recall = common / len(said), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def normal(text: str) -> str:
    """Lower case, numbers as floats, no punctuation, no articles."""
    words = []
    for word in re.split("[ -]", text.lower()):
        bare = word if is_number(word) else "".join(c for c in word if c not in string.punctuation)
        same = str(float(bare)) if is_number(bare) else bare
        words += re.sub(r"\b(a|an|the)\b", " ", same).split()
    return " ".join(words)


def is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


PARTS = {
    part.__name__: part for part in (siqa, crows, mmlu_0shot, mmlu_5shot, arc, hellaswag, truthful, drop)
}

if __name__ == "__main__":
    scorer, mirror_dir = Scorer(sys.argv[1]), Path(sys.argv[2])
    print(json.dumps({name: PARTS[name](scorer, mirror_dir) for name in sys.argv[3:] or PARTS}))
    assert not {"lm_eval", "a360"} & sys.modules.keys()
