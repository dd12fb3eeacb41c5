"""Confines the process it is called in, for good: the layer that every kernel gives without privilege.

Each protection has a name, so that a test can leave it out and see an attack succeed.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

from a360.grading.sandbox import kernel, landlock, seccomp

MIB = 2**20
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_LIBRARIES = ("/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is left to a confined process."""

    directory: str
    """Where it may write; its working directory."""
    descriptors: tuple[int, ...]
    """Those that stay open beside 0, 1 and 2."""
    user: int | None
    """User and group to become; None where the process is unprivileged already."""
    cpu_seconds: int
    memory_bytes: int = 1024 * MIB
    file_bytes: int = 4 * MIB
    open_files: int = 64
    threads: int | None = None
    """Threads of its user; None where other processes have the same user and would be counted."""
    weak: bool = False
    """Goes on without Landlock or filter where the kernel has none."""
    without: tuple[str, ...] = ()
    """Protections that a test leaves out."""

    def to_json(self) -> str:
        """One word for a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Policy":
        """What ``to_json`` wrote."""
        fields = json.loads(text)
        lists = {name: tuple(fields[name]) for name in ("descriptors", "without")}
        return Policy(**{**fields, **lists})


def confine(policy: Policy) -> None:
    """Applies every protection, in the order in which each still can be.

    Raises:
        OSError: the kernel refuses one of them, and the policy is not weak.
    """
    without = policy.without
    os.chdir(policy.directory)
    if "descriptors" not in without:
        _close_descriptors(policy.descriptors)
    if "environment" not in without:
        os.environ.clear()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where a container runs out of memory, its supervisor is not who ends
    ruleset = -1
    with _tolerance(policy):
        readable = (*_LIBRARIES, *_DEVICES, *sys.path)
        ruleset = landlock.build_ruleset(readable, (".", "/dev/null"), without)
    _limit(policy)
    if policy.user is not None and "user" not in without:
        _become(policy.user)
    kernel.prctl(kernel.PR_SET_DUMPABLE, int("dumpable" in without))  # closes its own /proc too
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 0 if "death signal" in without else signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    with _tolerance(policy):
        landlock.restrict(ruleset)
    if "seccomp" not in without:
        with _tolerance(policy):
            seccomp.install(without)


def _tolerance(policy: Policy) -> AbstractContextManager[None]:
    return contextlib.suppress(OSError) if policy.weak else contextlib.nullcontext()


def _close_descriptors(kept: tuple[int, ...]) -> None:
    """All that are open, not all that could be: there may be a thousand million numbers."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(int(name))


def _limit(policy: Policy) -> None:
    limits = {
        "cpu": (resource.RLIMIT_CPU, policy.cpu_seconds),
        "memory": (resource.RLIMIT_AS, policy.memory_bytes),
        "file size": (resource.RLIMIT_FSIZE, policy.file_bytes),
        "open files": (resource.RLIMIT_NOFILE, policy.open_files),
        "core": (resource.RLIMIT_CORE, 0),
        "locked memory": (resource.RLIMIT_MEMLOCK, 0),
        "threads": (resource.RLIMIT_NPROC, policy.threads),
    }
    for name, (number, value) in limits.items():
        if value is not None and name not in policy.without:
            resource.setrlimit(number, (value, value))


def _become(user: int) -> None:
    """Another user without groups. Python's library may lie below a directory closed to that user."""
    places = {path: os.open(path, os.O_PATH) for path in sys.path if os.path.isdir(path)}
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    for path, place in places.items():
        if os.access(path, os.R_OK | os.X_OK):
            os.close(place)
        else:
            _move_library(path, f"/proc/self/fd/{place}")


def _move_library(old: str, new: str) -> None:
    """Lets later imports go through an open directory, those of packages that are loaded included."""
    sys.path[:] = [new if path == old else path for path in sys.path]
    sys.path_importer_cache.clear()
    for module in list(sys.modules.values()):
        places = getattr(module, "__path__", None)
        if isinstance(places, list):
            places[:] = [new + path[len(old) :] if path.startswith(f"{old}/") else path for path in places]
