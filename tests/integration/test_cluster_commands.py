"""The commands for a cluster against a small API server: what they do, and what they refuse."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import a360.cli.logs
import a360.cluster.follow
import a360.cluster.sweeps
from a360.cluster.access import ACCOUNTS
from a360.cluster.kinds import DEPLOYMENTS, NODES, PODS, WORKFLOWS, Kind
from tests import cluster_objects as objects
from tests.cluster_objects import item, plan_node
from tests.cluster_scenarios import SCENARIOS, STILL_SCENARIOS, Cluster, assert_refused, call_a360
from tests.kubernetes_api import ARGO, KUEUE, KubernetesApi, kubernetes_api

pytestmark = pytest.mark.integration

LOCAL_QUEUES = Kind(plural="localqueues", group="kueue.x-k8s.io", version="v1beta1")
TWO = "0:0,1+2"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """An empty cluster with Argo 4.0 and what the chart's accounts may do."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(a360.cluster.sweeps, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(a360.cli.logs, "LOOK_SECONDS", 0.0)
    with kubernetes_api() as api:
        api.accounts = {account: {str(right) for right in rights} for account, rights in ACCOUNTS.items()}
        yield api


@pytest.fixture
def empty(api: KubernetesApi, tmp_path: Path) -> Cluster:
    """A cluster in which the chart is not installed."""
    path = api.write_kubeconfig(tmp_path / "kubeconfig")
    return Cluster(kubeconfig=path, namespace="a360", suite="small")


@pytest.fixture
def cluster(empty: Cluster) -> Cluster:
    """A cluster in which the chart is installed."""
    for kind, document in objects.installed_objects():
        empty.connection().create(kind, document)
    return empty


@pytest.mark.parametrize("scenario", [*SCENARIOS, *STILL_SCENARIOS], ids=lambda scenario: scenario.__name__)
def test_a_scenario_of_every_cluster(cluster: Cluster, scenario: Callable[[Cluster], None]) -> None:
    scenario(cluster)


# --- what submit finds before a pod is made --------------------------------------------------------


def lose(resource: str, name: str) -> Callable[[KubernetesApi], object]:
    return lambda api: api.objects.pop((resource, "a360", name))


def change(resource: str, name: str, edit: Callable[[Any], object]) -> Callable[[KubernetesApi], object]:
    return lambda api: edit(api.objects[(resource, "a360", name)])


def forbid(*words: str) -> Callable[[KubernetesApi], object]:
    return lambda api: api.forbidden.update(words)


def controller(tag: str) -> objects.Document:
    container = {"image": f"quay.example.com/argoproj/workflow-controller:{tag}", "name": "c"}
    deployment = objects.core("Deployment", "workflow-controller", "apps/v1")
    return {**deployment, "spec": {"template": {"spec": {"containers": [container]}}}}


def with_controller(tag: str) -> Callable[[KubernetesApi], object]:
    def install(api: KubernetesApi) -> None:
        document = controller(tag)
        document["metadata"]["namespace"] = "argo"
        api.objects[("deployments.apps", "argo", "workflow-controller")] = document

    return install


def with_locks(*fields: str) -> Callable[[KubernetesApi], object]:
    def publish(api: KubernetesApi) -> None:
        locks: objects.Document = {
            "mutexes": {"items": {"properties": {field: {} for field in fields}}},
            "mutex": {},
        }
        spec = {"properties": {"synchronization": {"properties": locks}}}
        api.schema = {"properties": {"spec": spec}}

    return publish


def waiting_in(queue: str) -> Callable[[KubernetesApi], object]:
    def label(api: KubernetesApi) -> None:
        template = api.objects[("workflowtemplates.argoproj.io", "a360", objects.CHECKPOINT_TEMPLATE)]
        template["spec"]["templates"][1]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = queue

    return label


def both(*changes: Callable[[KubernetesApi], object]) -> Callable[[KubernetesApi], object]:
    return lambda api: [each(api) for each in changes]


SWEEP, CHECKPOINT = ("workflowtemplates.argoproj.io", "a360-sweep"), objects.CHECKPOINT_TEMPLATE
TOKEN_SECRET = "a360-executor.service-account-token"

