"""The demo's benchmarks on a real cluster: helm install, argo submit, pods, results, a report.

Three checkpoints, four benchmarks, one of them graded by a pod of its own. The others share a pod, which
loads the checkpoint once.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.cluster.cluster import Cluster
from tests.cluster.comparison import differences, run_here
from tests.cluster.processes import wait_until
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
def looked_at(release: Release) -> tuple[str, dict[str, Any], dict[tuple[str, str], dict[str, Any]], str]:
    """A new sweep; a publication that was made while it ran, its coverage, and the sweep's phase after it."""
    name = release.submit()
    wait_until("something is done", lambda: bool(release.committed()), seconds=600)
    published = release.ended(release.submit("a360-publish"))
    phase = release.cluster.get("workflow", name, "-n", release.namespace)["status"]["phase"]
    return name, published, release.coverage(), phase


@pytest.fixture(scope="module")
def first(release: Release, looked_at: tuple[str, object, object, object]) -> dict[str, Any]:
    """The sweep that evaluates everything, when it has ended."""
    return release.ended(looked_at[0])


def test_the_report_can_be_published_while_a_sweep_runs(
    looked_at: tuple[str, dict[str, Any], dict[tuple[str, str], dict[str, Any]], str],
) -> None:
    _, published, coverage, phase = looked_at
    assert (published["status"]["phase"], phase) == ("Succeeded", "Running")
    assert sorted(f"{checkpoint}/{benchmark}" for checkpoint, benchmark in coverage) == PAIRS
    assert {cell["state"] for cell in coverage.values()} == {"done", "missing"}


def test_a_sweep_evaluates_grades_and_commits_every_pair_once(
    release: Release, first: dict[str, Any]
) -> None:
    assert first["status"]["phase"] == "Succeeded", release.reasons(first)
    assert release.committed() == PAIRS
    assert release.pods_of(first) == ["plan", "publish", *["run-checkpoint"] * len(STEPS)]
    children = release.children(first["metadata"]["name"])
    expected = ["evaluate", "evaluate", "grade-classifier"]
    assert [release.pods_of(child) for child in children] == [expected] * len(STEPS)


def test_a_pod_tells_the_cluster_how_far_it_is(release: Release, first: dict[str, Any]) -> None:
    """A pair counts 100. A pod that never told anything would end with the 100 of its annotation."""
    for child in release.children(first["metadata"]["name"]):
        nodes = child["status"]["nodes"].values()
        evaluated = [node["progress"] for node in nodes if node.get("templateName") == "evaluate"]
        assert {"300/300", "100/100"} <= {*evaluated}


def test_the_report_is_in_the_store_and_knows_every_pair(release: Release, first: dict[str, Any]) -> None:
    assert {cell["state"] for cell in release.coverage().values()} == {"done"}
    assert b"<html" in release.store("results").read(f"v1/reports/tiny/{SUITE}/report.html")


def test_pods_give_the_numbers_of_one_machine_to_the_last_bit(
    release: Release, first: dict[str, Any], made: Path, tmp_path: Path
) -> None:
    here = run_here(release, made, tmp_path, pattern="step_(?P<step>[123])")
    assert differences(here, release.store("results")) == []
    assert release.committed() == PAIRS


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


def test_a_new_checkpoint_is_all_that_the_next_tick_evaluates_and_a_half_one_is_named(
    release: Release, first: dict[str, Any], made: Path
) -> None:
    """By cron, every minute: one tick finds nothing to do, a later one what appeared after it."""
    schedule = {"suite": SUITE, "sweep": ["* * * * *"], "publish": []}
    release.changes = {"schedules": {"suites": [schedule]}}
    release.install()
    idle = release.next_scheduled()
    assert idle["status"]["phase"] == "Succeeded"
    assert release.pods_of(idle) == ["plan", "publish"]

    checkpoints = release.store("checkpoints")
    release.upload("checkpoints/step_5", made / "checkpoints" / "step_5")
    torn = "step_5/model.safetensors"
    checkpoints.write(torn, checkpoints.read(torn)[:-1000])
    release.upload("checkpoints/step_4", made / "checkpoints" / "step_4")
    sweep = release.next_scheduled()
    while not (children := release.children(sweep["metadata"]["name"])):  # its plan came before the upload
        sweep = release.next_scheduled()
    assert sweep["status"]["phase"] == "Succeeded"
    [child] = children
    told = {item["name"]: item["value"] for item in child["spec"]["arguments"]["parameters"]}
    assert told["checkpoint"] == "step_4"
    assert release.committed() == sorted([*PAIRS, *(f"step_4/{benchmark}" for benchmark in BENCHMARKS)])
    reasons = {cell["reason"] for (step, _), cell in release.coverage().items() if step == "step_5"}
    assert len(reasons) == 1
    assert "model.safetensors is truncated" in reasons.pop()

    release.changes = {}
    release.install()
    assert release.cluster.get("cronworkflows", "-n", release.namespace)["items"] == []
