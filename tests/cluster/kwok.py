"""Nodes that do not exist, for tests of scale: KWOK sets their pods to Running and to Succeeded.

A template with ``nodeSelector: {type: kwok}`` and ``tolerations: [{operator: Exists}]`` lands there, as long
as it declares no outputs; API server, scheduler and workflow controller stay real.
"""

import json
from pathlib import Path

import yaml

from tests.cluster.control_plane import kubectl
from tests.cluster.layout import NODE_IP, Layout
from tests.cluster.processes import start, wait_until

GPUS_PER_NODE = 8
_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)


def start_kwok(layout: Layout, programs: dict[str, Path], nodes: int, seconds: float) -> None:
    """Adds nodes whose pods run for ``seconds`` (half as long again at most) and succeed."""
    stages = [
        _stage(programs["kwok"].parent / "stages" / name, milliseconds=round(seconds * 1000))
        for name in _STAGES
    ]
    config_path = layout.etc / "kwok.yaml"
    config_path.write_text(yaml.safe_dump_all(stages))
    command: list[str | Path] = [
        programs["kwok"],
        f"--kubeconfig={layout.kubeconfig}",
        f"--config={config_path}",
        "--manage-nodes-with-label-selector=type=kwok",
        "--node-lease-duration-seconds=40",
        f"--node-ip={NODE_IP}",
        "--server-address=127.0.0.1:10247",
    ]
    process = start(layout, "kwok", command)
    items = json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": [_node(index) for index in range(nodes)]}
    )
    kubectl(layout, programs, "apply", "--server-side", "-f", "-", stdin=items)
    wait_until(
        "the simulated nodes are ready",
        lambda: _ready_nodes(layout, programs) == nodes,
        seconds=120,
        process=process,
        log_path=layout.log / "kwok.log",
    )


def _stage(path: Path, milliseconds: int) -> dict[str, object]:
    """A stage as KWOK ships it; pods of workflows, not of jobs, end by themselves."""
    stage: dict[str, object] = yaml.safe_load(path.read_text().replace("- 'Job'", "- 'Workflow'"))
    if path.stem == "pod-complete":
        spec = stage["spec"]
        assert isinstance(spec, dict)
        jitter = milliseconds + milliseconds // 2
        spec["delay"] = {"durationMilliseconds": milliseconds, "jitterDurationMilliseconds": jitter}
    return stage


def _node(index: int) -> dict[str, object]:
    offered = {"cpu": "1000", "memory": "4Ti", "pods": "2000", "nvidia.com/gpu": str(GPUS_PER_NODE)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"kwok-{index}", "labels": {"type": "kwok"}},
        "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": offered, "capacity": offered},
    }


def _ready_nodes(layout: Layout, programs: dict[str, Path]) -> int:
    listed = json.loads(kubectl(layout, programs, "get", "nodes", "-l", "type=kwok", "-o", "json"))
    return sum(
        condition["type"] == "Ready" and condition["status"] == "True"
        for item in listed["items"]
        for condition in item["status"].get("conditions", ())
    )
