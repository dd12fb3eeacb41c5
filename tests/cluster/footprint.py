"""What a cluster could leave on a machine, read from the machine itself and not from records."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster import machine
from tests.cluster.layout import RECORDS
from tests.cluster.processes import all_pids, command_line

_DIRECTORIES = (
    *machine.FIXED_DIRECTORIES,
    str(RECORDS),
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/opt/containerd",
    "/run/netns",
    "/run/kubernetes",
    "/usr/libexec/kubernetes",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/log/pods",
)


def footprint(state_dir: Path) -> dict[str, list[str]]:
    """Kind -> what there is of it; equal before a cluster's start and after its end."""
    return {
        "processes": sorted(_processes(state_dir)),
        "mounts": _mounts(state_dir),
        "interfaces": _lines("ip", "-o", "link", "show"),
        "addresses": _lines("ip", "-o", "address", "show"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "sysctls": _sysctls(),
        "firewall": [line for line in _lines("iptables-save") if not line.startswith("#")],
        "control groups": sorted(map(str, machine.cgroups())),
        "directories": [name for name in _DIRECTORIES if os.path.lexists(name)],
        "listeners": sorted(_listeners()),
        "files": sorted(path.name for path in state_dir.glob("[!.]*") if path.name != "log"),
    }


def _processes(state_dir: Path) -> list[str]:
    """Those whose home or command names the cluster's directory, and those in a container."""
    found = []
    for pid in all_pids():
        words = command_line(pid)
        try:
            group = Path(f"/proc/{pid}/cgroup").read_text()
            home = f"HOME={state_dir}/".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if home or f"{state_dir}/" in " ".join(words) or f"/{machine.CGROUP_PARENT}/" in group:
            found.append(f"{pid} {' '.join(words)}")
    return found


def _mounts(state_dir: Path) -> list[str]:
    """All but those that others may make at the same time, such as the builder of an image."""
    tops = tuple(f"/{name}" for name in ("dev", "etc", "opt", "proc", "run", "sys", "var/lib", "var/log"))
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if str(state_dir) in line or line.split()[1].startswith(tops)]


def _sysctls() -> list[str]:
    paths = [Path("/proc/sys") / name for name in machine.SYSCTLS]
    paths += sorted(Path("/proc/sys/net").glob("ipv[46]/conf/*/*forwarding"))
    return [f"{path}={path.read_text().strip()}" for path in paths if path.exists()]


def _listeners() -> set[str]:
    """Addresses in state LISTEN on the node's address, and the lock."""
    sockets = Path("/proc/net/tcp").read_text().splitlines()[1:]
    node_ip = "0100000A"  # 10.0.0.1 as the kernel writes it
    found = {words[1] for line in sockets if (words := line.split())[3] == "0A" and node_ip in words[1]}
    return found | {line for line in Path("/proc/net/unix").read_text().split() if "a360-cluster" in line}


def _lines(*command: str) -> list[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    program = shutil.which(command[0], path=path)
    if program is None:
        return []
    return subprocess.run([program, *command[1:]], capture_output=True, text=True).stdout.splitlines()
