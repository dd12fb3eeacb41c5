"""The grader of generated programs: does one do what the tests of its problem ask?

Programs go out as one document and verdicts come back as another; only the step between them runs
anything a model wrote, and it has neither store nor credentials. A problem has one or several samples; means
and standard errors are over problems.
"""

from collections import defaultdict
from collections.abc import Mapping

from pydantic import JsonValue

from a360.errors import DataError
from a360.grading.pass_at_k import Tally, estimates
from a360.grading.sandbox.documents import VERDICTS, Program, Programs, Verdict, Verdicts, verify_verdicts
from a360.grading.sandbox.judge import judge_programs
from a360.grading.task import Graded, GradeTask
from a360.records import Direction
from a360.results.answers import AnswerRow
from a360.results.headline import mark_headline
from a360.results.items import Sample, answer_sample, item_table
from a360.results.means import mean_record

_WANTED = (1, 10)
"""The k of pass@k, where every problem has as many samples."""


def grade(task: GradeTask) -> Graded:
    """Judges the programs here, where judging and committing are one process."""
    programs = list_programs(task)
    return grade_verdicts(task, judge_programs(programs, on_progress=task.on_progress))


def list_programs(task: GradeTask) -> Programs:
    """The document of everything that is to be judged.

    Raises:
        DataError: a reference is that of neither kind of problem, or an answer occurs twice.
    """
    programs = tuple(_program(answer) for answer in task.answers)
    if len({program.id for program in programs}) != len(programs):
        raise DataError("an answer occurs twice, expected each item and sample once")
    return Programs(programs=programs, allow_weak_sandbox=task.allow_weak_sandbox)


def grade_verdicts(task: GradeTask, verdicts: Verdicts) -> Graded:
    """Metrics and per-sample outcomes of verdicts. Pure.

    Raises:
        DataError: they do not answer exactly these answers.
    """
    verify_verdicts(list_programs(task), verdicts)
    pairs = list(zip(task.answers, verdicts.verdicts, strict=True))
    problems: dict[int, list[str]] = defaultdict(list)
    for answer, verdict in pairs:
        problems[answer.item].append(verdict.verdict)
    tallies = [Tally(len(names), names.count("passed")) for names in problems.values()]
    fewest = min((tally.samples for tally in tallies), default=1)
    name = task.benchmark.task
    records = [
        mean_record(f"pass@{k}", name, "item", estimates(tallies, k), "higher")
        for k in _WANTED
        if k <= fewest
    ]
    for kind in VERDICTS:
        shares = [names.count(kind) / len(names) for names in problems.values()]
        direction: Direction = "higher" if kind == "passed" else "lower"
        records.append(mean_record(kind, name, "item", shares, direction))
    return Graded(
        metrics=mark_headline(task.benchmark, records),
        items=item_table({name: [_sample(n, *pair) for n, pair in enumerate(pairs)]}),
        raw={
            "sandbox": verdicts.attestation.model_dump(mode="json"),
            "programs": {"problems": len(problems), "samples": len(pairs), "fewest_samples": fewest},
        },
    )


def _program(answer: AnswerRow) -> Program:
    """A completion behind its prompt with ``check``, or a whole program with a list of assertions."""
    reference = answer.reference
    name = f"{answer.item}/{answer.sample}"
    if "entry_point" in reference:
        prompt, tests, entry_point = (_text(answer, field) for field in ("prompt", "test", "entry_point"))
        program = answer.prompt + answer.response  # as it was shown, which may be without its last line end
        return Program(id=name, program=program, helpers=prompt, tests=tests, entry_point=entry_point)
    assertions = reference.get("test_list")
    if not isinstance(assertions, list) or not assertions:
        raise DataError(f"{answer.place}: neither an entry_point nor a test_list to judge a program by")
    lines = [str(reference.get("test_setup_code") or ""), *map(str, assertions)]
    return Program(id=name, program=answer.response, tests="\n".join(lines) + "\n")


def _text(answer: AnswerRow, field: str) -> str:
    value: JsonValue = answer.reference.get(field)
    if not isinstance(value, str):
        raise DataError(f"{answer.place}: {field} is {type(value).__name__}, expected a text")
    return value


def _sample(number: int, answer: AnswerRow, verdict: Verdict) -> Sample:
    outcomes: Mapping[str, float] = {name: float(name == verdict.verdict) for name in VERDICTS}
    return answer_sample(
        number, answer, right=_tests(answer), target="passed", said=verdict.verdict, values=outcomes
    )


def _tests(answer: AnswerRow) -> list[JsonValue]:
    return [answer.reference.get(field) for field in ("test", "test_list", "test_setup_code")]
