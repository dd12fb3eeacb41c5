"""The jobs as pods start them: ids in, exit codes and a termination message out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

import jobs.plan
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.fan_out import child_name
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def job(name: str, *words: object, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", f"jobs.{name}", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of one tiny checkpoint and two benchmarks, one of them graded apart."""
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
        "benchmarks": ["demo-boolq", "demo-next-word"],
        "run": {"device": "cpu", "threads": 1, "batch_size": 8},
    }
    path = directory / "suite.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_jobs_of_a_workflow_are_a_sweep(suite: Path, tmp_path: Path) -> None:
    id_path, items_path, progress = tmp_path / "plan-id", tmp_path / "items", tmp_path / "progress"
    names_path = tmp_path / "names"
    changed = yaml.safe_load(suite.read_text())
    changed["model"]["dtype"] = "bfloat16"
    changed |= {"benchmarks": ["demo-copa"]}
    suite_later = suite.with_name("changed.yaml")
    suite_later.write_text(yaml.safe_dump(changed))
    beside = set(suite.parent.iterdir())
    files = ("--plan-id-file", id_path, "--benchmarks-file", names_path, "--checkpoints-file", items_path)
    planned = job("plan", "--suite", suite, "--retry-failed", "false", "--sweep", "a360-small-x", *files)
    assert planned.returncode == 0, planned.stderr
    [item] = json.loads(items_path.read_text())
    assert item == {
        "child": child_name("a360-small-x", "step_1"),
        "checkpoint": "step_1",
        "groups": "0:1,0",
    }
    assert names_path.read_text() == "demo-boolq:none,demo-next-word:classifier"
    pairs = [["step_1/demo-next-word"], ["step_1/demo-boolq"]]
    printed = json.loads(planned.stdout)
    assert [(group["checkpoint"], group["pairs"]) for group in printed] == [
        ("step_1", pair) for pair in pairs
    ]

    named = ("--suite", suite_later, "--plan", id_path.read_text())  # a sweep keeps the suite of its plan
    work = ("--work-dir", tmp_path / "work")
    for group, ended in enumerate(("generated: step_1/demo-next-word", "committed: step_1/demo-boolq")):
        cache = ("--cache-dir", tmp_path / "node")
        done = job("evaluate", *named, "--group", group, *work, *cache, ARGO_PROGRESS_FILE=str(progress))
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        assert ended in done.stderr
        assert progress.read_text() == "100/100"
    graded = job("grade", *named, "--group", 0, *work)
    assert graded.returncode == 0, graded.stderr
    assert "committed: step_1/demo-next-word" in graded.stderr
    assert "done already: step_1/demo-next-word" in job("grade", *named, "--group", 0, *work).stderr

    report = tmp_path / "work" / "report" / "report.html"
    published = job("publish", "--suite", suite, "--status", "Succeeded", *work)
    assert published.returncode == 0, published.stderr
    assert "the workflow ended: Succeeded" in published.stderr
    assert f"report: {report}" in published.stdout
    assert "2 done" in published.stdout.splitlines()
    assert "changed: nothing" in job("publish", "--suite", suite, *work).stdout
    assert "changed: nothing" in job("publish", *named, *work).stdout

    again = job("plan", "--suite", suite, *files)
    assert json.loads(again.stdout) == json.loads(items_path.read_text()) == []
    assert (tmp_path / "node" / "weights").is_dir()
    new = {path.name for path in set(suite.parent.iterdir()) - beside}
    assert new == {"store"}, "a suite lies in a read-only volume: nothing is written beside it"


