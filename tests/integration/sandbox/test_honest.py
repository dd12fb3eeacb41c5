"""Right solutions pass and wrong ones do not, as where they are simply executed."""

import contextlib
from collections.abc import Iterator

import pytest

from a360.benchmarks import CATALOGUE, Benchmark
from a360.errors import ConfigError, TransientError
from a360.grading import code
from a360.grading.sandbox import selftest
from a360.grading.sandbox.documents import Limits, Program, Programs, Verdicts, verify_verdicts
from a360.grading.sandbox.job import Job
from a360.grading.sandbox.judge import judge_program, judge_programs, run_job
from a360.grading.task import GradeTask
from a360.records import Grading
from a360.results.answers import AnswerRow
from tests.integration.sandbox.conftest import World
from tests.integration.sandbox.problems import PROBLEMS, Problem

pytestmark = pytest.mark.integration


def responses(problem: Problem) -> Iterator[tuple[str, bool]]:
    yield from ((text, True) for text in problem.right)
    yield from ((text, False) for text in problem.wrong)


def answers() -> tuple[AnswerRow, ...]:
    return tuple(
        AnswerRow(item, sample, f"rows:{item}", None, shown(problem), text, problem.reference)
        for item, problem in enumerate(PROBLEMS)
        for sample, (text, _) in enumerate(responses(problem))
    )


def shown(problem: Problem) -> str:
    return str(problem.reference.get("prompt", problem.name))


def task(rows: tuple[AnswerRow, ...]) -> GradeTask:
    return GradeTask(benchmark=benchmark(), grading=Grading(grader="code", source_hash=""), answers=rows)


def benchmark() -> Benchmark:
    row = next(row for row in CATALOGUE.values() if row.grader == "toxicity")
    return row


def runs_plainly(program: Program) -> bool:
    """The same program and tests in one name space, as their authors ran them."""
    names: dict[str, object] = {}
    with contextlib.suppress(Exception):
        exec(program.program, names)
        exec(program.tests, names)
        if program.entry_point is not None:
            check = names["check"]
            assert callable(check)
            check(names[program.entry_point])
        return True
    return False


@pytest.fixture(scope="module")
def judged(outer: str | None) -> tuple[Programs, Verdicts]:
    programs = code.list_programs(task(answers()))
    return programs, judge_programs(programs, outer_layer=outer is not None)


def test_right_solutions_pass_and_wrong_ones_do_not(judged: tuple[Programs, Verdicts]) -> None:
    expected = [right for problem in PROBLEMS for _, right in responses(problem)]
    assert [verdict.verdict == "passed" for verdict in judged[1].verdicts] == expected, judged[1]


def test_verdicts_agree_with_plain_execution_but_for_those_who_cheat(
    judged: tuple[Programs, Verdicts],
) -> None:
    programs, verdicts = judged
    for program, verdict in zip(programs.programs, verdicts.verdicts, strict=True):
        cheats = "class math" in program.program or "global shift" in program.program
        borrows = "uses a module" in PROBLEMS[int(program.id.split("/")[0])].name
        if not cheats and not borrows:
            assert (verdict.verdict == "passed") == runs_plainly(program), (program, verdict)


def test_documents_survive_json_and_answer_what_was_sent(
    judged: tuple[Programs, Verdicts], outer: str | None
) -> None:
    programs, verdicts = judged
    again = Programs.model_validate_json(programs.model_dump_json())
    verify_verdicts(again, Verdicts.model_validate_json(verdicts.model_dump_json()))
    assert verdicts.attestation.holds
    assert verdicts.attestation.bubblewrap == (outer is not None)
    assert verdicts.attestation.landlock_abi >= 1
    assert verdicts.attestation.seccomp


@pytest.mark.parametrize(
    ("protection", "words"),
    [("landlock", "reads another file"), ("seccomp", "has no filter"), ("processes", "starts a process")],
)
def test_a_sandbox_with_a_hole_refuses_to_grade(world: World, protection: str, words: str) -> None:
    def leaky(job: Job) -> dict[str, str]:
        from dataclasses import replace

        return run_job(replace(job, without=(protection,)))

    scratch = str(world.directory / "scratch")
    with pytest.raises(ConfigError, match=words) as caught:
        selftest.attest(scratch, False, False, leaky)
    assert caught.value.hint is not None
    assert "allow_weak_sandbox" in caught.value.hint
    attestation, job = selftest.attest(scratch, True, False, leaky)
    assert not attestation.holds
    assert words in attestation.escapes
    assert attestation.seccomp == (protection != "seccomp")
    assert job.weak
    for path in (world.directory / "scratch").iterdir():
        path.unlink()


def test_a_judge_that_always_agrees_is_found_out(world: World) -> None:
    def agrees(job: Job) -> dict[str, str]:
        return {"verdict": "passed", "detail": ""}

    with pytest.raises(ConfigError, match="does not judge"):
        selftest.attest(str(world.directory / "scratch"), False, False, agrees)
    (world.directory / "scratch" / "planted").unlink()


def test_a_sandbox_that_does_not_start_is_no_verdict(world: World) -> None:
    job = Job(program={}, scratch=str(world.directory / "nowhere"), bubblewrap=None)
    with pytest.raises(TransientError, match="did not start"):
        judge_program(job, Program(id="0/0", program="x = 1", tests="assert x\n"))


def test_limits_of_the_document_are_those_of_the_program() -> None:
    slow = Program(id="0/0", program="import time\ndef f():\n    time.sleep(1.5)\n", tests="f()\n")
    found = [
        judge_programs(Programs(limits=Limits(timeout_seconds=seconds), programs=(slow,)), outer_layer=False)
        for seconds in (0.5, 30.0)
    ]
    assert [verdicts.verdicts[0].verdict for verdicts in found] == ["timed_out", "passed"]


def test_tests_that_swallow_every_exception_pass_nobody(world: World) -> None:
    tests = "try:\n    f()\nexcept BaseException:\n    pass\n"
    job = Job(program={}, scratch=str(world.directory / "scratch"), bubblewrap=None)
    for body, expected in (("import os; os._exit(0)", "failed"), ("return [0] * 2 * 10**6", "refused")):
        program = Program(id="0/0", program=f"def f():\n    {body}\n", tests=tests)
        assert judge_program(job, program).verdict == expected
