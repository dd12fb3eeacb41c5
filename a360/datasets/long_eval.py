"""Cases of LongEval of any length: lines to remember, and conversations about several topics. Pure.

The original's shortest cases have 200 lines, about 4,800 tokens, which is more than a context of 2,048 holds;
so cases are made here for the lengths that somebody asks for. The same seed gives the same case, whatever
other lengths or how many cases are made beside it. All words are this project's own; a line has the form of
the original's. ``token_size`` is left out: it is a property of a tokenizer, not of a case.

Source: LongChat (Li and others, 2023), https://lmsys.org/blog/2023-06-29-longchat/
"""

import random
from collections.abc import Iterator, Sequence

from a360.datasets.long_eval_words import ADJECTIVES, FOLLOW_UPS, NOUNS, OPENERS, REPLIES, TOPICS

VERSION = 1
"""Grows when the same seed gives other cases."""
LARGEST_NUMBER = 50_000
MOST_LINES = len(ADJECTIVES) * len(NOUNS)
MOST_TOPICS = len(TOPICS)

Case = dict[str, object]

_LINES_BEFORE = (
    "Here is a list of lines. Every line has a name and a number, its REGISTER_CONTENT. Keep all of them in "
    "mind: behind the list you are asked for the number of one line.\n\n"
)
_LINES_AFTER = (
    "\nThat was the list. Give the number of one line and nothing else.\n"
    "Question: what is the REGISTER_CONTENT of line {name}?\n"
    "Answer: the REGISTER_CONTENT of line {name} is"
)
_TOPICS_BEFORE = (
    "Here is a conversation of a user and an assistant about several topics, one after the other. Behind it "
    "you are asked for one of the topics.\n\n"
)
_TOPICS_AFTER = (
    "\nThat was the conversation. Name one topic and nothing else.\n"
    "Question: what is the first topic that the user and the assistant talked about?\n"
    "Answer: the first topic is"
)


def line_cases(lines: int, cases: int, seed: int) -> Iterator[Case]:
    """Cases of so many lines, of which one is asked for.

    Columns are those of the original; ``random_idx`` is an object, for parquet has no list of a text and a
    number. The index counts from 0.
    """
    for number in range(cases):
        draw = random.Random(f"lines {seed} {lines} {number}")
        names = _names(draw, lines)
        values = [draw.randint(1, LARGEST_NUMBER) for _ in names]
        listed = [
            f"line {name}: REGISTER_CONTENT is <{value}>" for name, value in zip(names, values, strict=True)
        ]
        asked = draw.randrange(lines)
        yield {
            "random_idx": {"name": names[asked], "index": asked},
            "expected_number": values[asked],
            "num_lines": lines,
            "correct_line": listed[asked],
            "prompt": _LINES_BEFORE
            + "".join(f"{line}\n" for line in listed)
            + _LINES_AFTER.format(name=names[asked]),
        }


def topic_cases(topics: int, cases: int, seed: int) -> Iterator[Case]:
    """Cases of a conversation about so many topics, of which the first is asked for."""
    for number in range(cases):
        draw = random.Random(f"topics {seed} {topics} {number}")
        chosen = draw.sample(TOPICS, topics)
        told = "".join(_talk(draw, topic, first=place == 0) for place, topic in enumerate(chosen))
        yield {
            "test_id": f"{topics}-{number}",
            "num_topics": topics,
            "topics": chosen,
            "prompt": _TOPICS_BEFORE + told + _TOPICS_AFTER,
        }


def _names(draw: random.Random, count: int) -> Sequence[str]:
    """Different names, each of an adjective and a noun."""
    return [
        f"{ADJECTIVES[number // len(NOUNS)]}-{NOUNS[number % len(NOUNS)]}"
        for number in draw.sample(range(MOST_LINES), count)
    ]


def _talk(draw: random.Random, topic: str, *, first: bool) -> str:
    opener = draw.choice(OPENERS[:2] if first else OPENERS[2:])
    replies, follow_ups = draw.sample(REPLIES, 2), draw.choice(FOLLOW_UPS)
    said = [
        f"USER: {opener.format(topic=topic)}",
        f"ASSISTANT: {replies[0].format(topic=topic)}",
        f"USER: {follow_ups.format(topic=topic)}",
        f"ASSISTANT: {replies[1].format(topic=topic)}",
    ]
    return "".join(f"{line}\n" for line in said)
