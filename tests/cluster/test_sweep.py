"""The demo's benchmarks on a real cluster: helm install, argo submit, pods, results, a report.

Three checkpoints, four benchmarks, one of them graded by a pod of its own. The others share a pod, which
loads the checkpoint once.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.records import Result
from a360.storage import Store, open_store
from tests.cluster.cluster import Cluster
from tests.cluster.layout import CHECKOUT
from tests.cluster.release import SUITE, Release
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.timeout(1800)

BENCHMARKS = ("demo-boolq", "demo-gsm8k-5shot", "demo-wikitext", "demo-next-word")
STEPS = (1, 2, 3)
PAIRS = sorted(f"step_{step}/{benchmark}" for step in STEPS for benchmark in BENCHMARKS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``mirror`` and ``checkpoints``."""
    directory = tmp_path_factory.mktemp("made")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    for step in (*STEPS, 4, 5):
        write_checkpoint(directory / "checkpoints" / f"step_{step}", seed=step)
    return directory


@pytest.fixture(scope="module")
def release(cluster: Cluster, made: Path) -> Iterator[Release]:
    """The chart, installed, with three checkpoints on S3."""
    release = Release(cluster, cluster.create_namespace(), cluster.s3.create_bucket(), BENCHMARKS)
    release.upload("mirror", made / "mirror")
    for step in STEPS:
        release.upload(f"checkpoints/step_{step}", made / "checkpoints" / f"step_{step}")
    told = release.install()
    assert "argo submit" in told
    yield release
    cluster.delete_namespace(release.namespace)


@pytest.fixture(scope="module")
def first(release: Release) -> dict[str, Any]:
    """The sweep that evaluates everything, when it has ended."""
    return release.ended(release.submit())


def test_a_sweep_evaluates_grades_and_commits_every_pair_once(
    release: Release, first: dict[str, Any]
) -> None:
    assert first["status"]["phase"] == "Succeeded", first["status"].get("message")
    assert release.committed() == PAIRS
    assert release.pods_of(first) == ["plan", "publish", *["run-checkpoint"] * len(STEPS)]
    children = release.children(first["metadata"]["name"])
    expected = ["evaluate", "evaluate", "grade-classifier"]
    assert [release.pods_of(child) for child in children] == [expected] * len(STEPS)


def test_the_report_is_in_the_store_and_knows_every_pair(release: Release, first: dict[str, Any]) -> None:
    reports = release.store("results")
    coverage = json.loads(reports.read(f"v1/reports/tiny/{SUITE}/coverage.json"))
    assert {cell["state"] for cell in coverage["cells"]} == {"done"}
    assert b"<html" in reports.read(f"v1/reports/tiny/{SUITE}/report.html")


def results(store: Store) -> dict[str, Result]:
    found = {}
    for entry in store.list("v1/commits/"):
        result = Result.model_validate_json(store.read(entry.key))
        found[f"{result.checkpoint}/{result.benchmark}"] = result
    return found


def items(store: Store, result: Result) -> list[dict[str, Any]]:
    [stored] = result.items
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(store.read(stored.key))).to_pylist()
    return rows


def test_pods_give_the_numbers_of_one_machine_to_the_last_bit(
    release: Release, first: dict[str, Any], made: Path, tmp_path: Path
) -> None:
    suite = release.suite()
    suite["model"] |= {"root": str(made / "checkpoints")}
    suite["model"]["naming"] |= {"pattern": "step_(?P<step>[123])"}
    suite |= {"store": {"uri": "store"}, "data": {"mirror": str(made / "mirror")}}
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    command = [sys.executable, "-P", "-m", "a360", "run", str(tmp_path / "suite.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here, there = open_store(str(tmp_path / "store")), release.store("results")
    mine, theirs = results(here), results(there)
    assert sorted(mine) == sorted(theirs) == PAIRS
    for pair in PAIRS:
        assert mine[pair].key == theirs[pair].key
        assert mine[pair].metrics == theirs[pair].metrics
        assert items(here, mine[pair]) == items(there, theirs[pair])


def test_what_was_generated_is_graded_again_without_the_model(
    release: Release, first: dict[str, Any]
) -> None:
    results = release.store("results")
    [marker] = [e.key for e in results.list("v1/commits/tiny/demo-next-word/") if "/step_2@" in e.key]
    results.delete(marker)
    again = release.ended(release.submit())
    assert again["status"]["phase"] == "Succeeded"
    [child] = release.children(again["metadata"]["name"])
    assert release.pods_of(child) == ["grade-classifier"]
    assert release.committed() == PAIRS


def test_a_second_sweep_evaluates_nothing(release: Release, first: dict[str, Any]) -> None:
    before = [(entry.key, entry.version) for entry in release.store("results").list("v1/commits/")]
    second = release.ended(release.submit())
    assert second["status"]["phase"] == "Succeeded"
    assert release.pods_of(second) == ["plan", "publish"]
    assert before == [(entry.key, entry.version) for entry in release.store("results").list("v1/commits/")]


def test_a_new_checkpoint_is_all_that_the_next_sweep_evaluates_and_a_half_one_is_named(
    release: Release, first: dict[str, Any], made: Path
) -> None:
    release.upload("checkpoints/step_4", made / "checkpoints" / "step_4")
    release.upload("checkpoints/step_5", made / "checkpoints" / "step_5")
    torn = "step_5/model.safetensors"
    checkpoints = release.store("checkpoints")
    checkpoints.write(torn, checkpoints.read(torn)[:-1000])
    third = release.ended(release.submit())
    assert third["status"]["phase"] == "Succeeded"
    [child] = release.children(third["metadata"]["name"])
    told = {item["name"]: item["value"] for item in child["spec"]["arguments"]["parameters"]}
    assert told["checkpoint"] == "step_4"
    assert release.committed() == sorted([*PAIRS, *(f"step_4/{benchmark}" for benchmark in BENCHMARKS)])
    coverage = json.loads(release.store("results").read(f"v1/reports/tiny/{SUITE}/coverage.json"))
    reasons = {cell["reason"] for cell in coverage["cells"] if cell["checkpoint"] == "step_5"}
    assert len(reasons) == 1
    assert "model.safetensors is truncated" in reasons.pop()
