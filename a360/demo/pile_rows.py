"""Rows of the Pile: for each of its 22 subsets two short documents in the manner of that subset.

Made from the fact tables, in the real schema ``{"text", "meta": {"pile_set_name"}}``. As in ``questions``,
every draw is seeded by a name.
"""

import random
import re
from typing import NamedTuple

from a360.benchmarks.pile import SUBSETS
from a360.demo import facts_craft as craft
from a360.demo import facts_nature as nature
from a360.demo import facts_world as world
from a360.demo.facts import Fact, FactTable, sentence
from a360.demo.questions import Row, Splits

DOCUMENTS = 2
FACTS = 7
"""Lines of a document; every table has as many facts."""


class Manner(NamedTuple):
    """How a subset writes: an opening that knows ``{title}``, and a line for each fact.

    A line knows ``{term}``, ``{value}``, the question ``{ask}``, the statement ``{state}`` or ``{State}``.
    """

    table: FactTable
    opening: str
    line: str


MANNERS: dict[str, Manner] = {
    "ArXiv": Manner(nature.STATISTICS, "\\section{{{title}}}\n\n", "We recall that {state}\n\n"),
    "BookCorpus2": Manner(nature.YOUNG_ANIMALS, "Chapter one\n\n", '"{ask}" she asked. "{value}."\n'),
    "Books3": Manner(world.CIVILIZATIONS, "{title}\n\nA short history\n\n", "{State} "),
    "DM Mathematics": Manner(nature.SQUARES, "", "{ask}\n{value}\n"),
    "Enron Emails": Manner(world.BUSINESS, "Subject: {title}\n\nAll,\n\n", "Please note: {State}\n"),
    "EuroParl": Manner(world.GOVERNMENT, "Debate: {title}\n\n", "Mr President, {state}\n"),
    "FreeLaw": Manner(world.LAW, "IN THE COURT OF APPEAL\n\n", "The court holds that {state}\n\n"),
    "Github": Manner(craft.BUILTINS, "# {title}\n\n", 'assert describe({term}) == "{value}"\n'),
    "Gutenberg (PG-19)": Manner(nature.ANIMAL_CLASSES, "THE BOOK OF BEASTS\n\n", "Know ye that {state}\n"),
    "HackerNews": Manner(
        craft.COMPUTING, "Ask: {title}?\n======\n", "> {ask}\n\nAs far as I know, {state}\n\n"
    ),
    "NIH ExPorter": Manner(nature.HEALTH, "DESCRIPTION: {title}. ", "We study {term}. {State} "),
    "OpenSubtitles": Manner(craft.OPPOSITES, "", "- {ask}\n- {value}.\n"),
    "OpenWebText2": Manner(world.MEDIA, "{title}: what everybody should know\n\n", "{State}\n\n"),
    "PhilPapers": Manner(world.THOUGHT, "{title}\n\nAbstract\n\n", "It is often held that {state} "),
    "Pile-CC": Manner(craft.TOOLS, "Home | Shop | About\n\n{title}\n\n", "{ask} {State}\n"),
    "PubMed Abstracts": Manner(nature.GENETICS, "{title}: a review.\n", "Background: {State} "),
    "PubMed Central": Manner(nature.ORGANS, "1. Introduction\n\n", "Earlier work has shown that {state} "),
    "StackExchange": Manner(craft.TYPES, "Q: {title}\n\n", "{ask}\n\nA: {State}\n\n"),
    "USPTO Backgrounds": Manner(nature.ELECTRICITY, "BACKGROUND OF THE INVENTION\n\n", "Here, {state}\n"),
    "Ubuntu IRC": Manner(craft.COMPUTER_SECURITY, "=== {title}\n", "<one> {ask}\n<two> {value}\n"),
    "Wikipedia (en)": Manner(world.CAPITALS, "{title}\n\n", "{State} "),
    "YoutubeSubtitles": Manner(nature.PLANETS, "so today we talk about {title}\n", "{ask}\nwell {state}\n"),
}


def pile_rows() -> Splits:
    """The documents of each subset, by the name of its file."""
    return {file_name(subset): [_row(subset, number) for number in range(DOCUMENTS)] for subset in SUBSETS}


def pile_10k_rows() -> Splits:
    """The same documents in one split, as in the sample of 10,000."""
    return {"train": [row for rows in pile_rows().values() for row in rows]}


def file_name(subset: str) -> str:
    """A subset's name in lower case with underscores: ``Gutenberg (PG-19)`` is ``gutenberg_pg_19``."""
    return re.sub(r"[^a-z0-9]+", "_", subset.lower()).strip("_")


def _row(subset: str, number: int) -> Row:
    manner, draw = MANNERS[subset], random.Random(f"pile/{subset}/{number}")
    lines = [_line(manner, fact) for fact in draw.sample(manner.table.facts, FACTS)]
    text = manner.opening.format(title=manner.table.title) + "".join(lines)
    return {"text": f"{text.strip()}\n", "meta": {"pile_set_name": subset}}


def _line(manner: Manner, fact: Fact) -> str:
    table = manner.table
    return manner.line.format(
        **fact._asdict(),
        ask=sentence(table.ask, *fact),
        state=table.state.format(**fact._asdict()),
        State=sentence(table.state, *fact),
    )
