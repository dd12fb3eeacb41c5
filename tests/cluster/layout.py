"""Where everything of a cluster lies.

Bulk and logs are below a state directory, ``build/cluster`` as a rule. What ``down`` needs is in ``/run``, so
that it finds what a killed run has left, whatever became of the checkout.
"""

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDS = Path("/run/a360-cluster")
NODE_IP = "10.0.0.1"
POD_SUBNET = "10.136.0.0/16"
"""Not 10.88.0.0/16, which other tools for containers take by default."""
SOCKET_PATH_BYTES = 107
_MARKER = ".a360-cluster"


class ClusterError(Exception):
    """What is wrong with the cluster or the machine, in words for a person."""


@dataclass(frozen=True)
class Layout:
    """Paths below one state directory, and the records."""

    root: Path
    records: Path = RECORDS

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def kubeconfig(self) -> Path:
        return self.etc / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def environment_mount(self) -> Path:
        """The shared Python environment, read-only; mounted in the node's mount namespace only."""
        return self.root / "env"

    @property
    def removable(self) -> list[Path]:
        """All that ``make`` makes, but the logs; empty for a folder that is not a cluster's."""
        folders = [self.var, self.etc, self.pki, self.run, self.environment_mount]
        return [path for path in folders if path.exists()] if (self.root / _MARKER).exists() else []

    def make(self) -> None:
        """Makes the directories.

        Raises ClusterError for a folder with other things in it (``down`` would delete them), and where a
        socket's path would be too long.
        """
        longest = os.fsencode(f"{self.containerd_socket}.ttrpc")
        if len(longest) > SOCKET_PATH_BYTES:
            raise ClusterError(
                f"{longest.decode()} has {len(longest)} bytes, a socket's path at most {SOCKET_PATH_BYTES}\n"
                "hint: A360_CLUSTER_DIR names a shorter state directory"
            )
        if self.root.exists() and any(self.root.iterdir()) and not (self.root / _MARKER).exists():
            raise ClusterError(f"{self.root} is not empty and no cluster's state directory")
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / _MARKER).touch()
        for path in (self.etc, self.pki, self.log, self.run, self.var, self.environment_mount):
            path.mkdir(exist_ok=True)


def default_layout() -> Layout:
    """The state directory that A360_CLUSTER_DIR names, else build/cluster of this checkout."""
    return Layout(Path(os.environ.get("A360_CLUSTER_DIR") or CHECKOUT / "build" / "cluster").absolute())
