"""Every setting reaches the documents, and what cannot work is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.rendered import FULL, LEAN, documents, environment, template, templates
from workflows.pods import base_labels
from workflows.publish import publish_template
from workflows.settings import Settings
from workflows.spec import plain_document


def patch(name: str, variant: str, document: str = "checkpoint") -> str:
    return str(template(document, name, variant)["podSpecPatch"])


def test_settings_are_frozen_and_refuse_unknown_names() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().parallelism = 3
    with pytest.raises(ValidationError, match="paralellism"):
        Settings.model_validate({"paralellism": 3})
    with pytest.raises(ValidationError, match=r"accelerator\.gpus"):
        Settings.model_validate({"accelerator": {"gpus": 3}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": {"evaluator": "evaluator"}},
        {"images": {"evaluator": "evaluator@sha256:12"}},
        {"pods": {"plan": {"cpu": "1", "memory": "2G", "deadline_seconds": 1}}},
        {"pods": {"plan": {"cpu": "one", "memory": "2Gi", "deadline_seconds": 1}}},
        {"pods": {"plan": {"cpu": "1", "memory": "2Gi", "deadline_seconds": 0}}},
        {"cache": {"kind": "claim"}},
        {"cache": {"kind": "emptyDir", "claim": "weights"}},
        {"cache": {"kind": "hostPath"}},
        {"accelerator": {"resource": "gpu"}},
        {"accelerator": {"count": -1}},
        {"schedules": {"suites": [{"suite": "Amber"}]}},
        {"schedules": {"suites": [{"suite": "a", "sweep": ["hourly"]}]}},
        {"retries": {"oom_growth_percent": 90}},
        {"parallelism": 0},
        {"parallelism": "{{workflow.parameters.width}}"},
        {"user_id": 0},
        {"progress": "none"},
        {"version": "latest"},
        {"labels": {"team": "a b"}},
        {"lifetimes": {"checkpoint_seconds": 259200}},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_images_and_how_they_are_pulled() -> None:
    container = template("checkpoint", "evaluate", "full")["container"]
    assert container["image"] == FULL.images.evaluator
    assert container["imagePullPolicy"] == "Always"
    for name in ("checkpoint", "sweep", "publish", "mirror"):
        spec = documents("full")[name]["spec"]
        assert spec["imagePullSecrets"] == [{"name": "pull-1"}, {"name": "pull-2"}]
        assert "imagePullSecrets" not in documents()[name]["spec"]


def test_a_tag_stands_for_the_digest_where_there_is_none() -> None:
    settings = Settings.model_validate({"images": {"evaluator": "reg.example.com/evaluator:1.0"}})
    assert settings.images.evaluator.endswith(":1.0")


def test_the_device_its_number_and_the_shared_memory() -> None:
    evaluate = template("checkpoint", "evaluate", "full")
    resources = evaluate["container"]["resources"]
    assert resources["limits"] == {"memory": "100Gi", "amd.com/gpu": "4"}
    assert resources["requests"] == {"cpu": "12", "memory": "100Gi", "amd.com/gpu": "4"}
    (memory,) = (v["emptyDir"] for v in evaluate["volumes"] if v["name"] == "shm")
    assert memory == {"medium": "Memory", "sizeLimit": "32Gi"}
    assert {"name": "shm", "mountPath": "/dev/shm"} in evaluate["container"]["volumeMounts"]


def test_a_queue_is_kueues_label() -> None:
    labels = template("checkpoint", "evaluate", "full")["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "gpus"


def test_selectors_tolerations_and_priority_of_a_kind_of_pod() -> None:
    evaluate = template("checkpoint", "evaluate", "full")
    assert evaluate["nodeSelector"] == {"gpu": "h100"}
    assert evaluate["tolerations"] == [
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    ]
    assert evaluate["priorityClassName"] == "nightly"
    assert evaluate["activeDeadlineSeconds"] == 7000
    run = template("sweep", "run-checkpoint", "full")
    assert run["tolerations"] == [{"key": "cpu", "operator": "Exists"}]
    assert run["activeDeadlineSeconds"] == 90000
    assert "nodeSelector" not in template("sweep", "plan", "full")


def test_the_runtime_class_is_the_sandboxs() -> None:
    assert "runtimeClassName: gvisor\n" in patch("grade-code-run", "full")
    assert [t.name for t in templates("full") if "runtimeClassName" in str(t.body)] == ["grade-code-run"]


def test_the_grace_period() -> None:
    assert all(
        "terminationGracePeriodSeconds: 45\n" in t.body["podSpecPatch"]
        for t in templates("full")
        if t.makes_pods
    )


@pytest.mark.parametrize(
    ("variant", "volume"),
    [
        ("default", None),
        ("lean", {"name": "cache", "emptyDir": {"sizeLimit": "50Gi"}}),
        ("full", {"name": "cache", "persistentVolumeClaim": {"claimName": "weights"}}),
    ],
)
def test_the_node_cache(variant: str, volume: dict[str, Any] | None) -> None:
    evaluate = template("checkpoint", "evaluate", variant)
    assert [v for v in evaluate["volumes"] if v["name"] == "cache"] == ([volume] if volume else [])
    assert ("--cache-dir=/a360/cache" in evaluate["container"]["args"]) == bool(volume)
    mounts = {m["mountPath"] for m in evaluate["container"]["volumeMounts"]}
    assert ("/a360/cache" in mounts) == bool(volume)
    assert "/a360/cache" not in str([t.body for t in templates(variant) if t.name != "evaluate"])


def test_the_work_volume_has_the_kinds_size() -> None:
    (work,) = (v for v in template("checkpoint", "evaluate", "full")["volumes"] if v["name"] == "work")
    assert work["emptyDir"] == {"sizeLimit": "300Gi"}


def test_lifetimes() -> None:
    sweep, checkpoint = documents("full")["sweep"]["spec"], documents("full")["checkpoint"]["spec"]
    assert (sweep["activeDeadlineSeconds"], checkpoint["activeDeadlineSeconds"]) == (864000, 80000)
    assert "activeDeadlineSeconds" not in documents()["sweep"]["spec"]
    for spec in (sweep, checkpoint):
        assert spec["ttlStrategy"] == {"secondsAfterSuccess": 60, "secondsAfterFailure": 120}
        assert spec["podGC"] == {"strategy": "OnPodCompletion", "deleteDelayDuration": "5s"}


def test_schedules_and_the_time_zone() -> None:
    spec = documents("full")["cron-amber"]["spec"]
    assert spec["schedules"] == ["0 1 * * *", "0 13 * * 6"]
    assert spec["timezone"] == "Europe/Berlin"
    assert spec["startingDeadlineSeconds"] == 77
    assert spec["successfulJobsHistoryLimit"] == spec["failedJobsHistoryLimit"] == 1
    assert spec["suspend"] is False
    assert documents("full")["cron-crystal"]["spec"]["suspend"] is True


def test_width_user_progress_and_names() -> None:
    assert template("sweep", "sweep", "full")["parallelism"] == 5
    security = documents("full")["publish"]["spec"]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (20002, 20002, 20002)
    annotations = template("checkpoint", "evaluate", "full")["metadata"]["annotations"]
    assert annotations == {"workflows.argoproj.io/progress": "0/10"}
    volumes = template("sweep", "plan", "full")["volumes"]
    assert {"name": "suites", "configMap": {"name": "my-suites"}} in volumes
    lock = template("publish", "publish", "full")["inputs"]["parameters"][0]["valueFrom"]
    assert lock == {
        "configMapKeyRef": {"name": "my-suites", "key": "{{workflow.parameters.suite}}.lock"},
        "default": "all",
    }


def test_own_labels_are_everywhere_beside_a360s() -> None:
    for document in documents("full").values():
        if document["kind"] != "Workflow":
            assert document["metadata"]["labels"]["team"] == "evals"
    for pod in templates("full"):
        if pod.makes_pods:
            assert pod.body["metadata"]["labels"]["team"] == "evals"
    hijack = FULL.model_copy(update={"labels": {"app.kubernetes.io/name": "other"}})
    assert base_labels(hijack, "plan")["app.kubernetes.io/name"] == "a360"


def test_secrets_fill_the_variables_that_they_name() -> None:
    settings = Settings.model_validate(
        {"secrets": {"s3": [{"env": "AWS_SESSION_TOKEN", "secret": "mine", "key": "t", "optional": True}]}}
    )
    (publish,) = plain_document(publish_template(settings))["spec"]["templates"]
    assert environment(publish)["AWS_SESSION_TOKEN"] == {
        "secretKeyRef": {"name": "mine", "key": "t", "optional": True}
    }
    judge = environment(template("checkpoint", "grade-judge"))["A360_JUDGE_API_KEY"]
    assert judge == {"secretKeyRef": {"name": "a360-judge", "key": "api-key", "optional": True}}


def test_metrics_are_few_and_can_be_left_out() -> None:
    assert "prometheus" not in str(documents("lean"))
    helps: dict[str, set[str]] = {}
    for found in templates():
        for metric in found.body.get("metrics", {}).get("prometheus", []):
            helps.setdefault(metric["name"], set()).add(metric["help"])
            labels = {label["key"]: label["value"] for label in metric["labels"]}
            assert set(labels) <= {"job", "benchmarks", "status"}
            assert "checkpoint" not in labels["benchmarks"]
    assert {name: len(texts) for name, texts in helps.items()} == {
        "a360_attempts_total": 1,
        "a360_job_seconds": 1,
    }
    assert all("metrics" in t.body for t in templates() if t.makes_pods)
    (metric,) = documents()["sweep"]["spec"]["metrics"]["prometheus"]
    assert metric["name"] == "a360_workflows_total"


def test_the_artifact_repository_is_named_or_left_to_the_controller() -> None:
    assert documents()["checkpoint"]["spec"]["artifactRepositoryRef"] == {
        "configMap": "a360-artifacts",
        "key": "a360",
    }
    assert LEAN.artifacts is None
    assert "artifactRepositoryRef" not in documents("lean")["checkpoint"]["spec"]


def test_what_a_pod_is_told_about_itself() -> None:
    values = environment(template("checkpoint", "evaluate"))
    assert values["A360_TERMINATION_LOG"] == "/dev/termination-log"
    assert values["A360_WORKFLOW_UID"] == "{{workflow.uid}}"
    paths = {name: value["fieldRef"]["fieldPath"] for name, value in values.items() if "fieldRef" in value}
    assert paths == {
        "A360_POD_NAME": "metadata.name",
        "A360_POD_UID": "metadata.uid",
        "A360_NODE_NAME": "spec.nodeName",
    }
