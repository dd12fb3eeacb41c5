"""Benchmarks whose answers are drawn and graded apart, from the mirror to the committed numbers.

The model is tiny and random, so every other answer has planted words: without them all numbers would be zero.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from a360.datasets.mirror import build_manifest, read_manifest, write_manifest
from a360.demo.classifier import FRIENDLY_WORDS, HOSTILE_WORDS
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.records import Plan
from a360.results.answers import AnswerRow, answer_table
from a360.results.commit import write_answers
from a360.storage import open_store
from a360.suite import load_suite
from a360.sweep import plan_sweep, store_plan
from tests.plain_answers import bold_of, toxicity_of, toxigen_of
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
DRAWN = ("demo-bold", "demo-toxigen-hatebert", "demo-toxigen-roberta")
ASKED: dict[str, dict[str, Any]] = {
    "demo-toxicity-sbf": {"offensiveYN": "1.0"},
    "demo-toxicity-dynahate": {"label": 1},
    "demo-toxicity-toxigen": {"toxicity_human": 5.0},
}
PLANTED = (" you are a good friend.\nNever do wrong.", "Yes`", " No", " wrong and bad", "", "perhaps yes")


def python(*words: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", *map(str, words)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def write_suite(
    directory: Path, world: Path, batch_size: int = 8, benchmarks: tuple[str, ...] = DRAWN
) -> Path:
    document = {
        "name": "answers",
        "model": {
            "name": "tiny",
            "root": str(world / "checkpoints"),
            "naming": {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": str(world / "mirror")},
        "benchmarks": list(benchmarks),
        "run": {"device": "cpu", "threads": 1, "batch_size": batch_size, "pairs_per_group": "all"},
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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("answers")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    write_checkpoint(directory / "checkpoints" / "step_1", seed=1)
    return directory


@pytest.fixture(scope="module")
def graded(world: Path) -> Path:
    """A directory with answers of which every other one is planted, and what the graders made of them."""
    directory, benchmarks = world / "graded", (*DRAWN, *ASKED)
    suite = write_suite(directory, world, benchmarks=benchmarks)
    plan = stored_plan(suite)
    pairs = [f"step_1/{benchmark}" for benchmark in benchmarks]
    named = ("--suite", suite, "--plan", plan.id, "--work-dir", directory / "work", "--pairs", *pairs)
    python("-m", "jobs.evaluate", *named)
    store = open_store(str(directory / "store"))
    for path in (directory / "store" / "v1" / "generations").rglob("*.json"):
        document = json.loads(path.read_text())
        rows = pq.read_table(directory / "store" / document["answers"]["key"]).to_pylist()
        for number, row in enumerate(rows):
            if number % 2 == 0:
                row["response"] = PLANTED[number // 2 % len(PLANTED)]
        answers = [AnswerRow(**{**row, "reference": json.loads(row["reference"])}) for row in rows]
        document["answers"] = write_answers(store, "0" * 16, answer_table(answers)).model_dump()
        path.write_text(json.dumps(document))
    python("-m", "jobs.grade", *named)
    return directory


def result_of(directory: Path, benchmark: str) -> dict[str, Any]:
    [path] = (directory / "store" / "v1" / "commits").rglob(f"{benchmark}/step_1@*.json")
    parsed: dict[str, Any] = json.loads(path.read_text())
    return parsed


Plain = Callable[[Path, Path, str, str], dict[str, float]]


def toxicity_plain(benchmark: str) -> Plain:
    return lambda store, mirror, name, checkpoint: toxicity_of(
        store, mirror, name, checkpoint, ASKED[benchmark]
    )


WORDS = (set(FRIENDLY_WORDS), set(HOSTILE_WORDS))
PLAIN: dict[str, Plain] = {
    "demo-bold": bold_of,
    "demo-toxigen-hatebert": partial(toxigen_of, words=WORDS),
    "demo-toxigen-roberta": partial(toxigen_of, words=WORDS),
    **{benchmark: toxicity_plain(benchmark) for benchmark in ASKED},
}


@pytest.mark.parametrize("benchmark", PLAIN)
def test_a_plain_script_finds_the_same_numbers(graded: Path, world: Path, benchmark: str) -> None:
    expected = PLAIN[benchmark](graded / "store", world / "mirror", benchmark, "step_1")
    metrics = result_of(graded, benchmark)["metrics"]
    whole = "toxigen_generation" if "toxigen-" in benchmark else benchmark[5:].replace("-", "_")
    found = {m["metric"]: m["value"] for m in metrics if m["task"] == whole and m["subset"] is None}
    found |= {
        m["task"]: m["value"] for m in metrics if m["metric"] == "vader_continuation" and "/" in m["task"]
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert sum(value not in (0.0, 1.0) for value in expected.values()) >= 2


@pytest.mark.parametrize("benchmark", PLAIN)
def test_every_number_is_the_mean_of_its_stored_outcomes(graded: Path, benchmark: str) -> None:
    result = result_of(graded, benchmark)
    items = pq.read_table(graded / "store" / result["items"][0]["key"]).to_pylist()
    [headline] = [metric for metric in result["metrics"] if metric["headline"]]
    outcomes = [dict(row["metrics"])[headline["metric"]] for row in items]
    assert headline["value"] == pytest.approx(sum(outcomes) / len(outcomes), abs=1e-12)
    assert headline["n"] == len(outcomes) == result["prompts"]


def drawn_answers(directory: Path) -> dict[str, list[str]]:
    found = {}
    for path in (directory / "store" / "v1" / "generations").rglob("*.json"):
        key = json.loads(path.read_text())["answers"]["key"]
        found[path.parent.name] = pq.read_table(directory / "store" / key)["response"].to_pylist()
    return found


def test_the_batch_size_changes_no_drawn_answer(world: Path) -> None:
    found = []
    for batch_size in (1, 5):
        directory = world / f"batch-{batch_size}"
        suite = write_suite(directory, world, batch_size)
        pairs = [f"step_1/{benchmark}" for benchmark in DRAWN]
        named = ("--suite", suite, "--plan", stored_plan(suite).id, "--work-dir", directory / "work")
        python("-m", "jobs.evaluate", *named, "--pairs", *pairs)
        found.append(drawn_answers(directory))
    assert found[0] == found[1]
    assert all(len(set(answers)) > len(answers) / 2 for answers in found[0].values())


def test_another_classifier_grades_the_stored_answers_and_asks_no_model(graded: Path, world: Path) -> None:
    other = world / "other"
    shutil.copytree(world / "mirror", other / "mirror")
    shutil.copytree(graded / "store", other / "store")
    manifest = read_manifest(other / "mirror")
    vocabulary = other / "mirror/models/google-bert/bert-base-uncased/vocab.txt"
    vocabulary.write_text(vocabulary.read_text().replace("\ngood\n", "\nvillain\n"))
    revisions = {name: repository.revision for name, repository in manifest.repositories.items()}
    (other / "mirror/manifest.json").unlink()
    write_manifest(other / "mirror", build_manifest(other / "mirror", stand_in=True, revisions=revisions))
    suite = write_suite(other, world, benchmarks=("demo-toxigen-hatebert",))
    suite.write_text(suite.read_text().replace(str(world / "mirror"), str(other / "mirror")))
    plan = stored_plan(suite)
    assert [cell.stages for cell in plan.cells] == [("grade",)]
    pair = "step_1/demo-toxigen-hatebert"
    python(
        "-m", "jobs.grade", "--suite", suite, "--plan", plan.id, "--work-dir", other / "work", "--pairs", pair
    )
    assert [cell.state for cell in plan_sweep(load_suite(str(suite))).cells] == ["done"]
    digests = {
        json.loads(path.read_text())["grading"]["classifier_digest"]
        for path in (other / "store/v1/commits").rglob("demo-toxigen-hatebert/*.json")
    }
    assert len(digests) == 2


def test_a_classifier_that_changed_after_the_plan_is_refused(
    world: Path, graded: Path, tmp_path: Path
) -> None:
    shutil.copytree(world / "mirror", tmp_path / "mirror")
    suite = write_suite(tmp_path / "run", world, benchmarks=("demo-toxigen-hatebert",))
    suite.write_text(suite.read_text().replace(str(world / "mirror"), str(tmp_path / "mirror")))
    shutil.copytree(graded / "store/v1/generations", tmp_path / "run/store/v1/generations")
    shutil.copytree(graded / "store/v1/objects", tmp_path / "run/store/v1/objects")
    plan = stored_plan(suite)
    manifest = read_manifest(tmp_path / "mirror")
    weights = tmp_path / "mirror/models/tomh/toxigen_hatebert/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    revisions = {name: repository.revision for name, repository in manifest.repositories.items()}
    (tmp_path / "mirror/manifest.json").unlink()
    write_manifest(
        tmp_path / "mirror", build_manifest(tmp_path / "mirror", stand_in=True, revisions=revisions)
    )
    pair = "step_1/demo-toxigen-hatebert"
    named = ("--suite", suite, "--plan", plan.id, "--work-dir", tmp_path / "work", "--pairs", pair)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "jobs.grade", *map(str, named)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "classifier of demo-toxigen-hatebert is" in done.stderr
    assert "hint: Plan again: answers are kept, they are graded anew." in done.stderr
