"""Rows that tell something: HellaSwag's activities, GSM8K's word problems, WikiText's pages."""

import random
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from a360.demo import facts_craft as craft
from a360.demo import facts_nature as nature
from a360.demo import facts_world as world
from a360.demo.facts import Fact, FactTable, sentence
from a360.demo.questions import Row, Splits, split_rows

HELLASWAG_ROWS = {"validation": 24, "train": 36}
GSM8K_ROWS = {"test": 24, "train": 36}
WIKITEXT_ROWS = {"test": 24, "train": 8, "validation": 6}


def hellaswag_rows() -> Splits:
    """HellaSwag rows: how does the next sentence of an activity end? ``label`` is a string.

    One wrong ending is another activity's, two are right words in a wrong order: what a young language
    model learns first.
    """
    draw = random.Random("hellaswag")
    steps = [
        (activity, before, *split_opening(after))
        for activity, lines in craft.ACTIVITIES.items()
        for before, after in pairwise(line.strip() for line in lines.strip().splitlines())
    ]
    draw.shuffle(steps)
    rows: list[Row] = []
    for number, (activity, before, opening, ending) in enumerate(steps):
        other = draw.choice([step[3] for step in steps if step[0] != activity])
        endings = [ending, other, _reordered(draw, ending), _reordered(draw, other)]
        draw.shuffle(endings)
        rows.append(
            {
                "ind": number,
                "activity_label": activity,
                "ctx_a": before,
                "ctx_b": opening,
                "ctx": f"{before} {opening}",
                "endings": endings,
                "source_id": f"demo~{number:03d}",
                "split": "val" if number < HELLASWAG_ROWS["validation"] else "train",
                "split_type": "indomain",
                "label": str(endings.index(ending)),
            }
        )
    return split_rows(rows, HELLASWAG_ROWS)


def gsm8k_rows() -> Splits:
    """GSM8K rows: a word problem and its solution with calculator marks and ``####`` before the result."""
    draw = random.Random("gsm8k")
    problems: dict[str, str] = {}
    while len(problems) < sum(GSM8K_ROWS.values()):
        question, answer = _PROBLEMS[len(problems) % len(_PROBLEMS)](draw)
        problems.setdefault(question, answer)
    rows: list[Row] = [{"question": question, "answer": answer} for question, answer in problems.items()]
    return split_rows(rows, GSM8K_ROWS)


def wikitext_rows() -> Splits:
    """WikiText rows: one page per fact table, in that corpus's spacing of punctuation."""
    draw = random.Random("wikitext")
    tables = sorted(_all_tables(), key=lambda table: table.title)
    pages: list[Row] = [
        {"page": _page(draw, table, draw.sample([each for each in tables if each is not table], 2))}
        for table in tables
    ]
    draw.shuffle(pages)
    return split_rows(pages, WIKITEXT_ROWS)


def split_opening(line: str) -> tuple[str, str]:
    """The first two words of a sentence, in lower case, and the rest of it."""
    first, second, rest = line.split(" ", 2)
    return f"{first} {second}".lower(), rest


def _reordered(draw: random.Random, ending: str) -> str:
    """The same words in another order, with the full stop where it belongs."""
    words = ending.rstrip(".").split(" ")
    shuffled = words[::-1]
    while len(set(words)) > 2 and shuffled in (words, words[::-1]):
        draw.shuffle(shuffled)
    return " ".join(shuffled) + "."


def _buying(draw: random.Random) -> tuple[str, str]:
    count, price = draw.randint(2, 9), draw.randint(2, 12)
    total = count * price
    return (
        f"A pen costs {price} dollars. How many dollars do {count} pens cost?",
        f"{count} pens cost {count} * {price} = <<{count}*{price}={total}>>{total} dollars.\n#### {total}",
    )


def _selling(draw: random.Random) -> tuple[str, str]:
    sold, left = draw.randint(3, 30), draw.randint(3, 30)
    had = sold + left
    return (
        f"A baker has {had} rolls and sells {sold} of them. How many rolls are left?",
        f"There are {had} - {sold} = <<{had}-{sold}={left}>>{left} rolls left.\n#### {left}",
    )


def _sharing(draw: random.Random) -> tuple[str, str]:
    children, each = draw.randint(2, 9), draw.randint(2, 12)
    sweets = children * each
    return (
        f"{children} children share {sweets} sweets equally. How many sweets does each child get?",
        f"Each child gets {sweets} / {children} = <<{sweets}/{children}={each}>>{each} sweets.\n#### {each}",
    )


def _walking(draw: random.Random) -> tuple[str, str]:
    first, second = draw.randint(2, 20), draw.randint(2, 20)
    both, there_and_back = first + second, 2 * (first + second)
    return (
        f"A farmer walks {first} miles to the mill and {second} miles on to the town, and then the same way "
        "back. How many miles is that?",
        f"One way is {first} + {second} = <<{first}+{second}={both}>>{both} miles.\n"
        f"Both ways are 2 * {both} = <<2*{both}={there_and_back}>>{there_and_back} miles.\n"
        f"#### {there_and_back}",
    )


_PROBLEMS: tuple[Callable[[random.Random], tuple[str, str]], ...] = (_buying, _selling, _sharing, _walking)


def _all_tables() -> list[FactTable]:
    rooms = (craft, nature, world)
    return [value for room in rooms for value in vars(room).values() if isinstance(value, FactTable)]


def _page(draw: random.Random, table: FactTable, others: Sequence[FactTable]) -> str:
    """An article: what there is, each fact, facts in contrast, and a few facts of other tables."""
    facts = draw.sample(table.facts, len(table.facts))
    terms = [fact.term for fact in facts]
    covered = f"{', '.join(terms[:-1])} and {terms[-1]}"
    contrasts = [_contrast(table, *pair) for pair in zip(facts[::2], facts[1::2], strict=False)]
    sections = [
        (
            1,
            table.title,
            f"This page is about {table.title[0].lower() + table.title[1:]}. It covers {covered}.",
        ),
        (2, "Overview", _statements(table, facts)),
        (2, "Contrasts", " ".join(contrasts)),
        *((2, other.title, _statements(other, draw.sample(other.facts, 5))) for other in others),
    ]
    return "".join(_section(*section) for section in sections)


def _section(depth: int, title: str, text: str) -> str:
    """A heading and a paragraph, punctuation apart from words as in WikiText."""
    marks = " ".join("=" * depth)
    spaced = re.sub(r"(?<=\S)([,.])(?=\s|$)", r" \1", text)
    return f" {marks} {title} {marks} \n \n {spaced} \n"


def _statements(table: FactTable, facts: Sequence[Fact]) -> str:
    return " ".join(sentence(table.state, *fact) for fact in facts)


def _contrast(table: FactTable, one: Fact, two: Fact) -> str:
    first, second = (table.state.format(term=fact.term, value=fact.value) for fact in (one, two))
    return f"{'Just as' if one.value == two.value else 'While'} {first.rstrip('.')}, {second}"
