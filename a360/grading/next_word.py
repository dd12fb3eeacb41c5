"""The grader of ``demo-next-word``: is the first word of the answer the one that the text goes on with?

A word is what stands between white space, punctuation included. An answer without a word (a model that gives
its end of text at once) is wrong, and ``empty`` says how many there were.
"""

from a360.grading.task import Graded, GradeTask
from a360.identity import hash_value
from a360.results.answers import AnswerRow
from a360.results.headline import mark_headline
from a360.results.items import Sample, item_table
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


def _sample(number: int, answer: AnswerRow) -> dict[str, object]:
    words = answer.response.split(maxsplit=1)
    right = str(answer.reference["word"])
    return {
        "doc_id": number,
        "filter": "none",
        "doc_hash": hash_value(answer.place),
        "prompt_hash": hash_value(answer.prompt),
        "target_hash": hash_value(right),
        "filtered_resps": words[:1] or [""],
        "target": right,
        "metrics": ["acc", "empty"],
        "acc": float(words[:1] == [right]),
        "empty": float(not words),
    }


def _values(samples: dict[str, list[Sample]], metric: str) -> dict[str, list[float]]:
    return {group: [float(str(sample[metric])) for sample in of] for group, of in samples.items()}
