"""System calls without a wrapper in Python, by ctypes; no policy."""

import ctypes
import os
import platform

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def machine() -> str | None:
    """``x86_64`` or ``aarch64``; None for a machine whose system call numbers are not known here."""
    found = platform.machine()
    return found if found in ("x86_64", "aarch64") and ctypes.sizeof(ctypes.c_void_p) == 8 else None


def prctl(option: int, value: int, address: int = 0) -> None:
    """One prctl.

    Raises:
        OSError: the kernel refuses it.
    """
    zero = ctypes.c_ulong(0)
    words = (ctypes.c_ulong(value), ctypes.c_ulong(address), zero, zero)
    if _LIBC.prctl(ctypes.c_int(option), *words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def syscall(number: int, *arguments: int) -> int:
    """What a system call returns.

    Raises:
        OSError: it returns an error.
    """
    found = int(_LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
    if found == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"system call {number}: {os.strerror(error)}")
    return found


def process_ids_of_children(parent: int) -> tuple[int, ...]:
    """The children of a process, orphans that it was given included; read from /proc."""
    names = [name for name in os.listdir("/proc") if name.isdigit()]
    return tuple(int(name) for name in names if _stat(name, _PARENT) == parent)


def thread_count(process: int) -> int:
    """The threads of a process; 0 where it has ended or nobody may know."""
    return _stat(str(process), _THREADS)


_PARENT, _THREADS = 1, 17
"""Places in /proc/<process>/stat, counted behind the name."""


def _stat(process: str, place: int) -> int:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[place])
    except OSError:
        return 0  # it has ended meanwhile
