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
    solve: Callable[[Row], str] | None = None
    """What stands behind an example; None where the template has no examples."""


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
    return Shown(f'"""\n{row.text(prompts.text)}\n{_tests(row, 1)[0]}\n"""\n', {})


def _three_tests(row: Row, prompts: Prompts) -> Shown:
    """A problem of MBPP as lm-eval shows it: task, three tests, and where the code begins.

    Source: lm_eval/tasks/mbpp/mbpp.yaml of lm-eval 0.4
    """
    tests = "\n".join(_tests(row, 3))
    return Shown(
        f"You are an expert Python programmer, and here is your task: {row.text(prompts.text)} "
        f"Your code should pass these tests:\n\n{tests}\n[BEGIN]\n",
        {},
    )


def _solved(row: Row) -> str:
    """The code of a problem with its own line ends, and the mark that ends an answer."""
    return f"{row.text('code')}\n[DONE]"


def _tests(row: Row, count: int) -> list[str]:
    """The first so many tests of a problem of MBPP. Raises DataError where it has fewer."""
    tests = row.field("test_list")
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        row.refuse("test_list is no list of tests", f"a {kind_of(tests)}", "a list of texts")
    if len(tests) < count:
        row.refuse("test_list is too short", str(len(tests)), f"at least {count}")
    return tests[:count]


TEMPLATES: dict[Template, RowTemplate] = {
    "statement": RowTemplate(show=_statement),
    "mbpp-docstring": RowTemplate(show=_docstring, fields=frozenset({"test_list"})),
    "mbpp-tests": RowTemplate(show=_three_tests, fields=frozenset({"test_list"}), solve=_solved),
}
