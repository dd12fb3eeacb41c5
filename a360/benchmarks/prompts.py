"""What a row of the generation evaluator says: how prompts are made of texts, and how answers are decoded.

All of it belongs to the protocol. A planner computes the hash from the row alone, without lm-eval.
"""

from dataclasses import dataclass, fields
from typing import Literal

from pydantic import JsonValue

from a360.identity import hash_value

GENERATION_VERSION = 1
"""Grows when datasets/prompts.py or evaluators/generation.py give other answers for the same settings."""


Template = Literal["statement", "mbpp-docstring", "mbpp-tests"]
"""How a row of a known data set becomes a prompt: a360/datasets/templates.py."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Texts of a mirror as prompts. Fields of rows may be dotted."""

    text: str = "text"
    group: str | None = None
    """Field whose values divide the texts; None where they are one whole."""
    words: int | None = None
    """Only the first so many words are shown, and the next one is what a grader compares with."""
    files: str | None = None
    """Pattern of the files that hold the rows, where others lie beside them: ``*/test-*``."""
    strip: bool = False
    """White space at the ends of the text is not shown."""
    template: Template | None = None
    item: str | None = None
    """How the statement template shows a text: ``Text: {text}``."""
    label: str | None = None
    """Field that says what a statement is."""
    labels: tuple[float, float] | None = None
    """Its values for no and for yes; a row with another one, or none, is not asked."""
    preamble: str | None = None
    """File of the data with what is shown before every text; named by its end."""
    examples: tuple[int, ...] = ()
    """``task_id`` of rows that are shown solved before every text, in this order."""
    example_files: str | None = None
    """Pattern of the files that hold the examples."""
    reference: tuple[str, ...] = ()
    """Fields that a grader needs beside the answer."""
    first: int | None = None
    """Only the first so many usable rows are asked."""
    whole: bool = False
    """A group of which a prompt would be cut is not asked at all, and reported as such."""

    def __post_init__(self) -> None:
        stated = {self.item is not None, self.label is not None, self.labels is not None}
        if stated != {self.template == "statement"}:
            raise ValueError("the template of statements, and no other, has item, label and labels")
        if {bool(self.examples), self.example_files is not None} != {self.template == "mbpp-tests"}:
            raise ValueError("the template of solved examples, and no other, has examples and example_files")


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How answers are made: greedily, or drawn; until one of the texts or the model's end of text."""

    max_new_tokens: int
    until: tuple[str, ...] = ()
    temperature: float | None = None
    """None is greedy."""
    top_p: float = 1.0
    samples: int = 1
    """Answers to each prompt."""
    seed: int = 0
    total_tokens: int | None = None
    """Prompt and answer together have at most so many."""
    temperatures: tuple[tuple[str, float], ...] = ()
    """Category -> temperature, of conversations; 0 is greedy."""

    def __post_init__(self) -> None:
        if (
            self.temperature is None
            and not self.temperatures
            and (self.samples, self.top_p, self.seed) != (1, 1.0, 0)
        ):
            raise ValueError("greedy decoding has one answer; samples, top_p and seed need a temperature")

    def document(self) -> dict[str, JsonValue]:
        """What a protocol says of it."""
        document: dict[str, JsonValue] = {"max_new_tokens": self.max_new_tokens, "until": list(self.until)}
        if self.total_tokens is not None:
            document["total_tokens"] = self.total_tokens
        if self.temperature is not None:
            document["temperature"], document["top_p"] = self.temperature, self.top_p
            document["samples"], document["seed"] = self.samples, self.seed
        if self.temperatures:
            document["temperatures"], document["seed"] = dict(self.temperatures), self.seed
        return document


def prompts_hash(prompts: Prompts) -> str:
    """The task hash of a row of the generation evaluator: its settings and the evaluator's version."""
    settings = {
        each.name: getattr(prompts, each.name)
        for each in fields(prompts)
        if each.name == "text" or getattr(prompts, each.name) != each.default
    }
    return hash_value({"evaluator": "generation", "version": GENERATION_VERSION, **settings})
