"""Argo Workflows on the cluster: its CRDs and roles as it ships them, one controller for all namespaces."""

import json
from pathlib import Path

from tests.cluster.control_plane import kubectl
from tests.cluster.images import ARGOEXEC
from tests.cluster.layout import Layout
from tests.cluster.processes import NotReadyError, start, wait_until

NAMESPACE = "argo"
CONFIG_MAP = "a360-controller-config"

_EXECUTOR = """
imagePullPolicy: IfNotPresent
securityContext:
  runAsNonRoot: true
  runAsUser: 8737
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {cpu: "1", memory: 256Mi}
"""


def install_argo(layout: Layout, programs: dict[str, Path]) -> None:
    """Creates the controller's roles and configuration and the full CRDs; they are served when it returns."""
    manifests = programs["argo"].parent / "manifests"
    roles = manifests / "cluster-install-no-crds" / "workflow-controller-rbac"
    for name in ("workflow-aggregate-roles", "workflow-controller-clusterrole"):
        kubectl(layout, programs, "create", "-f", roles / f"{name}.yaml")
    documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()})
    kubectl(layout, programs, "create", "-f", "-", stdin=documents)
    # Megabytes of schema, and last, since every client reads the schema of all kinds. "create" takes half as
    # long as a server-side apply; a client-side one would be refused, its annotation is too long.
    crds = manifests / "base" / "crds" / "full"
    kubectl(layout, programs, "create", "--validate=false", "-k", crds)
    kinds = {path.stem.removeprefix("argoproj.io_") for path in crds.glob("argoproj.io_*.yaml")}
    wait_until("Argo's kinds are served", lambda: kinds <= _served(layout, programs), seconds=180)


def start_controller(layout: Layout, programs: dict[str, Path]) -> None:
    """Starts the workflow controller; ``down`` and tests find it by the name of its record."""
    command: list[str | Path] = [
        programs["workflow-controller"],
        f"--kubeconfig={layout.etc}/workflow-controller.kubeconfig",
        f"--configmap={CONFIG_MAP}",
        f"--executor-image={ARGOEXEC}",
        "--executor-image-pull-policy=IfNotPresent",
        "--qps=50",
        "--burst=75",
    ]
    start(
        layout,
        "workflow-controller",
        command,
        LEADER_ELECTION_DISABLE="true",
        DEFAULT_REQUEUE_TIME="1s",
        MAX_WORKFLOW_SIZE="196608",  # as in helm/argo-values.yaml
        ARGO_PROGRESS_PATCH_TICK_DURATION="3s",
        ARGO_PROGRESS_FILE_TICK_DURATION="1s",
    )


def _served(layout: Layout, programs: dict[str, Path]) -> set[str]:
    """The resources of Argo's group that the API server knows; none while it does not know the group."""
    try:
        listed = json.loads(kubectl(layout, programs, "get", "--raw", "/apis/argoproj.io/v1alpha1"))
    except NotReadyError:
        return set()
    return {resource["name"] for resource in listed["resources"]}


def _objects() -> list[dict[str, object]]:
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "argo", "namespace": NAMESPACE},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "argo-binding"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "argo-cluster-role",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "argo", "namespace": NAMESPACE}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONFIG_MAP, "namespace": NAMESPACE},
            # A value of one line has to be in flow style.
            "data": {
                "nodeEvents": "{enabled: false}",
                "metricsConfig": "{enabled: false}",  # would listen on all interfaces
                "executor": _EXECUTOR,
            },
        },
    ]
