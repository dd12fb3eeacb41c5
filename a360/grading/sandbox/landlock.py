"""Landlock: which files a confined process can open, by raw system calls; needs no privilege.

It governs opening, creating, removing and renaming, connections, and from ABI 6 on signals and abstract
sockets. It does not govern stat, chdir, chmod or what is open already: seccomp and closed descriptors do.
"""

import contextlib
import ctypes
import os
import struct

from a360.grading.sandbox import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every machine
_VERSION_FLAG = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE = 1 << 4 | 1 << 5  # directories, files
_MAKE = 1 << 7 | 1 << 8  # directories, regular files: neither links nor devices, pipes or sockets
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_READ = _READ_FILE | _READ_DIR
_WRITE = _WRITE_FILE | _REMOVE | _MAKE | _REFER | _TRUNCATE
_FILE_RIGHTS = _WRITE_FILE | _READ_FILE | _TRUNCATE
_BIND_AND_CONNECT = 1 << 0 | 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1


def abi() -> int:
    """The version of Landlock in this kernel; 0 where there is none or it is not switched on."""
    try:
        return kernel.syscall(_CREATE, 0, 0, _VERSION_FLAG)
    except OSError:
        return 0


def handled(version: int, without: tuple[str, ...] = ()) -> tuple[int, int, int]:
    """The rights of files, network and scopes that a ruleset denies unless granted. Pure."""
    last = {1: 12, 2: 13, 3: 14, 4: 14}.get(version, 15)
    files = 0 if "landlock" in without else (1 << last + 1) - 1
    network = _BIND_AND_CONNECT if version >= 4 and "landlock network" not in without else 0
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if version >= 6 and "landlock scopes" not in without else 0
    return files, network, scopes


def build_ruleset(readable: tuple[str, ...], writable: tuple[str, ...], without: tuple[str, ...] = ()) -> int:
    """A descriptor of the rules, made while the paths can still be reached; absent ones are skipped.

    Raises:
        OSError: there is no Landlock.
    """
    version = abi()
    files, network, scopes = handled(version, without)
    if not (files or network or scopes):
        return -1
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = ctypes.create_string_buffer(struct.pack("QQQ", files, network, scopes))
    ruleset = kernel.syscall(_CREATE, ctypes.addressof(attributes), size, 0)
    for paths, rights in ((readable, _READ), (writable, _READ | _WRITE)):
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                _grant(ruleset, path, rights & files)
    return ruleset


def restrict(ruleset: int) -> None:
    """Confines this process and all its later threads; needs no_new_privs. Closes the descriptor."""
    if ruleset >= 0:
        kernel.syscall(_RESTRICT, ruleset, 0)
        os.close(ruleset)


def _grant(ruleset: int, path: str, rights: int) -> None:
    if not rights:
        return
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed = rights if os.path.isdir(path) else rights & _FILE_RIGHTS
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, place))
        kernel.syscall(_ADD, ruleset, 1, ctypes.addressof(rule), 0)
    finally:
        os.close(place)