MISSING: dict[str, tuple[Callable[[KubernetesApi], object], tuple[str, ...]]] = {
    "no-argo": (lambda api: api.absent.add(ARGO), ("workflows.argoproj.io", "install Argo Workflows")),
    "argo-too-old-by-its-image": (with_controller("v3.6.19"), ("3.6.19", "namespace argo", "3.7 or newer")),
    "argo-too-old-by-its-schema": (with_locks("name"), ("older than 3.7", "3.7 or newer")),
    "no-template": (lose(*SWEEP), ("'a360-sweep'", "namespace a360", "helm install")),
    "no-checkpoint-template": (lose(SWEEP[0], CHECKPOINT), (CHECKPOINT, "checkpoint-template of a360-sweep")),
    "another-version": (
        change(*SWEEP, lambda doc: doc["metadata"]["labels"].update({"app.kubernetes.io/version": "0.0.9"})),
        ("0.0.9", "this a360 is ", "helm upgrade"),
    ),
    "no-version": (
        change(*SWEEP, lambda doc: doc["metadata"].update(labels={})),
        ("unknown", "helm upgrade"),
    ),
    "no-suites": (lose("configmaps", "a360-suites"), ("no ConfigMap a360-suites", "namespace a360")),
    "a-suite-that-is-not-valid": (
        change("configmaps", "a360-suites", lambda doc: doc["data"].update({"small.yaml": "name: small"})),
        ("suite is not valid", "ConfigMap a360-suites", "model"),
    ),
    "no-secret": (lose("secrets", "a360-s3"), ("no Secret a360-s3", "namespace a360")),
    "no-key-in-a-secret": (
        change("secrets", "a360-s3", lambda doc: doc["data"].pop("secret-key")),
        ("Secret a360-s3 has no key secret-key, found access-key",),
    ),
    "no-key-for-the-judge-of-a-suite": (
        change(
            "configmaps", "a360-suites", lambda doc: doc["data"].update({"small.yaml": objects.JUDGED_SUITE})
        ),
        ("no Secret a360-judge", "namespace a360"),
    ),
    "no-executor-token": (lose("secrets", TOKEN_SECRET), (f"no Secret {TOKEN_SECRET}", "token")),
    "an-executor-token-that-is-not-filled": (
        change("secrets", TOKEN_SECRET, lambda doc: doc.pop("data")),
        (f"Secret {TOKEN_SECRET} has no key token, found none",),
    ),
    "no-account": (lose("serviceaccounts", "a360-publisher"), ("no ServiceAccount a360-publisher",)),
    "no-kueue": (waiting_in("gpus"), ("no Kueue", "queue gpus")),
    "no-queue": (both(waiting_in("gpus"), lambda api: api.absent.discard(KUEUE)), ("no LocalQueue gpus",)),
    "not-allowed-to-create": (
        forbid("create workflows.argoproj.io"),
        ("not allowed in namespace a360: create workflows.argoproj.io", "RoleBinding"),
    ),
    "not-allowed-to-read-suites": (forbid("get configmaps"), ("get configmaps",)),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_found_before_anything_is_made(
    cluster: Cluster, api: KubernetesApi, name: str
) -> None:
    spoil, said = MISSING[name]
    spoil(api)
    assert_refused(cluster.a360("submit", "small"), *said)
    assert api.made("workflows.argoproj.io") == []


@pytest.mark.parametrize("name", MISSING)
def test_doctor_finds_the_same(cluster: Cluster, api: KubernetesApi, name: str) -> None:
    spoil, said = MISSING[name]
    spoil(api)
    ended = cluster.a360("doctor", "--cluster", "--json")
    assert ended.code == 2
    failed = [check for check in ended.document["checks"] if check["state"] == "fail"]
    words = " ".join(f"{check['found']} {check['hint']}" for check in failed)
    for part in said:
        assert part in words


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (forbid("get secrets"), "secrets"),
        (forbid("get serviceaccounts"), "service accounts"),
        (forbid("list deployments.apps"), "the version cannot be read"),
    ],
)
def test_what_may_not_be_looked_at_is_a_warning(
    cluster: Cluster, api: KubernetesApi, spoil: Callable[[KubernetesApi], object], said: str
) -> None:
    spoil(api)
    ended = cluster.a360("submit", "small")
    assert ended.code == 0
    assert said in ended.err
    assert len(api.made("workflows.argoproj.io")) == 1


