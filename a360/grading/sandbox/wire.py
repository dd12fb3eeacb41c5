"""Frames on a pipe: four bytes of length, then the content. Both ends block; the supervisor has the clock."""

import os
import struct

from a360.grading.sandbox.codec import MAX_BYTES, RefusedError


class GoneError(BaseException):
    """The other end has closed its pipe or ended.

    No Exception: a test that expects one must not take the end of the program for it.
    """


def write_frame(descriptor: int, content: bytes) -> None:
    """Writes all of it.

    Raises:
        GoneError: nobody reads the pipe any more.
    """
    rest = memoryview(struct.pack("<I", len(content)) + content)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        raise GoneError("the other end is gone") from None


def read_frame(descriptor: int) -> bytes:
    """The content of the next frame.

    Raises:
        GoneError: the pipe ends.
        RefusedError: it promises more than the limit.
    """
    (count,) = struct.unpack("<I", _read(descriptor, 4))
    if count > MAX_BYTES:
        raise RefusedError(f"a frame of {count} bytes, at most {MAX_BYTES} are read")
    return _read(descriptor, count)


def _read(descriptor: int, count: int) -> bytes:
    parts = []
    while count:
        try:
            part = os.read(descriptor, min(count, 2**16))
        except OSError:
            part = b""
        if not part:
            raise GoneError("the other end is gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
