"""A sweep of Amber's size on a real cluster: 360 checkpoints, 23 benchmarks, a pod for each of 8,280 pairs.

API server, scheduler, workflow controller, plan, the 360 pods that wait for their child workflows and
publish are real; ``evaluate`` pods run on KWOK's simulated nodes, where they take some seconds and succeed
without doing anything. Needs what ``make test-cluster`` needs. ``--faults`` deletes one in twenty of the
evaluate pods while they run and kills the controller (-9) half way. Prints one line of JSON; exit 1 where a
workflow object is larger than LARGEST_KIB or a pair has not exactly one pod that succeeded.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from a360.benchmarks import CATALOGUE
from a360.cluster.workflows import read_workflow
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.cluster import lifecycle
from tests.cluster.cluster import Cluster
from tests.cluster.layout import default_layout
from tests.cluster.processes import current_process
from tests.cluster.release import SMALL_POD, Release
from tests.tiny_model import write_checkpoint

BENCHMARKS = tuple(row.id for row in CATALOGUE.values() if row.stand_in and row.grade == "none")[:23]
LARGEST_KIB = 256
POD_SECONDS = 8.0
NODES, LOOK_SECONDS = 46, 4.0
DELETED_SHARE = 0.05
WATCHED = ("workflow-controller", "kube-apiserver", "etcd")
SIMULATED = {"nodeSelector": {"type": "kwok"}, "tolerations": [{"operator": "Exists"}]}


class ScaleRelease(Release):
    """One pod for each pair, a device for each pod."""

    def suite(self) -> dict[str, Any]:
        suite = super().suite()
        suite["run"] |= {"pairs_per_group": 1}
        return suite


def main() -> None:
    """Brings a cluster up, runs one sweep, prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=360)
    parser.add_argument("--faults", action="store_true")
    arguments = parser.parse_args()
    layout = default_layout()
    lifecycle.up(layout, owner=current_process())
    try:
        cluster = Cluster(layout)
        os.environ |= cluster.s3.environment
        cluster.start_kwok(nodes=NODES, seconds=POD_SECONDS)
        release = _install(cluster, arguments.checkpoints)
        found = _sweep(release, arguments.checkpoints, arguments.faults)
    finally:
        lifecycle.down(layout)
    print(json.dumps(found))
    if found["wrong"]:
        sys.exit(f"not as expected: {found['wrong']}")


def _install(cluster: Cluster, checkpoints: int) -> Release:
    changes = {
        "accelerator": {"count": 1, "sharedMemory": "64Mi"},
        "parallelism": 16,
        "pods": {kind: SMALL_POD for kind in ("plan", "publish")}
        | {"evaluate": SMALL_POD | SIMULATED, "graceSeconds": 20},
    }
    release = ScaleRelease(
        cluster, cluster.create_namespace(), cluster.s3.create_bucket(), BENCHMARKS, changes
    )
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory)
        write_mirror(made / "mirror", split_documents(read_documents())[1])
        release.upload("mirror", made / "mirror")
        write_checkpoint(made / "checkpoint", seed=1)
        files = {path.name: path.read_bytes() for path in (made / "checkpoint").iterdir()}
    store, weights = release.store("checkpoints"), files.pop("model.safetensors")

    def upload(step: int) -> None:
        for name, data in files.items():
            store.write(f"step_{step}/{name}", data)
        store.write(f"step_{step}/model.safetensors", weights[:-4] + step.to_bytes(4, "little"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, range(checkpoints)))
    release.install()
    return release