@pytest.mark.parametrize("tag", ["v3.7.0", "v4.0.2", "4.1"])
def test_a_version_that_fits_is_told_by_the_image(cluster: Cluster, api: KubernetesApi, tag: str) -> None:
    with_controller(tag)(api)
    told = cluster.a360("doctor", "--cluster").out
    assert f"Argo Workflows {tag.removeprefix('v')} by the controller's image" in told


def test_the_image_is_looked_for_in_the_own_namespace_where_others_are_closed(
    cluster: Cluster, api: KubernetesApi
) -> None:
    cluster.connection().create(DEPLOYMENTS, controller("v3.6.0"))
    api.forbidden.add("list deployments.apps everywhere")
    assert_refused(cluster.a360("submit", "small"), "3.6.0", "namespace a360")


def test_the_controller_of_the_own_namespace_counts_and_else_the_oldest(
    cluster: Cluster, api: KubernetesApi
) -> None:
    for namespace, tag in (("team", "v3.6.0"), ("argo", "v4.0.2")):
        document = controller(tag)
        document["metadata"]["namespace"] = namespace
        api.objects[("deployments.apps", namespace, "workflow-controller")] = document
    assert_refused(cluster.a360("submit", "small"), "3.6.0", "namespace team, the oldest of 2 controllers")
    cluster.connection().create(DEPLOYMENTS, controller("v4.0.2"))
    assert "Argo Workflows 4.0.2" in cluster.a360("doctor", "--cluster").out


def test_a_queue_that_is_there_is_fine(cluster: Cluster, api: KubernetesApi) -> None:
    both(waiting_in("gpus"), lambda api: api.absent.discard(KUEUE))(api)
    queue = objects.core("LocalQueue", "gpus", "kueue.x-k8s.io/v1beta1")
    cluster.connection().create(LOCAL_QUEUES, queue)
    assert cluster.a360("submit", "small").code == 0


def test_a_sweep_that_still_runs_is_told_of(cluster: Cluster) -> None:
    cluster.connection().create(WORKFLOWS, objects.sweep("first"))
    ended = cluster.a360("submit", "small")
    assert ended.code == 0
    assert "sweep first of this suite is still running" in ended.err


def test_a_sweep_that_cron_started_is_one_of_the_suite(cluster: Cluster) -> None:
    document = objects.sweep("by-cron", phase="Succeeded")
    document["metadata"]["labels"] = {"workflows.argoproj.io/cron-workflow": "a360-small"}
    cluster.connection().create(WORKFLOWS, document)
    assert cluster.a360("watch", "small", "--json").document["sweep"] == "by-cron"


def test_the_newest_sweep_is_the_one_that_was_created_last(cluster: Cluster) -> None:
    for name in ("b", "a"):
        cluster.connection().create(WORKFLOWS, objects.sweep(name, phase="Succeeded"))
    assert cluster.a360("watch", "small", "--json").document["sweep"] == "a"


# --- watch -----------------------------------------------------------------------------------------


def planned(phase: str, *nodes: tuple[str, objects.Document], **more: Any) -> objects.Document:
    items = [item("s-a", "ckpt_1", TWO), item("s-b", "ckpt_2", TWO)]
    return objects.sweep("s", phase=phase, nodes=[plan_node(items), *nodes], **more)


def test_watching_a_sweep_that_succeeds_ends_with_0(cluster: Cluster) -> None:
    cluster.connection().create(WORKFLOWS, planned("Succeeded"))
    ended = cluster.a360("watch", "s", "--json")
    assert ended.code == 0
    assert (ended.document["pairs"], ended.document["counts"]) == (6, {"done": 6})


