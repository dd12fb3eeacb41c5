"""The cheap content hash of a file: the same for the same bytes on every store.

Up to 256 MiB it is the sha256 of all bytes. A larger file is hashed by its first MiB, its last MiB and
14 evenly spaced windows of 64 KiB between them, so a 5 GB shard costs 16 ranged reads. Discovery uses
it to build a checkpoint's digest, the weight cache to verify what it pulled.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from a360.errors import DataError
from a360.storage.os_errors import os_failure

MIB = 1 << 20
WHOLE_BYTES = 256 * MIB
"""Files up to this size are hashed whole: for them content hash and full sha256 are equal."""
_PIECE_BYTES = 64 * MIB
_INNER_WINDOWS = 14
_INNER_BYTES = 64 << 10


class Window(NamedTuple):
    """A part of a file, in bytes."""

    start: int
    length: int


def content_windows(size_bytes: int) -> tuple[Window, ...]:
    """The parts of a file of this size that its content hash covers, in order.

    A file that is hashed whole comes in pieces of at most 64 MiB, so nobody holds 256 MiB in memory.
    """
    if size_bytes <= WHOLE_BYTES:
        return tuple(
            Window(start, min(_PIECE_BYTES, size_bytes - start))
            for start in range(0, size_bytes, _PIECE_BYTES)
        )
    span = size_bytes - 2 * MIB
    inner = (
        Window(MIB + span * i // (_INNER_WINDOWS + 1), _INNER_BYTES) for i in range(1, _INNER_WINDOWS + 1)
    )
    return (Window(0, MIB), *inner, Window(size_bytes - MIB, MIB))


def hash_windows(size_bytes: int, read: Callable[[int, int], bytes]) -> str:
    """The content hash (64 hex digits) of a file that ``read(start, length)`` gives parts of.

    Raises:
        DataError: when a part is shorter than the size promises.
    """
    digest = hashlib.sha256()
    for start, length in content_windows(size_bytes):
        part = read(start, length)
        if len(part) != length:
            raise DataError(
                f"file ends early: {len(part)} bytes at offset {start}, expected {length} of {size_bytes}"
            )
        digest.update(part)
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """The content hash of a local file.

    Raises:
        MissingError: when there is none.
    """
    try:
        with path.open("rb") as file:

            def read(start: int, length: int) -> bytes:
                file.seek(start)
                return file.read(length)

            return hash_windows(path.stat().st_size, read)
    except OSError as error:
        raise os_failure(error, str(path)) from error


def full_sha256(path: Path) -> str:
    """The sha256 (64 hex digits) of every byte of a local file.

    Raises:
        MissingError: when there is none.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise os_failure(error, str(path)) from error
