"""a360 as its users install it: the chart, and a suite whose checkpoints, data and results lie on S3."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from a360.storage import Store, open_store
from tests.cluster.cluster import Cluster
from tests.cluster.images import LIGHT, MAIN
from tests.cluster.layout import CHECKOUT
from tests.cluster.processes import wait_until
from tests.cluster.s3 import PORT

SUITE = "small"
SMALL_POD = {"cpu": "50m", "memory": "3Gi", "scratch": "2Gi", "deadlineSeconds": 1200}
KINDS = ("plan", "evaluate", "transfer", "sandbox", "classifier", "judge", "publish", "mirror")
SWEEP_SECONDS = 900


@dataclass
class Release:
    """The chart in a namespace, and what its suite reads and writes."""

    cluster: Cluster
    namespace: str
    bucket: str
    benchmarks: Sequence[str]
    changes: dict[str, Any] = field(default_factory=dict)
    """Values of the chart that differ from ``values``."""
    judge: dict[str, Any] | None = None
    """The suite's section of that name."""

    # --- what lies on S3 ---

    def store(self, place: str) -> Store:
        return open_store(f"s3://{self.bucket}/{place}", self.cluster.s3.settings)

    def upload(self, place: str, directory: Path) -> None:
        """Every file of a directory, below a place of the bucket."""
        store = self.store(place)
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            store.write(path.relative_to(directory).as_posix(), path.read_bytes())

    def committed(self) -> list[str]:
        """``checkpoint/benchmark`` of every commit marker."""
        keys = [entry.key.split("/") for entry in self.store("results").list("v1/commits/")]
        return sorted(f"{key[-1].partition('@')[0]}/{key[-2]}" for key in keys)

    def suite(self) -> dict[str, Any]:
        s3 = self.cluster.s3.settings.model_dump(exclude_defaults=True)
        place = f"s3://{self.bucket}"
        return {
            "name": SUITE,
            "model": {
                "name": "tiny",
                "root": f"{place}/checkpoints",
                "s3": s3,
                "naming": {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0},
                "dtype": "float32",
            },
            "store": {"uri": f"{place}/results", "s3": s3},
            "data": {"mirror": f"{place}/mirror", "s3": s3},
            "benchmarks": list(self.benchmarks),
            "run": {"device": "cpu", "batch_size": 8, "threads": 1, "pairs_per_group": "all"},
        } | ({"judge": self.judge} if self.judge else {})

    # --- the chart ---

    def values(self) -> dict[str, Any]:
        images = {"evaluator": MAIN, "light": LIGHT, "sandbox": LIGHT}
        here = [{"ipBlock": {"cidr": f"{self.cluster.node_ip}/32"}}]
        return {
            "images": {
                name: {"repository": image.rpartition(":")[0], "digest": "", "tag": image.rpartition(":")[2]}
                for name, image in images.items()
            },
            "suites": {SUITE: yaml.safe_dump(self.suite(), sort_keys=False)},
            "artifacts": {
                "bucket": self.bucket,
                "endpoint": f"{self.cluster.node_ip}:{PORT}",
                "insecure": True,
            },
            "accelerator": {"count": 0, "sharedMemory": "64Mi"},
            "pods": {kind: SMALL_POD for kind in KINDS} | {"graceSeconds": 20},
            "parallelism": 1,
            "retries": {"pods": {"firstSeconds": 1}, "children": {"firstSeconds": 1}},
            "networkPolicies": {"s3": {"to": here, "ports": [PORT]}},
        } | self.changes

    def install(self) -> str:
        """What helm says. The Secret of the store is there before."""
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "a360-s3", "namespace": self.namespace},
            "stringData": {
                name: value
                for name, value in self.cluster.s3.environment.items()
                if name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            },
        }
        self.cluster.apply(secret)
        return self.helm("upgrade", "--install", "a360", CHECKOUT / "helm" / "a360", "--values", "-")

    def helm(self, *words: str | Path) -> str:
        return self.cluster.helm(*words, "--namespace", self.namespace, stdin=json.dumps(self.values()))

    # --- sweeps ---

    def submit(self, template: str = "a360-sweep") -> str:
        """The name of a new workflow, as ``argo submit --from`` gives it."""
        words = ["submit", "-n", self.namespace, "--from", f"workflowtemplate/{template}"]
        return self.cluster.argo(*words, "-p", f"suite={SUITE}", "-o", "name").strip().rpartition("/")[2]

    def scheduled(self) -> set[str]:
        """Names of the workflows that the schedule of the suite has started."""
        label = f"workflows.argoproj.io/cron-workflow=a360-{SUITE}"
        found = self.cluster.get("workflows", "-n", self.namespace, "-l", label)["items"]
        return {item["metadata"]["name"] for item in found}

    def next_scheduled(self) -> dict[str, Any]:
        """The workflow that the schedule starts next, when it has ended."""
        before, new = self.scheduled(), set[str]()

        def is_there() -> bool:
            new.update(self.scheduled() - before)
            return bool(new)

        wait_until("the schedule starts a sweep", is_there, seconds=180)
        return self.ended(min(new))

    def coverage(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(checkpoint, benchmark) -> cell of the published coverage."""
        document = json.loads(self.store("results").read(f"v1/reports/tiny/{SUITE}/coverage.json"))
        return {(cell["checkpoint"], cell["benchmark"]): cell for cell in document["cells"]}

    def ended(self, name: str, seconds: float = SWEEP_SECONDS) -> dict[str, Any]:
        """The workflow once it has ended, ``onExit`` included."""
        found: dict[str, Any] = {}

        def is_over() -> bool:
            found.update(self.cluster.get("workflow", name, "-n", self.namespace))
            labels: dict[str, str] = found["metadata"].get("labels", {})
            return labels.get("workflows.argoproj.io/completed") == "true"

        wait_until(f"workflow {name} ends", is_over, seconds=seconds)
        return found

    def reasons(self, sweep: dict[str, Any]) -> list[str]:
        """Why pods of a sweep and of its children failed, as far as they are still told of."""
        flows = (sweep, *self.children(sweep["metadata"]["name"]))
        return [
            f"{node['displayName']}: {node['message']}"
            for flow in flows
            for node in flow["status"].get("nodes", {}).values()
            if node["type"] == "Pod" and node.get("message")
        ]

    def pods_of(self, workflow: dict[str, Any]) -> list[str]:
        """Template of every pod that a workflow ran."""
        nodes = workflow["status"].get("nodes", {}).values()
        return sorted(node["templateName"] for node in nodes if node["type"] == "Pod")

    def children(self, sweep: str) -> list[dict[str, Any]]:
        """The workflows that a sweep made."""
        found = self.cluster.get("workflows", "-n", self.namespace, "-l", f"a360/sweep={sweep}")["items"]
        return [item for item in found if item["metadata"]["name"] != sweep]
