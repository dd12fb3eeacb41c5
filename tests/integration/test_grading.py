"""Two stages on real lm-eval: answers are committed, then graded, and neither is done twice.

Every stage is a process of its own, started as a pod starts it, except where a grader is exchanged.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

import a360.grading.graders
import a360.plan
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.grade import Grader
from a360.records import Plan
from a360.results.answers import AnswerRow, answer_table
from a360.results.commit import write_answers
from a360.results.read import list_commits, list_generations, read_failures
from a360.storage import open_store
from a360.suite import load_suite
from a360.sweep import plan_sweep, store_plan
from tests.plain_next_word import next_word_of
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
GRADED = "demo-next-word"
PAIRS = [f"step_{step}/{GRADED}" for step in (1, 2)]


def python(*words: object, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}
    command = [sys.executable, "-P", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror, and two checkpoints that give answers with a word now and then."""
    directory = tmp_path_factory.mktemp("grading")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    for step in (1, 2):
        write_checkpoint(directory / "checkpoints" / f"step_{step}", seed=step)
    return directory


def write_suite(directory: Path, world: Path, *benchmarks: str) -> Path:
    document = {
        "name": "small",
        "model": {
            "name": "tiny",
            "root": str(world / "checkpoints"),
            "naming": {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": str(world / "mirror")},
        "benchmarks": list(benchmarks),
        "run": {"device": "cpu", "threads": 1, "batch_size": 8, "pairs_per_group": "all"},
    }
    path = directory / "suite.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def stored_plan(suite_path: Path) -> Plan:
    suite = load_suite(str(suite_path))
    plan = plan_sweep(suite)
    store_plan(suite, plan)
    return plan


@pytest.fixture(scope="module")
def swept(world: Path) -> Path:
    """A directory with a finished sweep of a graded benchmark and one that is not, by ``a360 run``."""
    directory = world / "swept"
    directory.mkdir()
    done = python("-m", "a360", "run", write_suite(directory, world, "demo-boolq", GRADED))
    assert done.returncode == 0, done.stderr
    assert f"committed: step_2/{GRADED}" in done.stderr
    return directory


def result_of(directory: Path, checkpoint: str) -> dict[str, Any]:
    [path] = (directory / "store" / "v1" / "commits").rglob(f"{GRADED}/{checkpoint}@*.json")
    parsed: dict[str, Any] = json.loads(path.read_text())
    return parsed


def documents(directory: Path, *kinds: str) -> dict[str, tuple[int, int]]:
    """Every stored file of some kinds with its inode and time: another one means that it was made again."""
    root = directory / "store" / "v1"
    paths = (path for kind in kinds for path in (root / kind).rglob("*") if path.is_file())
    return {str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


@pytest.fixture(scope="module")
def planted(swept: Path, world: Path) -> Path:
    """The finished sweep with right and empty answers put in the place of some, and graded anew."""
    directory = world / "planted"
    shutil.copytree(swept, directory)
    suite = write_suite(directory, world, "demo-boolq", GRADED)
    for path in (directory / "store" / "v1" / "generations").rglob("*.json"):
        document = json.loads(path.read_text())
        rows = pq.read_table(directory / "store" / document["answers"]["key"]).to_pylist()
        for number, row in enumerate(rows):
            if number % 3 == 0:
                row["response"] = f" {json.loads(row['reference'])['word']} and so on"
            elif number % 5 == 0:
                row["response"] = " \n"
        answers = [AnswerRow(**{**row, "reference": json.loads(row["reference"])}) for row in rows]
        store = open_store(str(directory / "store"))
        document["answers"] = write_answers(store, "0" * 16, answer_table(answers)).model_dump()
        path.write_text(json.dumps(document))
    shutil.rmtree(directory / "store" / "v1" / "commits" / "tiny" / GRADED)
    plan = stored_plan(suite)
    done = python("-m", "jobs.grade", "--suite", suite, "--plan", plan.id, "--pairs", *PAIRS)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.mark.parametrize("checkpoint", ["step_1", "step_2"])
@pytest.mark.parametrize("sweep", ["swept", "planted"])
def test_a_plain_script_finds_the_same_numbers_in_the_stored_answers(
    sweep: str, checkpoint: str, world: Path, request: pytest.FixtureRequest
) -> None:
    directory: Path = request.getfixturevalue(sweep)
    expected = next_word_of(directory / "store", world / "mirror", checkpoint)
    result = result_of(directory, checkpoint)
    metrics = {(m["metric"], m["task"]): m for m in result["metrics"]}
    acc = metrics["acc", "demo_next_word"]
    assert (acc["value"], acc["n"], acc["headline"]) == (pytest.approx(expected.acc), 72, True)
    assert acc["stderr"] == pytest.approx(expected.stderr, rel=1e-9)
    assert metrics["empty", "demo_next_word"]["value"] == pytest.approx(expected.empty)
    sources = {task: m["value"] for (metric, task), m in metrics.items() if metric == "acc"}
    assert {task: sources[task] for task in expected.by_source} == pytest.approx(expected.by_source)
    items = pq.read_table(directory / "store" / result["items"][0]["key"]).to_pylist()
    assert sum(dict(row["metrics"])["acc"] for row in items) / len(items) == pytest.approx(expected.acc)
    if sweep == "planted":
        assert expected.acc >= 24 / 72
        assert expected.empty >= 10 / 72


def test_the_answers_are_the_models_own_greedy_ones(swept: Path, world: Path) -> None:
    [path] = (swept / "store" / "v1" / "generations").rglob(f"{GRADED}/step_1@*.json")
    rows = pq.read_table(swept / "store" / json.loads(path.read_text())["answers"]["key"]).to_pylist()
    tokenizer = AutoTokenizer.from_pretrained(world / "checkpoints" / "step_1")
    model: Any = AutoModelForCausalLM.from_pretrained(world / "checkpoints" / "step_1", dtype=torch.float32)
    for row in rows[::12]:
        shown = tokenizer(row["prompt"], return_tensors="pt").input_ids
        said = model.generate(shown, max_new_tokens=8, do_sample=False)[0, shown.shape[1] :]
        assert tokenizer.decode(said, skip_special_tokens=True) == row["response"]


def test_both_documents_say_who_wrote_them(swept: Path) -> None:
    result = result_of(swept, "step_1")
    store = swept / "store"
    generations = json.loads((store / result["raw"]["generations"]).read_text())
    assert generations["generation_key"] == result["generation_key"]
    assert generations["protocol"] == result["protocol"]
    assert (generations["provenance"]["engine"], generations["provenance"]["requests_scored"]) == ("hflm", 72)
    assert result["provenance"]["engine"] == "grader next_word"
    assert result["provenance"]["requests_scored"] == 0
    assert result["grading"]["grader"] == "next_word"
    assert (result["prompts"], generations["answers"]["rows"]) == (72, 72)


def test_a_second_run_finds_nothing_to_do(swept: Path) -> None:
    before = documents(swept, "commits", "generations", "journal", "objects")
    again = python("-m", "a360", "run", swept / "suite.yaml")
    assert again.returncode == 0, again.stderr
    assert "nothing to do: all pairs are done (4 of 4)" in again.stdout
    assert documents(swept, "commits", "generations", "journal", "objects") == before


def test_a_killed_grade_repeats_no_generation(world: Path, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, world, GRADED)
    log, again = tmp_path / "events.log", tmp_path / "again.log"
    killed = python(ROOT / "tests" / "victim.py", suite, log, "grading", "3", "0")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "committed" not in log.read_text()
    kept = documents(tmp_path, "generations", "journal", "objects")
    assert [name for name in kept if name.startswith("generations")]
    assert [cell.stages for cell in stored_plan(suite).cells] == [("grade",), ("evaluate", "grade")]

    finished = python(ROOT / "tests" / "victim.py", suite, again)
    assert finished.returncode == 0, finished.stderr
    asked = [line for line in again.read_text().splitlines() if line.startswith("evaluating")]
    assert {line.split()[1] for line in asked} == {PAIRS[1]}
    assert kept.items() <= documents(tmp_path, "generations", "journal", "objects").items()
    assert {name.checkpoint for name in list_commits(open_store(str(tmp_path / "store")), "tiny")} == {
        "step_1", "step_2",
    }  # fmt: skip


def test_another_grader_grades_the_stored_answers_and_asks_no_model(
    swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load_suite(str(swept / "suite.yaml"))
    before = documents(swept, "generations", "journal", "commits")
    monkeypatch.setattr(a360.plan, "locked_grader_hash", lambda grader: "another grader's")
    plan = plan_sweep(suite)
    assert plan.groups == tuple((pair,) for pair in PAIRS)
    assert {cell.stages for cell in plan.cells if cell.state == "missing"} == {("grade",)}
    refused = Grader(suite).grade_group(plan, PAIRS)
    assert {(outcome.state, outcome.exit_code) for outcome in refused} == {("failed", 2)}
    monkeypatch.setattr(a360.grading.graders, "source_hash", lambda grader: "another grader's")
    assert [outcome.state for outcome in Grader(suite).grade_group(plan, PAIRS)] == ["committed"] * 2
    assert [outcome.state for outcome in Grader(suite).grade_group(plan, PAIRS)] == ["done already"] * 2
    after = documents(swept, "generations", "journal", "commits")
    assert before.items() <= after.items()
    assert {name.partition("/")[0] for name in after.keys() - before.keys()} == {"commits"}
    assert plan_sweep(suite).groups == ()


def test_an_answer_that_is_missing_or_damaged_is_recorded_and_the_neighbour_goes_on(
    world: Path, tmp_path: Path
) -> None:
    suite_path = write_suite(tmp_path, world, GRADED)
    plan, suite = stored_plan(suite_path), load_suite(str(suite_path))
    store = open_store(str(tmp_path / "store"))
    named = ("--suite", suite_path, "--plan", plan.id)
    early = python("-m", "jobs.grade", *named, "--group", "0")
    assert early.returncode == 75, early.stderr
    assert (
        f"{PAIRS[0]}: TransientError: nothing to grade: {PAIRS[0]}: expected a generation at" in early.stderr
    )

    for number in ("0", "1"):
        done = python("-m", "jobs.evaluate", *named, "--group", number, "--work-dir", tmp_path / "work")
        assert done.returncode == 0, done.stderr
    [answers] = [
        path
        for path in (tmp_path / "store" / "v1" / "objects").rglob("answers-*.parquet")
        if path.parent.name
        == next(n.key for n in list_generations(store, "tiny") if n.checkpoint == "step_1")
    ]
    answers.write_bytes(answers.read_bytes()[:-1] + b"x")
    outcomes = Grader(suite).grade_group(plan, PAIRS)
    assert [(outcome.state, outcome.exit_code) for outcome in outcomes] == [("failed", 3), ("committed", 0)]
    [failure] = [f for f in read_failures(store, "tiny").values() if f.exit_code == 3]
    assert "object is damaged: v1/objects/" in failure.error
    assert [cell.state for cell in plan_sweep(suite).cells] == ["failed", "done"]


def test_a_pair_that_the_evaluator_scores_itself_has_nothing_to_grade(swept: Path) -> None:
    plan = stored_plan(swept / "suite.yaml")
    named = ("--suite", swept / "suite.yaml", "--plan", plan.id)
    refused = python("-m", "jobs.grade", *named, "--pairs", "step_1/demo-boolq")
    assert refused.returncode == 2
    assert "pair step_1/demo-boolq has no grading stage" in refused.stderr
