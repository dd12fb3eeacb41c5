"""The process of one program's judgement: starts checker and candidate, watches both, leaves nobody behind.

Orphans of its descendants become its children. It runs nothing of the program and parses nothing that the
candidate's process wrote.
"""

import contextlib
import json
import os
import selectors
import signal
import sys
import time
from pathlib import Path

from a360.grading.sandbox import bubblewrap, kernel, private_directory
from a360.grading.sandbox.checker import STARTED
from a360.grading.sandbox.job import Job
from a360.grading.sandbox.lockdown import Policy
from a360.grading.sandbox.users import Users, claim_users

START_SECONDS = 60.0
"""For two processes to start and confine themselves; not the program's time."""

THREADS = 64
"""Of a candidate. The kernel's own limit counts all processes of a user, so it is set where those are few."""

_TICK_SECONDS = 0.02
_REAP_SECONDS = 20.0
_REST_SECONDS = 0.2
"""For a process that has closed its pipe to end."""
_START = Path(__file__).with_name("start.py")
_PACKAGE = _START.parents[2]


class StartError(Exception):
    """The processes did not come up; says nothing about the program."""


def main(words: list[str]) -> None:
    """Reads a job from standard input, writes what came of it as JSON to standard output."""
    job = Job.from_json(sys.stdin.read())
    for option, value in (
        (kernel.PR_SET_CHILD_SUBREAPER, int("orphans" not in job.without)),
        (kernel.PR_SET_DUMPABLE, 0),
        (kernel.PR_SET_PDEATHSIG, signal.SIGKILL),
    ):
        kernel.prctl(option, value)
    try:
        outcome = _Supervisor(job).run()
    except (StartError, OSError) as error:
        outcome = {"error": str(error)[:2000]}
    print(json.dumps(outcome))


