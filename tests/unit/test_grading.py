"""Graders: verdicts against hand-computed answers, and the hash of their sources."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from a360.benchmarks import CATALOGUE, find_benchmark, locked_grader_hash
from a360.errors import ConfigError
from a360.grading import graders
from a360.grading.graders import GRADERS, find_grader, source_hash
from a360.grading.lock import build_grader_lock
from a360.grading.task import Graded, GradeTask
from a360.records import Grading, Metric
from a360.results.answers import AnswerRow
from a360.results.means import mean_records

ROOT = Path(__file__).parents[2]
BENCHMARK = find_benchmark("demo-next-word")
GRADING = Grading(grader="next_word", source_hash=locked_grader_hash("next_word"))


def answer(number: int, group: str, response: str, word: str) -> AnswerRow:
    return AnswerRow(number, 0, f"file:{number}", group, f"prompt {number}", response, {"word": word})


ANSWERS = (
    answer(0, "a", " cat sat", "cat"),
    answer(1, "a", "\n\ncat", "cat"),
    answer(2, "a", "cats", "cat"),
    answer(3, "b", "", "cat"),
    answer(4, "b", "  \n", "cat"),
    answer(5, "b", " the. end", "the."),
    answer(6, "b", "the", "the."),
)


def graded() -> Graded:
    return find_grader(GRADING)(GradeTask(benchmark=BENCHMARK, grading=GRADING, answers=ANSWERS))


def metric(name: str, task: str) -> Metric:
    [found] = [m for m in graded().metrics if (m.metric, m.task) == (name, task)]
    return found


def test_the_first_word_counts_and_an_answer_without_one_is_wrong_and_counted() -> None:
    acc, empty = metric("acc", BENCHMARK.task), metric("empty", BENCHMARK.task)
    assert (acc.value, acc.n, acc.headline, acc.aggregation) == (3 / 7, 7, True, "micro")
    assert (empty.value, empty.direction, empty.headline) == (2 / 7, "lower", False)
    assert (metric("acc", "a").value, metric("acc", "b").value) == (2 / 3, 1 / 4)
    assert (metric("empty", "a").value, metric("empty", "b").value) == (0.0, 0.5)


def test_the_standard_error_is_that_of_a_mean() -> None:
    acc = metric("acc", BENCHMARK.task)
    sd = math.sqrt((3 * (1 - 3 / 7) ** 2 + 4 * (3 / 7) ** 2) / 6)
    assert acc.stderr == pytest.approx(sd / math.sqrt(7), rel=1e-12)


def test_one_answer_has_no_standard_error() -> None:
    assert [record.stderr for record in mean_records("m", "t", {"g": [1.0]}, "higher")] == [None, None]


def test_every_answer_has_an_outcome() -> None:
    rows = graded().items.to_pylist()
    assert [(row["task"], row["doc_id"], row["prediction"], row["target"]) for row in rows] == [
        ("a", 0, "cat", "cat"), ("a", 1, "cat", "cat"), ("a", 2, "cats", "cat"),
        ("b", 0, "", "cat"), ("b", 1, "", "cat"), ("b", 2, "the.", "the."), ("b", 3, "the", "the."),
    ]  # fmt: skip
    assert [dict(row["metrics"])["acc"] for row in rows] == [1, 1, 0, 0, 0, 1, 0]
    assert len({row["doc_hash"] for row in rows}) == len(rows)


def test_every_grader_of_the_catalogue_is_there_and_locked() -> None:
    used = {row.grader for row in CATALOGUE.values() if row.grader}
    assert used <= GRADERS.keys()
    assert {grader: locked_grader_hash(grader) for grader in GRADERS} == build_grader_lock(), (
        "run `make lock`"
    )


def test_a_grader_with_other_sources_than_planned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    before = source_hash("next_word")
    monkeypatch.setitem(GRADERS, "next_word", ("grading.next_word",))
    assert source_hash("next_word") != before
    with pytest.raises(ConfigError, match="lock mismatch: grader 'next_word'"):
        find_grader(GRADING)


def test_an_unknown_grader_is_refused_by_name() -> None:
    with pytest.raises(
        ConfigError, match="no grader 'nobody': expected one of bold, code, next_word, toxicity"
    ):
        find_grader(GRADING.model_copy(update={"grader": "nobody"}))
    with pytest.raises(ConfigError, match="grader 'nobody' has no lock entry"):
        locked_grader_hash("nobody")


def test_the_sources_of_a_grader_are_hashed_without_importing_it() -> None:
    code = (
        "import sys; from a360.grading.graders import source_hash; source_hash('next_word')\n"
        "print([name for name in ('a360.grading.next_word', 'torch', 'lm_eval') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_grade_job_loads_no_model_library() -> None:
    code = (
        "import sys, jobs.grade\nprint([n for n in ('torch', 'transformers', 'lm_eval') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_modules_of_a_grader_are_all_named() -> None:
    """A module that a grader imports, and its hash leaves out, could change a verdict unseen."""
    for grader, modules in GRADERS.items():
        for module in modules:
            path = ROOT.joinpath("a360", *module.split(".")).with_suffix(".py")
            for line in path.read_text().splitlines():
                computes = line.startswith(("from a360.grading.", "from a360.results.means"))
                if computes and "a360.grading.task" not in line:
                    imported, _, names = line.removeprefix("from a360.").partition(" import ")
                    package = ROOT.joinpath("a360", *imported.split(".")).is_dir()
                    found = {f"{imported}.{name}" for name in names.split(", ")} if package else {imported}
                    assert found <= {*modules}, f"{grader}: {line}"
    assert graders.GRADERS