def test_a_plan_for_a_cluster_is_bounded_and_says_what_is_left(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = yaml.safe_load(suite.read_text()) | {"store": {"uri": str(tmp_path / "store")}}
    own = suite.with_name("bounded.yaml")
    own.write_text(yaml.safe_dump(document))
    monkeypatch.setattr(jobs.plan, "MOST_CHECKPOINTS", 0)
    monkeypatch.setattr(sys, "argv", ["jobs.plan", "--suite", str(own)])
    assert jobs.plan.main() == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert told.err.endswith(", 2 pairs are left for the next sweep\n")


def test_a_group_that_the_plan_does_not_have_is_refused(suite: Path, tmp_path: Path) -> None:
    id_path = tmp_path / "plan-id"
    assert job("plan", "--suite", suite, "--plan-id-file", id_path).returncode == 0
    for name in ("evaluate", "grade"):
        refused = job(name, "--suite", suite, "--plan", id_path.read_text(), "--group", "9")
        assert refused.returncode == 2, refused.stderr
        assert f"plan {id_path.read_text()} has no group 9" in refused.stderr


def test_sigterm_to_an_evaluate_pod_keeps_its_answers_and_leaves_a_message(
    suite: Path, tmp_path: Path
) -> None:
    document = yaml.safe_load(suite.read_text())
    root = suite.parent
    document["model"]["root"], document["data"]["mirror"] = str(root / "checkpoints"), str(root / "mirror")
    document["benchmarks"] = ["demo-gsm8k-5shot"]
    document["run"]["batch_size"] = 1  # 24 answers one after another: the signal comes amid them
    own = tmp_path / "suite.yaml"
    own.write_text(yaml.safe_dump(document))
    id_path, log, progress = tmp_path / "plan-id", tmp_path / "log", tmp_path / "progress"
    assert job("plan", "--suite", own, "--plan-id-file", id_path).returncode == 0
    words = ["--suite", str(own), "--plan", id_path.read_text(), "--group", "0"]
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        "A360_TERMINATION_LOG": str(log), "ARGO_PROGRESS_FILE": str(progress),
    }  # fmt: skip
    command = [sys.executable, "-P", "-m", "jobs.evaluate", *words]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as pod:
        deadline = time.monotonic() + 240
        while not progress.exists() or progress.read_text().startswith("0/"):
            assert time.monotonic() < deadline
            assert pod.poll() is None
            time.sleep(0.02)
        began = time.monotonic()
        pod.send_signal(signal.SIGTERM)
        assert pod.wait(60) == -signal.SIGTERM
    assert time.monotonic() - began < 30
    assert log.read_text().startswith("ended by SIGTERM: ")
    kept = [*(tmp_path / "store" / "v1" / "journal").rglob("*.parquet")]
    assert sum(pq.read_metadata(path).num_rows for path in kept) > 0


def test_sigterm_after_the_work_changes_no_exit_code(tmp_path: Path) -> None:
    """The interpreter takes its time to end and would put the default handler back: killed, though done."""
    script = "import atexit, os, signal, jobs\nkill, me, term = os.kill, os.getpid(), signal.SIGTERM\n"
    early = "atexit.register(kill, me, term)\n"
    late = (
        "class Last:\n    def __del__(self, kill=kill, me=me, term=term):\n        kill(me, term)\n"
        "import sys\nsys.kept = Last()\n"
    )
    for code, when in ((0, early), (75, early), (0, late)):
        ended = subprocess.run(
            [sys.executable, "-P", "-c", f"{script}{when}jobs.run_job(lambda: {code})"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "A360_TERMINATION_LOG": str(tmp_path / "log")},
        )
        assert ended.returncode == code, when
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("name", "words", "code", "said"),
    [
        ("plan", ["--suite", "nowhere.yaml"], 2, "ConfigError: suite cannot be read: nowhere.yaml"),
        ("evaluate", ["--plan", "x", "--pairs", "a/b"], 3, "DataError: no plan x"),
        ("grade", ["--plan", "x", "--group", "0"], 3, "DataError: no plan x"),
        ("publish", ["--plan", "x"], 3, "DataError: no plan x"),
        ("evaluate", ["--plan", "x"], 2, "--group"),
        ("grade", ["--plan", "x"], 2, "--group"),
        ("plan", ["--retry-failed", "maybe"], 2, "--retry-failed"),
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


def test_a_message_is_not_cut_within_a_character(tmp_path: Path) -> None:
    run_job_with("raise RuntimeError('x' + 'é' * 5_000)", tmp_path)
    text = (tmp_path / "termination-log").read_bytes()
    assert 4090 < len(text) <= 4096
    assert text.decode().startswith("RuntimeError: xé")


def test_any_job_that_is_told_to_end_says_so_and_ends_by_the_signal(tmp_path: Path) -> None:
    ended = run_job_with(
        "import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", tmp_path
    )
    assert ended.returncode == -signal.SIGTERM
    assert (tmp_path / "termination-log").read_text() == jobs.TERMINATED


def test_a_termination_log_that_cannot_be_written_changes_no_exit_code(tmp_path: Path) -> None:
    (tmp_path / "termination-log").mkdir()
    assert run_job_with("raise RuntimeError('x')", tmp_path).returncode == 3
    assert run_job_with("return 75", tmp_path).returncode == 75
