"""The programs that a cluster consists of, and what of them is missing here."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.layout import ClusterError

_BUILD = Path(__file__).with_name("build.sh")

BUILT = (
    "argo",
    "argoexec",
    "workflow-controller",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kubectl",
    "pause",
    "helm",
    "versitygw",
    "kwok",
)
"""Built from pinned Go modules, in the order in which later ones profit from earlier ones."""

PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "/usr/lib/cni/host-local": "containernetworking-plugins",
    "ip": "iproute2",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "ldd": "libc-bin",
}
"""Program of the machine -> the Debian package that brings it."""


def missing() -> list[str]:
    """What has to be there and is not, in words; empty where a cluster can be started."""
    found = [] if os.geteuid() == 0 else ["root"]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    packages = {package for name, package in PACKAGES.items() if shutil.which(name, path=path) is None}
    found += [f"the Debian package {package}" for package in sorted(packages)]
    if unbuilt():
        found += [] if shutil.which("go") else ["Go"]
        found += ["the programs of tests/cluster/build.sh (make cluster-tools)"]
    return found


def unbuilt() -> list[str]:
    """The programs that have not been built yet."""
    return [name for name, path in _paths().items() if not os.access(path, os.X_OK)]


def built() -> dict[str, Path]:
    """Name -> path of every built program. Raises ClusterError naming those that are missing."""
    if names := unbuilt():
        raise ClusterError(f"not built: {', '.join(names)}\nhint: make cluster-tools")
    return _paths()


def build(names: Sequence[str] = BUILT) -> None:
    """Builds what is missing, one after the other. Raises ClusterError where that fails."""
    for name in names:
        if subprocess.run([_BUILD, name], stdout=subprocess.DEVNULL).returncode:
            raise ClusterError(f"{name} could not be built; the reason is above")


def _paths() -> dict[str, Path]:
    command: list[str | Path] = [_BUILD, "--where", *BUILT]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return dict(zip(BUILT, map(Path, done.stdout.split("\n")), strict=False))
