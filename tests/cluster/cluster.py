"""A running cluster as tests use it: clients, images, the S3 server and namespaces of their own."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.cluster import images
from tests.cluster.argo import start_controller
from tests.cluster.control_plane import kubectl
from tests.cluster.kwok import start_kwok
from tests.cluster.layout import NODE_IP, Layout
from tests.cluster.node import NODE
from tests.cluster.processes import (
    NotReadyError,
    Process,
    clean_environment,
    kill,
    recorded,
    run,
    stop,
    stop_recorded,
    wait_until,
)
from tests.cluster.programs import built
from tests.cluster.s3 import s3_server, start_s3
from tests.servers import S3Server

RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}
"""Labels of a namespace that takes no pod but one that passes Pod Security ``restricted``."""


@dataclass(frozen=True)
class Cluster:
    """A real API server, node and workflow controller on this machine."""

    layout: Layout

    main_image = images.MAIN
    """Python, a360, jobs and every dependency; user 10001."""
    node_name = NODE
    node_ip = NODE_IP

    @property
    def kubeconfig(self) -> Path:
        """Of the administrator; its namespace is ``a360``."""
        return self.layout.kubeconfig

    @cached_property
    def programs(self) -> dict[str, Path]:
        """Name -> path: kubectl, argo, helm and the rest."""
        return built()

    @property
    def environment(self) -> dict[str, str]:
        """For clients of one's own, such as ``a360`` or ``helm``: KUBECONFIG and no proxies."""
        return clean_environment(self.layout, KUBECONFIG=str(self.kubeconfig))

    @property
    def s3(self) -> S3Server:
        """The same address holds for this machine and for pods."""
        return s3_server(self.layout)

    # --- clients: what they print; NotReadyError with what they say where they fail ---

    def kubectl(self, *words: str | Path, stdin: str | None = None) -> str:
        return kubectl(self.layout, self.programs, *words, stdin=stdin)

    def argo(self, *words: str | Path, stdin: str | None = None) -> str:
        return run([self.programs["argo"], *words], self.environment, stdin)

    def helm(self, *words: str | Path, stdin: str | None = None) -> str:
        return run([self.programs["helm"], *words], self.environment, stdin)

    def get(self, *words: str) -> dict[str, Any]:
        """An object or a list, as ``kubectl get`` has it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return found

    def apply(self, *documents: Mapping[str, object]) -> None:
        """Objects, applied by the server."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=listed)

    # --- namespaces ---

    def create_namespace(self, name: str | None = None) -> str:
        """The name of a new namespace under Pod Security ``restricted``; its default account is there."""
        name = name or f"a360-{uuid.uuid4().hex[:8]}"
        metadata = {"name": name, "labels": RESTRICTED}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        wait_until(
            f"namespace {name} has its default account",
            lambda: self._exists("serviceaccount", "default", "-n", name),
            seconds=120,
        )
        return name

    def delete_namespace(self, name: str) -> None:
        """Returns when it is gone, with everything in it."""
        self.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=180s")

    # --- faults and simulations ---

    def process(self, name: str) -> Process:
        """One of the cluster's own processes by the name of its record, such as ``workflow-controller``."""
        process = recorded(self.layout, name)
        if process is None:
            raise LookupError(name)
        return process

    def kill_controller(self) -> None:
        """``kill -9`` of the workflow controller."""
        kill([self.process("workflow-controller")])

    def start_controller(self) -> None:
        start_controller(self.layout, self.programs)

    def stop_s3(self) -> None:
        """The store is down: connections are refused. Objects stay."""
        stop(self.process("versitygw"))

    def start_s3(self) -> None:
        start_s3(self.layout, self.programs)

    def add_gpus(self, count: int) -> None:
        """GPUs that do not exist: pods that ask for them are scheduled and counted and find no device."""
        patch = [{"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": str(count)}]
        words = ["--subresource=status", "--type=json", "-p", json.dumps(patch)]
        self.kubectl("patch", "node", NODE, *words)
        wait_until("the node offers GPUs", lambda: self._allocatable_gpus() == count, seconds=60)

    def start_kwok(self, nodes: int = 1, seconds: float = 1.0) -> None:
        """Simulated nodes beside the real one, whose pods succeed after so many seconds; see ``kwok.py``."""
        start_kwok(self.layout, self.programs, nodes, seconds)

    def stop_kwok(self) -> None:
        """Ends the simulation and removes its nodes."""
        stop_recorded(self.layout, "kwok")
        self.kubectl("delete", "nodes", "-l", "type=kwok")

    def _allocatable_gpus(self) -> int:
        return int(self.get("node", NODE)["status"]["allocatable"].get("nvidia.com/gpu", 0))

    def _exists(self, *words: str) -> bool:
        try:
            self.kubectl("get", *words)
        except NotReadyError:
            return False
        return True
