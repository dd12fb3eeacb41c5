"""Rows as lm-eval loaded them: each is written out once before the model is asked anything.

lm-eval writes the word None for a null, and counts a label that is no choice as a wrong answer. Both would be
scores of nothing, so such a row ends the benchmark with its task, split, number and fault. Called by
a360/evaluators/tasks.py for every task that it loads.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import TypeVar

from jinja2 import UndefinedError
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from a360.benchmarks import Benchmark
from a360.errors import DataError
from a360.evaluators.nulls import NullReadError, Row, has_null, mark_nulls
from a360.evaluators.unreadable import missing_split

UNFIT = (
    KeyError, IndexError, TypeError, AttributeError, ValueError, AssertionError, SyntaxError, UndefinedError,
)  # fmt: skip
"""What lm-eval and its tasks raise when a row is not what a task expects."""

_HINT = "Compare the mirror with the data set's schema."
T = TypeVar("T")


@dataclass(frozen=True)
class Rows:
    """Rows of a split with their numbers, as far as a task's ``process_docs`` works on a split."""

    where: str
    numbered: Sequence[tuple[int, Row]]

    def map(self, function: Callable[[Row], Row]) -> "Rows":
        """Every row with the fields that a function adds or replaces."""
        return Rows(self.where, [(n, row | self.call(function, n, row)) for n, row in self.numbered])

    def filter(self, function: Callable[[Row], bool]) -> "Rows":
        """The rows that a function chooses."""
        return Rows(self.where, [(n, row) for n, row in self.numbered if self.call(function, n, row)])

    def call(self, function: Callable[[Row], T], number: int, row: Row) -> T:
        """What a function says of a row; where it fails, a DataError says of which."""
        with _naming(self.where, number, row):
            return function(row)


def verify_rows(benchmark: Benchmark, task: ConfigurableTask) -> None:
    """Writes out and scores the rows that a task evaluates, and writes out those it draws examples from.

    Raises:
        DataError: a split is missing or too short; what the task reads of a row is null; an answer is no
            choice; a text to score is blank.
    """
    config, examples = task.config, task.fewshot_cfg
    rows = _rows(benchmark, task, _evaluated_split(task), every=True)
    rows = config.process_docs(rows) if config.process_docs else rows
    if not rows.numbered:
        raise DataError(f"no rows: {rows.where}: found none, expected one or more", hint=_HINT)
    task.features = list(rows.numbered[0][1])
    rows.map(lambda row: _verify_row(task, row, scored=True))
    if examples.split is None and examples.samples is not None:
        return
    split = examples.split or config.training_split or config.validation_split or config.test_split
    shots = _shots(benchmark, task)
    # Only choices have a label that may be wrong. lm-eval opens and processes the split also without shots.
    rows = _rows(benchmark, task, split, every=bool(shots and config.doc_to_choice))
    # Where a task names neither split, lm-eval takes them for one: it draws one more, to leave that out.
    needed = shots + 1 if shots and examples.split == config.test_split else shots
    if (found := len(task.dataset[split])) < needed:
        raise DataError(
            f"too few rows to draw examples from: {rows.where}: found {found}, expected {needed} or more",
            hint="Mirror the whole split.",
        )
    process = examples.process_docs if examples.split else config.process_docs
    rows = process(rows) if process else rows
    if shots:
        rows.map(lambda row: _verify_row(task, row, scored=False))


def verify_answers(benchmark: Benchmark, task: ConfigurableTask) -> None:
    """Scores every right answer as if the model had given it, where lm-eval compares texts itself.

    Raises:
        DataError: the right answer of a row is not right, so no answer could be.
    """
    if task.OUTPUT_TYPE != "generate_until" or callable(task.config.process_results):
        return
    wanted = benchmark.headline
    [filters] = [each for each in task._filters if each.name == wanted.filter]

    def score(row: Row) -> Row:
        answer = _golds(task.doc_to_target(row))[0]
        asked = Instance("generate_until", doc=row, arguments=("", {}), idx=0, resps=[answer])
        filters.apply([asked])
        if not task.process_results(row, [asked.filtered_resps[filters.name]])[wanted.metric]:
            raise ValueError(
                f"its own answer is not right by {wanted.metric},{wanted.filter}: found "
                f"{str(answer)[-60:]!r}, expected one that the filter finds"
            )
        return {}

    Rows(_where(benchmark, task, _evaluated_split(task)), list(enumerate(task.eval_docs))).map(score)


