"""The grader of MT-bench: what a judge thinks of each answer, from 1 to 10.

The judge sees one answer at a time: the first turn alone, the second with the first before it; in categories
with right answers those as well. Its prompts are texts of others and come with the answers. The headline is
the mean of all judgments, as in the original. A judgment without a rating on the scale is asked for again,
and after several tries it is counted in ``unparseable`` and is in no mean; the original drops it in silence.
An empty answer is judged like any other, and ``empty`` says how many there were.

Source: FastChat's llm_judge; MT-bench (arXiv 2306.05685).
"""

import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from a360.errors import DataError
from a360.grading.ratings import parse_rating
from a360.grading.task import Graded, GradeTask, Judgment, Question
from a360.identity import hash_value
from a360.records import Direction, Metric
from a360.results.answers import AnswerRow
from a360.results.headline import mark_headline
from a360.results.items import Sample, answer_sample, item_table
from a360.results.means import mean_record

LOWEST, HIGHEST = 1.0, 10.0
_DIRECTIONS: dict[str, Direction] = {"rating": "higher", "unparseable": "lower", "empty": "lower"}
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def grade(task: GradeTask) -> Graded:
    """Every metric per category, per turn, and over all judgments.

    Raises:
        ConfigError: there is no judge.
        DataError: a turn lacks the one before it, or a prompt asks for what there is not.
    """
    conversations = _conversations(task.answers)
    questions = [_question(answer, conversations[_id(answer)]) for answer in task.answers]
    judgments = task.require_judge()(questions, lambda text: parse_rating(text, LOWEST, HIGHEST))
    samples: dict[str, list[Sample]] = {}
    turns: dict[str, list[Sample]] = {}
    for answer, judgment in zip(task.answers, judgments, strict=True):
        category = str(answer.group)
        sample = _sample(len(samples.get(category, ())), answer, judgment)
        samples.setdefault(category, []).append(sample)
        turns.setdefault(f"turn-{answer.reference['turn']}", []).append(sample)
    records = [record for metric in _DIRECTIONS for record in _records(metric, task, samples, turns)]
    tries = sum(judgment.tries for judgment in judgments)
    return Graded(
        metrics=mark_headline(task.benchmark, records),
        items=item_table(samples),
        raw={"judgments": len(judgments), "tries": tries},
    )


def fill_template(template: str, fields: Mapping[str, str]) -> str:
    """A judge's prompt with its fields filled in, and doubled braces as single ones.

    One pass: what a model wrote is never looked at for fields. Between braces only names are understood.

    Raises:
        DataError: the template asks for a field that there is not.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        if match[1] not in fields:
            raise DataError(
                f"judge's prompt asks for {match[0]}: expected {', '.join(sorted(fields))}",
                hint="Is it a prompt for one answer, with a reference where the category has one?",
            )
        return fields[match[1]]

    return _FIELD.sub(fill, template)


def _id(answer: AnswerRow) -> str:
    return str(answer.reference["question_id"])


def _conversations(answers: Sequence[AnswerRow]) -> dict[str, dict[int, AnswerRow]]:
    """Question -> turn -> answer."""
    found: dict[str, dict[int, AnswerRow]] = {}
    for answer in answers:
        found.setdefault(_id(answer), {})[int(str(answer.reference["turn"]))] = answer
    for number, turns in found.items():
        if sorted(turns) != list(range(1, len(turns) + 1)):
            raise DataError(f"question {number} lacks a turn: found {sorted(turns)}, expected all from 1")
    return found


def _question(answer: AnswerRow, turns: Mapping[int, AnswerRow]) -> Question:
    """What the judge sees of an answer: its own turn and those before it."""
    prompt = _judge_prompt(answer)
    turn = int(str(answer.reference["turn"]))
    fields = {"question": str(answer.reference["question"]), "answer": answer.response.strip()}
    for number in range(1, turn + 1):
        shown = turns[number]
        fields[f"question_{number}"] = str(shown.reference["question"])
        fields[f"answer_{number}"] = shown.response.strip()
    # A judge of the first turn may see both right answers, as the original's does.
    for number, shown in turns.items():
        if shown.reference["right"] is not None:
            fields[f"ref_answer_{number}"] = str(shown.reference["right"])
    return Question(str(prompt["system"]), fill_template(str(prompt["template"]), fields))


def _judge_prompt(answer: AnswerRow) -> dict[str, JsonValue]:
    prompt = answer.reference.get("judge")
    if not isinstance(prompt, dict) or not {"system", "template"} <= prompt.keys():
        raise DataError(f"answer comes without the judge's prompt: {answer.place}")
    return prompt


def _records(
    metric: str,
    task: GradeTask,
    samples: Mapping[str, Sequence[Sample]],
    turns: Mapping[str, Sequence[Sample]],
) -> list[Metric]:
    whole, direction = task.benchmark.task, _DIRECTIONS[metric]
    records = [
        mean_record(metric, category, "item", _values(samples[category], metric), direction)
        for category in sorted(samples)
    ]
    records += [
        mean_record(metric, whole, "micro", _values(turns[turn], metric), direction, subset=turn)
        for turn in sorted(turns)
    ]
    everything = [sample for category in sorted(samples) for sample in samples[category]]
    records.append(mean_record(metric, whole, "micro", _values(everything, metric), direction))
    return [_with_reason(record) for record in records]


def _with_reason(record: Metric) -> Metric:
    if record.value is not None:
        return record
    return record.model_copy(update={"reason": "no judgment could be parsed"})


def _values(samples: Sequence[Sample], metric: str) -> list[float]:
    return [float(str(sample[metric])) for sample in samples if metric in sample]


def _sample(number: int, answer: AnswerRow, judgment: Judgment) -> Sample:
    rating = {} if judgment.value is None else {"rating": judgment.value}
    counted = {
        "unparseable": float(judgment.value is None),
        "empty": float(not answer.response.strip()),
    }
    said = "" if judgment.value is None else f"{judgment.value:g}"
    right, values = answer.reference["right"], {**rating, **counted}
    sample = answer_sample(number, answer, right=right, target="", said=said, values=values)
    return {**sample, "doc_hash": hash_value([answer.place, answer.reference["turn"]])}