def _sweep(release: Release, checkpoints: int, faults: bool) -> dict[str, Any]:
    name, started = release.submit(), time.monotonic()
    memory: Counter[str] = Counter()
    largest: Counter[str] = Counter()
    draw, seen, deleted, killed = random.Random(1), set[str](), 0, False
    pairs, progress = checkpoints * len(BENCHMARKS), dict[str, int]()
    while True:
        time.sleep(LOOK_SECONDS)
        live = _look(release)
        for child in progress.keys() - live.keys():
            progress[child] = len(BENCHMARKS)
        for workflow, item in live.items():
            kind = "sweep" if workflow == name else "child"
            largest[kind] = max(largest[kind], _size_bytes(item))
            if kind == "child":
                progress[workflow] = (
                    int(item.get("status", {}).get("progress", "0/1").partition("/")[0]) // 100
                )
        done = sum(progress.values())
        for process in WATCHED:
            memory[process] = max(memory[process], _peak_mib(release.cluster, process))
        seconds = time.monotonic() - started
        print(f"{seconds:6.0f} s  {done} of {pairs} pods succeeded, {deleted} deleted", file=sys.stderr)
        if name not in live:
            break
        if faults:
            for pod in _running(release):
                if pod not in seen and draw.random() < DELETED_SHARE:
                    words = ("--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
                    release.cluster.kubectl("delete", pod, "-n", release.namespace, *words)
                    deleted += 1
                seen.add(pod)
            if not killed and done > pairs / 2:
                release.cluster.kill_controller()
                release.cluster.start_controller()
                killed = True
    return _outcome(release, name, pairs, seconds, largest, memory) | {
        "deleted": deleted,
        "controller_killed": killed,
    }


def _look(release: Release) -> dict[str, dict[str, Any]]:
    """Name to workflow, of those that are not over, as the API server has them in its cache.

    To list 360 children whole every few seconds would cost it more than the sweep does.
    """
    path = f"{_path(release)}?labelSelector=workflows.argoproj.io/completed!%3Dtrue&resourceVersion=0"
    found = json.loads(release.cluster.kubectl("get", "--raw", path))
    return {item["metadata"]["name"]: item for item in found["items"]}


def _workflows(release: Release) -> Iterator[dict[str, Any]]:
    following = ""
    while True:
        words = ("get", "--raw", f"{_path(release)}?limit=100{following}")
        page = json.loads(release.cluster.kubectl(*words))
        yield from page["items"]
        if not (token := page["metadata"].get("continue")):
            return
        following = f"&continue={token}"


def _path(release: Release) -> str:
    return f"/apis/argoproj.io/v1alpha1/namespaces/{release.namespace}/workflows"


def _size_bytes(workflow: dict[str, Any]) -> int:
    """Bytes of a workflow as it is stored."""
    return len(json.dumps(workflow, separators=(",", ":"), ensure_ascii=False).encode())


def _running(release: Release) -> list[str]:
    words = ("-l", "a360/template=evaluate", "--field-selector=status.phase=Running", "-o", "name")
    return release.cluster.kubectl("get", "pods", "-n", release.namespace, *words).split()


def _peak_mib(cluster: Cluster, name: str) -> int:
    lines = Path(f"/proc/{cluster.process(name).pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


def _outcome(
    release: Release, sweep: str, pairs: int, seconds: float, largest: Counter[str], memory: Counter[str]
) -> dict[str, Any]:
    phases: Counter[str] = Counter()
    succeeded: Counter[tuple[str, str]] = Counter()
    attempts, publish, drained = 0, "", 0.0
    for document in _workflows(release):
        workflow = read_workflow(document)
        kind = "sweep" if workflow.name == sweep else "child"
        largest[kind] = max(largest[kind], _size_bytes(document))
        if workflow.nodes is None or workflow.started is None or workflow.finished is None:
            sys.exit(f"{workflow.name} cannot be read, or has not ended: {document['status']['phase']}")
        if kind == "sweep":
            publish = next(node.phase for node in workflow.nodes if node.template == "publish")
            drained = (workflow.finished - workflow.started).total_seconds()
            phases[f"sweep {workflow.phase}"] += 1
            continue
        phases[workflow.phase] += 1
        for node in workflow.nodes:
            if node.type == "Pod":
                attempts += 1
                if node.phase == "Succeeded":
                    succeeded[workflow.name, node.inputs["group"]] += 1
    wrong = []
    if len(succeeded) != pairs or set(succeeded.values()) != {1}:
        wrong.append(f"{len(succeeded)} of {pairs} pairs have a pod that succeeded")
    if publish != "Succeeded":
        wrong.append(f"publish: {publish}")
    if max(largest.values()) > LARGEST_KIB * 1024:
        wrong.append(f"a workflow object has {max(largest.values())} bytes")
    return {
        "pairs": pairs,
        "seconds": round(drained or seconds),
        "pods": attempts,
        "phases": dict(phases),
        "largest_kib": {kind: round(size / 1024, 1) for kind, size in largest.items()},
        "peak_mib": dict(memory),
        "wrong": wrong,
    }


if __name__ == "__main__":
    main()
