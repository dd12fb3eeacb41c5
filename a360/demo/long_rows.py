"""LongEval's cases for the demo: a few of each length, the longest of them beyond the demo's context."""

from a360.datasets.long_eval import line_cases, topic_cases
from a360.demo.questions import Splits

LINES = (5, 10, 20, 300)
TOPICS = (1, 3, 5, 30)
CASES = 4


def line_rows() -> Splits:
    """A split for each number of lines."""
    return {f"lines_{lines:05d}": list(line_cases(lines, CASES, 0)) for lines in LINES}


def topic_rows() -> Splits:
    """A split for each number of topics."""
    return {f"topics_{topics:05d}": list(topic_cases(topics, CASES, 0)) for topics in TOPICS}
