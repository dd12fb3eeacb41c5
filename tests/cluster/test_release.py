"""The chart on a real API server with Argo: upgrade under a running sweep, uninstall, a360's commands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.cluster.cluster import Cluster
from tests.cluster.layout import CHECKOUT
from tests.cluster.processes import NotReadyError, wait_until
from tests.cluster.release import SUITE, Release
from tests.cluster_scenarios import SCENARIOS, STILL_SCENARIOS
from tests.cluster_scenarios import Cluster as Place
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def release(cluster: Cluster, tmp_path: Path) -> Iterator[Release]:
    write_mirror(tmp_path / "mirror", split_documents(read_documents())[1])
    for step in (1, 2):
        write_checkpoint(tmp_path / "checkpoints" / f"step_{step}", seed=step)
    release = Release(cluster, cluster.create_namespace(), cluster.s3.create_bucket(), ["demo-copa"])
    release.upload("mirror", tmp_path / "mirror")
    release.upload("checkpoints", tmp_path / "checkpoints")
    release.install()
    yield release
    cluster.delete_namespace(release.namespace)


def templates(release: Release) -> set[str]:
    found = release.cluster.get("workflowtemplates", "-n", release.namespace)["items"]
    return {item["metadata"]["name"] for item in found if "checkpoint" in item["metadata"]["name"]}


def child_templates(release: Release, sweep: str) -> set[str]:
    return {child["spec"]["workflowTemplateRef"]["name"] for child in release.children(sweep)}


def remaining(release: Release) -> set[str]:
    """Everything in the namespace but the traces of workflows that ran, as ``kind/name``."""
    kinds = release.cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    ran = {
        "workflows",
        "workflowtaskresults",
        "workflowtasksets",
        "workflowartifactgctasks",
        "pods",
        "events",
    }
    wanted = ",".join(kind for kind in kinds if kind.partition(".")[0] not in ran)
    return set(release.cluster.kubectl("get", wanted, "-n", release.namespace, "-o", "name").split())


def test_an_upgrade_changes_no_running_sweep_and_uninstall_leaves_results_alone(release: Release) -> None:
    """The upgrade has another suite under the same name, other settings, and images that are nowhere."""
    before = templates(release)
    sweep = release.submit()
    wait_until("a child runs", lambda: bool(release.children(sweep)), seconds=300)
    image = {"repository": "a360.test/nowhere", "digest": "", "tag": "1"}
    release.benchmarks = ["demo-boolq"]
    release.changes = {
        "images": {name: image for name in ("evaluator", "light", "sandbox")},
        "lifetimes": {"checkpointSeconds": 4000},
        "schedules": {"suites": [{"suite": SUITE, "sweep": ["0 0 1 1 *"], "publish": ["0 0 1 1 *"]}]},
        "priorityClass": {"create": True},
        "monitoring": {"dashboard": {"create": True}},
    }
    release.install()
    assert len(templates(release)) == 2
    assert before < templates(release)
    ended = release.ended(sweep)
    assert ended["status"]["phase"] == "Succeeded"
    assert child_templates(release, sweep) == before
    assert release.committed() == ["step_1/demo-copa", "step_2/demo-copa"]

    kept = {"configmap/kube-root-ca.crt", "serviceaccount/default", "secret/a360-s3"}
    assert kept < remaining(release)
    assert "a360" in release.cluster.kubectl("get", "priorityclasses", "-o", "name")
    release.cluster.helm("uninstall", "a360", "--namespace", release.namespace, "--wait")
    assert remaining(release) == kept
    assert "a360" not in release.cluster.kubectl("get", "priorityclasses", "-o", "name")
    assert release.committed() == ["step_1/demo-copa", "step_2/demo-copa"]


def test_the_doctor_looks_from_inside_by_helm_and_by_a_pod_like_those_that_evaluate(release: Release) -> None:
    told = release.cluster.helm("test", "a360", "--namespace", release.namespace)
    assert "Succeeded" in told
    place = Place(kubeconfig=release.cluster.kubeconfig, namespace=release.namespace, suite=SUITE)
    found = place.a360("doctor", SUITE, "--cluster", "--probe", "--json")
    assert found.code == 0, found
    states = {check["name"]: check["state"] for check in found.document["checks"]}
    assert "fail" not in states.values()
    inside = {"pod", "packages", "device", "store", "checkpoints", "data"}
    assert {name for name in states if name.startswith("probe")} == {f"probe: {name}" for name in inside}
    assert release.cluster.get("pods", "-n", release.namespace)["items"] == []


def test_commands_do_here_what_they_do_on_the_stand_in_of_an_api_server(
    release: Release, subtests: pytest.Subtests
) -> None:
    place = Place(kubeconfig=release.cluster.kubeconfig, namespace=release.namespace, suite=SUITE)
    for scenario in SCENARIOS:
        with subtests.test(scenario=scenario.__name__):
            scenario(place)
    release.cluster.kill_controller()
    try:
        for scenario in STILL_SCENARIOS:
            with subtests.test(scenario=scenario.__name__):
                scenario(place)
    finally:
        release.cluster.start_controller()


def test_a_person_submits_watches_and_reads_logs(release: Release, tmp_path: Path) -> None:
    place = Place(kubeconfig=release.cluster.kubeconfig, namespace=release.namespace, suite=SUITE)
    sweep: dict[str, Any] = place.a360("submit", SUITE, "--json").document
    watched = place.a360("watch", sweep["sweep"], "--interval", "1")
    assert watched.code == 0, watched.err
    told = [line.partition(" (")[0] for line in watched.err.splitlines()]
    assert told == ["[1/2 pairs] done: step_1", "[2/2 pairs] done: step_2"]
    assert f"sweep {sweep['sweep']} of suite {SUITE}: succeeded, 2 of 2 pairs done" in watched.out
    assert release.committed() == ["step_1/demo-copa", "step_2/demo-copa"]


def test_a_sweep_that_is_stopped_takes_its_children_along(release: Release) -> None:
    place = Place(kubeconfig=release.cluster.kubeconfig, namespace=release.namespace, suite=SUITE)
    sweep = release.submit()
    wait_until("a child runs", lambda: bool(release.children(sweep)), seconds=300)
    assert place.a360("stop", sweep).code == 0
    assert release.ended(sweep)["status"]["phase"] == "Failed"
    for child in release.children(sweep):
        assert release.ended(child["metadata"]["name"])["status"]["phase"] == "Failed"
    again = place.a360("retry", sweep, "--json").document
    assert release.ended(again["sweep"])["status"]["phase"] == "Succeeded"
    assert release.committed() == ["step_1/demo-copa", "step_2/demo-copa"]


def test_a_suite_or_secret_that_is_missing_is_found_before_a_pod(release: Release) -> None:
    place = Place(kubeconfig=release.cluster.kubeconfig, namespace=release.namespace, suite=SUITE)
    refused = place.a360("submit", "nowhere")
    assert refused.code == 2
    assert SUITE in refused.err
    release.cluster.kubectl("delete", "secret", "a360-s3", "-n", release.namespace)
    refused = place.a360("submit", SUITE)
    assert refused.code == 2
    assert "a360-s3" in refused.err
    assert release.cluster.get("pods", "-n", release.namespace)["items"] == []
    with pytest.raises(NotReadyError, match="a360-s3"):
        release.helm("upgrade", "a360", CHECKOUT / "helm" / "a360", "--values", "-")
