"""a360's own variants of benchmarks against a plain script, and the defects for which they exist."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.records import Metric, Result
from a360.results.places import commits_prefix
from tests.tiny_model import write_checkpoint

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BENCHMARKS = ("demo-siqa-llm360", "demo-crows-pairs", "demo-drop-3shot", "demo-mmlu-0shot")
TOLERANCE = 1e-3
"""Of a log-likelihood in nats: the script scores one text at a time, a360 four together."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, the demo's mirror, and a360's results on both."""
    directory = tmp_path_factory.mktemp("variants")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    write_checkpoint(directory / "checkpoints" / "step_1", seed=11)
    suite = {
        "name": "variants",
        "model": {
            "name": "tiny", "root": "checkpoints", "dtype": "float32", "softmax_dtype": None,
            "naming": {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0},
        },
        "store": {"uri": "store"},
        "data": {"mirror": "mirror"},
        "benchmarks": list(BENCHMARKS),
        "run": {
            "device": "cpu", "batch_size": 4, "threads": 1, "pairs_per_group": "all", "cache_dir": "cache",
        },
    }  # fmt: skip
    (directory / "suite.yaml").write_text(json.dumps(suite))
    command = [sys.executable, "-P", "-m", "a360", "run", str(directory / "suite.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="module")
def plain(directory: Path) -> dict[str, Any]:
    """What the plain script says."""
    script = ROOT / "tests" / "plain_variants.py"
    command = [
        sys.executable,
        "-P",
        str(script),
        str(directory / "checkpoints" / "step_1"),
        str(directory / "mirror"),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return parsed


def result_of(directory: Path, benchmark: str) -> tuple[Result, list[dict[str, Any]]]:
    [path] = (directory / "store" / commits_prefix("tiny") / benchmark).glob("*.json")
    result = Result.model_validate_json(path.read_bytes())
    return result, pq.read_table(directory / "store" / result.items[0].key).to_pylist()


def headline(result: Result) -> Metric:
    [metric] = [metric for metric in result.metrics if metric.headline]
    return metric


def test_siqa_llm360_is_asked_with_its_own_prompt_and_has_acc_norm(
    directory: Path, plain: dict[str, Any]
) -> None:
    result, items = result_of(directory, "demo-siqa-llm360")
    rows = pq.read_table(next((directory / "mirror/lighteval/siqa/default").glob("validation*"))).to_pylist()
    hits = []
    for item, likelihoods, row in zip(items, plain["siqa"], rows, strict=True):
        assert item["loglikelihoods"] == pytest.approx(likelihoods, abs=TOLERANCE)
        per_character = [
            value / len(row[f"answer{letter}"]) for value, letter in zip(likelihoods, "ABC", strict=True)
        ]
        hits.append(per_character.index(max(per_character)) + 1 == int(row["label"]))
    assert headline(result).metric == "acc_norm"
    assert headline(result).value == pytest.approx(sum(hits) / len(hits))


def test_crows_pairs_are_the_unweighted_mean_of_ten_categories(
    directory: Path, plain: dict[str, Any]
) -> None:
    metric = headline(result_of(directory, "demo-crows-pairs")[0])
    assert len(plain["crows"]) == 10
    assert metric.value == pytest.approx(sum(plain["crows"].values()) / 10)
    assert (metric.aggregation, metric.direction, metric.target) == ("macro", "target", 0.5)


def test_drop_examples_hold_answers_and_not_the_keys_of_the_answer(
    directory: Path, plain: dict[str, Any]
) -> None:
    _, items = result_of(directory, "demo-drop-3shot")
    assert [item["prompt_hash"] for item in items] == plain["drop"]
    assert len(items) == 24


def test_mmlu_has_its_macro_mean_as_headline_and_the_micro_mean_beside_it(directory: Path) -> None:
    result, items = result_of(directory, "demo-mmlu-0shot")
    by_task: dict[str, list[float]] = {}
    for item in items:
        by_task.setdefault(item["task"], []).append(dict(item["metrics"])["acc"])
    assert len(by_task) == 57
    macro = sum(sum(values) / len(values) for values in by_task.values()) / 57
    assert headline(result).value == pytest.approx(macro)
    assert headline(result).aggregation == "macro"
    assert [m.n for m in result.metrics if (m.task, m.aggregation) == ("mmlu", "micro")] == [114]
    geography = [m for m in result.metrics if m.subset == "other"]
    assert [m.n for m in geography] == [10], "the group other holds high_school_geography again"
