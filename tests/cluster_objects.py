"""What the chart installs and what Argo writes, as documents: enough for the commands of a cluster."""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from a360.cluster.kinds import CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, WORKFLOW_TEMPLATES, Kind

Document = dict[str, Any]

NAMESPACE = "a360"
CHECKPOINT_TEMPLATE = "a360-checkpoint-0-1-0-1a2b3c4d"
SUITE = """
name: small
model:
  name: tiny
  root: s3://checkpoints/tiny
  naming: {pattern: "step_(?P<step>[0-9]+)"}
store: {uri: "s3://results/a360"}
data: {mirror: "s3://results/mirror"}
benchmarks: [demo-boolq, demo-truthfulqa-mc2]
"""
JUDGED_SUITE = (
    SUITE.replace("demo-truthfulqa-mc2", "mt-bench")
    + "judge: {model: big, url: https://judge.example.com/v1}\n"
)
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def s3_secret(key: str) -> Document:
    return {"valueFrom": {"secretKeyRef": {"name": "a360-s3", "key": key}}}


def evaluate_template() -> Document:
    """The template of the GPU pod."""
    return {
        "name": "evaluate",
        "metadata": {"labels": {"app.kubernetes.io/component": "evaluate"}},
        "nodeSelector": {"pool": "gpu"},
        "container": {
            "image": "registry.example.com/a360/evaluator@sha256:" + "0" * 64,
            "command": ["python", "-P", "-m", "jobs.evaluate"],
            "args": ["--group={{inputs.parameters.group}}"],
            "env": [
                {"name": "AWS_ACCESS_KEY_ID", **s3_secret("access-key")},
                {"name": "AWS_SECRET_ACCESS_KEY", **s3_secret("secret-key")},
                {"name": "A360_WORKFLOW_UID", "value": "{{workflow.uid}}"},
                {"name": "HOME", "value": "/a360/work"},
            ],
            "resources": {"limits": {"memory": "64Gi", "nvidia.com/gpu": "1"}},
            "securityContext": CONTAINER_SECURITY,
            "volumeMounts": [
                {"name": "work", "mountPath": "/a360/work"},
                {"name": "suites", "mountPath": "/etc/a360/suites"},
            ],
        },
    }


def judge_template() -> Document:
    """The template of the pod that asks a judge; it starts without a key."""
    key = {"name": "a360-judge", "key": "api-key", "optional": True}
    variable = {"name": "A360_JUDGE_API_KEY", "valueFrom": {"secretKeyRef": key}}
    return {"name": "grade-judge", "container": {"image": "x", "env": [variable]}}


def sweep_template(version: str) -> Document:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "a360-sweep", "labels": {"app.kubernetes.io/version": version}},
        "spec": {
            "entrypoint": "sweep",
            "serviceAccountName": "a360-orchestrator",
            "arguments": {
                "parameters": [
                    {"name": "suite"},
                    {"name": "retry-failed", "value": "false"},
                    {"name": "priority", "value": "0"},
                    {"name": "checkpoint-template", "value": CHECKPOINT_TEMPLATE},
                ]
            },
            "templates": [
                {"name": "sweep", "steps": [[{"name": "publish", "template": "publish"}]]},
                {
                    "name": "publish",
                    "serviceAccountName": "a360-publisher",
                    "container": {
                        "image": "x",
                        "env": [
                            {
                                "name": "WANDB_API_KEY",
                                "valueFrom": {
                                    "secretKeyRef": {"name": "a360-wandb", "key": "key", "optional": True}
                                },
                            }
                        ],
                    },
                },
            ],
        },
    }


def checkpoint_template(version: str) -> Document:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": CHECKPOINT_TEMPLATE, "labels": {"helm.sh/chart": f"a360-{version}"}},
        "spec": {
            "entrypoint": "checkpoint",
            "serviceAccountName": "a360-evaluator",
            "automountServiceAccountToken": False,
            "executor": {"serviceAccountName": "a360-executor"},
            "securityContext": POD_SECURITY,
            "volumes": [
                {"name": "work", "emptyDir": {}},
                {"name": "suites", "configMap": {"name": "a360-suites"}},
                {"name": "of-another-template", "emptyDir": {}},
            ],
            "templates": [
                {"name": "checkpoint", "steps": [[{"name": "evaluate", "template": "evaluate"}]]},
                evaluate_template(),
                judge_template(),
            ],
        },
    }


