"""Benchmarks whose answers are programs, from the mirror to the committed numbers, as three jobs and as one.

The model is tiny and random, so most of its answers are replaced: by a right solution, a wrong one, one
that never ends.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from a360.demo.programs import PROBLEMS
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.records import Plan
from a360.results.answers import AnswerRow, answer_table
from a360.results.commit import write_answers
from a360.storage import open_store
from a360.suite import load_suite
from a360.sweep import plan_sweep, store_plan
from tests.plain_answers import code_of
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
BENCHMARKS = (
    "demo-humaneval-t02",
    "demo-humaneval-t08",
    "demo-humaneval-greedy",
    "demo-humaneval-harness",
    "demo-mbpp-t01",
    "demo-mbpp-t08",
    "demo-mbpp-harness",
)
SAMPLES = {"demo-humaneval-t02": 10, "demo-humaneval-t08": 2, "demo-mbpp-t01": 2, "demo-mbpp-t08": 2}
PAIRS = tuple(f"step_1/{benchmark}" for benchmark in BENCHMARKS)
ENDLESS = ("\n    while True:\n        pass\n", "while True:\n    pass\n")


def job(name: str, *words: object, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}
    command = [sys.executable, "-P", "-m", f"jobs.{name}", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def sandboxed(directory: Path) -> subprocess.CompletedProcess[str]:
    """The middle job, with nothing in its environment."""
    words: list[object] = [
        "--generations",
        directory / "programs.json",
        "--verdicts",
        directory / "verdicts.json",
    ]
    words += ["--work-dir", directory / "work"]
    command = [sys.executable, "-P", "-m", "jobs.sandbox", *map(str, words)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("code")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    write_checkpoint(directory / "checkpoints" / "step_1", seed=1)
    return directory


def write_suite(directory: Path, world: Path) -> Path:
    document = {
        "name": "code",
        "model": {
            "name": "tiny",
            "root": str(world / "checkpoints"),
            "naming": {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": str(world / "mirror")},
        "benchmarks": list(BENCHMARKS),
        "run": {"device": "cpu", "threads": 1, "batch_size": 8, "pairs_per_group": "all"},
    }
    directory.mkdir(exist_ok=True)
    path = directory / "suite.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def stored_plan(suite_path: Path) -> Plan:
    suite = load_suite(str(suite_path))
    plan = plan_sweep(suite)
    store_plan(suite, plan)
    return plan


def named(directory: Path, world: Path) -> tuple[object, ...]:
    suite = write_suite(directory, world)
    return (
        "--suite",
        suite,
        "--plan",
        stored_plan(suite).id,
        "--work-dir",
        directory / "w",
        "--pairs",
        *PAIRS,
    )


def planted(benchmark: str, item: int, sample: int) -> str | None:
    """An answer in the place of the model's own: right for a third, endless once, else none."""
    whole = "mbpp" in benchmark
    problem = PROBLEMS[item]
    if (item, sample) == (3, 1):
        return ENDLESS[whole]
    if (item + sample) % 3 == 0:
        return f"{problem.head}\n{problem.body}" if whole else f"\n{problem.body}"
    return "\n    return None\n" if (item + sample) % 3 == 1 and not whole else None


@pytest.fixture(scope="module")
def answered(world: Path) -> Path:
    """A directory with committed answers."""
    directory = world / "answered"
    done = job("evaluate", *named(directory, world))
    assert done.returncode == 0, done.stderr
    store = open_store(str(directory / "store"))
    for path in (directory / "store" / "v1" / "generations").rglob("*.json"):
        document = json.loads(path.read_text())
        rows = pq.read_table(directory / "store" / document["answers"]["key"]).to_pylist()
        answers = [AnswerRow(**{**row, "reference": json.loads(row["reference"])}) for row in rows]
        name = document["protocol"]["benchmark"]
        answers = [
            answer._replace(response=planted(name, answer.item, answer.sample) or answer.response)
            for answer in answers
        ]
        document["answers"] = write_answers(store, "0" * 16, answer_table(answers)).model_dump()
        path.write_text(json.dumps(document))
    return directory


@pytest.fixture
def copy(answered: Path, tmp_path: Path) -> Path:
    shutil.copytree(answered / "store", tmp_path / "copy" / "store")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def graded(answered: Path, world: Path) -> Path:
    """What three jobs make of it, the middle one without store and suite."""
    directory = world / "graded"
    shutil.copytree(answered / "store", directory / "store")
    words = named(directory, world)
    fetched = job("grade", *words, "--fetch", directory / "programs.json")
    assert fetched.returncode == 0, fetched.stderr
    ran = sandboxed(directory)
    assert ran.returncode == 0, ran.stderr
    done = job("grade", *words, "--commit", directory / "verdicts.json")
    assert done.returncode == 0, done.stderr
    return directory


