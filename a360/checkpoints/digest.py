"""Content hashes of a checkpoint's files and the digest over them: the same bytes, the same digest, anywhere.

The digest addresses every result of a checkpoint, so what goes into it is frozen: the sorted
(name, bytes, content hash) of the files that ``readiness`` proved, nothing of the store.
"""

import hashlib
from collections.abc import Iterable

from a360.checkpoints.folders import Folder
from a360.checkpoints.readiness import Proof
from a360.errors import DataError
from a360.identity import canonical_json
from a360.records import CheckpointFile
from a360.storage.content_hash import WHOLE_BYTES, hash_windows

_PIECE_BYTES = 16 << 20


def checkpoint_digest(files: Iterable[CheckpointFile]) -> str:
    """The sha256 (64 hex digits) that identifies a checkpoint's content."""
    listed = sorted((file.name, file.bytes, file.content_hash) for file in files)
    return hashlib.sha256(canonical_json(listed).encode()).hexdigest()


def hash_files(folder: Folder, proof: Proof) -> tuple[CheckpointFile, ...]:
    """The proven files with their content hashes; reads small files whole, large ones in windows.

    Raises:
        DataError: when a shard holds only zeros, as far as it was read, or ends early.
    """
    files = []
    for name in proof.names:
        reader = _Reader(folder, name, proof.data_starts.get(name, 0))
        size_bytes = folder.files[name].bytes
        # Up to WHOLE_BYTES both are the same; smaller pieces, because many threads hash at a time.
        hash_content = hash_windows if size_bytes > WHOLE_BYTES else _sha256
        content_hash = hash_content(size_bytes, reader)
        if not reader.content:
            raise DataError(f"{name} holds only zeros where its tensors should be: reserved, never filled")
        files.append(CheckpointFile(name=name, bytes=size_bytes, content_hash=content_hash))
    return tuple(files)


def full_hashes(folder: Folder, files: Iterable[CheckpointFile]) -> dict[str, str]:
    """The sha256 of every whole file; only those beyond 256 MiB are read again."""
    return {
        file.name: file.content_hash
        if file.bytes <= WHOLE_BYTES
        else _sha256(file.bytes, _Reader(folder, file.name, 0))
        for file in files
    }


class _Reader:
    """Reads parts of one file and notes whether anything but zeros came after ``data_start``."""

    def __init__(self, folder: Folder, name: str, data_start: int) -> None:
        self._folder, self._name, self._data_start = folder, name, data_start
        self.content = False

    def __call__(self, start: int, length: int) -> bytes:
        data = self._folder.read(self._name, start, length)
        if not self.content:
            self.content = bool(data[max(self._data_start - start, 0) :].strip(b"\0"))
        return data


def _sha256(size_bytes: int, reader: _Reader) -> str:
    digest = hashlib.sha256()
    for start in range(0, size_bytes, _PIECE_BYTES):
        digest.update(reader(start, min(_PIECE_BYTES, size_bytes - start)))
    return digest.hexdigest()
