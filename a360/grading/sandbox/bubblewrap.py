"""The outer layer, where the kernel lets this user make namespaces: a command line of bubblewrap."""

import os
import subprocess
import sys
from pathlib import Path

PRIVATE = "/private"
"""Where a program may write in its namespace: a file system of its own with a fixed size."""

_SYSTEM = ("/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")
_NAMESPACES = ("ipc", "pid", "net", "uts", "cgroup-try")


def wrap(bubblewrap: str, package: Path, disk_bytes: int) -> list[str]:
    """The words before the command that is to be confined.

    Root gets no user namespace: it would stay the host's root, which owns files and has no process limit.
    Instead the process becomes an unprivileged user by itself, with the two capabilities that this takes.

    Args:
        bubblewrap: Place of the executable.
        package: The directory of a360, read to start.
        disk_bytes: Size of the private file system.
    """
    if os.getuid() == 0:
        unshared = [f"--unshare-{name}" for name in _NAMESPACES]
        capabilities = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        unshared, capabilities = ["--unshare-all"], []
    executable = os.path.realpath(sys.executable)
    places = (*_SYSTEM, f"{sys.base_prefix}/lib", executable, str(package))
    bound = [word for place in places for word in ("--ro-bind-try", place, place)]
    return [
        bubblewrap,
        *unshared,
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *capabilities,
        *bound,
        *("--dev", "/dev", "--proc", "/proc"),
        *("--perms", "0777", "--size", str(disk_bytes), "--tmpfs", PRIVATE, "--chdir", PRIVATE),
        "--",
    ]


def works(bubblewrap: str, package: Path) -> bool:
    """Whether this user can start Python inside it."""
    command = [*wrap(bubblewrap, package, 2**20), os.path.realpath(sys.executable), "-I", "-S", "-c", ""]
    try:
        return subprocess.run(command, env={}, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