def result_of(directory: Path, benchmark: str) -> dict[str, Any]:
    [path] = (directory / "store" / "v1" / "commits").rglob(f"{benchmark}/step_1@*.json")
    parsed: dict[str, Any] = json.loads(path.read_text())
    return parsed


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_plain_program_finds_the_same_numbers(graded: Path, world: Path, benchmark: str) -> None:
    found = {metric["metric"]: metric["value"] for metric in result_of(graded, benchmark)["metrics"]}
    expected = code_of(graded / "store", world / "mirror", benchmark, "step_1")
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert ("pass@10" in expected) == (benchmark == "demo-humaneval-t02")
    assert 0 < found["pass@1"] < 1
    assert (found["timed_out"] > 0) == (SAMPLES.get(benchmark, 1) > 1)


def test_each_protocol_has_as_many_samples_as_it_says_and_they_differ_where_they_are_drawn(
    answered: Path,
) -> None:
    for benchmark in BENCHMARKS:
        [path] = (answered / "store" / "v1" / "generations").rglob(f"{benchmark}/step_1@*.json")
        document = json.loads(path.read_text())
        rows = pq.read_table(answered / "store" / document["answers"]["key"]).to_pylist()
        assert len(rows) == len(PROBLEMS) * SAMPLES.get(benchmark, 1)
        decoding = document["protocol"]["decoding"]
        assert decoding["max_new_tokens"] == 64
        assert (decoding.get("temperature"), decoding.get("samples", 1)) == (
            {"t01": 0.1, "t02": 0.2, "t08": 0.8}.get(benchmark.rpartition("-")[2]),
            SAMPLES.get(benchmark, 1),
        )


def test_one_process_finds_what_three_jobs_do(graded: Path, copy: Path, world: Path) -> None:
    done = job("grade", *named(copy, world))
    assert done.returncode == 0, done.stderr
    for benchmark in BENCHMARKS:
        one, three = result_of(copy, benchmark), result_of(graded, benchmark)
        assert one["metrics"] == three["metrics"]
        assert one["items"] == three["items"]
        assert one["raw"]["sandbox"]["holds"] is True


def test_fetching_again_writes_the_same_and_no_answer_is_made_anew(
    graded: Path, copy: Path, world: Path
) -> None:
    words = named(copy, world)
    assert job("grade", *words, "--fetch", copy / "programs.json").returncode == 0
    assert (copy / "programs.json").read_bytes() == (graded / "programs.json").read_bytes()
    again = named(graded, world)
    assert job("grade", *again, "--fetch", copy / "none.json").returncode == 0
    assert json.loads((copy / "none.json").read_text())["pairs"] == {}
    done = job("grade", *again, "--commit", copy / "programs.json")
    assert done.returncode == 3
    assert "cannot be read" in done.stderr


def test_answers_that_cannot_be_read_are_recorded_and_the_other_pairs_go_on(copy: Path, world: Path) -> None:
    broken = BENCHMARKS[2]
    [path] = (copy / "store" / "v1" / "generations").rglob(f"{broken}/step_1@*.json")
    (copy / "store" / json.loads(path.read_text())["answers"]["key"]).unlink()
    words = named(copy, world)
    fetched = job("grade", *words, "--fetch", copy / "programs.json")
    assert fetched.returncode == 0, fetched.stderr
    assert f"step_1/{broken}" in fetched.stderr
    assert sandboxed(copy).returncode == 0
    done = job("grade", *words, "--commit", copy / "verdicts.json")
    assert done.returncode == 3
    assert f"step_1/{broken}: its programs were not listed" in done.stderr
    committed = {path.parent.name for path in (copy / "store" / "v1" / "commits").rglob("*.json")}
    assert committed == set(BENCHMARKS) - {broken}
    failures = [*(copy / "store" / "v1" / "failures").rglob("*.json")]
    assert [path.parts[-3] for path in failures] == [broken]


def test_a_sandbox_of_another_version_judges_nothing(graded: Path, copy: Path) -> None:
    programs = json.loads((graded / "programs.json").read_text()) | {"source_hash": "0" * 16}
    (copy / "programs.json").write_text(json.dumps(programs))
    done = sandboxed(copy)
    assert done.returncode == 2
    assert "the plan's grader 0000000000000000" in done.stderr
    assert not (copy / "verdicts.json").exists()


def test_verdicts_on_other_programs_are_refused(graded: Path, copy: Path, world: Path) -> None:
    verdicts = json.loads((graded / "verdicts.json").read_text())
    first, second = PAIRS[1], PAIRS[5]
    verdicts["pairs"][first], verdicts["pairs"][second] = verdicts["pairs"][second], verdicts["pairs"][first]
    (copy / "verdicts.json").write_text(json.dumps(verdicts))
    done = job("grade", *named(copy, world), "--commit", copy / "verdicts.json")
    assert done.returncode == 3
    assert done.stderr.count("expected those of") >= 2
    committed = {path.parent.name for path in (copy / "store" / "v1" / "commits").rglob("*.json")}
    assert committed == set(BENCHMARKS) - {BENCHMARKS[1], BENCHMARKS[5]}
