"""What a cluster changes on the machine itself, and how each change is undone.

Everything else is a file below the state directory, a process with a record, or a mount of the node's own
mount namespace, which vanishes with its last process.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cluster.layout import NODE_IP, POD_SUBNET, ClusterError, Layout
from tests.cluster.processes import run
from tests.cluster.state import change_state, read_state

SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
)
"""The kubelet sets the first six, the network plugin the last."""

FIXED_DIRECTORIES = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
"""Where the programs write whatever they are told; the node mounts something of its own over them."""

CGROUP_PARENT = "k8s.io"
"""Where containerd keeps the control groups of its containers."""

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@contextmanager
def only_one() -> Iterator[None]:
    """Refuses a second ``up`` or ``down`` at the same time, in whatever state directory.

    The lock is a name in the machine's network namespace: it goes with the process and leaves no file.
    """
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind("\0a360-cluster")
    except OSError:
        raise ClusterError("another up or down of a cluster is under way on this machine") from None
    try:
        yield
    finally:
        lock.close()


# --- before the node starts -----------------------------------------------------------------------------


def change(layout: Layout) -> None:
    """Records what is there, then adds the node's address and the directories that programs insist on."""
    if addresses(NODE_IP):
        raise ClusterError(
            f"{NODE_IP} is an address of this machine already\nhint: ip addr show to {NODE_IP}"
        )
    if routes := run(["ip", "-o", "route", "show", "root", POD_SUBNET], _ENVIRONMENT).strip():
        raise ClusterError(f"{POD_SUBNET} is for the cluster's pods, and something uses it:\n{routes}")
    missing = tuple(Path(name) for name in FIXED_DIRECTORIES if not Path(name).exists())
    sysctls = {name: _sysctl(name).read_text().strip() for name in SYSCTLS if _sysctl(name).exists()}
    change_state(layout, sysctls=sysctls, directories=missing, address=True)
    for directory in missing:
        directory.mkdir(parents=True)
    run(["ip", "address", "add", f"{NODE_IP}/32", "dev", "lo"], _ENVIRONMENT)


# --- after it has ended ---------------------------------------------------------------------------------


def restore(layout: Layout) -> None:
    """Undoes every recorded change; what is undone already is no error."""
    state = read_state(layout)
    if state is None:
        return
    for name, value in state.sysctls.items():
        if _sysctl(name).read_text().strip() != value:
            _sysctl(name).write_text(value)
    _remove_pod_interfaces()
    _remove_cgroups()
    if state.address and addresses(NODE_IP):
        run(["ip", "address", "del", f"{NODE_IP}/32", "dev", "lo"], _ENVIRONMENT)
    for directory in reversed(state.directories):
        with suppress(FileNotFoundError):
            directory.rmdir()
    change_state(layout, sysctls={}, directories=(), address=False)


def addresses(ip: str) -> str:
    """The line of the interface that has this address; empty where none has."""
    return run(["ip", "-o", "address", "show", "to", ip], _ENVIRONMENT).strip()


def pod_interfaces() -> list[str]:
    """The host's ends of the pods' interfaces: each has a route to the one address of its pod."""
    routes = run(["ip", "-o", "route", "show", "root", POD_SUBNET], _ENVIRONMENT).splitlines()
    found = [words[words.index("dev") + 1] for line in routes if "dev" in (words := line.split())]
    return [name for name in found if name.startswith("veth")]


def cgroups() -> list[Path]:
    """Control groups of containers, the innermost first."""
    parents = [Path("/sys/fs/cgroup") / CGROUP_PARENT, *Path("/sys/fs/cgroup").glob(f"*/{CGROUP_PARENT}")]
    found = [Path(top) for parent in parents for top, _, _ in os.walk(parent)]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def mounts_below(path: Path) -> list[str]:
    """Mount points of this process's namespace at or below a path."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(path)]


def _remove_pod_interfaces() -> None:
    """They go with the pods' network namespaces, which takes the kernel a moment."""
    deadline = time.monotonic() + 5
    while pod_interfaces() and time.monotonic() < deadline:
        time.sleep(0.1)
    for name in pod_interfaces():
        with suppress(Exception):  # it may have gone just now
            run(["ip", "link", "del", name], _ENVIRONMENT)


def _remove_cgroups() -> None:
    for path in cgroups():
        with suppress(OSError):  # still busy: somebody else's containers
            path.rmdir()


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name
