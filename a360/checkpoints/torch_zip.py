"""The frame of a ``.bin`` file as ``torch.save`` has written it since 1.6: a zip archive, proven by its end.

zipfile reads the end record and the central directory (both also in their zip64 form) through ranged
reads; the tensors themselves are not touched, and nothing is unpickled.
"""

import io
import zipfile
from collections.abc import Callable

from a360.checkpoints.content import describe_content
from a360.errors import DataError

_END_RECORD_BYTES = 22
_TAIL_BYTES = 64 << 10
_MAX_DIRECTORY_BYTES = 64 << 20


def check_torch_zip(name: str, size_bytes: int, read: Callable[[int, int], bytes]) -> None:
    """Returns when the file ``name``, whose parts ``read(start, length)`` gives, is framed as torch does it.

    Raises:
        DataError: for anything else, legacy pickles included.
    """
    head = read(0, min(size_bytes, 512))
    if head.startswith(b"\x80"):
        raise DataError(
            f"{name} is a legacy pickle (torch before 1.6), expected a zip archive; convert it to safetensors"
        )
    if not head.startswith(b"PK\x03\x04"):
        raise DataError(f"{name} is {describe_content(head)}, expected the zip archive of torch.save")
    if read(max(size_bytes - _END_RECORD_BYTES, 0), min(size_bytes, _END_RECORD_BYTES))[:4] != b"PK\x05\x06":
        raise DataError(
            f"{name} is truncated: its {size_bytes:,} bytes begin as a zip archive, but do not end as one"
        )
    try:
        with zipfile.ZipFile(_Ranged(size_bytes, read)) as archive:
            members = archive.infolist()
    # zipfile raises all of these on damaged directories.
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise DataError(
            f"{name} is truncated or damaged: {size_bytes:,} bytes begin as a zip archive, "
            f"but no valid end record follows ({error})"
        ) from None
    first = min((member.header_offset for member in members), default=-1)
    if first != 0:
        raise DataError(f"{name}: damaged: its first zip member is at offset {first:,}, expected 0")
    if not any(member.filename.endswith("/data.pkl") for member in members):
        raise DataError(f"{name} is a zip archive without data.pkl, expected one written by torch.save")


class _Ranged(io.RawIOBase):
    """A read-only file over ranged reads. The tail is fetched once: nearly everything lies there."""

    def __init__(self, size_bytes: int, read: Callable[[int, int], bytes]) -> None:
        self._size_bytes = size_bytes
        self._fetch = read
        self._tail_start = max(size_bytes - _TAIL_BYTES, 0)
        self._tail = read(self._tail_start, size_bytes - self._tail_start)
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        if base + offset < 0:
            raise OSError(f"offset {base + offset} is before the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, length: int = -1) -> bytes:
        start = min(self._at, self._size_bytes)
        left = self._size_bytes - start
        length = left if length < 0 else min(length, left)
        if length > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a central directory of {length:,} bytes")
        self._at = start + length
        if start >= self._tail_start:
            return self._tail[start - self._tail_start :][:length]
        return self._fetch(start, length)
