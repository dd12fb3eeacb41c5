"""The grader of LongEval's topics: does the answer name the first topic of the conversation?

``first_topic``: of the conversation's topics the one that the answer names first is the right one. ``exact``:
the answer is that topic and nothing else. Both look at words only, in any case, without an article in front.
The original asks a judge; where the suite has one, ``judged`` is the share of answers that it calls right,
with a question of our own at temperature 0, and a judgment that says neither yes nor no after several tries
is counted in ``unparseable`` and in no mean.

Source: LongChat (Li and others, 2023), https://lmsys.org/blog/2023-06-29-longchat/
"""

import re
from collections.abc import Sequence

from a360.errors import DataError
from a360.grading.lengths import Lengths, by_length, length_records
from a360.grading.ratings import parse_rating
from a360.grading.task import Graded, GradeTask, Question
from a360.records import Direction, Metric
from a360.results.answers import AnswerRow
from a360.results.headline import mark_headline
from a360.results.items import Sample, answer_sample, item_table
from a360.results.means import mean_record

_METRICS: dict[str, Direction] = {"first_topic": "higher", "exact": "higher", "empty": "lower"}
_ARTICLES = ("the ", "a ", "an ")
_QUESTION = (
    "Somebody was asked to name the first topic of a conversation. Decide whether the answer means the right "
    "topic. The wording does not matter; an answer that names several topics is right only if it says that "
    "the right one came first.\n\n"
    "Right topic: {topic}\n\nAnswer: {answer}\n\n"
    "Write [[1]] if the answer is right and [[0]] if it is not."
)


def grade(task: GradeTask) -> Graded:
    """Every metric per number of topics and over all cases that were asked, and every outcome."""
    lengths = by_length(task.answers)
    samples = lengths.samples(task.benchmark.task, _sample)
    metrics = dict(_METRICS)
    records = []
    if task.judge:
        samples, judged = _judged(task, lengths, samples)
        metrics["unparseable"] = "lower"
        records.append(judged)
    records += [
        record
        for metric, direction in metrics.items()
        for record in length_records(metric, task, lengths, samples, direction)
    ]
    return Graded(
        metrics=mark_headline(task.benchmark, records),
        items=item_table(samples),
        raw={"cases_not_asked": dict(lengths.cases_not_asked)},
    )


def normal_words(text: str) -> str:
    """The words of a text in lower case with single spaces, without an article in front."""
    words = " ".join(re.findall(r"\w+", text.casefold()))
    for article in _ARTICLES:
        words = words.removeprefix(article)
    return words


def first_named(answer: str, topics: Sequence[str]) -> int | None:
    """Which of the topics an answer names first, from 0; None for an answer that names none."""
    said = f" {normal_words(answer)} "
    places = [said.find(f" {normal_words(topic)} ") for topic in topics]
    named = [(place, number) for number, place in enumerate(places) if place >= 0]
    return min(named)[1] if named else None


def _topics(answer: AnswerRow) -> list[str]:
    topics = answer.reference.get("topics")
    if not isinstance(topics, list) or not topics:
        raise DataError(f"case has no topics: {answer.place}: expected those of its conversation, in order")
    return [str(topic) for topic in topics]


def _sample(number: int, answer: AnswerRow) -> Sample:
    topics = _topics(answer)
    named = first_named(answer.response, topics)
    values = {
        "first_topic": float(named == 0),
        "exact": float(normal_words(answer.response) == normal_words(topics[0])),
        "empty": float(not answer.response.strip()),
    }
    said = "" if named is None else topics[named]
    return answer_sample(number, answer, right=topics[0], target=topics[0], said=said, values=values)


def _judged(
    task: GradeTask, lengths: Lengths, samples: dict[str, list[Sample]]
) -> tuple[dict[str, list[Sample]], Metric]:
    """The samples with what the judge says of them, and the share of those it calls right."""
    answers = [answer for of in lengths.asked.values() for answer in of]
    questions = [Question("", _question(answer)) for answer in answers]
    judgments = task.require_judge()(questions, lambda text: parse_rating(text, 0, 1))
    values = [judgment.value for judgment in judgments if judgment.value is not None]
    said = iter(judgments)
    judged: dict[str, list[Sample]] = {}
    for name, of in samples.items():
        for sample in of:
            value = next(said).value
            found: dict[str, object] = {"unparseable": float(value is None)}
            if value is not None:
                found["judged"] = value
            judged.setdefault(name, []).append({**sample, **found, "metrics": [*_METRICS, *found]})
    return judged, mean_record("judged", task.benchmark.task, "micro", values, "higher")


def _question(answer: AnswerRow) -> str:
    # One pass: what the model wrote is never looked at for places to fill.
    fields = {"topic": _topics(answer)[0], "answer": answer.response.strip()}
    return re.sub(r"\{(topic|answer)\}", lambda match: fields[match[1]], _QUESTION)