def test_watching_a_sweep_with_missing_pairs_ends_with_3(cluster: Cluster) -> None:
    connection = cluster.connection()
    connection.create(WORKFLOWS, planned("Failed", message="child 's-b' failed"))
    connection.create(WORKFLOWS, objects.child("s", "s-a", "ckpt_1", TWO, "Succeeded"))
    connection.create(WORKFLOWS, objects.child("s", "s-b", "ckpt_2", TWO, "Failed", message="exit code 3"))
    ended = cluster.a360("watch", "s")
    assert ended.code == 3
    assert "3 of 6 pairs are not done" in ended.err
    assert "child 's-b' failed" in ended.err
    assert "[3/6 pairs] failed: ckpt_2" in ended.err
    assert "exit code 3" in ended.out


def test_watching_goes_on_until_the_sweep_ends(cluster: Cluster, api: KubernetesApi) -> None:
    connection = cluster.connection()
    connection.create(WORKFLOWS, planned("Running"))
    connection.create(WORKFLOWS, objects.child("s", "s-a", "ckpt_1", TWO))
    progresses = []
    follow = a360.cluster.follow.follow_sweep(
        connection,
        "s",
        interval_seconds=0,
        pause=lambda _: api.objects[("workflows.argoproj.io", "a360", "s")]["status"].update(
            phase="Succeeded"
        ),
    )
    for progress in follow:
        progresses.append((progress.sweep.phase, progress.checkpoints[0].state))
    assert progresses == [("Running", "running"), ("Succeeded", "running")]


def test_an_api_server_that_restarts_does_not_end_the_watching(cluster: Cluster, api: KubernetesApi) -> None:
    cluster.connection().create(WORKFLOWS, planned("Succeeded"))
    api.failing = []
    follow = a360.cluster.follow.follow_sweep(
        cluster.connection(), "s", interval_seconds=0, pause=lambda _: None
    )
    api.failing = [503, 500, 429]
    assert [progress.sweep.phase for progress in follow] == ["Succeeded"]


