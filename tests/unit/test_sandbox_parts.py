"""The pure parts of the sandbox: names of the tests, the filter, documents, rights, directories."""

import os
from pathlib import Path

import pytest

from a360.errors import DataError
from a360.grading.sandbox import denied, landlock, private_directory, seccomp, users
from a360.grading.sandbox.documents import Attestation, Program, Programs, Verdict, Verdicts, verify_verdicts
from a360.grading.sandbox.job import Job
from a360.grading.sandbox.lockdown import Policy
from a360.grading.sandbox.names import missing_modules, remote_names
from a360.identity import hash_value

ALLOWED, DENIED, UNKNOWN, KILLED = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@pytest.mark.parametrize(
    ("tests", "names"),
    [
        ("assert area(2) == 4", ("area",)),
        ("import math\nassert math.isclose(area(2), 4)", ("area",)),
        ("assert math.isclose(area(2), 4)", ("area",)),
        ("head = Node(1)\nassert length(head) == 1", ("Node", "length")),
        ("assert sum(10, 15) == 6", ("sum",)),
        ("assert all(f(x) for x in [1])", ("f",)),
        ("assert set(f(1)) == set([1])", ("f",)),
        ("assert sorted([2, 1]) == [1, 2]", ("sorted",)),
        ("def half(x):\n    return x\nassert f(half(2))", ("f",)),
        ("x = 1", ()),
    ],
)
def test_the_tests_alone_say_what_is_asked_of_the_candidate(tests: str, names: tuple[str, ...]) -> None:
    assert remote_names(tests) == names


def test_modules_that_tests_forget_to_import_are_the_checkers() -> None:
    assert missing_modules("assert math.floor(f(1)) == 1") == ("math",)
    assert missing_modules("import math\nassert math.floor(f(1)) == 1") == ()


def run_filter(
    machine: str, number: int, *arguments: int, arch: int | None = None, **names: tuple[str, ...]
) -> int:
    """What a filter returns for a system call: the four instructions that are used, executed."""
    words = {0: number, 4: ARCH[machine] if arch is None else arch}
    words |= {16 + 8 * index: value & 0xFFFFFFFF for index, value in enumerate(arguments)}
    program = seccomp.assemble(machine, 4321, **names)
    place = loaded = 0
    while True:
        code, true, false, constant = program[place]
        assert 0 <= true <= 255
        assert 0 <= false <= 255
        place += 1
        if code == 0x20:
            loaded = words.get(constant, 0)
        elif code == 0x06:
            return constant
        else:
            holds = {0x15: loaded == constant, 0x25: loaded > constant, 0x45: bool(loaded & constant)}[code]
            place += true if holds else false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_denied_call_is_denied_unless_left_out(machine: str) -> None:
    for protection in denied.DENIED:
        others = tuple(name for name in denied.DENIED if name != protection)
        numbers = denied.numbers(machine, others)
        assert numbers or (protection, machine) == ("processes", "aarch64"), protection  # clone alone
        for number in numbers:
            assert run_filter(machine, number) in (DENIED, UNKNOWN)
            assert run_filter(machine, number, without=(protection,)) == ALLOWED


@pytest.mark.parametrize(
    ("machine", "number"), [("x86_64", 0), ("x86_64", 1), ("x86_64", 257), ("aarch64", 63), ("aarch64", 56)]
)
def test_reading_writing_and_opening_are_allowed(machine: str, number: int) -> None:
    assert run_filter(machine, number) == ALLOWED


KILL = {"x86_64": (62, 200, 234), "aarch64": (129, 130, 131)}
CLONE = {"x86_64": 56, "aarch64": 220}
THREAD = 0x3D0F00  # what libc starts a thread with


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_depends_on_an_argument(machine: str) -> None:
    for number in KILL[machine]:
        assert run_filter(machine, number, 4321) == ALLOWED
        for other in (1, 0, -1, 4320, 4322):
            assert run_filter(machine, number, other) == DENIED
    clone = CLONE[machine]
    assert run_filter(machine, clone, THREAD) == ALLOWED
    assert run_filter(machine, clone, 17) == DENIED
    for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert run_filter(machine, clone, THREAD | namespace) == DENIED
    assert run_filter(machine, 435) == UNKNOWN
    prlimit, fcntl, prctl = {"x86_64": (302, 72, 157), "aarch64": (261, 25, 167)}[machine]
    assert [run_filter(machine, prlimit, pid) for pid in (0, 4321, 1)] == [ALLOWED, ALLOWED, DENIED]
    assert [run_filter(machine, fcntl, 0, command) for command in (1, 8, 10, 15)] == [ALLOWED, *[DENIED] * 3]
    assert [run_filter(machine, prctl, option) for option in (15, 1, 4, 36)] == [ALLOWED, *[DENIED] * 3]


