"""Pods and workflows for tests, as Pod Security ``restricted`` wants them."""

from collections.abc import Sequence
from typing import Any

from tests.cluster.images import MAIN

CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def container(command: Sequence[str], **more: Any) -> dict[str, Any]:
    """The main container: a360's image, a read-only root and a writable /tmp."""
    return {
        "name": "main",
        "image": MAIN,
        "command": list(command),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        **more,
    }


def pod(name: str, namespace: str, command: Sequence[str], **more: Any) -> dict[str, Any]:
    """A pod that runs one command to its end."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            "containers": [container(command, **more)],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def workflow(name: str, namespace: str, command: Sequence[str], **template: Any) -> dict[str, Any]:
    """A workflow of one pod."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "entrypoint": "main",
            "securityContext": POD_SECURITY,
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "templates": [{"name": "main", "container": container(command), **template}],
        },
    }


def executor_role(namespace: str, account: str = "default") -> list[dict[str, Any]]:
    """What the executor of a pod needs: to report its outcome."""
    kind, group = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    metadata = {"name": "executor", "namespace": namespace}
    return [
        {"apiVersion": kind, "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": kind,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "executor"},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    ]
