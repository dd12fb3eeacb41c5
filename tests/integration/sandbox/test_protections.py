"""Every protection is there for something: without it a named attack succeeds, and alone it stops it.

Protections overlap on purpose. ``backups`` are the others that also stop the attack: with only those left out
it must fail, so the protection holds by itself; with it left out too it must succeed.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from a360.grading.sandbox import landlock
from a360.grading.sandbox.denied import DENIED
from a360.grading.sandbox.job import Job
from tests.integration.sandbox.attacks import BY_NAME, FORGING, Attack, attack
from tests.integration.sandbox.conftest import PACKAGE, World

pytestmark = pytest.mark.integration


@dataclass(frozen=True, kw_only=True)
class Case:
    """A protection and the attack that it is for."""

    protection: str
    attack: Attack
    backups: tuple[str, ...] = ()


def case(protection: str, name: str, *backups: str) -> Case:
    return Case(protection=protection, attack=BY_NAME[name], backups=backups)


def own(protection: str, body: str, *backups: str) -> Case:
    return Case(protection=protection, attack=attack(f"gets past {protection}", body), backups=backups)


SYSTEM_CALLS = [
    case("sockets", "opens a local socket"),
    case("tracing", "lets itself be traced"),
    case("signals", "signals its parent", "user", "landlock scopes"),
    case("mounts", "watches files"),
    case("namespaces", "makes a user namespace"),
    case("processes", "starts a process"),
    case("programs", "looks for a program"),
    case("memory files", "makes a file in memory"),
    case("io_uring", "uses io_uring"),
    case("bpf", "watches performance"),
    case("keys", "reads keys"),
    case("kernel", "changes its personality"),
    case("identity", "sets another user"),
    case("attributes", "makes a program privileged"),
    case("ipc", "shares memory"),
    own("others", "os.sched_setaffinity(0, os.sched_getaffinity(0))\nreturn True"),
]
MANY_THREADS = """
threading.stack_size(2**16)
for _ in range(100):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
"""
LIMITS = [
    own("clock", "time.sleep(4)\nreturn True"),
    own("cpu", "while time.process_time() < 8:\n    pass\nreturn True", "clock"),
    own("memory", "import mmap\nreturn bool(mmap.mmap(-1, 2 * 2**30))"),
    case("file size", "writes one large file"),
    own(
        "open files",
        "kept = [open('/dev/null') for _ in range(200)]\nreturn True",
    ),
    own("core", "resource.setrlimit(resource.RLIMIT_CORE, (1, 1))\nreturn True"),
    own(
        "locked memory",
        "return libc.mlock(ctypes.create_string_buffer(2**20), 2**20) == 0",
    ),
    own("threads", f"{MANY_THREADS}return True", "memory", "thread count"),
    own("thread count", f"{MANY_THREADS}time.sleep(0.5)\nreturn True", "memory", "threads"),
    own(
        "disk",
        "for n in range(8):\n    open(f'{n}', 'wb').write(bytes(3 * 2**20))\ntime.sleep(0.5)\nreturn True",
    ),
    own("output", "for _ in range(48):\n    os.write(1, bytes(2**16))\ntime.sleep(0.5)\nreturn True"),
]
REACH = [
    own("seccomp", "return libc.prctl(21, 0, 0, 0, 0) == 0"),
    case("landlock", "reads a planted credential"),
    case("landlock", "writes outside"),
    own("dumpable", "return libc.prctl(3, 0, 0, 0, 0) != 0", "user"),
    case("landlock network", "connects to a server", "sockets"),
    case("landlock scopes", "signals its parent", "signals", "user"),
    case("user", "is root"),
    own("environment", "return os.environ.get('PLANTED') == 'credential'"),
    Case(
        protection="descriptors",
        attack=next(found for found in FORGING if found.name == "writes a verdict to every descriptor"),
        backups=("inheritance",),
    ),
    Case(
        protection="inheritance",
        attack=next(found for found in FORGING if found.name == "writes a verdict to every descriptor"),
        backups=("descriptors",),
    ),
]
CASES = [*SYSTEM_CALLS, *LIMITS, *REACH]


def require(protection: str) -> None:
    if protection in ("user", "threads", "signals", "landlock scopes") and os.getuid() != 0:
        pytest.skip("only root becomes another user")
    if protection == "landlock scopes" and landlock.abi() < 6:
        pytest.skip("Landlock has no scopes here")
    if protection == "landlock network" and landlock.abi() < 4:
        pytest.skip("Landlock knows no network here")
    if protection == "core" and resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("no process of this machine may write a core")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.protection}: {case.attack.name}")
def test_protection_alone_stops_what_succeeds_without_it(case: Case, world: World) -> None:
    require(case.protection)
    assert world.judge(case.attack, without=case.backups).verdict != "passed"
    found = world.judge(case.attack, without=(*case.backups, case.protection))
    assert found.verdict == "passed", found
    for path in world.outside.iterdir():
        if path.name != "secret":
            path.unlink()
    assert world.leaks() == []


def test_the_kernels_own_clock_is_told_from_a_failure(world: World) -> None:
    found = world.judge(BY_NAME["loops without end"], without=("clock",))
    assert (found.verdict, found.detail) == ("timed_out", "the kernel ended it")


def test_programs_that_run_at_once_do_not_count_each_others_threads(world: World) -> None:
    busy = attack(
        "starts many threads",
        "threading.stack_size(2**16)\nfor _ in range(40):\n"
        "    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "time.sleep(1)\nreturn True",
    )
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(lambda _: world.judge(busy), range(4)))
    assert {verdict.verdict for verdict in found} == {"passed"}, found


def test_every_denied_group_has_its_attack() -> None:
    assert {case.protection for case in SYSTEM_CALLS} == set(DENIED)


def test_orphans_live_on_without_the_search_for_them(world: World) -> None:
    daemon = attack(
        "daemonises",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        time.sleep(600)\n    os._exit(0)\nos.wait()\nreturn True",
    )
    world.judge(daemon, without=("processes",))
    assert world.processes() == []
    world.judge(daemon, without=("processes", "orphans"))
    left = world.processes()
    for found in left:
        os.kill(int(found.removeprefix("process ")), 9)
    assert len(left) == 1
    assert world.leaks() == []


def test_a_program_that_starts_children_ends_with_all_of_them(world: World) -> None:
    bomb = attack(
        "forks for a while",
        "end = time.time() + 1\nwhile time.time() < end:\n    try:\n"
        "        os.fork()\n    except OSError:\n        pass\nreturn False",
    )
    require("threads")
    assert world.judge(bomb, without=("processes",)).verdict != "passed"
    assert world.leaks() == []


@pytest.mark.parametrize("without", [(), ("death signal",)])
def test_no_program_outlives_a_supervisor_that_is_killed(world: World, without: tuple[str, ...]) -> None:
    program = {"program": "while True: pass", "helpers": "", "tests": "x\n", "entry_point": None}
    scratch = world.directory / "scratch"
    job = Job(program=program, scratch=str(scratch), bubblewrap=None, timeout_seconds=60.0, without=without)
    command = [sys.executable, "-I", "-S", "-B", str(PACKAGE / "grading/sandbox/start.py"), "supervisor"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={}) as supervisor:
        assert supervisor.stdin is not None
        supervisor.stdin.write(job.to_json().encode())
        supervisor.stdin.close()
        time.sleep(2.0)
        assert len(world.processes()) >= 2
        supervisor.kill()
    left = world.processes()
    for found in left:
        os.kill(int(found.removeprefix("process ")), 9)
    for path in scratch.iterdir():
        shutil.rmtree(path)
    assert len(left) == len(without)