def test_an_api_server_that_stays_away_ends_it_with_75(
    cluster: Cluster, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.connection().create(WORKFLOWS, planned("Running"))
    monkeypatch.setattr(a360.cluster.follow, "PATIENCE", 2)
    api.failing = [503] * 2
    ended = cluster.a360("watch", "s", "--interval", "0.1")
    assert ended.code == 75  # the first look at the name is not patient


def test_a_sweep_that_was_stopped_says_so(cluster: Cluster) -> None:
    cluster.connection().create(WORKFLOWS, planned("Failed", shutdown="Stop"))
    ended = cluster.a360("watch", "s")
    assert ended.code == 3
    assert "sweep s was stopped" in ended.err


# --- stop ------------------------------------------------------------------------------------------


def test_a_child_that_appears_while_a_sweep_is_stopped_is_stopped_too(
    cluster: Cluster, api: KubernetesApi
) -> None:
    connection = cluster.connection()
    connection.create(WORKFLOWS, objects.sweep("s"))
    late = iter([objects.child("s", "s-late", "ckpt_1", TWO)])

    def pause(_: float) -> None:
        for document in late:
            connection.create(WORKFLOWS, document)

    sweep = a360.cluster.sweeps.find_sweep(connection, "s")
    stopped = a360.cluster.sweeps.stop_sweep(connection, sweep, terminate=False, pause=pause)
    assert stopped == ["s", "s-late"]


def test_the_children_of_a_sweep_that_has_ended_are_stopped_as_well(cluster: Cluster) -> None:
    cluster.connection().create(WORKFLOWS, objects.sweep("s", phase="Error"))
    cluster.connection().create(WORKFLOWS, objects.child("s", "s-a", "ckpt_1", TWO))
    assert cluster.a360("stop", "s", "--json").document["stopped"] == ["s-a"]
    assert "runs no more: Error" in cluster.a360("stop", "s").out


def test_a_workflow_of_one_checkpoint_is_no_sweep(cluster: Cluster) -> None:
    cluster.connection().create(WORKFLOWS, objects.child("s", "s-a", "ckpt_1", TWO))
    assert_refused(cluster.a360("stop", "s-a"), "'s-a'", "part of sweep s")


def test_stopping_without_permission_names_the_verb(cluster: Cluster, api: KubernetesApi) -> None:
    cluster.connection().create(WORKFLOWS, objects.sweep("s"))
    api.forbidden.add("patch workflows.argoproj.io")
    said = "not allowed to patch workflows.argoproj.io s in namespace a360 as tester"
    assert_refused(cluster.a360("stop", "s"), said, "ask for the verb patch on workflows.argoproj.io")


# --- logs ------------------------------------------------------------------------------------------


@pytest.fixture
def logged(cluster: Cluster, api: KubernetesApi) -> Cluster:
    """A sweep whose pods have written something."""
    connection = cluster.connection()
    connection.create(WORKFLOWS, objects.sweep("s"))
    connection.create(WORKFLOWS, objects.child("s", "s-a", "ckpt_1", TWO))
    connection.create(WORKFLOWS, objects.child("s", "s-b", "ckpt_2", TWO))
    for name, *rest in (
        ("p-plan", "s", "plan", ""),
        ("p-1", "s-a", "evaluate", "benchmarks:boolq,grade:none,group:0"),
        ("p-2", "s-a", "evaluate", "benchmarks:arc-easy+piqa,grade:none,group:1"),
        ("p-3", "s-b", "evaluate", "benchmarks:boolq,grade:none,group:0"),
    ):
        connection.create(PODS, objects.pod(name, *rest))
        api.logs[name] = [f"{name} starts", f"{name} ends"]
    connection.create(PODS, objects.pod("p-4", "s-b", "evaluate", "benchmarks:piqa", phase="Pending"))
    connection.create(PODS, objects.pod("p-5", "of-somebody-else", "evaluate"))
    return cluster


def test_logs_of_a_sweep_are_marked_by_pair(logged: Cluster) -> None:
    assert logged.a360("logs", "s").out.splitlines() == [
        "plan: p-plan starts",
        "plan: p-plan ends",
        "ckpt_1/boolq: p-1 starts",
        "ckpt_1/boolq: p-1 ends",
        "ckpt_1/arc-easy+piqa: p-2 starts",
        "ckpt_1/arc-easy+piqa: p-2 ends",
        "ckpt_2/boolq: p-3 starts",
        "ckpt_2/boolq: p-3 ends",
    ]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (("--pair", "ckpt_1/boolq"), ["p-1 starts", "p-1 ends"]),
        (("--pair", "ckpt_1/piqa", "--tail", "1"), ["p-2 ends"]),
        (("--pair", "ckpt_2"), ["p-3 starts", "p-3 ends"]),
        (("--stage", "plan"), ["p-plan starts", "p-plan ends"]),
    ],
)
def test_logs_are_of_what_was_asked_for(logged: Cluster, words: tuple[str, ...], lines: list[str]) -> None:
    assert logged.a360("logs", "s", *words).out.splitlines() == lines


def test_logs_that_are_not_there_are_named(logged: Cluster) -> None:
    assert_refused(logged.a360("logs", "s", "--stage", "publish"), "no pod of sweep s", "namespace a360")
    assert_refused(logged.a360("logs", "s", "--pair", "ckpt_9"), "'ckpt_9'")
    ended = logged.a360("logs", "s", "--stage", "nonsense")
    assert ended.code == 2
    assert "plan, evaluate, grade, publish" in ended.err


def test_following_ends_when_the_sweep_does_and_misses_no_pod(logged: Cluster, api: KubernetesApi) -> None:
    key = ("workflows.argoproj.io", "a360", "s")
    api.objects[key]["status"]["phase"] = "Succeeded"
    told = logged.a360("logs", "s", "--follow").out.splitlines()
    assert sorted(told) == sorted(logged.a360("logs", "s").out.splitlines())


# --- doctor ----------------------------------------------------------------------------------------


def checks_of(cluster: Cluster, *words: str) -> dict[str, dict[str, str]]:
    ended = cluster.a360("doctor", "--cluster", "--json", *words)
    return {check["name"]: check for check in ended.document["checks"]}