def installed_objects(version: str | None = None) -> list[tuple[Kind, Document]]:
    """Everything that the chart and its user put into the namespace."""
    version = version or metadata.version("a360")
    accounts = ("default", "a360-orchestrator", "a360-executor", "a360-evaluator", "a360-publisher")
    return [
        (WORKFLOW_TEMPLATES, sweep_template(version)),
        (WORKFLOW_TEMPLATES, checkpoint_template(version)),
        (CONFIG_MAPS, {**core("ConfigMap", "a360-suites"), "data": {"small.yaml": SUITE}}),
        (SECRETS, {**core("Secret", "a360-s3"), "data": {"access-key": "eA==", "secret-key": "eA=="}}),
        (SECRETS, {**core("Secret", "a360-executor.service-account-token"), "data": {"token": "eA=="}}),
        *((SERVICE_ACCOUNTS, core("ServiceAccount", account)) for account in accounts),
    ]


def core(kind: str, name: str, version: str = "v1") -> Document:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def node(name: str, template: str = "", phase: str = "Succeeded", **more: Any) -> tuple[str, Document]:
    """A node of a workflow's status."""
    document = {"name": name, "templateName": template, "type": "Pod", "phase": phase, **more}
    document.setdefault("startedAt", "2026-01-01T00:10:00Z")
    return name, document


BENCHMARKS = ",".join(
    f"{name}:{kind}"
    for name, kind in {
        "boolq": "none",
        "arc-easy": "none",
        "piqa": "none",
        "demo-next-word": "classifier",
        "mmlu-5shot": "none",
        "demo-boolq": "none",
        "demo-truthfulqa-mc2": "none",
    }.items()
)
"""What the plan step says of benchmarks."""


def plan_node(items: Iterable[Mapping[str, str]]) -> tuple[str, Document]:
    """The plan step after its end."""
    values = {"plan": "abc", "benchmarks": BENCHMARKS, "checkpoints": json.dumps(list(items))}
    outputs = [{"name": name, "value": value} for name, value in values.items()]
    return node("s[0].plan", "plan", outputs={"parameters": outputs})


def item(child: str, checkpoint: str, groups: str) -> dict[str, str]:
    """What the plan step hands over for one checkpoint; ``groups`` are positions in BENCHMARKS."""
    return {"child": child, "checkpoint": checkpoint, "groups": groups}


def sweep(name: str, suite: str = "small", phase: str = "Running", **more: Any) -> Document:
    """A sweep; ``nodes``, ``packed``, ``message`` and ``shutdown`` are optional."""
    parameters = [{"name": "suite", "value": suite}]
    return workflow(name, "a360-sweep", parameters, {"a360/suite": suite, "a360/sweep": name}, phase, **more)


def child(
    sweep: str, name: str, checkpoint: str, groups: str, phase: str = "Running", **more: Any
) -> Document:
    """The workflow of one checkpoint."""
    values = {"checkpoint": checkpoint, "groups": groups, "benchmarks": BENCHMARKS}
    parameters = [{"name": key, "value": value} for key, value in values.items()]
    labels = {"a360/suite": "small", "a360/sweep": sweep, "a360/checkpoint-hash": "0a1b2c3d"}
    return workflow(name, CHECKPOINT_TEMPLATE, parameters, labels, phase, **more)


def workflow(
    name: str, template: str, parameters: list[Document], labels: dict[str, str], phase: str, **more: Any
) -> Document:
    nodes = dict(more.get("nodes", ()))
    status: Document = {"phase": phase, "startedAt": "2026-01-01T00:00:00Z", "nodes": nodes}
    if more.get("packed"):
        packed = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
        status = {**status, "nodes": {}, "compressedNodes": packed}
    if "message" in more:
        status["message"] = more["message"]
    shutdown = {"shutdown": more["shutdown"]} if "shutdown" in more else {}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "labels": labels,
        },
        "spec": {
            "workflowTemplateRef": {"name": template},
            "arguments": {"parameters": parameters},
            **shutdown,
        },
        "status": status,
    }


def pod(name: str, workflow: str, component: str, fields: str = "", phase: str = "Running") -> Document:
    """A pod of a workflow's step; ``fields`` are those of its list item."""
    state = "running" if phase == "Running" else "terminated"
    started = {"name": "main", "state": {state: {}}}
    return {
        **core("Pod", name),
        "metadata": {
            "name": name,
            "labels": {
                "workflows.argoproj.io/workflow": workflow,
                "app.kubernetes.io/component": component,
            },
            "annotations": {"workflows.argoproj.io/node-name": f"{workflow}[0].{component}(0:{fields})(0)"},
        },
        "spec": {
            "serviceAccountName": "a360-evaluator",
            "securityContext": POD_SECURITY,
            "containers": [{"name": "main", "image": "x", "securityContext": CONTAINER_SECURITY}],
        },
        "status": {"phase": phase, "containerStatuses": [started] if phase != "Pending" else []},
    }
