"""The grader of ``demo-next-word``: is the first word of the answer the one that the text goes on with?

A word is what stands between white space, punctuation included. An answer without a word (a model that gives
its end of text at once) is wrong, and ``empty`` says how many there were.
"""

from a360.grading.task import Graded, GradeTask
from a360.results.answers import AnswerRow
from a360.results.headline import mark_headline
from a360.results.items import Sample, answer_sample, item_table, values_of
from a360.results.means import mean_records


def grade(task: GradeTask) -> Graded:
    """``acc`` and ``empty`` per group and over all answers, and the outcome of every answer."""
    samples: dict[str, list[Sample]] = {}
    for number, answer in enumerate(task.answers, start=1):
        group = task.benchmark.task if answer.group is None else answer.group
        samples.setdefault(group, []).append(_sample(len(samples.get(group, ())), answer))
        task.on_progress(number, len(task.answers))
    name = task.benchmark.task
    records = mean_records("acc", name, _values(samples, "acc"), "higher")
    records += mean_records("empty", name, _values(samples, "empty"), "lower")
    return Graded(metrics=mark_headline(task.benchmark, records), items=item_table(samples))


def _sample(number: int, answer: AnswerRow) -> Sample:
    words = answer.response.split(maxsplit=1)
    right = str(answer.reference["word"])
    said, values = words[0] if words else "", {"acc": float(words[:1] == [right]), "empty": float(not words)}
    return answer_sample(number, answer, right=right, target=right, said=said, values=values)


def _values(samples: dict[str, list[Sample]], metric: str) -> dict[str, list[float]]:
    return {group: values_of(of, metric) for group, of in samples.items()}
