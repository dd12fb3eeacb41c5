"""What is sent to a cluster and what is told from its answers, without one."""

import json
from pathlib import Path
from typing import Any

import pytest

from a360.cluster.argo import version_by_locks
from a360.cluster.kinds import NODES, PODS, WORKFLOWS
from a360.cluster.place import Place
from a360.cluster.pods import read_pod
from a360.cluster.probe import inner_checks, probe_document
from a360.cluster.suites import asks_judge
from a360.cluster.sweeps import Submission
from a360.cluster.templates import Installed, SecretUse, Template
from a360.errors import ConfigError
from a360.suite import parse_suite
from tests.cluster_objects import JUDGED_SUITE, SUITE, Document, checkpoint_template, pod, sweep_template
from tests.kubernetes_api import restricted_faults
from tests.rendered import documents


def installed() -> Installed:
    sweep, checkpoint = sweep_template("0.1.0"), checkpoint_template("0.1.0")
    return Installed(
        sweep=Template(name="a360-sweep", version="0.1.0", spec=sweep["spec"]),
        checkpoint=Template(name="a360-checkpoint", version="0.1.0", spec=checkpoint["spec"]),
    )


# --- paths -----------------------------------------------------------------------------------------


def test_paths_are_those_of_the_api() -> None:
    assert WORKFLOWS.path("a360", "s") == "/apis/argoproj.io/v1alpha1/namespaces/a360/workflows/s"
    assert PODS.path("a360", "p", "log") == "/api/v1/namespaces/a360/pods/p/log"
    assert NODES.path("a360") == "/api/v1/nodes"
    assert WORKFLOWS.path("") == "/apis/argoproj.io/v1alpha1/workflows"


def test_a_name_cannot_leave_its_path() -> None:
    assert PODS.path("a360", "../secrets/x") == "/api/v1/namespaces/a360/pods/..%2Fsecrets%2Fx"


# --- a new sweep -----------------------------------------------------------------------------------


def test_a_submission_names_the_installed_template_and_texts_alone() -> None:
    document: Any = Submission(suite="amber", retry_failed=True, priority=5).document("a360")
    assert document["spec"] == {
        "workflowTemplateRef": {"name": "a360-sweep"},
        "arguments": {
            "parameters": [
                {"name": "suite", "value": "amber"},
                {"name": "retry-failed", "value": "true"},
                {"name": "priority", "value": "5"},
            ]
        },
    }
    assert document["metadata"]["labels"]["a360/suite"] == "amber"
    assert document["metadata"]["generateName"] == "amber-"


def test_a_made_name_is_at_most_40_characters() -> None:
    document: Any = Submission(suite="a" * 33 + "-bcdef").document("a360")
    assert len(document["metadata"]["generateName"]) + 5 <= 40
    assert not document["metadata"]["generateName"].endswith("--")


@pytest.mark.parametrize("name", ["ckpt_1", "Amber", "-a", "a-", "a.b", "a" * 41, ""])
def test_a_name_that_children_cannot_extend_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a sweep"):
        Submission(suite="amber", name=name).document("a360")


def test_a_legal_name_is_kept() -> None:
    document: Any = Submission(suite="amber", name="a" * 40).document("a360")
    assert document["metadata"]["name"] == "a" * 40
    assert "generateName" not in document["metadata"]


# --- the version of Argo ---------------------------------------------------------------------------

OLD: Document = {"mutex": {}, "mutexes": {"items": {"properties": {"name": {}}}}}
NEWER: Document = {"mutex": {}, "mutexes": {"items": {"properties": {"name": {}, "database": {}}}}}
NEWEST: Document = {"mutexes": {"items": {"properties": {"name": {}, "database": {}}}}}


def test_a_full_schema_bounds_the_version_and_an_open_one_says_nothing() -> None:
    assert version_by_locks({}) is None
    found = [version_by_locks(locks) for locks in (OLD, NEWER, NEWEST)]
    assert [(version.text, version.too_old) for version in found if version] == [
        ("older than 3.7", True),
        ("3.7", False),
        ("4.0 or newer", False),
    ]


# --- templates -------------------------------------------------------------------------------------


def test_secrets_are_those_that_a_pod_cannot_start_without() -> None:
    both = installed().both()
    assert {use for template in both for use in template.secrets()} == {
        SecretUse(name="a360-s3", key="access-key"),
        SecretUse(name="a360-s3", key="secret-key"),
    }


def chart_as_it_comes() -> Installed:
    sweep, checkpoint = documents()["sweep"], documents()["checkpoint"]
    return Installed(
        sweep=Template(name="a360-sweep", version="0.1.0", spec=sweep["spec"]),
        checkpoint=Template(name="a360-checkpoint", version="0.1.0", spec=checkpoint["spec"]),
    )


