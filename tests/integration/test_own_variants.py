"""a360's own variants of benchmarks against a plain script, and the defects for which they exist."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.records import Metric, Result
from a360.results.places import commits_prefix
from tests.altered_rows import change_mirror
from tests.parrot_model import write_parrot
from tests.tiny_model import write_checkpoint
from tests.unit.test_catalogue_table import MMLU_GROUPS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BENCHMARKS = (
    "demo-siqa-llm360",
    "demo-crows-pairs",
    "demo-drop-3shot",
    "demo-mmlu-0shot",
    "demo-mmlu-5shot",
    "demo-arc-challenge-25shot",
    "demo-hellaswag-10shot",
    "demo-truthfulqa-mc2",
    "demo-wmdp",
)
TOLERANCE = 1e-3
"""Of a log-likelihood in nats: the script scores one text at a time, a360 four together."""


def run(*words: str | Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-P", *map(str, words)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def sweep(directory: Path, benchmarks: tuple[str, ...]) -> Path:
    """a360's results on the checkpoints of a directory and the demo's mirror, with parts of unequal sizes.

    As the demo writes them, all parts of a benchmark are of one size: every mean would be the same.
    """
    mirror_dir = directory / "mirror"
    write_mirror(mirror_dir, split_documents(read_documents())[1])
    change_mirror(mirror_dir, "cais/mmlu/*/test*.parquet", lambda number, rows: rows[number % 2 :])
    change_mirror(mirror_dir, "cais/wmdp/*/test*.parquet", lambda number, rows: rows[3 * number :])
    crows = "jannalu/crows_pairs_multilingual/english/test*.parquet"
    change_mirror(mirror_dir, crows, lambda _, rows: [row for row in rows if row["id"] % 4])
    suite = {
        "name": "variants",
        "model": {
            "name": "tiny", "root": "checkpoints", "dtype": "float32", "softmax_dtype": None,
            "naming": {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0},
        },
        "store": {"uri": "store"},
        "data": {"mirror": "mirror"},
        "benchmarks": list(benchmarks),
        "run": {
            "device": "cpu", "batch_size": 4, "threads": 1, "pairs_per_group": "all", "cache_dir": "cache",
        },
    }  # fmt: skip
    (directory / "suite.yaml").write_text(json.dumps(suite))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run("-m", "a360", "run", directory / "suite.yaml", environment=environment)
    return directory


def plainly(directory: Path, *parts: str) -> dict[str, Any]:
    """What the plain script says."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = ROOT / "tests" / "plain_variants.py"
    checkpoint = directory / "checkpoints" / "step_1"
    out = run(script, checkpoint, directory / "mirror", *parts, environment=environment)
    parsed: dict[str, Any] = json.loads(out.splitlines()[-1])
    return parsed


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights."""
    directory = tmp_path_factory.mktemp("variants")
    write_checkpoint(directory / "checkpoints" / "step_1", seed=11)
    return sweep(directory, BENCHMARKS)


@pytest.fixture(scope="module")
def plain(directory: Path) -> dict[str, Any]:
    return plainly(directory)


def result_of(directory: Path, benchmark: str) -> tuple[Result, list[dict[str, Any]]]:
    [path] = (directory / "store" / commits_prefix("tiny") / benchmark).glob("*.json")
    result = Result.model_validate_json(path.read_bytes())
    return result, pq.read_table(directory / "store" / result.items[0].key).to_pylist()


def headline(result: Result) -> Metric:
    [metric] = [metric for metric in result.metrics if metric.headline]
    return metric


def mean(values: "list[bool] | list[float]") -> float:
    return sum(values) / len(values)


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
    assert headline(result).value == pytest.approx(mean(hits))


def test_crows_pairs_are_the_unweighted_mean_of_ten_categories(
    directory: Path, plain: dict[str, Any]
) -> None:
    metric = headline(result_of(directory, "demo-crows-pairs")[0])
    assert len(plain["crows"]) == 10
    assert metric.value == pytest.approx(sum(plain["crows"].values()) / 10)
    _, items = result_of(directory, "demo-crows-pairs")
    assert metric.value != pytest.approx(mean([dict(item["metrics"])["pct_stereotype"] for item in items]))
    assert (metric.aggregation, metric.direction, metric.target) == ("macro", "target", 0.5)


# --- DROP --------------------------------------------------------------------------------------------


def require_equal_drop(directory: Path, plain: list[dict[str, Any]]) -> None:
    """Every prompt, answer and score, and the means."""
    result, items = result_of(directory, "demo-drop-3shot")
    assert len(items) == 24
    assert [item["prompt_hash"] for item in items] == [row["prompt_hash"] for row in plain]
    assert [item["prediction"] for item in items] == [row["answer"] for row in plain]
    for metric in ("em", "f1"):
        assert [dict(item["metrics"])[metric] for item in items] == [row[metric] for row in plain]
        [whole] = [m for m in result.metrics if m.metric == metric]
        assert whole.value == pytest.approx(mean([row[metric] for row in plain]))
    assert headline(result).metric == "f1"


def test_drop_examples_hold_answers_and_not_the_keys_of_the_answer(
    directory: Path, plain: dict[str, Any]
) -> None:
    _, items = result_of(directory, "demo-drop-3shot")
    assert [item["prompt_hash"] for item in items] == [row["prompt_hash"] for row in plain["drop"]]


def test_drop_answers_and_their_scores_are_those_of_a_plain_greedy_generation(
    directory: Path, plain: dict[str, Any]
) -> None:
    require_equal_drop(directory, plain["drop"])
    assert len({row["answer"] for row in plain["drop"]}) > 12, "the answers depend on the prompts"


def test_drop_scores_of_a_model_that_is_sometimes_right(tmp_path: Path) -> None:
    write_parrot(tmp_path / "checkpoints" / "step_1", answer=" drums.")
    sweep(tmp_path, ("demo-drop-3shot",))
    plain = plainly(tmp_path, "drop")["drop"]
    require_equal_drop(tmp_path, plain)
    assert {row["answer"] for row in plain} == {" drums"}
    assert {row["em"] for row in plain} == {0.0, 1.0}
    assert {row["f1"] for row in plain} == {0.0, 0.5, 1.0}


# --- MMLU and the language average -------------------------------------------------------------------


@pytest.mark.parametrize("shots", [0, 5])
def test_mmlu_has_its_macro_mean_as_headline_and_the_micro_mean_and_eleven_groups_beside_it(
    directory: Path, plain: dict[str, Any], shots: int
) -> None:
    result, _ = result_of(directory, f"demo-mmlu-{shots}shot")
    hits: dict[str, list[bool]] = plain[f"mmlu_{shots}shot"]
    accuracy = {subject: mean(each) for subject, each in hits.items()}
    assert len(accuracy) == 57
    assert (headline(result).aggregation, headline(result).metric) == ("macro", "acc")
    assert headline(result).value == pytest.approx(sum(accuracy.values()) / 57)
    [micro] = [m for m in result.metrics if (m.task, m.aggregation) == ("mmlu", "micro")]
    assert micro.n == 57 + 29
    assert micro.value != pytest.approx(headline(result).value)
    assert micro.value == pytest.approx(mean([hit for each in hits.values() for hit in each]))
    groups = {m.subset: m for m in result.metrics if m.subset}
    assert groups.keys() == MMLU_GROUPS.keys()
    for name, subjects in MMLU_GROUPS.items():
        assert groups[name].n == sum(len(hits[subject]) for subject in subjects)
        assert groups[name].value == pytest.approx(mean([accuracy[subject] for subject in subjects])), name
    assert len({round(metric.value or 0, 6) for metric in groups.values()}) > 3, "the groups differ"


def test_wmdp_is_the_mean_over_documents_and_not_over_its_three_parts(directory: Path) -> None:
    result, items = result_of(directory, "demo-wmdp")
    parts: dict[str, list[float]] = {}
    for item in items:
        parts.setdefault(item["task"], []).append(dict(item["metrics"])["acc"])
    assert len({len(part) for part in parts.values()}) == 3
    assert headline(result).value == pytest.approx(mean([hit for part in parts.values() for hit in part]))
    assert headline(result).value != pytest.approx(mean([mean(part) for part in parts.values()]))


def test_the_language_average_is_the_mean_of_its_four_parts(directory: Path, plain: dict[str, Any]) -> None:
    parts = [
        mean(plain["arc"]),
        mean(plain["hellaswag"]),
        mean([mean(each) for each in plain["mmlu_5shot"].values()]),
        mean(plain["truthful"]),
    ]
    with (directory / "report" / "table.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["headline"] == "true"]
    value: Callable[[str], float] = {row["benchmark"]: float(row["value"]) for row in rows}.__getitem__
    assert value("demo-arc-challenge-25shot") == pytest.approx(parts[0])
    assert value("demo-hellaswag-10shot") == pytest.approx(parts[1])
    assert value("demo-mmlu-5shot") == pytest.approx(parts[2])
    assert value("demo-truthfulqa-mc2") == pytest.approx(parts[3], abs=TOLERANCE)
    assert value("demo-average-language") == pytest.approx(sum(parts) / 4, abs=TOLERANCE / 4)
