"""A machine with something to steal, and sandboxes around programs that want it."""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import a360
from a360.grading.sandbox import bubblewrap
from a360.grading.sandbox.documents import Program, Verdict
from a360.grading.sandbox.job import Job
from a360.grading.sandbox.judge import judge_program
from tests.integration.sandbox.attacks import Attack

TOKEN = "a-credential-that-nobody-prints"
PACKAGE = Path(a360.__file__).parent


@dataclass(frozen=True, kw_only=True)
class World:
    """Where attacks may try."""

    directory: Path
    port: int

    @property
    def outside(self) -> Path:
        return self.directory / "outside"

    def judge(self, attack: Attack, *, without: tuple[str, ...] = (), outer: str | None = None) -> Verdict:
        source = attack.source.replace("SECRET", str(self.outside / "secret"))
        source = source.replace("OUTSIDE", str(self.outside)).replace("PORT", str(self.port))
        job = Job(program={}, scratch=str(self.directory / "scratch"), bubblewrap=outer, without=without)
        program = Program(id=attack.name, program=source, tests=attack.tests)
        return judge_program(replace(job, timeout_seconds=3.0), program)

    def leaks(self) -> list[str]:
        """What a program left behind: files here, processes anywhere."""
        found = [str(path) for path in (self.directory / "scratch").iterdir()]
        found += [path.name for path in self.outside.iterdir() if path.name != "secret"]
        found += [] if (self.outside / "secret").read_text() == TOKEN else ["secret is changed"]
        return found + self.processes()

    def processes(self) -> list[str]:
        """Candidates and checkers of these tests that are alive; those of another run are not counted."""
        return processes(str(self.directory), bubblewrap.PRIVATE)


def processes(*directories: str) -> list[str]:
    """Those that have one of the directories in their command; those that are ending get a second."""
    start = str(PACKAGE / "grading" / "sandbox" / "start.py")
    deadline = time.monotonic() + 1.0
    while True:
        found = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = place.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if start in words and any(directory in " ".join(words) for directory in directories):
                found.append(f"process {place.parent.name}")
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Below a directory that every user may enter, unlike those of pytest: only the sandbox is in the way."""
    with (
        tempfile.TemporaryDirectory(prefix="a360-attacks-") as name,
        socket.create_server(("127.0.0.1", 0)) as s,
    ):
        directory = Path(name)
        directory.chmod(0o755)
        for part in ("scratch", "outside"):
            (directory / part).mkdir()
            (directory / part).chmod(0o777)
        (directory / "outside" / "secret").write_text(TOKEN)
        (directory / "outside" / "secret").chmod(0o644)
        yield World(directory=directory, port=s.getsockname()[1])


@pytest.fixture(scope="session", params=["kernel", "bubblewrap"])
def outer(request: pytest.FixtureRequest) -> str | None:
    """The executable of the outer layer, or None for the kernel's own protections alone."""
    if request.param == "kernel":
        return None
    executable = shutil.which("bwrap")
    if executable is None:
        pytest.skip("bwrap is not installed")
    if not bubblewrap.works(executable, PACKAGE):
        pytest.skip("bwrap cannot make namespaces here")
    return executable


@pytest.fixture(scope="session")
def as_root() -> bool:
    return os.getuid() == 0