def test_the_judges_secret_is_asked_for_where_a_suite_has_a_judge() -> None:
    store = {SecretUse(name="a360-s3", key=key) for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    assert chart_as_it_comes().secrets(judged=False) == store
    judge = SecretUse(name="a360-judge", key="api-key")
    assert chart_as_it_comes().secrets(judged=True) == store | {judge}


def test_a_suite_has_a_judge_where_a_benchmark_of_it_is_judged() -> None:
    judge = JUDGED_SUITE.splitlines()[-1]
    found = [
        asks_judge(parse_suite(text, where="here", base_dir=Path()))
        for text in (SUITE, SUITE + judge, JUDGED_SUITE)
    ]
    assert found == [False, False, True]


def test_accounts_include_those_of_executors() -> None:
    assert installed().checkpoint.accounts() == {"a360-evaluator", "a360-executor"}
    assert installed().sweep.accounts() == {"a360-orchestrator", "a360-publisher"}


def test_gpus_are_what_one_evaluate_pod_asks_for() -> None:
    assert installed().gpus() == {"nvidia.com/gpu": 1}
    found = installed()
    evaluate: Any = found.evaluate()
    limits = evaluate["container"]["resources"]["limits"]
    limits["nvidia.com/mig-1g.10gb"] = limits.pop("nvidia.com/gpu")
    assert found.gpus() == {"nvidia.com/mig-1g.10gb": 1}


# --- the probe's pod -------------------------------------------------------------------------------


def probe() -> Any:
    return probe_document(installed(), "small", timeout_seconds=300)


def test_the_probe_is_like_an_evaluate_pod_and_passes_restricted() -> None:
    spec = probe()["spec"]
    [container] = spec["containers"]
    assert restricted_faults(spec) == []
    assert container["image"].startswith("registry.example.com/a360/evaluator@sha256:")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert spec["serviceAccountName"] == "a360-evaluator"
    assert spec["automountServiceAccountToken"] is False
    assert container["command"][3:] == ["a360", "doctor", "/etc/a360/suites/small.yaml", "--json"]


def test_the_probe_takes_credentials_and_nothing_that_argo_would_fill_in() -> None:
    [container] = probe()["spec"]["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert names == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HOME"]
    assert "{{" not in json.dumps(probe())


def test_the_probe_mounts_what_the_template_mounts_and_no_more() -> None:
    spec = probe()["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["work", "suites"]
    assert [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]] == [
        "/a360/work",
        "/etc/a360/suites",
    ]


def test_the_probe_has_the_labels_of_an_evaluate_pod_but_waits_in_no_queue() -> None:
    chosen = installed()
    labels = chosen.evaluate()["metadata"]["labels"]  # type: ignore[index]
    labels |= {"kueue.x-k8s.io/queue-name": "gpus", "a360/sweep": "{{workflow.name}}"}
    document: Any = probe_document(chosen, "small", timeout_seconds=300)
    assert document["metadata"]["labels"] == {
        "app.kubernetes.io/component": "evaluate",
        "a360/probe": "true",
    }


def test_the_probe_ends_by_itself_where_nobody_is_left_to_delete_it() -> None:
    assert probe()["spec"]["activeDeadlineSeconds"] == 360


def inner(state: str, device: str, *, wants_gpu: bool) -> dict[str, tuple[str, str]]:
    checks = [
        {"name": "device", "state": state, "found": device, "hint": None},
        {"name": "store", "state": "ok", "found": "s3://results: writable", "hint": None},
        {"name": "cache", "state": "fail", "found": "no directory", "hint": "choose another"},
    ]
    log = ["INFO torch: hello", *json.dumps({"failed": 1, "checks": checks}, indent=2).splitlines()]
    found = inner_checks([*log, "bye"], read_pod(pod("p", "w", "probe")), wants_gpu=wants_gpu)
    return {check.name: (check.state, check.found) for check in found}


def test_the_pods_own_doctor_is_read_out_of_its_log() -> None:
    found = inner("ok", "1 x NVIDIA H100", wants_gpu=True)
    assert found == {
        "probe: device": ("ok", "1 x NVIDIA H100"),
        "probe: store": ("ok", "s3://results: writable"),
    }


def test_a_gpu_that_torch_does_not_see_is_a_failure() -> None:
    assert inner("ok", "cpu, 4 threads", wants_gpu=True)["probe: device"][0] == "fail"
    assert inner("ok", "cpu, 4 threads", wants_gpu=False)["probe: device"][0] == "ok"


def test_a_pod_that_says_nothing_has_failed_with_its_last_words() -> None:
    dead = pod("p", "w", "probe", phase="Failed")
    dead["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 1}}
    [check] = inner_checks(["No module named a360", ""], read_pod(dead), wants_gpu=False)
    assert (check.state, check.found) == (
        "fail",
        "a360 doctor ended in the pod with exit code 1: No module named a360",
    )


# --- pods ------------------------------------------------------------------------------------------


def test_a_pod_says_why_it_waits() -> None:
    waiting = pod("p", "w", "evaluate", phase="Pending")
    unschedulable = {
        "reason": "Unschedulable",
        "message": "0/1 nodes",
        "type": "PodScheduled",
        "status": "False",
    }
    waiting["status"]["conditions"] = [unschedulable]
    assert read_pod(waiting).waiting == "Unschedulable: 0/1 nodes"
    pull = {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}
    waiting["status"] = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": pull}]}
    assert read_pod(waiting).waiting == "ErrImagePull: no such host"
    assert not read_pod(waiting).started


def test_options_of_a_cluster_need_one() -> None:
    Place(kubeconfig="anything").require_cluster()
    with pytest.raises(ConfigError, match="--namespace is given without --cluster"):
        Place(namespace="x").require_cluster()
    with pytest.raises(ConfigError, match="--probe is given without --cluster"):
        Place().require_cluster(probe=True)
