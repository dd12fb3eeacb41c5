"""Rows that are read: RACE's articles, DROP's passages with numbers, TriviaQA's questions without choices."""

import random
from collections.abc import Callable

from a360.demo import facts_craft as craft
from a360.demo import facts_nature as nature
from a360.demo import facts_world as world
from a360.demo.facts import Question, questions, sentence
from a360.demo.questions import PLAIN_TABLES, Row, Splits, split_rows

RACE_ROWS = {"test": 24}
DROP_ROWS = {"validation": 24, "train": 12}
TRIVIA_ROWS = {"validation": 24, "train": 12}

_GAP = "  _  ."
"""How RACE writes a sentence to be completed."""
_GOODS = ("apples", "books", "lamps", "chairs", "ropes", "shirts", "plates", "pens", "drums", "kites")
_PLACES = ("the harbour", "the market", "the library", "the mill", "the school", "the station")
_MONTHS = ("January", "March", "May", "June", "August", "October", "December")


def race_rows() -> Splits:
    """RACE rows: an article and three problems about it, as the text of a Python list; the last is asked."""
    draw = random.Random("race")
    tables = [table for table in PLAIN_TABLES if len(table.values) >= 4]
    rows: list[Row] = []
    for number in range(sum(RACE_ROWS.values())):
        table = tables[number % len(tables)]
        facts = draw.sample(table.facts, 5)
        problems = []
        for index, fact in enumerate(draw.sample(facts, 3)):
            options = [fact.value, *draw.sample([v for v in table.values if v != fact.value], 3)]
            draw.shuffle(options)
            closed = index == 1 and table.state.endswith("{value}.")
            asked = sentence(table.state, fact.term, "\0") if closed else sentence(table.ask, *fact)
            problems.append(
                {
                    "question": asked.replace(" \0.", _GAP),
                    "answer": "ABCD"[options.index(fact.value)],
                    "options": options,
                }
            )
        article = " ".join(sentence(table.state, *fact) for fact in facts)
        rows.append({"article": f"{table.title}. {article}", "problems": repr(problems)})
    return split_rows(rows, RACE_ROWS)


def drop_rows() -> Splits:
    """DROP rows: a passage that counts things and a question whose answer is a number, spans or a date."""
    draw = random.Random("drop")
    rows: list[Row] = []
    for number in range(sum(DROP_ROWS.values())):
        goods, place = draw.sample(_GOODS, 3), draw.choice(_PLACES)
        counts = draw.sample(range(3, 60), 3)
        day, month, year = str(draw.randint(1, 28)), draw.choice(_MONTHS), str(draw.randint(1850, 1999))
        passage = (
            f"On {day} {month} {year} {place} received {counts[0]} {goods[0]}, {counts[1]} {goods[1]} and "
            f"{counts[2]} {goods[2]}. Half a {('pound', 'crate')[number % 2]} of sand came too."
        )
        question, answer, others = _ASKED[number % len(_ASKED)](goods, counts, (day, month, year))
        rows.append(
            {
                "section_id": f"demo_{number}",
                "query_id": f"demo-{number:03d}",
                "passage": passage,
                "question": question,
                "answer": {**answer, "worker_id": "", "hit_id": ""},
                "validated_answers": {
                    **{key: [other[key] for other in others] for key in ("number", "date", "spans")},
                    "worker_id": [""] * len(others),
                    "hit_id": [""] * len(others),
                },
            }
        )
    return split_rows(rows, DROP_ROWS)


def triviaqa_rows() -> Splits:
    """TriviaQA rows: a question and every way to write its answer."""
    draw = random.Random("triviaqa")
    tables = (world.CAPITALS, nature.SYMBOLS, nature.YOUNG_ANIMALS, craft.OPPOSITES, nature.SHAPES)
    asked = [question for table in tables for question in questions(table)]
    chosen = draw.sample(asked, sum(TRIVIA_ROWS.values()))
    return split_rows([_trivia(number, question) for number, question in enumerate(chosen)], TRIVIA_ROWS)


def _trivia(number: int, question: Question) -> Row:
    bare = question.answer.removeprefix("a ").removeprefix("an ").removeprefix("the ")
    aliases = list(dict.fromkeys([question.answer, bare, bare.title()]))
    normalized = [alias.lower() for alias in aliases]
    return {
        "question": question.text,
        "question_id": f"demo_{number}",
        "question_source": "demo",
        "entity_pages": {"doc_source": [""], "filename": [""], "title": [""], "wiki_context": [""]},
        "search_results": {
            "description": [""], "filename": [""], "rank": [0], "title": [""], "url": [""],
            "search_context": [""],
        },
        "answer": {
            "aliases": aliases,
            "normalized_aliases": list(dict.fromkeys(normalized)),
            "matched_wiki_entity_name": "",
            "normalized_matched_wiki_entity_name": "",
            "normalized_value": bare.lower(),
            "type": "FreeForm",
            "value": bare,
        },
    }  # fmt: skip


_NO_DATE: Row = {"day": "", "month": "", "year": ""}
_Asked = tuple[str, Row, list[Row]]


def _difference(goods: list[str], counts: list[int], date: tuple[str, str, str]) -> _Asked:
    more, less = sorted(range(2), key=lambda i: -counts[i])
    found = str(counts[more] - counts[less])
    answer: Row = {"number": found, "date": _NO_DATE, "spans": []}
    return f"How many more {goods[more]} than {goods[less]} were received?", answer, [answer]


def _most(goods: list[str], counts: list[int], date: tuple[str, str, str]) -> _Asked:
    most = goods[counts.index(max(counts))]
    answer: Row = {"number": "", "date": _NO_DATE, "spans": [most]}
    counted: Row = {**answer, "spans": [f"{max(counts)} {most}"]}
    return "Of which goods were most received?", answer, [counted]


def _when(goods: list[str], counts: list[int], date: tuple[str, str, str]) -> _Asked:
    day, month, year = date
    answer: Row = {"number": "", "date": {"day": day, "month": month, "year": year}, "spans": []}
    return f"When were the {goods[0]} received?", answer, [answer]


def _both(goods: list[str], counts: list[int], date: tuple[str, str, str]) -> _Asked:
    least = goods[counts.index(min(counts))]
    others = [each for each in goods if each != least]
    answer: Row = {"number": "", "date": _NO_DATE, "spans": others}
    return f"Which two goods were more than the {least}?", answer, []


_ASKED: tuple[Callable[[list[str], list[int], tuple[str, str, str]], _Asked], ...] = (
    _difference, _most, _when, _both,
)  # fmt: skip
