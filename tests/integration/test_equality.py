"""Equality: a360's numbers are lm-eval's own, for every document of every demo benchmark.

The other side is the pinned ``lm_eval`` command line in a fresh process that cannot import a360, on the
same mirror, checkpoint, device, dtype and threads.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import CATALOGUE, Benchmark
from a360.datasets.mirror import build_manifest, read_manifest, write_manifest
from a360.datasets.staging import offline_environment
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.records import Result
from a360.results.places import commits_prefix
from tests.tiny_model import write_checkpoint

pytestmark = [pytest.mark.integration, pytest.mark.equality, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "a360" / "benchmarks" / "tasks"
DEMO = tuple(row for row in CATALOGUE.values() if row.stand_in and row.evaluator == "harness")
"""What the perplexity evaluator scores is held to plain scripts too: test_perplexity.py and test_pile.py."""
PILE = CATALOGUE["demo-pile-10k"]
"""Of its rows lm-eval has the sample of 10,000 documents as a task; the whole Pile's loads no more."""
DEVICE = os.environ.get("A360_TEST_DEVICE", "cpu")
"""Of both sides: cpu or cuda, the names that a suite and lm-eval share."""
TOLERANCE = 5e-4
"""Of a log-likelihood in nats, between different batch sizes and numbers of threads; see `allowed`."""

PILE_TOLERANCE = 1e-6
"""Of a perplexity, relative: sums over thousands of tokens."""

_WITHOUT_A360 = (
    "import sys, runpy; sys.modules['a360'] = None; runpy.run_module('lm_eval', run_name='__main__')"
)