class _Supervisor:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._users = claim_users() if os.getuid() == 0 else Users(None, None, None)
        self._directories: list[str] = []

    def run(self) -> dict[str, str]:
        """``verdict`` and ``detail`` of the program."""
        try:
            return self._judge()
        finally:
            _end_all()
            for directory in self._directories:
                private_directory.remove(directory)
            if self._users.claim is not None:
                self._users.claim.close()

    def _judge(self) -> dict[str, str]:
        asks_read, asks_write = os.pipe()
        replies_read, replies_write = os.pipe()
        verdict_read, verdict_write = os.pipe()
        os.set_inheritable(verdict_write, "inheritance" in self._job.without)
        job_read = self._program_file()
        null = os.open(os.devnull, os.O_RDONLY)
        watch = _Watch(self._job, verdict_read)
        candidate = self._spawn(
            "candidate", self._users.candidate, null, watch.output(limited=True), (asks_read, replies_write)
        )
        descriptors = (asks_write, replies_read, verdict_write)
        self._spawn("checker", self._users.checker, job_read, watch.output(limited=False), descriptors)
        for descriptor in (asks_read, replies_write, *descriptors, null, job_read):
            os.close(descriptor)
        watch.close_writers()
        if self._job.bubblewrap is None:
            watch.look_at(candidate, self._directories[0])
        outcome = watch.wait()
        return self._explain(candidate) or outcome if outcome.pop("gone", "") else outcome

    def _spawn(
        self, role: str, user: int | None, standard_input: int, output: int, passed: tuple[int, ...]
    ) -> int:
        """Starts one of the two in a session of its own, with no environment; returns its process id."""
        job = self._job
        executable = os.path.realpath(sys.executable)
        if job.bubblewrap is None:
            self._directories.append(private_directory.make(job.scratch, user))
            prefix, directory = [], self._directories[-1]
        else:
            prefix, directory = bubblewrap.wrap(job.bubblewrap, _PACKAGE, job.disk_bytes), bubblewrap.PRIVATE
        policy = Policy(
            directory=directory,
            descriptors=passed,
            user=user,
            cpu_seconds=int(job.timeout_seconds) + 3,
            memory_bytes=job.memory_bytes,
            threads=THREADS if user is not None or job.bubblewrap is not None else None,
            weak=job.weak,
            without=job.without if role == "candidate" else (),
        )
        start = [executable, "-P", "-s", "-S", "-B", "-X", "utf8", str(_START), role]
        command = [*prefix, *start, policy.to_json(), *map(str, passed)]
        environment = {"PYTHONHASHSEED": "0"}  # else the order of a set, and a verdict with it, is chance
        if "environment" in policy.without:
            environment["PLANTED"] = "credential"
        actions = [(os.POSIX_SPAWN_DUP2, standard_input, 0)]
        actions += [(os.POSIX_SPAWN_DUP2, output, number) for number in (1, 2)]
        for descriptor in passed:
            os.set_inheritable(descriptor, True)
        process = os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)
        for descriptor in passed:
            os.set_inheritable(descriptor, False)
        return process

    def _program_file(self) -> int:
        """A descriptor of the checker's input, in memory: it is larger than a pipe takes at once."""
        descriptor = os.memfd_create("program")
        os.write(descriptor, json.dumps(self._job.program).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def _explain(self, candidate: int) -> dict[str, str] | None:
        """A program that the kernel ended for its use of time or memory did not merely fail."""
        deadline = time.monotonic() + _REST_SECONDS
        process = 0
        while not process and time.monotonic() < deadline:
            process, status, usage = os.wait4(candidate, os.WNOHANG)
            time.sleep(0.001)
        if not process:
            return None  # it closed its pipe and lives on
        code = os.waitstatus_to_exitcode(status)
        if code not in (-signal.SIGKILL, 128 + signal.SIGKILL):
            return None
        late = usage.ru_utime + usage.ru_stime >= self._job.timeout_seconds
        return {"verdict": "timed_out" if late else "resource", "detail": "the kernel ended it"}


class _Watch:
    """Waits for the verdict while it bounds time, output, threads and disk."""

    def __init__(self, job: Job, verdict: int) -> None:
        self._job = job
        self._selector = selectors.DefaultSelector()
        self._verdict = verdict
        self._limited: int | None = None
        self._candidate: int | None = None
        self._directory = ""
        self._writers: list[int] = []
        self._received = b""
        self._printed = b""
        self._printed_bytes = 0
        self._selector.register(verdict, selectors.EVENT_READ)

    def output(self, *, limited: bool) -> int:
        """Where a process may print; what it prints is read, and of the candidate's the amount is bounded."""
        read, write = os.pipe()
        self._selector.register(read, selectors.EVENT_READ)
        self._writers.append(write)
        if limited:
            self._limited = read
        return write

    def close_writers(self) -> None:
        """To be called when both processes have their ends."""
        for writer in self._writers:
            os.close(writer)

    def look_at(self, candidate: int, directory: str) -> None:
        """Bounds the threads of a process and the disk that it takes, where no namespace does."""
        self._candidate, self._directory = candidate, directory

    def wait(self) -> dict[str, str]:
        """The outcome. Raises StartError where the program was not reached."""
        started = False
        deadline = time.monotonic() + START_SECONDS
        while True:
            for key, _ in self._selector.select(_TICK_SECONDS):
                ended = self._read(key.fd)
                if ended and key.fd == self._verdict:
                    return self._outcome(started)
            if not started and self._received.startswith(STARTED):
                started, deadline = True, time.monotonic() + self._job.timeout_seconds
            if started and self._received.endswith(b"\n") and self._received != STARTED:
                return self._outcome(started)
            if started and (excess := self._excess()):
                return {"verdict": "resource", "detail": excess}
            if self._printed_bytes > self._job.output_bytes and "output" not in self._job.without:
                return {"verdict": "resource", "detail": "too much output"}
            if time.monotonic() > deadline and not (started and "clock" in self._job.without):
                if not started:
                    raise StartError(f"not started after {START_SECONDS:g} s")
                return {"verdict": "timed_out", "detail": f"more than {self._job.timeout_seconds:g} s"}

    def _excess(self) -> str:
        """What the candidate has too much of; nothing where a namespace sees to it."""
        if self._candidate is None:
            return ""
        without, limit = self._job.without, self._job.disk_bytes
        if "thread count" not in without and kernel.thread_count(self._candidate) > THREADS:
            return "too many threads"
        too_full = "disk" not in without and private_directory.exceeds(self._directory, limit)
        return "too much disk" if too_full else ""

    def _read(self, descriptor: int) -> bool:
        """Whether a pipe has ended."""
        data = os.read(descriptor, 2**16)
        if descriptor == self._verdict:
            self._received += data
        else:
            self._printed = (self._printed + data)[-2000:]
            self._printed_bytes += len(data) if descriptor == self._limited else 0
        if not data:
            self._selector.unregister(descriptor)
        return not data

    def _outcome(self, started: bool) -> dict[str, str]:
        if not started and not self._received.startswith(STARTED):
            raise StartError(self._printed.decode("utf-8", "replace").strip() or "ended without a word")
        line, ended, _ = self._received.removeprefix(STARTED).partition(b"\n")
        if not ended:
            return {"verdict": "refused", "detail": "the checker did not survive what the program gave"}
        found = json.loads(line)
        return {name: str(found[name]) for name in ("verdict", "detail", "gone")}


def _end_all() -> None:
    """Kills and collects every descendant; orphans become children meanwhile, so it looks until none is left.

    Raises:
        OSError: one of them cannot be killed.
    """
    deadline = time.monotonic() + _REAP_SECONDS
    while time.monotonic() < deadline:
        for process in kernel.process_ids_of_children(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)
    raise OSError("a process of the program cannot be killed")
