"""What a row of the perplexity evaluator says: where its texts are, and how they are cut into windows.

All of it belongs to the protocol. A planner computes the hash from the row alone, without lm-eval.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from a360.identity import hash_value

PERPLEXITY_VERSION = 1
"""Grows when a360/evaluators/perplexity.py gives other numbers for the same settings."""


@dataclass(frozen=True, kw_only=True)
class GroupSubset:
    """Some of the groups under a name that says why these."""

    label: str
    groups: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Documents of a mirror and how they are scored. Fields of rows may be dotted: ``meta.pile_set_name``."""

    text: str = "text"
    group: str | None = None
    """Field whose values divide the documents; None where they are one whole."""
    window: int | None = None
    """Tokens that the model sees at once; None is the model's maximal length."""
    stride: int | None = None
    """Tokens scored in each window after the first; None is the whole window (disjoint windows)."""
    prefix: Literal["bos", "none"] = "bos"
    """What the first token is conditioned on; with ``none`` it is context only and not scored."""
    average_groups: GroupSubset | None = None
    """Groups over whose documents LLM360's ``average per doc`` is taken."""


def texts_hash(texts: Texts) -> str:
    """The task hash of a row of the perplexity evaluator: its settings and the evaluator's version."""
    return hash_value({"evaluator": "perplexity", "version": PERPLEXITY_VERSION, **asdict(texts)})