@dataclass(frozen=True, kw_only=True)
class World:
    """One checkpoint, one mirror, one thread."""

    directory: Path
    mirror_dir: Path

    @property
    def checkpoint_dir(self) -> Path:
        return self.directory / "checkpoints" / "step_1"

    def environment(self, mirror_dir: Path) -> dict[str, str]:
        cache = offline_environment(mirror_dir, read_manifest(mirror_dir), self.directory / "cache")
        return {**os.environ, **cache, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def evaluate(
        self, batch_size: int, threads: int = 1
    ) -> dict[str, tuple[Result, list[dict[str, object]]]]:
        """a360's results and items of all demo benchmarks and PILE, by benchmark id."""
        store = self.directory / f"store-{batch_size}"
        suite = self.directory / f"suite-{batch_size}.yaml"
        suite.write_text(
            json.dumps(
                {
                    "name": "equality",
                    "model": {
                        "name": "tiny",
                        "root": "checkpoints",
                        "naming": {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0},
                        "dtype": "float32",
                        "softmax_dtype": None,
                    },
                    "store": {"uri": store.name},
                    "data": {"mirror": str(self.mirror_dir)},
                    "benchmarks": [row.id for row in (*DEMO, PILE)],
                    "publish": {"directory": f"report-{batch_size}"},
                    "run": {
                        "device": DEVICE, "batch_size": batch_size, "threads": threads,
                        "pairs_per_group": "all", "cache_dir": "cache",
                    },
                }
            )
        )  # fmt: skip
        python = [sys.executable, "-P", "-m"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
        plan = subprocess.run(
            [*python, "a360", "run", str(suite), "--workers", "1"],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert plan.returncode == 0, plan.stderr
        found = {}
        for path in (store / commits_prefix("tiny")).rglob("*.json"):
            result = Result.model_validate_json(path.read_bytes())
            found[result.benchmark] = (result, pq.read_table(store / result.items[0].key).to_pylist())
        return found

    def harness(self, benchmark: Benchmark, batch_size: int, mirror_dir: Path | None = None) -> "Harness":
        """What lm-eval's command line says."""
        mirror_dir = mirror_dir or self.mirror_dir
        output = self.directory / f"lm-eval-{benchmark.id}-{batch_size}-{mirror_dir.name}"
        command = [
            sys.executable, "-c", _WITHOUT_A360, "run", "--model", "hf",
            "--model_args", f"pretrained={self.checkpoint_dir},dtype=float32",
            "--tasks", benchmark.task, "--batch_size", str(batch_size), "--device", DEVICE,
            "--include_path", str(TASKS), "--output_path", str(output), "--log_samples",
        ]  # fmt: skip
        if benchmark.shots is not None:
            command += ["--num_fewshot", str(benchmark.shots)]
        done = subprocess.run(
            command, cwd=mirror_dir, env=self.environment(mirror_dir), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        results = json.loads(next(output.rglob("results_*.json")).read_text())
        samples = {}
        for task in results["n-samples"]:
            [path] = output.rglob(f"samples_{task}_2*.jsonl")
            samples[task] = [json.loads(line) for line in path.read_text().split("\n") if line]
        return Harness(results=results, samples=samples)


@dataclass(frozen=True, kw_only=True)
class Harness:
    """lm-eval's output files."""

    results: dict[str, dict[str, dict[str, object]]]
    samples: dict[str, list[dict[str, object]]]

    def likelihoods(self, task: str, sample: Mapping[str, object]) -> list[float]:
        """Of a generation there are none; the files hold numbers as text."""
        responses = sample["filtered_resps"]
        assert isinstance(responses, list)
        if self.output_type(task) == "generate_until":
            return []
        return [float(r[0]) if isinstance(r, list) else float(r) for r in responses]

    def prediction(self, task: str, sample: Mapping[str, object]) -> str | None:
        responses = sample["filtered_resps"]
        assert isinstance(responses, list)
        if self.output_type(task) == "generate_until":
            return str(responses[0])
        likelihoods = self.likelihoods(task, sample)
        is_choice = self.output_type(task) == "multiple_choice"
        return str(likelihoods.index(max(likelihoods))) if is_choice else None

    def output_type(self, task: str) -> object:
        return self.results["configs"][task]["output_type"]


def differences(
    items: list[dict[str, object]], result: Result, harness: Harness, tolerance: float
) -> list[str]:
    """Every document and metric in which a360 and lm-eval differ, in words."""
    found = []
    ours = {(str(item["task"]), item["filter"], item["doc_id"]): item for item in items}
    theirs = {(t, s["filter"], s["doc_id"]): s for t, samples in harness.samples.items() for s in samples}
    if ours.keys() != theirs.keys():
        found.append(f"documents: {len(ours)} here, {len(theirs)} there")
    for place in ours.keys() & theirs.keys():
        item, sample, task = ours[place], theirs[place], place[0]
        for name in ("doc_hash", "prompt_hash", "target_hash"):
            if item[name] != str(sample[name])[:16]:
                found.append(f"{place}: {name}")
        likelihoods = harness.likelihoods(task, sample)
        pairs = zip(item["loglikelihoods"], likelihoods, strict=True)  # type: ignore[call-overload]
        if any(abs(a - b) > allowed(b, tolerance) for a, b in pairs):
            found.append(f"{place}: {item['loglikelihoods']} here, {likelihoods} there")
        if item["prediction"] != harness.prediction(task, sample):
            found.append(
                f"{place}: predicts {item['prediction']!r} here, {harness.prediction(task, sample)!r} there"
            )
    found += metric_differences(result, harness, tolerance)
    return found


def allowed(likelihood: float, tolerance: float) -> float:
    """The tolerance, or float32's own step where that is wider.

    HFLM sums the tokens of a window in float32, whose neighbours beyond -8,192 nats are 9.8e-4 apart.
    """
    return max(tolerance, float(np.spacing(np.float32(abs(likelihood))))) if tolerance else 0.0


def metric_differences(result: Result, harness: Harness, tolerance: float) -> list[str]:
    """Every metric that lm-eval reports and a360 lacks or has otherwise."""
    ours = {
        (m.task, m.metric, m.filter): m
        for m in result.metrics
        if m.subset is None and m.aggregation != "macro"
    }
    reported = {**harness.results["results"], **harness.results.get("groups", {})}
    found = []
    for task, values in reported.items():
        for label, value in values.items():
            metric, comma, filter_name = label.partition(",")
            if not comma or metric.endswith("_stderr"):
                continue
            record = ours.get((task, metric, filter_name))
            stderr = values.get(f"{metric}_stderr,{filter_name}")
            if record is None or not close(record.value, value, tolerance):
                found.append(f"{task} {label}: {record and record.value} here, {value} there")
            elif not close(record.stderr, stderr if isinstance(stderr, float | int) else None, tolerance):
                found.append(f"{task} {label} stderr: {record.stderr} here, {stderr} there")
    return found


def close(ours: float | None, theirs: object, tolerance: float) -> bool:
    if ours is None or not isinstance(theirs, float | int):
        return ours is None and not isinstance(theirs, float | int)
    return abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    directory = tmp_path_factory.mktemp("equality")
    _, heldout = split_documents(read_documents())
    write_mirror(directory / "mirror", heldout)
    write_checkpoint(directory / "checkpoints" / "step_1", seed=3)
    return World(directory=directory, mirror_dir=directory / "mirror")


@pytest.fixture(scope="module")
def evaluated(world: World) -> dict[str, tuple[Result, list[dict[str, object]]]]:
    return world.evaluate(batch_size=4)


@pytest.fixture(scope="module")
def command_line(world: World) -> dict[str, Harness]:
    """What the command line says of every benchmark, two calls at a time.

    One call for several tasks would put their requests into common batches and change last bits.
    """
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip([row.id for row in DEMO], pool.map(lambda row: world.harness(row, 4), DEMO), strict=True)
        )


@pytest.mark.parametrize("benchmark", DEMO, ids=lambda row: row.id)
def test_every_document_and_metric_is_bit_equal_to_the_command_line(
    benchmark: Benchmark,
    evaluated: dict[str, tuple[Result, list[dict[str, object]]]],
    command_line: dict[str, Harness],
) -> None:
    result, items = evaluated[benchmark.id]
    assert items
    assert differences(items, result, command_line[benchmark.id], 0.0) == []


def test_the_sample_of_the_pile_has_the_perplexities_of_lm_evals_task(
    world: World, evaluated: dict[str, tuple[Result, list[dict[str, object]]]]
) -> None:
    """Another evaluator with other batches: equal but for the last bits of float32."""
    result, items = evaluated[PILE.id]
    harness = world.harness(PILE, 4)
    assert metric_differences(result, harness, PILE_TOLERANCE) == []
    assert {label for label in harness.results["results"][PILE.task] if label.endswith("none")} >= {
        "bits_per_byte,none", "byte_perplexity,none", "word_perplexity,none",
    }  # fmt: skip
    theirs = {str(s["doc_id"]): harness.likelihoods(PILE.task, s)[0] for s in harness.samples[PILE.task]}
    ours = {str(item["target"]).rpartition(":")[2]: item["loglikelihoods"] for item in items}
    assert len(theirs) == len(ours) == 44
    for number, likelihood in theirs.items():
        row = str(int(number) + 1)  # a place counts rows from 1
        assert ours[row] == [pytest.approx(likelihood, abs=allowed(likelihood, TOLERANCE))]


def test_the_language_average_is_the_mean_of_what_the_command_line_reports(
    world: World, evaluated: dict[str, object], command_line: dict[str, Harness]
) -> None:
    def reported(benchmark_id: str, task: str, label: str) -> float:
        value = command_line[benchmark_id].results["results"][task][label]
        assert isinstance(value, float)
        return value

    mmlu = command_line["demo-mmlu-5shot"].samples
    parts = [
        reported("demo-arc-challenge-25shot", "arc_challenge", "acc_norm,none"),
        reported("demo-hellaswag-10shot", "hellaswag", "acc_norm,none"),
        sum(reported("demo-mmlu-5shot", subject, "acc,none") for subject in mmlu) / 57,
        reported("demo-truthfulqa-mc2", "truthfulqa_mc2", "acc,none"),
    ]
    assert len(evaluated) == len(DEMO) + 1
    with (world.directory / "report-4" / "table.csv").open() as file:
        [row] = [row for row in csv.DictReader(file) if row["benchmark"] == "demo-average-language"]
    assert float(row["value"]) == pytest.approx(sum(parts) / 4, abs=1e-12)


@pytest.fixture(scope="module")
def evaluated_otherwise(world: World) -> dict[str, tuple[Result, list[dict[str, object]]]]:
    """In other batches, padded otherwise, and with another number of threads."""
    return world.evaluate(batch_size=7, threads=2)


@pytest.mark.parametrize("benchmark", DEMO, ids=lambda row: row.id)
def test_another_batch_size_and_number_of_threads_stay_within_the_tolerance(
    benchmark: Benchmark,
    evaluated_otherwise: dict[str, tuple[Result, list[dict[str, object]]]],
    command_line: dict[str, Harness],
) -> None:
    result, items = evaluated_otherwise[benchmark.id]
    assert items
    assert differences(items, result, command_line[benchmark.id], TOLERANCE) == []


def test_swapping_two_gold_labels_in_the_mirror_is_seen(
    world: World, evaluated: dict[str, tuple[Result, list[dict[str, object]]]]
) -> None:
    swapped = world.directory / "mirror-swapped"
    shutil.copytree(world.mirror_dir, swapped)
    [path] = swapped.glob("aps/super_glue/boolq/validation*.parquet")
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    first, second = labels.index(0), labels.index(1)
    labels[first], labels[second] = labels[second], labels[first]
    column = table.schema.get_field_index("label")
    pq.write_table(table.set_column(column, table.schema.field(column), pa.array(labels, pa.int64())), path)
    manifest = read_manifest(world.mirror_dir)
    revisions = {name: repository.revision for name, repository in manifest.repositories.items()}
    write_manifest(swapped, build_manifest(swapped, stand_in=True, revisions=revisions))
    result, items = evaluated["demo-boolq"]
    found = differences(items, result, world.harness(CATALOGUE["demo-boolq"], 4, swapped), 0.0)
    assert sum("target_hash" in text for text in found) == 2
