"""Faults in the middle of a sweep: each pair gets exactly one result, and what is wrong for good is named."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.cluster.cluster import Cluster
from tests.cluster.processes import wait_until
from tests.cluster.release import SMALL_POD, Release
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.timeout(1800)

BENCHMARKS = ("demo-boolq", "demo-next-word")
GOOD = sorted(f"step_{step}/{benchmark}" for step in (1, 2) for benchmark in BENCHMARKS)
POD_SECONDS = 300
DOWN_SECONDS = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``mirror`` and ``checkpoints``."""
    made = tmp_path_factory.mktemp("made")
    write_mirror(made / "mirror", split_documents(read_documents())[1])
    for step in (1, 2, 3, 4):
        write_checkpoint(made / "checkpoints" / f"step_{step}", seed=step)
    overflow(made / "checkpoints" / "step_3" / "model.safetensors")
    return made


@pytest.fixture(scope="module")
def release(cluster: Cluster, made: Path) -> Iterator[Release]:
    """Two good checkpoints and one whose weights overflow."""
    release = Release(cluster, cluster.create_namespace(), cluster.s3.create_bucket(), BENCHMARKS)
    release.upload("mirror", made / "mirror")
    for step in (1, 2, 3):
        release.upload(f"checkpoints/step_{step}", made / "checkpoints" / f"step_{step}")
    release.install()
    yield release
    cluster.delete_namespace(release.namespace)


def overflow(path: Path) -> None:
    tensors = load_file(path)
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], float("inf"))
    save_file(tensors, path, metadata={"format": "pt"})


def running_pod(release: Release, template: str) -> dict[str, Any]:
    """A pod of that template, once one runs."""
    pods: list[dict[str, Any]] = []

    def is_there() -> bool:
        found = release.cluster.get("pods", "-n", release.namespace, "-l", f"a360/template={template}")
        pods[:] = [
            item
            for item in found["items"]
            if item["status"]["phase"] == "Running" and "deletionTimestamp" not in item["metadata"]
        ]
        return bool(pods)

    wait_until(f"a pod of {template} runs", is_there, seconds=POD_SECONDS)
    return pods[0]


def delete_pod(release: Release, template: str, *, at_once: bool = False) -> None:
    """Deletes a pod that runs, and waits until the controller has made another in its place.

    It is asked to end as ``kubectl delete pod`` asks, or gone ``at_once`` as when its node is lost.
    In the first ten seconds of a pod the other one has the same name, later it is a retry.
    """
    metadata = running_pod(release, template)["metadata"]
    words = ("--grace-period=0", "--force") if at_once else ()
    name = metadata["name"]
    release.cluster.kubectl("delete", "pod", name, "-n", release.namespace, "--wait=false", *words)
    node = metadata["annotations"]["workflows.argoproj.io/node-id"]

    def is_replaced() -> bool:
        pods = release.cluster.get("pods", "-n", release.namespace)["items"]
        flows = release.cluster.get("workflows", "-n", release.namespace)["items"]
        retries = [
            one.get("children", [])
            for flow in flows
            for one in flow.get("status", {}).get("nodes", {}).values()
            if one["type"] == "Retry"
        ]
        return any(
            item["metadata"]["name"] == metadata["name"] and item["metadata"]["uid"] != metadata["uid"]
            for item in pods
        ) or any(node in children[:-1] for children in retries)

    wait_until(f"pod {metadata['name']} is replaced", is_replaced, seconds=POD_SECONDS)


@pytest.fixture(scope="module")
def ended(release: Release) -> dict[str, Any]:
    """The sweep after all faults. Each deleted pod was replaced before the next fault."""
    name = release.submit()
    delete_pod(release, "plan")
    delete_pod(release, "evaluate")
    delete_pod(release, "run-checkpoint")
    delete_pod(release, "evaluate", at_once=True)
    delete_pod(release, "run-checkpoint", at_once=True)
    running_pod(release, "evaluate")
    release.cluster.kill_controller()
    release.cluster.start_controller()
    running_pod(release, "evaluate")
    release.cluster.stop_s3()
    time.sleep(DOWN_SECONDS)  # the fault itself: the store is down for a minute
    release.cluster.start_s3()
    delete_pod(release, "publish")
    return release.ended(name)


def test_every_good_pair_has_exactly_one_result(release: Release, ended: dict[str, Any]) -> None:
    assert release.committed() == GOOD


def test_what_is_wrong_for_good_is_tried_once_and_the_sweep_says_so(
    release: Release, ended: dict[str, Any]
) -> None:
    assert ended["status"]["phase"] == "Failed"
    failures = [
        entry.key for entry in release.store("results").list("v1/failures/tiny/") if "step_3" in entry.key
    ]
    documents = [json.loads(release.store("results").read(key)) for key in failures]
    for_good = [(one["benchmark"], one["exit_code"]) for one in documents if one["exit_code"] != 75]
    assert sorted(for_good) == [(benchmark, 3) for benchmark in BENCHMARKS]


def test_the_report_names_it_although_its_pod_was_deleted(release: Release, ended: dict[str, Any]) -> None:
    states = release.coverage()
    assert {states["step_3", benchmark]["state"] for benchmark in BENCHMARKS} == {"failed"}
    assert "NaN or infinite logits" in states["step_3", BENCHMARKS[0]]["reason"]
    assert sum(cell["state"] == "done" for cell in states.values()) == len(GOOD)


def test_no_child_was_made_twice(release: Release, ended: dict[str, Any]) -> None:
    children = release.children(ended["metadata"]["name"])
    checkpoints = [
        item["value"]
        for child in children
        for item in child["spec"]["arguments"]["parameters"]
        if item["name"] == "checkpoint"
    ]
    assert sorted(checkpoints) == ["step_1", "step_2", "step_3"]


def test_what_may_pass_another_time_ended_with_75_and_was_tried_again(
    release: Release, ended: dict[str, Any]
) -> None:
    """The store was away for a minute."""
    flows = (ended, *release.children(ended["metadata"]["name"]))
    codes = {
        node.get("outputs", {}).get("exitCode")
        for flow in flows
        for node in flow["status"]["nodes"].values()
        if node["type"] == "Pod" and node["phase"] == "Failed"
    }
    assert "75" in codes


def test_an_attempt_that_ran_out_of_memory_is_repeated_with_more(
    release: Release, ended: dict[str, Any], made: Path
) -> None:
    """300 MiB do not even hold torch; four times as much do. What failed for good is not tried again."""
    values = release.values()
    release.changes = {
        "pods": values["pods"] | {"evaluate": SMALL_POD | {"memory": "300Mi"}},
        "retries": values["retries"] | {"oomGrowthPercent": 400},
    }
    release.install()
    release.upload("checkpoints/step_4", made / "checkpoints" / "step_4")
    sweep = release.ended(release.submit())
    [child] = release.children(sweep["metadata"]["name"])
    assert child["status"]["phase"] == "Succeeded"
    nodes = child["status"]["nodes"]
    groups = [
        node for node in nodes.values() if node["type"] == "Retry" and node["templateName"] == "evaluate"
    ]
    assert len(groups) == len(BENCHMARKS)
    for group in groups:
        first, second = (nodes[name] for name in group["children"])
        assert "OOMKilled" in first["message"]
        assert (first["phase"], second["phase"]) == ("Failed", "Succeeded")
    assert release.committed() == sorted([*GOOD, *(f"step_4/{benchmark}" for benchmark in BENCHMARKS)])
