"""Shares per length of LongEval's cases: what a context does not hold is named, not counted. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from a360.grading.task import GradeTask
from a360.records import Direction, Metric
from a360.results.answers import NOT_ASKED, AnswerRow
from a360.results.items import Sample, values_of
from a360.results.means import mean_record


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The answers of a benchmark by the length of its cases, shortest first."""

    asked: dict[str, list[AnswerRow]]
    not_asked: dict[str, str]
    """Length -> why the model was not asked."""
    cases_not_asked: dict[str, int]

    def task(self, whole: str, length: str) -> str:
        """The name of one length beside that of the whole."""
        return f"{whole}_{length}"

    def samples(self, whole: str, sample: Callable[[int, AnswerRow], Sample]) -> dict[str, list[Sample]]:
        """Task -> what ``sample`` makes of the number and the answer of each case."""
        return {
            self.task(whole, length): [sample(number, answer) for number, answer in enumerate(answers)]
            for length, answers in self.asked.items()
        }


def by_length(answers: Sequence[AnswerRow]) -> Lengths:
    """Answers by their group, which is a number."""
    asked: dict[str, list[AnswerRow]] = {}
    not_asked: dict[str, str] = {}
    cases: dict[str, int] = {}
    for answer in sorted(answers, key=lambda each: int(each.group or 0)):
        length = str(answer.group)
        if NOT_ASKED in answer.reference:
            not_asked[length] = str(answer.reference[NOT_ASKED])
            cases[length] = cases.get(length, 0) + 1
        else:
            asked.setdefault(length, []).append(answer)
    return Lengths(asked=asked, not_asked=not_asked, cases_not_asked=cases)


def length_records(
    metric: str,
    task: GradeTask,
    lengths: Lengths,
    samples: Mapping[str, Sequence[Sample]],
    direction: Direction,
) -> list[Metric]:
    """The mean of each length, null with its reason where nobody was asked, and that over all cases."""
    whole = task.benchmark.task
    records = [
        mean_record(metric, name, "item", values_of(of, metric), direction) for name, of in samples.items()
    ]
    for length, reason in lengths.not_asked.items():
        left_out = mean_record(metric, lengths.task(whole, length), "item", [], direction)
        records.append(left_out.model_copy(update={"reason": reason}))
    everything = [value for of in samples.values() for value in values_of(of, metric)]
    overall = mean_record(metric, whole, "micro", everything, direction)
    if not everything:
        overall = overall.model_copy(update={"reason": "no length of the cases fits into the context"})
    return [*records, overall]