def gpu_node(count: int) -> objects.Document:
    return {**objects.core("Node", f"n{count}"), "status": {"allocatable": {"nvidia.com/gpu": str(count)}}}


def test_gpus_are_counted_and_none_is_a_warning(cluster: Cluster, api: KubernetesApi) -> None:
    gpu = checks_of(cluster)["gpu"]
    assert gpu["state"] == "warn"
    assert "0 allocatable nvidia.com/gpu" in gpu["found"]
    assert "on demand" in gpu["hint"]
    for count in (2, 6):
        cluster.connection().create(NODES, gpu_node(count))
    gpu = checks_of(cluster)["gpu"]
    assert (gpu["state"], gpu["found"]) == ("ok", "8 allocatable nvidia.com/gpu, 1 a pod")
    api.forbidden.add("list nodes")
    gpu = checks_of(cluster)["gpu"]
    assert gpu["state"] == "warn"
    assert "not allowed to list nodes in the whole cluster" in gpu["found"]
    assert "ClusterRole" in gpu["hint"]


def test_an_account_that_may_too_little_or_too_much_is_found(cluster: Cluster, api: KubernetesApi) -> None:
    api.accounts["a360-executor"].remove("patch workflowtaskresults.argoproj.io")
    api.accounts["a360-evaluator"].add("get secrets")
    checks = checks_of(cluster)
    assert checks["rbac executor"]["state"] == "fail"
    assert "may not patch workflowtaskresults.argoproj.io" in checks["rbac executor"]["found"]
    assert checks["rbac evaluator"]["state"] == "fail"
    assert "may get secrets, which is too much" in checks["rbac evaluator"]["found"]
    assert checks["rbac grader"]["state"] == "ok"


def test_accounts_that_may_not_be_asked_about_are_a_warning(cluster: Cluster, api: KubernetesApi) -> None:
    api.forbidden.add("create localsubjectaccessreviews.authorization.k8s.io")
    assert checks_of(cluster)["rbac executor"]["state"] == "warn"


def test_a_cluster_without_the_chart_is_told_in_one_line(empty: Cluster) -> None:
    checks = checks_of(empty)
    assert checks["templates"]["state"] == "fail"
    assert "secrets" not in checks


# --- doctor --probe --------------------------------------------------------------------------------

INNER = {
    "failed": 0,
    "checks": [
        {"name": "device", "state": "ok", "found": "1 x NVIDIA H100", "hint": None},
        {"name": "store", "state": "ok", "found": "s3://results: writable", "hint": None},
    ],
}


def kubelet(api: KubernetesApi, *statuses: objects.Document) -> None:
    """Gives each pod these statuses one after the other, and the log of a healthy doctor."""
    rest = list(statuses)

    def next_status(pod: objects.Document) -> objects.Document:
        api.logs[pod["metadata"]["name"]] = json.dumps(INNER, indent=2).splitlines()
        return rest.pop(0) if len(rest) > 1 else rest[0]

    api.statuses = next_status


def main_container(state: objects.Document, phase: str) -> objects.Document:
    return {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]}


DONE = main_container({"terminated": {"exitCode": 0}}, "Succeeded")
PULLING = main_container({"waiting": {"reason": "ErrImagePull", "message": "no such host"}}, "Pending")


def test_the_probe_tells_of_image_gpu_and_store_and_leaves_nothing(
    cluster: Cluster, api: KubernetesApi
) -> None:
    kubelet(api, DONE)
    checks = checks_of(cluster, "--probe")
    assert checks["probe: pod"]["state"] == "ok"
    assert "pulled and started" in checks["probe: pod"]["found"]
    assert checks["probe: device"]["found"] == "1 x NVIDIA H100"
    assert checks["probe: store"]["state"] == "ok"
    assert len(api.made("pods")) == 1
    assert api.all("pods") == []


def test_an_image_that_cannot_be_pulled_is_told_in_the_clusters_words(
    cluster: Cluster, api: KubernetesApi
) -> None:
    kubelet(api, PULLING)
    checks = checks_of(cluster, "--probe", "--timeout", "1")
    assert checks["probe: pod"]["state"] == "fail"
    assert "ErrImagePull: no such host" in checks["probe: pod"]["found"]
    assert "imagePullSecrets" in checks["probe: pod"]["hint"]
    assert api.all("pods") == []


