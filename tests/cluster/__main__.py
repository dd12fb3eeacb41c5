"""``python -m tests.cluster build|up|down|status``: a cluster for a person to try things on."""

import argparse
import sys

from tests.cluster import lifecycle, programs
from tests.cluster.cluster import Cluster
from tests.cluster.layout import ClusterError, Layout, default_layout
from tests.cluster.processes import NotReadyError
from tests.cluster.state import layout_in_use

_NEXT = """\
KUBECONFIG={kubeconfig}
S3 at {s3} for this machine and for pods

try next:
  export KUBECONFIG={kubeconfig} PATH={path}:$PATH
  kubectl get pods --all-namespaces
  argo list -n a360
  make cluster-down"""


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("action", choices=["build", "up", "down", "status"])
    action = parser.parse_args().action
    try:
        return {"build": _build, "up": _up, "down": _down, "status": _status}[action]()
    except (ClusterError, NotReadyError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


def _build() -> int:
    programs.build()
    return 0


def _up() -> int:
    layout = default_layout()
    if not lifecycle.running(layout):
        programs.build(programs.unbuilt())
        lifecycle.up(layout)
        cluster = Cluster(layout)
        cluster.create_namespace("a360")
    _tell(layout)
    return 0


def _down() -> int:
    """Whatever cluster is up, wherever its state is; else what is left in this checkout."""
    lifecycle.down(layout_in_use() or default_layout())
    return 0


def _status() -> int:
    layout = layout_in_use()
    if layout is None:
        print("no cluster is up")
        return 1
    for name, process in lifecycle.processes(layout).items():
        print(f"{name:24} pid {process.pid:7}  {'runs' if process.alive else 'has ended'}")
    if not lifecycle.running(layout):
        print(f"the cluster in {layout.root} is not whole; hint: make cluster-down")
        return 1
    _tell(layout)
    return 0


def _tell(layout: Layout) -> None:
    cluster = Cluster(layout)
    folders = dict.fromkeys(cluster.programs[name].parent for name in ("kubectl", "argo", "helm"))
    print(
        _NEXT.format(
            kubeconfig=cluster.kubeconfig,
            s3=cluster.s3.endpoint_url,
            path=":".join(map(str, folders)),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
