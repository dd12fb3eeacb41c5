"""The system call filter of a confined process: a list of denials, with the few that depend on an argument.

Threads stay allowed, new processes and new programs do not: no problem that is graded here needs them, and
whoever cannot fork leaves nobody behind. Calls later than the list answer ENOSYS, on which libc falls back.
"""

import ctypes
import errno
import os
import struct

from a360.grading.sandbox import denied, kernel

_LOAD, _EQUAL, _ABOVE, _ANY, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06  # BPF: ld abs, jeq, jgt, jset, ret
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE, _UNKNOWN = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16  # offsets in struct seccomp_data
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_CLONE_THREAD = 0x10000
_CLONE_NEW = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
_MODE_FILTER = 2

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant; jumps count instructions."""

_NUMBERS = {
    "x86_64": {"kill": 62, "tkill": 200, "tgkill": 234, "clone": 56, "clone3": 435},
    "aarch64": {"kill": 129, "tkill": 130, "tgkill": 131, "clone": 220, "clone3": 435},
}
_COMMANDS = {
    "x86_64": {"fcntl": 72, "ioctl": 16, "prctl": 157, "prlimit64": 302},
    "aarch64": {"fcntl": 25, "ioctl": 29, "prctl": 167, "prlimit64": 261},
}
_SETOWN = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: a signal to others through a descriptor
_TERMINAL = (0x5412, 0x541C, 0x8901, 0x8902)  # TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP
_PRCTL = (1, 4, 36, 0x59616D61)  # death signal, dumpable, subreaper, ptracer: what the supervisor relies on


def install(without: tuple[str, ...] = ()) -> None:
    """Confines this process and all its later threads; needs no_new_privs.

    Args:
        without: protections that are left out, so that a test sees what each of them is for.

    Raises:
        OSError: the kernel has no filters, or the machine's numbers are not known.
    """
    machine = kernel.machine()
    if machine is None:
        raise OSError(errno.ENOSYS, "system call numbers of this machine are not known")
    program = assemble(machine, os.getpid(), without)
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer)))
    kernel.prctl(kernel.PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))


def assemble(machine: str, process_id: int, without: tuple[str, ...] = ()) -> list[Instruction]:
    """The filter of a process that may send signals to itself alone. Pure."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, _ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_ABOVE, 0, 1, _X32 - 1),
        (_RETURN, 0, 0, _UNKNOWN),
        (_ABOVE, 0, 1, denied.NEWEST),
        (_RETURN, 0, 0, _UNKNOWN),
    ]
    for number in denied.numbers(machine, without):
        program += _when(number, [(_RETURN, 0, 0, _REFUSE)])
    calls, commands = _NUMBERS[machine], _COMMANDS[machine]
    if "signals" not in without:
        for name in ("kill", "tkill", "tgkill"):
            program += _when(calls[name], _only(0, process_id))
        program += _when(commands["fcntl"], _never(1, _SETOWN))
        program += _when(commands["ioctl"], _never(1, _TERMINAL))
        program += _when(commands["prctl"], _never(0, _PRCTL))
        program += _when(commands["prlimit64"], _only(0, 0, process_id))
    program += _when(calls["clone3"], [(_RETURN, 0, 0, _UNKNOWN)])  # its flags are out of a filter's reach
    program += _when(calls["clone"], _clone(without))
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _when(number: int, then: list[Instruction]) -> list[Instruction]:
    return [(_EQUAL, 0, len(then), number), *then]


def _argument(index: int) -> Instruction:
    """Loads the low half; the high one of a process id or a command is ignored by the kernel too."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _only(index: int, *values: int) -> list[Instruction]:
    checks = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_argument(index), *checks, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _never(index: int, values: tuple[int, ...]) -> list[Instruction]:
    checks = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_argument(index), *checks, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]


def _clone(without: tuple[str, ...]) -> list[Instruction]:
    """Threads pass; processes and namespaces do not."""
    code = [_argument(0)]
    if "namespaces" not in without:
        code += [(_ANY, 0, 1, _CLONE_NEW), (_RETURN, 0, 0, _REFUSE)]
    if "processes" not in without:
        code += [(_ANY, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _REFUSE)]
    return [*code, (_RETURN, 0, 0, _ALLOW)]
