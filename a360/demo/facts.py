"""Small tables of facts, written for this project; the demo's rows are made from them.

A table says how its facts are asked, stated and checked. Within a table every term has one value, so the
values of the other terms are wrong answers, and where no value occurs twice the question can be turned round.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Fact(NamedTuple):
    """One term and what is true of it."""

    term: str
    value: str


@dataclass(frozen=True, kw_only=True)
class FactTable:
    """Facts of one kind. The templates know ``{term}`` and ``{value}``."""

    title: str
    ask: str
    """Asks for the value."""
    ask_back: str | None
    """Asks for the term; None where several terms share a value."""
    state: str
    """A statement, in lower case where it begins."""
    check: str
    """A yes-or-no question in lower case without its question mark, as BoolQ has them."""
    facts: tuple[Fact, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The different values, in the order of their first term."""
        return tuple(dict.fromkeys(fact.value for fact in self.facts))


def sentence(template: str, term: str, value: str) -> str:
    """A template filled in, its first letter in upper case."""
    text = template.format(term=term, value=value)
    return text[0].upper() + text[1:]


class Question(NamedTuple):
    """A question with its answer and every wrong answer that the table has."""

    text: str
    answer: str
    wrong: tuple[str, ...]


def questions(table: FactTable) -> tuple[Question, ...]:
    """Every fact asked for its value and, where the table can be turned round, for its term."""
    asked = [
        Question(sentence(table.ask, *fact), fact.value, tuple(v for v in table.values if v != fact.value))
        for fact in table.facts
    ]
    if table.ask_back:
        terms = [fact.term for fact in table.facts]
        asked += [
            Question(sentence(table.ask_back, *fact), fact.term, tuple(t for t in terms if t != fact.term))
            for fact in table.facts
        ]
    return tuple(asked)


def table(title: str, facts: str, *, ask: str, back: str | None, state: str, check: str) -> FactTable:
    """A table whose facts are given as lines ``term: value``."""
    return FactTable(title=title, ask=ask, ask_back=back, state=state, check=check, facts=_facts(facts))


def glossary(title: str, facts: str) -> FactTable:
    """A table of words and what they mean, each meaning a noun phrase."""
    return FactTable(
        title=title,
        ask="What is {term}?",
        ask_back="What is the name for {value}?",
        state="{term} is {value}.",
        check="is {term} {value}",
        facts=_facts(facts),
    )


def _facts(lines: str) -> tuple[Fact, ...]:
    pairs = (line.partition(": ") for line in lines.strip().splitlines())
    return tuple(Fact(term.strip(), value.strip()) for term, _, value in pairs)
