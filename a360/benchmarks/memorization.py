"""What a row of the memorization evaluator says: how much of a training sequence is shown, and what is asked.

All of it belongs to the protocol. A planner computes the hash from the row alone.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from a360.identity import hash_value

MEMORIZATION_VERSION = 1
"""Grows when a360/evaluators/memorization.py gives other numbers for the same settings."""


@dataclass(frozen=True, kw_only=True)
class Memorization:
    """Training sequences of a mirror, and how a model has to go on with their beginnings.

    Source: Biderman and others, 2023 (arXiv 2304.11158), section 2.1: 32 tokens after 32.
    """

    shown_tokens: int = 32
    asked_tokens: int = 32
    end_of_text: Literal["ordinary", "stops"] = "ordinary"
    """Whether the end-of-text token is a token like any other, as it is inside of a training sequence, or
    ends the answer, so that nothing behind it can match: the original evaluation's way."""
    seen_from_step: int | None = None
    """The first step at which all of it has been trained on; None for what never is."""
    asks_unseen: bool = False
    """Whether checkpoints before that step are asked too."""


def memorization_hash(settings: Memorization) -> str:
    """The task hash: what determines an answer, and not who is asked."""
    asked = {k: v for k, v in asdict(settings).items() if k not in ("seen_from_step", "asks_unseen")}
    return hash_value({"evaluator": "memorization", "version": MEMORIZATION_VERSION, **asked})
