"""LongEval on real lm-eval: lengths that a context holds are asked, the others are named."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from a360.demo.long_rows import CASES, LINES
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.results.answers import AnswerRow, answer_table
from a360.results.commit import write_answers
from a360.storage import open_store
from a360.suite import load_suite
from a360.sweep import plan_sweep, publish_sweep, store_plan
from tests.parrot_model import write_parrot
from tests.plain_answers import lines_of, topics_of
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
BENCHMARKS = ("demo-longeval-lines", "demo-longeval-topics")
FITS, SMALL, SILENT = "step_1", "step_2", "step_3"


def python(*words: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contexts of 2,048 and 800 tokens, and a model that gives its end of text at once, all graded."""
    directory = tmp_path_factory.mktemp("long")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    write_checkpoint(directory / "checkpoints" / FITS, seed=1)
    write_checkpoint(directory / "checkpoints" / SMALL, seed=1, positions=800)
    write_parrot(directory / "checkpoints" / SILENT, answer="</s>", after=" is")
    document = {
        "name": "long",
        "model": {
            "name": "tiny",
            "root": "checkpoints",
            "naming": {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": "mirror"},
        "benchmarks": list(BENCHMARKS),
        "run": {"device": "cpu", "threads": 1, "batch_size": 4, "pairs_per_group": "all"},
    }
    path = directory / "suite.yaml"
    path.write_text(yaml.safe_dump(document))
    suite = load_suite(str(path))
    plan = plan_sweep(suite)
    store_plan(suite, plan)
    named = ("--suite", path, "--plan", plan.id, "--work-dir", directory / "work", "--pairs")
    for checkpoint in (FITS, SMALL, SILENT):
        python("-m", "jobs.evaluate", *named, *[f"{checkpoint}/{benchmark}" for benchmark in BENCHMARKS])
    plant(directory)
    pairs = [f"{checkpoint}/{b}" for checkpoint in (FITS, SMALL, SILENT) for b in BENCHMARKS]
    python("-m", "jobs.grade", *named, *pairs)
    return directory


def plant(directory: Path) -> None:
    """Right, wrong and empty answers in the place of every second one of the first checkpoint."""
    store = open_store(str(directory / "store"))
    for benchmark in BENCHMARKS:
        [path] = (directory / "store/v1/generations").rglob(f"{benchmark}/{FITS}@*.json")
        document = json.loads(path.read_text())
        rows = pq.read_table(directory / "store" / document["answers"]["key"]).to_pylist()
        for number, row in enumerate(rows):
            reference = row["reference"] = json.loads(row["reference"])
            if "not_asked" in reference or number % 2:
                continue
            if benchmark == BENCHMARKS[0]:
                right = reference["expected_number"]
                row["response"] = (f" <{right}>", f" <{right}>\nline a-b: <7>", "", f"5 {right}")[
                    number // 2 % 4
                ]
            else:
                first, last = reference["topics"][0], reference["topics"][-1]
                row["response"] = (f" {first}.", f" {last} and {first}", "", f"It was {first}")[
                    number // 2 % 4
                ]
        answers = [AnswerRow(**row) for row in rows]
        document["answers"] = write_answers(store, "0" * 16, answer_table(answers)).model_dump()
        path.write_text(json.dumps(document))


def result_of(world: Path, benchmark: str, checkpoint: str) -> dict[str, Any]:
    [path] = (world / "store/v1/commits").rglob(f"{benchmark}/{checkpoint}@*.json")
    parsed: dict[str, Any] = json.loads(path.read_text())
    return parsed


def metrics_of(result: dict[str, Any], task: str) -> dict[str, dict[str, Any]]:
    return {m["metric"]: m for m in result["metrics"] if m["task"] == task}


@pytest.mark.parametrize("checkpoint", [FITS, SMALL])
def test_a_plain_script_finds_the_same_shares_of_lines(world: Path, checkpoint: str) -> None:
    expected = lines_of(world / "store", world / "mirror", "demo-longeval-lines", checkpoint)
    result = result_of(world, "demo-longeval-lines", checkpoint)
    found = metrics_of(result, "long_eval_lines")
    assert {name: found[name]["value"] for name in ("acc", "acc_first", "no_number")} == pytest.approx(
        {name: expected[name] for name in ("acc", "acc_first", "no_number")}
    )
    for task in (name for name in expected if name.startswith("long_eval")):
        assert metrics_of(result, task)["acc"]["value"] == pytest.approx(expected[task])
    if checkpoint == FITS:
        assert 0 < expected["acc"] < 1
        assert expected["acc"] != expected["acc_first"]


def test_a_plain_script_finds_the_same_shares_of_topics(world: Path) -> None:
    expected = topics_of(world / "store", world / "mirror", "demo-longeval-topics", FITS)
    found = metrics_of(result_of(world, "demo-longeval-topics", FITS), "long_eval_topics")
    assert {name: found[name]["value"] for name in expected} == pytest.approx(expected)
    assert 0 < expected["exact"] < expected["first_topic"] < 1


@pytest.mark.parametrize(
    ("checkpoint", "asked"), [(FITS, LINES[:3]), (SMALL, LINES[:2]), (SILENT, LINES[:3])]
)
def test_lengths_beyond_the_context_are_named_and_never_cut(
    world: Path, checkpoint: str, asked: tuple[int, ...]
) -> None:
    result = result_of(world, "demo-longeval-lines", checkpoint)
    assert (result["prompts"], result["truncated_prompts"]) == (CASES * len(asked), 0)
    room = (800 if checkpoint == SMALL else 2048) - 100
    for lines in LINES:
        acc = metrics_of(result, f"long_eval_lines_{lines}")["acc"]
        if lines in asked:
            assert (acc["n"], acc["reason"]) == (CASES, None)
        else:
            assert (acc["value"], acc["n"]) == (None, 0)
            assert acc["reason"].startswith("not asked: a prompt has ")
            assert acc["reason"].endswith(f"beside the answer there is room for {room:,}")
    assert metrics_of(result, "long_eval_lines")["acc"]["n"] == CASES * len(asked)
    assert result["raw"]["cases_not_asked"] == {str(n): CASES for n in LINES if n not in asked}


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_model_that_gives_its_end_of_text_at_once_is_wrong_everywhere_and_counted(
    world: Path, benchmark: str
) -> None:
    result = result_of(world, benchmark, SILENT)
    task = "long_eval_lines" if benchmark == BENCHMARKS[0] else "long_eval_topics"
    found = metrics_of(result, task)
    [headline] = [m for m in result["metrics"] if m["headline"]]
    assert (found["empty"]["value"], headline["value"], headline["n"]) == (1.0, 0.0, result["prompts"])
    assert result["items"][0]["rows"] == result["prompts"]


def test_a_length_that_was_not_asked_is_published_with_its_reason_and_the_rest_with_values(
    world: Path,
) -> None:
    suite = load_suite(str(world / "suite.yaml"))
    plan = plan_sweep(suite)
    assert {cell.state for cell in plan.cells} == {"done"}
    published = publish_sweep(suite, plan, wandb=False)
    assert published.report.is_file()
    rows = pq.read_table(world / "report" / "table.parquet").to_pylist()
    cells = {(row["checkpoint"], row["task"]): row for row in rows if row["metric"] == "acc"}
    left_out = cells[SMALL, "long_eval_lines_20"]
    assert left_out["value"] is None
    assert left_out["reason"].startswith("not asked: a prompt has ")
    assert cells[FITS, "long_eval_lines_20"]["value"] is not None
