"""What the sandbox is worth on this machine: known attacks by the way that every program takes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from a360.errors import ConfigError
from a360.grading.sandbox import bubblewrap, landlock
from a360.grading.sandbox.documents import Attestation
from a360.grading.sandbox.job import Job

_PACKAGE = Path(__file__).resolve().parents[2]
_SECONDS = 30.0

PROBE = """
import ctypes, os, socket

def escapes(planted):
    def look(place):
        with open(place) as file:
            return bool(file.read(1))
    def make(place):
        with open(place, "x"):
            return True
    libc = ctypes.CDLL(None, use_errno=True)
    attacks = {
        "reads another file": lambda: look(planted),
        "reads the user list": lambda: look("/etc/passwd"),
        "writes beside its directory": lambda: make(planted + ".written"),
        "opens a socket": lambda: bool(socket.socket()),
        "opens a local socket": lambda: bool(socket.socketpair()),
        "signals its parent": lambda: os.kill(os.getppid(), 0) is None,
        # Waits for it: the signal of its end would stop who lets itself be traced.
        "starts a process": lambda: os.waitpid(os.fork() or os._exit(0), 0),
        "becomes another program": lambda: libc.execve(b"/nowhere", None, None) and ctypes.get_errno() != 1,
        "makes a namespace": lambda: libc.unshare(0x10000000) == 0,
        "traces": lambda: libc.ptrace(0, 0, 0, 0) == 0,
        "becomes root": lambda: libc.setuid(0) == 0,
        "is root": lambda: os.getuid() == 0,
        "has no filter": lambda: libc.prctl(21, 0, 0, 0, 0) != 2,
        "gains privileges": lambda: libc.prctl(39, 0, 0, 0, 0) != 1,
        "has an environment": lambda: bool(os.environ),
    }
    found = []
    for name, attack in attacks.items():
        try:
            if attack():
                found.append(name)
        except (OSError, ValueError):
            pass
    return found
"""
"""Defines ``escapes(planted)``: the names of what it could do and should not."""

_HONEST = "def double(x):\n    return 2 * x\n"


def attest(
    scratch: str, allow_weak: bool, outer_layer: bool, run: Callable[[Job], dict[str, str]]
) -> tuple[Attestation, Job]:
    """What confines programs here, and the job that each of them is to be run as.

    Args:
        scratch: A directory for the self-test and for later jobs.
        allow_weak: Records what does not hold, where it would be an error.
        outer_layer: Also bubblewrap, where it works.
        run: Runs a job as every program is run.

    Raises:
        ConfigError: it does not hold, and a weak one is not allowed.
    """
    executable = shutil.which("bwrap") if outer_layer else None
    if executable is not None and not bubblewrap.works(executable, _PACKAGE):
        executable = None
    job = Job(program={}, scratch=scratch, bubblewrap=executable, timeout_seconds=_SECONDS)
    escapes = find_escapes(job, run)
    if escapes and not allow_weak:
        raise ConfigError(
            f"sandbox does not hold: a program {', '.join(escapes)}; expected none of it",
            hint="Grade where the kernel has Landlock and seccomp filters, as a user other than root where "
            "that can be; or let the suite say allow_weak_sandbox, which every result records.",
        )
    attestation = Attestation(
        layer="kernel" if executable is None else "bubblewrap",
        landlock_abi=landlock.abi(),
        seccomp=not {"has no filter", "could not be confined"} & {e.split(":")[0] for e in escapes},
        bubblewrap=executable is not None,
        holds=not escapes,
        escapes=escapes,
    )
    return attestation, replace(job, weak=bool(escapes))


def find_escapes(job: Job, run: Callable[[Job], dict[str, str]]) -> tuple[str, ...]:
    """What a program of ours can do in this sandbox and should not; empty where it holds.

    Raises:
        ConfigError: it does not tell a right program from a wrong one.
    """
    planted = Path(job.scratch) / "planted"
    planted.write_text("nobody reads this")
    tests = f"found = escapes({str(planted)!r})\nassert not found, 'ESCAPES:' + ','.join(found)\n"
    probe = {"program": PROBE, "helpers": "", "tests": tests, "entry_point": None}
    outcome = run(replace(job, program=probe))
    if outcome.get("verdict") == "passed":
        _require_judgement(job, run)
        return ()
    _, escaped, names = outcome.get("detail", "").partition("ESCAPES:")
    if escaped:
        return tuple(names.split(","))
    return (f"could not be confined: {outcome.get('error') or outcome.get('detail')}",)


def _require_judgement(job: Job, run: Callable[[Job], dict[str, str]]) -> None:
    for tests, expected in (("assert double(2) == 4", "passed"), ("assert double(2) == 5", "failed")):
        program = {"program": _HONEST, "helpers": "", "tests": tests, "entry_point": None}
        found = run(replace(job, program=program))
        if found.get("verdict") != expected:
            raise ConfigError(
                f"sandbox does not judge: {tests!r} came to {found}, expected {expected}",
                hint="Look for limits on processes, memory or temporary files of this container.",
            )