def test_calls_of_another_machine_or_a_later_kernel() -> None:
    assert run_filter("x86_64", 0, arch=0x40000003) == KILLED
    assert run_filter("aarch64", 63, arch=ARCH["x86_64"]) == KILLED
    assert run_filter("x86_64", 0x40000000) == UNKNOWN
    assert run_filter("x86_64", denied.NEWEST + 1) == UNKNOWN


def test_landlock_denies_what_its_version_knows() -> None:
    assert landlock.handled(1) == (2**13 - 1, 0, 0)
    assert landlock.handled(3) == (2**15 - 1, 0, 0)
    assert landlock.handled(4) == (2**15 - 1, 3, 0)
    assert landlock.handled(7) == (2**16 - 1, 3, 3)
    assert landlock.handled(7, ("landlock", "landlock scopes")) == (0, 3, 0)


def test_jobs_and_policies_survive_json() -> None:
    job = Job(program={"program": "x"}, scratch="s", bubblewrap=None, without=("a",))
    assert Job.from_json(job.to_json()) == job
    policy = Policy(directory=".", descriptors=(3, 4), user=None, cpu_seconds=1, without=("b",))
    assert Policy.from_json(policy.to_json()) == policy


PROGRAMS = Programs(programs=tuple(Program(id=f"{n}/0", program="", tests="") for n in range(3)))
HOLDS = Attestation(layer="kernel", landlock_abi=7, seccomp=True, bubblewrap=False, holds=True)


def answer(*ids: str, holds: bool = True, programs: Programs = PROGRAMS) -> Verdicts:
    return Verdicts(
        programs_hash=hash_value(programs),
        attestation=HOLDS.model_copy(update={"holds": holds}),
        verdicts=tuple(Verdict(id=name, verdict="passed") for name in ids),
    )


def test_verdicts_answer_exactly_what_was_sent() -> None:
    verify_verdicts(PROGRAMS, answer("0/0", "1/0", "2/0"))
    for ids in (("0/0", "1/0"), ("0/0", "2/0", "1/0"), ("0/0", "1/0", "2/0", "2/0"), ("0/0", "0/0", "2/0")):
        with pytest.raises(DataError, match="do not answer"):
            verify_verdicts(PROGRAMS, answer(*ids))
    other = Programs(programs=PROGRAMS.programs[:2])
    with pytest.raises(DataError, match="expected those of"):
        verify_verdicts(PROGRAMS, answer("0/0", "1/0", "2/0", programs=other))


def test_a_weak_sandbox_needs_leave() -> None:
    with pytest.raises(DataError, match="did not hold"):
        verify_verdicts(PROGRAMS, answer("0/0", "1/0", "2/0", holds=False))
    weak = PROGRAMS.model_copy(update={"allow_weak_sandbox": True})
    verify_verdicts(weak, answer("0/0", "1/0", "2/0", holds=False, programs=weak))


def test_a_private_directory_is_measured_and_removed_whatever_it_is(tmp_path: Path) -> None:
    path = private_directory.make(str(tmp_path), None)
    assert not private_directory.exceeds(path, 0)
    (Path(path) / "a").write_bytes(bytes(100_000))
    (Path(path) / "link").symlink_to(tmp_path)
    (Path(path) / "closed").mkdir(mode=0)
    assert private_directory.exceeds(path, 90_000)
    assert not private_directory.exceeds(path, 200_000)
    here = os.open(path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    assert private_directory.exceeds(path, 10**12)
    private_directory.remove(path)
    assert list(tmp_path.iterdir()) == []


def test_a_user_is_nobody_elses_until_it_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "FIRST", 10_000 + os.getpid() * 10)  # names of this test alone
    monkeypatch.setattr(users, "PROGRAMS", 2)
    claims = [users.claim_users() for _ in range(2)]
    assert len({user for claim in claims for user in (claim.candidate, claim.checker)}) == 4
    with pytest.raises(OSError, match="no user is free: 2 programs are running"):
        users.claim_users()
    for claim in claims:
        assert claim.claim is not None
        claim.claim.close()
        again = users.claim_users()
        assert again[:2] == claim[:2]
