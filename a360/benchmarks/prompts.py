"""What a row of the generation evaluator says: how prompts are made of texts, and how answers are decoded.

All of it belongs to the protocol. A planner computes the hash from the row alone, without lm-eval.
"""

from dataclasses import asdict, dataclass

from pydantic import JsonValue

from a360.identity import hash_value

GENERATION_VERSION = 1
"""Grows when datasets/prompts.py or evaluators/generation.py give other answers for the same settings."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Texts of a mirror as prompts. Fields of rows may be dotted."""

    text: str = "text"
    group: str | None = None
    """Field whose values divide the texts; None where they are one whole."""
    words: int | None = None
    """Only the first so many words are shown, and the next one is what a grader compares with."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How an answer is made: greedily, until one of the texts or the model's end of text."""

    max_new_tokens: int
    until: tuple[str, ...] = ()

    def document(self) -> dict[str, JsonValue]:
        """What a protocol says of it."""
        return {"max_new_tokens": self.max_new_tokens, "until": list(self.until)}


def prompts_hash(prompts: Prompts) -> str:
    """The task hash of a row of the generation evaluator: its settings and the evaluator's version."""
    settings = {name: value for name, value in asdict(prompts).items() if value is not None}
    return hash_value({"evaluator": "generation", "version": GENERATION_VERSION, **settings})
