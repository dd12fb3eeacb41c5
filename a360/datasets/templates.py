"""How rows of known data sets become prompts, where a field alone is not what is shown.

Each template names the fields that it reads beside those of ``Prompts``. Rows that a data set leaves without
a clear label are unusable: they are never asked, as in the original evaluations.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import JsonValue

from a360.benchmarks import Prompts
from a360.benchmarks.prompts import Template
from a360.datasets.row_files import Row, kind_of


class Shown(NamedTuple):
    """A prompt's text, and what is known of the right answer."""

    text: str
    reference: dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class RowTemplate:
    """What a template reads, and what it makes of a row: None where the row is unusable."""

    show: Callable[[Row, Prompts], Shown | None]
    fields: frozenset[str] = field(default_factory=frozenset)


def _statement(row: Row, prompts: Prompts) -> Shown | None:
    """A statement to be judged: is it offensive, hateful, toxic?

    Labels are the values that mean no and yes; any other value, and none, is no clear label.
    """
    value = row.field(str(prompts.label))
    if isinstance(value, str):
        try:
            value = float(value) if value else None
        except ValueError:
            row.refuse(f"{prompts.label} is no label", repr(value), "a number or nothing")
    if value is not None and not isinstance(value, int | float):
        row.refuse(f"{prompts.label} is no label", f"a {kind_of(value)}", "a number or nothing")
    no, yes = prompts.labels or (0.0, 1.0)
    if value not in (no, yes):
        return None
    text = row.text(prompts.text)
    return Shown(str(prompts.item).replace("{text}", text), {"text": text, "is_toxic": value == yes})


def _docstring(row: Row, prompts: Prompts) -> Shown:
    """A problem of MBPP as InCoder and bigcode's harness show it: task and first test in a docstring.

    Source: https://arxiv.org/abs/2204.05999, section 4.3
    """
    tests = row.field("test_list")
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        row.refuse("test_list is no list of tests", f"a {kind_of(tests)}", "a list of texts")
    return Shown(f'"""\n{row.text(prompts.text)}\n{tests[0]}\n"""\n', {})


TEMPLATES: dict[Template, RowTemplate] = {
    "statement": RowTemplate(show=_statement),
    "mbpp-docstring": RowTemplate(show=_docstring, fields=frozenset({"test_list"})),
}
