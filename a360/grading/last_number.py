"""The grader of LongEval's lines: is the number of the answer that of the line which was asked for?

The last whole number of the answer counts, as in the original. A model that was not taught to stop writes
more lines behind a right answer, so the first number is compared beside it (``acc_first``). Answers without a
number, and without any character, are wrong and counted apart; a length that the context does not hold has
no value but a reason.

Source: LongChat (Li and others, 2023), https://lmsys.org/blog/2023-06-29-longchat/
"""

import re

from a360.grading.lengths import by_length, length_records
from a360.grading.task import Graded, GradeTask
from a360.records import Direction
from a360.results.answers import AnswerRow
from a360.results.headline import mark_headline
from a360.results.items import Sample, answer_sample, item_table

_NUMBER = re.compile(r"[0-9]+")
_METRICS: dict[str, Direction] = {
    "acc": "higher",
    "acc_first": "higher",
    "no_number": "lower",
    "empty": "lower",
}


def grade(task: GradeTask) -> Graded:
    """Every metric per length and over all cases that were asked, and the outcome of every answer."""
    lengths = by_length(task.answers)
    samples = lengths.samples(task.benchmark.task, _sample)
    task.on_progress(len(task.answers), len(task.answers))
    records = [
        record
        for metric, direction in _METRICS.items()
        for record in length_records(metric, task, lengths, samples, direction)
    ]
    return Graded(
        metrics=mark_headline(task.benchmark, records),
        items=item_table(samples),
        raw={"cases_not_asked": dict(lengths.cases_not_asked)},
    )


def find_numbers(response: str) -> list[str]:
    """The whole numbers of an answer in its order, without zeros in front."""
    return [found.lstrip("0") or "0" for found in _NUMBER.findall(response)]


def _sample(number: int, answer: AnswerRow) -> Sample:
    found, right = find_numbers(answer.response), str(answer.reference["expected_number"])
    values = {
        "acc": float(found[-1:] == [right]),
        "acc_first": float(found[:1] == [right]),
        "no_number": float(not found),
        "empty": float(not answer.response.strip()),
    }
    said = found[-1] if found else ""
    return answer_sample(number, answer, right=right, target=right, said=said, values=values)
