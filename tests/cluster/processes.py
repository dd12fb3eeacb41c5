"""Processes that outlive the one that started them, known by pid and start time.

Each runs in a session of its own. A shell writes the record and then becomes the program, so there is no
moment at which a process runs that no record names. A pid alone is not enough: after a crash it may belong
to somebody else.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.cluster.layout import Layout

# $0 is the record. Field 22 of stat is the start time; the name before it may contain anything.
_RECORD = """
record() { echo "$$ ${20}" >"$out.part" && mv "$out.part" "$out"; }
out=$0; stat=$(cat /proc/$$/stat); record ${stat##*) } || exit 1; exec "$@"
"""
SUFFIX = ".process"


class Process(NamedTuple):
    """One process, not to be confused with another one of the same pid."""

    pid: int
    started: int
    """Clock ticks since the machine started."""

    @property
    def alive(self) -> bool:
        return _start_time(self.pid) == self.started


class NotReadyError(Exception):
    """A process ended, or did not do in time what was expected of it."""


def current_process() -> Process:
    """The process that asks."""
    return Process(os.getpid(), _start_time(os.getpid()) or 0)


def start(layout: Layout, name: str, command: Sequence[str | Path], **environment: str) -> Process:
    """The process of a command: in a session of its own, recorded, its output in log/."""
    record_path = layout.records / f"{name}{SUFFIX}"
    record_path.unlink(missing_ok=True)
    with (layout.log / f"{name}.log").open("ab") as log:
        subprocess.run(
            ["setsid", "--fork", "sh", "-c", _RECORD, str(record_path), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=clean_environment(layout, **environment),
            check=True,
        )
    wait_until(f"{name} is recorded", record_path.exists, seconds=20)
    return read_record(record_path)


def clean_environment(layout: Layout, **more: str) -> dict[str, str]:
    """Nothing of a person's own: no proxies, no kubeconfig, a home below the state directory."""
    home = layout.var / "home"
    if layout.root.exists():  # somebody may have deleted it under a running cluster
        home.mkdir(parents=True, exist_ok=True)
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", **more}


def recorded(layout: Layout, name: str) -> Process | None:
    """The process of that name, if there ever was one."""
    record_path = layout.records / f"{name}{SUFFIX}"
    return read_record(record_path) if record_path.exists() else None


def read_record(record_path: Path) -> Process:
    """The process that a record names."""
    pid, started = record_path.read_text().split()
    return Process(int(pid), int(started))


def wait_until(
    what: str,
    holds: Callable[[], bool],
    *,
    seconds: float,
    process: Process | None = None,
    log_path: Path | None = None,
) -> None:
    """Waits. Raises NotReadyError, with the end of the log, when the time is over or the process ended."""
    deadline = time.monotonic() + seconds
    while not holds():
        ended = process is not None and not process.alive
        if ended or time.monotonic() > deadline:
            why = "its process ended" if ended else f"not within {seconds:.0f} s"
            tail = log_path.read_text(errors="replace")[-2000:] if log_path else ""
            raise NotReadyError(f"{what}: {why}\n{tail}".rstrip())
        time.sleep(0.1)


def stop(process: Process, seconds: float = 10) -> None:
    """Ends a process, gently first. Nothing happens where it has ended already."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        _send(process, number)
        deadline = time.monotonic() + seconds
        while process.alive and time.monotonic() < deadline:
            time.sleep(0.05)
    if process.alive:
        raise NotReadyError(f"process {process.pid} does not end: {command_line(process.pid)}")


def stop_recorded(layout: Layout, name: str) -> None:
    """Ends a process that is no longer wanted, and removes its record."""
    if process := recorded(layout, name):
        stop(process)
        (layout.records / f"{name}{SUFFIX}").unlink()


def kill(processes: Sequence[Process]) -> None:
    """Ends processes at once and waits until they are gone."""
    for process in processes:
        _send(process, signal.SIGKILL)
    wait_until("the processes end", lambda: not any(process.alive for process in processes), seconds=20)


def descendants(roots: Sequence[int]) -> list[Process]:
    """The processes of these pids and everything that they started, as it is now."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        if (stat := _stat(pid)) is not None:
            children.setdefault(int(stat[1]), []).append(pid)
    found, queue = [], list(roots)
    while queue:
        pid = queue.pop()
        if (started := _start_time(pid)) is not None:
            found.append(Process(pid, started))
        queue.extend(children.get(pid, ()))
    return found


def all_pids() -> list[int]:
    """Every process of the machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def command_line(pid: int) -> list[str]:
    """The words of a command; empty where there is none (any more)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def run(command: Sequence[str | Path], environment: Mapping[str, str], stdin: str | None = None) -> str:
    """What a command prints. Raises NotReadyError with what it says on stderr."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env=dict(environment), input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise NotReadyError(
            f"{' '.join(words[:8])}: exit {done.returncode}\n{(done.stderr or done.stdout)[-3000:]}".rstrip()
        )
    return done.stdout


def _send(process: Process, number: int) -> None:
    if process.alive:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def _start_time(pid: int) -> int | None:
    """None for a process that has ended, also where nobody has asked for its exit code yet."""
    stat = _stat(pid)
    return None if stat is None or stat[0] in "ZX" else int(stat[19])


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
