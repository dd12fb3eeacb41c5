"""Verdicts -> metrics and outcomes; what is sent to be judged."""

from dataclasses import replace

import pytest
from pydantic import JsonValue

from a360.benchmarks import CATALOGUE, Headline
from a360.errors import DataError
from a360.grading.code import grade_verdicts, list_programs
from a360.grading.graders import GRADERS, source_hash
from a360.grading.sandbox.documents import VERDICTS, Attestation, Verdict, VerdictName, Verdicts
from a360.grading.task import GradeTask
from a360.identity import hash_value
from a360.records import Grading
from a360.results.answers import AnswerRow

COMPLETION: dict[str, JsonValue] = {"prompt": "def f():\n", "test": "def check(c): ...", "entry_point": "f"}
HOLDS = Attestation(layer="kernel", landlock_abi=7, seccomp=True, bubblewrap=False, holds=True)


def task(*samples: int, reference: dict[str, JsonValue] = COMPLETION) -> GradeTask:
    """Problems with so many samples each."""
    row = next(row for row in CATALOGUE.values() if row.grader == "toxicity")
    benchmark = replace(row, headline=Headline(metric="pass@1"), target=None)
    rows = [
        AnswerRow(item, sample, f"rows:{item}", None, "def f():", f"\n    return {sample}\n", reference)
        for item, count in enumerate(samples)
        for sample in range(count)
    ]
    return GradeTask(benchmark=benchmark, grading=Grading(grader="code", source_hash=""), answers=tuple(rows))


def judged(asked: GradeTask, *names: VerdictName) -> Verdicts:
    programs = list_programs(asked)
    verdicts = [
        Verdict(id=program.id, verdict=name) for program, name in zip(programs.programs, names, strict=True)
    ]
    return Verdicts(programs_hash=hash_value(programs), attestation=HOLDS, verdicts=tuple(verdicts))


def values(asked: GradeTask, *names: VerdictName) -> dict[str, tuple[float | None, int]]:
    graded = grade_verdicts(asked, judged(asked, *names))
    return {metric.metric: (metric.value, metric.n) for metric in graded.metrics}


def test_means_are_over_problems_not_samples() -> None:
    found = values(task(2, 2), "passed", "failed", "passed", "passed")
    assert found["pass@1"] == (0.75, 2)
    assert found["failed"] == (0.25, 2)
    assert "pass@10" not in found
    assert sum(found[name][0] or 0 for name in VERDICTS) == 1.0


def test_pass_at_ten_needs_ten_samples_of_every_problem() -> None:
    rest: list[VerdictName] = ["failed"] * 19
    assert values(task(20), "passed", *rest)["pass@10"] == (0.5, 1)
    assert "pass@10" not in values(task(10, 9), *rest)


def test_there_is_an_outcome_per_sample_and_the_sandbox_is_on_record() -> None:
    asked = task(2, 1)
    graded = grade_verdicts(asked, judged(asked, "passed", "timed_out", "refused"))
    rows = graded.items.to_pylist()
    assert [row["prediction"] for row in rows] == ["passed", "timed_out", "refused"]
    assert [dict(row["metrics"])["passed"] for row in rows] == [1.0, 0.0, 0.0]
    assert rows[0]["doc_hash"] == rows[1]["doc_hash"] != rows[2]["doc_hash"]
    assert graded.raw["sandbox"] == HOLDS.model_dump(mode="json")
    assert [m.metric for m in graded.metrics if m.headline] == ["pass@1"]


def test_a_completion_is_run_behind_its_prompt_and_a_program_alone() -> None:
    (program,) = list_programs(task(1)).programs
    assert program.program == "def f():\n    return 0\n"
    assert (program.helpers, program.entry_point) == ("def f():\n", "f")
    reference: dict[str, JsonValue] = {
        "test_list": ["assert f() == 1", "assert f()"],
        "test_setup_code": "x = 1",
    }
    (program,) = list_programs(task(1, reference=reference)).programs
    assert program.tests == "x = 1\nassert f() == 1\nassert f()\n"
    assert program.entry_point is None


@pytest.mark.parametrize("reference", [{}, {"test_list": []}, {"entry_point": "f", "prompt": "x"}])
def test_a_reference_of_no_kind_is_an_error(reference: dict[str, JsonValue]) -> None:
    with pytest.raises(DataError, match="rows:0"):
        list_programs(task(1, reference=reference))


def test_verdicts_of_other_answers_are_refused() -> None:
    with pytest.raises(DataError, match="expected those of"):
        grade_verdicts(task(2), judged(task(1), "passed"))
    asked = task(1)
    with pytest.raises(DataError, match="occurs twice"):
        list_programs(replace(asked, answers=asked.answers * 2))


def test_leave_for_a_weak_sandbox_is_part_of_what_is_asked() -> None:
    assert list_programs(replace(task(1), allow_weak_sandbox=True)).allow_weak_sandbox
    assert not list_programs(task(1)).allow_weak_sandbox


def test_every_module_of_the_sandbox_is_part_of_the_graders_hash() -> None:
    from importlib import resources

    names = {
        path.name for path in resources.files("a360.grading.sandbox").iterdir() if path.name.endswith(".py")
    }
    named = {f"{module.split('.')[-1]}.py" for module in GRADERS["code"] if ".sandbox." in module}
    assert named == names - {"__init__.py"}
    assert len(source_hash("code")) == 16
