"""The number in a judge's words. Pure; a rating that is not there is None, never 0.

Source: FastChat's llm_judge reads ``[[5]]`` and, where there is none, ``[5]``, and drops every judgment with
neither. What lies outside of the scale is no rating either: 0 or 100 of a judge that was asked for 1 to 10.
"""

import re

_RATINGS = (re.compile(r"\[\[(\d+\.?\d*)\]\]"), re.compile(r"\[(\d+\.?\d*)\]"))


def parse_rating(text: str, lowest: float, highest: float) -> float | None:
    """The first number in double brackets, else in single ones; None without one on the scale."""
    for pattern in _RATINGS:
        if found := pattern.search(text):
            rating = float(found[1])
            return rating if lowest <= rating <= highest else None
    return None