def test_a_pod_that_can_never_start_is_not_waited_for(cluster: Cluster, api: KubernetesApi) -> None:
    reason = {"reason": "CreateContainerConfigError", "message": "secret not found"}
    kubelet(api, main_container({"waiting": reason}, "Pending"))
    found = checks_of(cluster, "--probe", "--timeout", "600")["probe: pod"]["found"]
    assert "secret not found" in found
    assert api.all("pods") == []


def test_a_pod_that_pod_security_forbids_is_told_of(cluster: Cluster, api: KubernetesApi) -> None:
    template = api.objects[("workflowtemplates.argoproj.io", "a360", CHECKPOINT)]
    del template["spec"]["securityContext"]
    check = checks_of(cluster, "--probe")["probe: pod"]
    assert check["state"] == "fail"
    assert "PodSecurity" in check["found"]
    assert "Pod Security level of namespace a360" in check["hint"]


def test_a_probe_deletes_what_a_killed_one_left(cluster: Cluster, api: KubernetesApi) -> None:
    left = objects.pod("left-over", "", "probe", phase="Succeeded")
    left["metadata"]["labels"] = {"a360/probe": "true"}
    cluster.connection().create(PODS, left)
    kubelet(api, DONE)
    checks_of(cluster, "--probe")
    assert api.all("pods") == []


def test_a_probe_without_permission_names_the_verb(cluster: Cluster, api: KubernetesApi) -> None:
    api.forbidden.add("delete pods")
    assert "delete pods" in checks_of(cluster, "--probe")["probe"]["found"]
    assert api.made("pods") == []


# --- the connection --------------------------------------------------------------------------------


def test_long_lists_come_in_pages(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a360.cluster.connection.PAGE_SIZE", 2)
    for name in "abcde":
        cluster.connection().create(WORKFLOWS, objects.sweep(name))
    assert len(cluster.connection().list(WORKFLOWS)) == 5


def test_a_cluster_that_does_not_answer_ends_with_75(
    cluster: Cluster, api: KubernetesApi, tmp_path: Path
) -> None:
    api.url = "http://127.0.0.1:9"
    path = api.write_kubeconfig(tmp_path / "away")
    ended = call_a360("submit", "small", "--kubeconfig", str(path))
    assert ended.code == 75
    assert "no answer from the cluster at http://127.0.0.1:9" in ended.err
    assert "Traceback" not in ended.err


def test_a_token_that_does_not_fit_ends_with_2(cluster: Cluster, api: KubernetesApi, tmp_path: Path) -> None:
    path = api.write_kubeconfig(tmp_path / "expired", token="old")
    assert_refused(call_a360("submit", "small", "--kubeconfig", str(path)), "Unauthorized", "log in")


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = call_a360("watch", "x", "--kubeconfig", str(tmp_path / "nowhere"))
    assert_refused(ended, str(tmp_path / "nowhere"), "--kubeconfig")


def test_the_namespace_is_the_contexts_and_an_option_wins(
    cluster: Cluster, api: KubernetesApi, tmp_path: Path
) -> None:
    path = str(api.write_kubeconfig(tmp_path / "k", namespace="elsewhere"))
    assert "namespace elsewhere" in call_a360("watch", "x", "--kubeconfig", path).err
    assert "namespace a360" in call_a360("watch", "x", "--kubeconfig", path, "-n", "a360").err
    path = str(api.write_kubeconfig(tmp_path / "k", namespace=None))
    assert "namespace default" in call_a360("watch", "x", "--kubeconfig", path).err


def test_the_environment_names_a_kubeconfig(
    cluster: Cluster, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    assert "no suite with sweeps" in call_a360("watch", "x").err


@pytest.mark.parametrize("words", [("status", "demo", "-n", "x"), ("doctor", "--probe")])
def test_an_option_for_a_cluster_without_one_is_refused(words: tuple[str, ...]) -> None:
    assert_refused(call_a360(*words), "is given without --cluster")