def _rows(benchmark: Benchmark, task: ConfigurableTask, split: str, *, every: bool) -> Rows:
    """The rows of a split, nulls marked; not ``every``: none unless there are nulls."""
    if split not in task.dataset:
        raise missing_split(benchmark, task, split)
    table = task.dataset[split]
    gaps = [name for name in table.column_names if has_null(table.data.column(name))]
    wanted = table if every or gaps else ()
    return Rows(_where(benchmark, task, split), [(n, mark_nulls(row, gaps)) for n, row in enumerate(wanted)])


def _evaluated_split(task: ConfigurableTask) -> str:
    return str(task.config.test_split or task.config.validation_split)


def _shots(benchmark: Benchmark, task: ConfigurableTask) -> int:
    pinned: int = task.config.num_fewshot or 0
    return pinned if benchmark.shots is None or task.config.num_fewshot == 0 else benchmark.shots


def _where(benchmark: Benchmark, task: ConfigurableTask, split: str) -> str:
    return f"benchmark {benchmark.id}, task {task.config.task}, split {split}"


@contextmanager
def _naming(where: str, number: int, row: Row) -> Iterator[None]:
    try:
        yield
    except NullReadError as error:
        raise DataError(f"a row lacks a field: {where}, row {number}: {error}", hint=_HINT) from None
    except UNFIT as error:
        blank = [name for name, value in row.items() if isinstance(value, str) and not value.strip()]
        told = isinstance(error, ValueError | UndefinedError)
        fault = str(error) if told else f"{type(error).__name__}: {error}"
        if blank and isinstance(error, IndexError):  # a function looks at the first letter
            fault = f"continuation is empty: found nothing in {blank[0]}, expected a text"
        raise DataError(f"rows do not fit the task: {where}, row {number}: {fault}", hint=_HINT) from None


def _verify_row(task: ConfigurableTask, row: Row, *, scored: bool) -> Row:
    """Nothing to add to the row; raises what its texts, choices and answers raise, or ValueError."""
    text, target = task.doc_to_text(row), task.doc_to_target(row)
    choices: Sequence[str] = task.doc_to_choice(row) if task.config.doc_to_choice is not None else ()
    str([text, target, choices])  # reads what was only handed on
    if task.OUTPUT_TYPE == "multiple_choice":
        inputs = isinstance(text, int)  # the choices are then contexts, and one text follows them all
        _verify_texts([target] if inputs else choices)
        _verify_labels(row, text if inputs else target, choices)
        answer: list[object] = [(-1.0, False)] * len(choices)
    else:
        _verify_texts(_golds(target))
        answer = [-1.0 if task.OUTPUT_TYPE == "loglikelihood_rolling" else str(target)]
    if scored and callable(task.config.process_results):
        task.config.process_results(row, answer)
    return {}


def _verify_texts(texts: Sequence[object]) -> None:
    if not texts:
        raise ValueError("continuation is empty: found no text, expected one or more")
    for number, text in enumerate(texts):
        if not str(text).strip():
            raise ValueError(f"continuation is empty: text {number} is {text!r}, expected more than spaces")


def _verify_labels(row: Row, gold: object, choices: Sequence[str]) -> None:
    golds = _golds(gold)
    label = row.get("label")
    if isinstance(label, int):
        golds.append(label)  # COPA takes every label but 0 for its second choice
    for each in golds:
        known = 0 <= int(each) < len(choices) if isinstance(each, Integral) else each in choices
        if not known:
            raise ValueError(
                f"its answer is no choice: found {each!r}, expected 0 to {len(choices) - 1} or a choice"
            )


def _golds(gold: object) -> list[object]:
    """The right answers of a row: a task gives one, or a list of all."""
    return list(gold) if isinstance(gold, list) else [gold]
