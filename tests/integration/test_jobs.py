"""The jobs as pods start them: ids in, exit codes and a termination message out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def job(name: str, *words: object, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", f"jobs.{name}", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of one tiny checkpoint and one benchmark."""
    directory = tmp_path_factory.mktemp("jobs")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    write_checkpoint(directory / "checkpoints" / "step_1", seed=1)
    document = {
        "name": "small",
        "model": {
            "name": "tiny",
            "root": "checkpoints",
            "naming": {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": "mirror"},
        "benchmarks": ["demo-boolq"],
        "run": {"device": "cpu", "threads": 1},
    }
    path = directory / "suite.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_plan_evaluate_and_publish_are_a_sweep(suite: Path, tmp_path: Path) -> None:
    id_path = tmp_path / "plan-id"
    planned = job("plan", "--suite", suite, "--plan-id-file", id_path)
    assert planned.returncode == 0, planned.stderr
    groups = json.loads(planned.stdout)
    assert groups == [{"group": 0, "checkpoint": "step_1", "pairs": ["step_1/demo-boolq"]}]

    named = ("--suite", suite, "--plan", id_path.read_text())
    evaluated = job("evaluate", *named, "--pairs", *groups[0]["pairs"])
    assert evaluated.returncode == 0, evaluated.stderr
    assert evaluated.stdout == ""
    assert "committed: step_1/demo-boolq" in evaluated.stderr

    published = job("publish", *named)
    assert published.returncode == 0, published.stderr
    assert f"report: {suite.parent / 'report' / 'report.html'}" in published.stdout
    assert "changed: nothing" in job("publish", *named).stdout

    assert json.loads(job("plan", "--suite", suite).stdout) == []


@pytest.mark.parametrize(
    ("name", "words", "code", "said"),
    [
        ("plan", ["--suite", "nowhere.yaml"], 2, "ConfigError: suite cannot be read: nowhere.yaml"),
        ("evaluate", ["--plan", "x", "--pairs", "a/b"], 3, "DataError: no plan x"),
        ("publish", ["--plan", "x"], 3, "DataError: no plan x"),
        ("publish", [], 2, "--plan"),
    ],
)
def test_a_job_ends_with_the_code_of_its_error_and_leaves_a_message(
    suite: Path, tmp_path: Path, name: str, words: list[str], code: int, said: str
) -> None:
    named = [] if "--suite" in words else ["--suite", str(suite)]
    log = tmp_path / "termination-log"
    ended = job(name, *named, *words, A360_TERMINATION_LOG=str(log))
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    if said.startswith("--"):  # the parser's own message comes before the job begins
        assert not log.exists()
    else:
        assert log.read_text().startswith(said)


def run_job_with(body: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "job.py"
    script.write_text(f"from jobs import run_job\ndef main():\n    {body}\nrun_job(main)\n")
    log = str(tmp_path / "termination-log")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "A360_TERMINATION_LOG": log}
    return subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)


def test_a_fault_of_the_program_is_not_tried_again_and_shows_where(tmp_path: Path) -> None:
    ended = run_job_with("return 1 // 0", tmp_path)
    assert ended.returncode == 3
    assert "Traceback" in ended.stderr
    assert (tmp_path / "termination-log").read_text().startswith("ZeroDivisionError: ")


def test_a_message_longer_than_kubernetes_keeps_is_cut(tmp_path: Path) -> None:
    ended = run_job_with("raise RuntimeError('x' * 10_000)", tmp_path)
    assert ended.returncode == 3
    assert (tmp_path / "termination-log").stat().st_size == 4096


def test_a_termination_log_that_cannot_be_written_changes_no_exit_code(tmp_path: Path) -> None:
    (tmp_path / "termination-log").mkdir()
    assert run_job_with("raise RuntimeError('x')", tmp_path).returncode == 3
    assert run_job_with("return 75", tmp_path).returncode == 75
