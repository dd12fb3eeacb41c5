"""A mirror as one archive, for clusters that have no way to the hub. a360/datasets/unbundle.py reads it.

A tar, ``.tar`` or ``.tar.zst``, with the manifest as its first member, so that whoever unpacks it knows of
every byte what it must be. The same mirror gives the same archive: names are sorted, and no clock or user is
in it.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from a360.datasets.mirror import (
    MANIFEST_NAME,
    MirrorFile,
    MirrorManifest,
    read_stored_manifest,
    select_files,
)
from a360.datasets.target import read_pieces
from a360.errors import ConfigError, DataError
from a360.identity import canonical_json
from a360.storage import Store
from a360.storage.file_store import FileStore, finish_part
from a360.storage.os_errors import os_failure

_BLOCK_BYTES = 1 << 20


def write_bundle(
    store: Store,
    archive: Path,
    data: Sequence[str] | None = None,
    on_file: Callable[[int, int, str], None] | None = None,
) -> MirrorManifest:
    """The manifest of an archive of a mirror, or of the data ids in ``data``; it appears when it is whole.

    Raises:
        ConfigError: no mirror, or the archive would lie in it or ends in neither .tar nor .tar.zst.
        MissingError: the mirror lacks a data id.
        DataError: a file is not what the manifest says.
    """
    compressed = _is_compressed(archive)
    if isinstance(store, FileStore) and archive.resolve().is_relative_to(store.root.resolve()):
        raise ConfigError(
            f"{archive} would lie in the mirror {store.root}",
            hint="a mirror has only what its manifest names",
        )
    manifest = reduce_manifest(read_stored_manifest(store), data)
    files = select_files(manifest, list(manifest.repositories))
    part = archive.with_name(f".{archive.name}.{os.getpid()}.part")
    try:
        with ExitStack() as stack:
            stack.callback(part.unlink, missing_ok=True)
            stream = stack.enter_context(part.open("xb"))
            if compressed:
                stream = stack.enter_context(pa.CompressedOutputStream(stream, "zstd"))
            tar = stack.enter_context(tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT))
            tar.copybufsize = _BLOCK_BYTES  # type: ignore[attr-defined]  # by default 16 KiB
            text = f"{canonical_json(manifest)}\n".encode()
            tar.addfile(_member(MANIFEST_NAME, len(text)), io.BytesIO(text))
            done_bytes, total_bytes = 0, sum(file.bytes for file in files.values())
            for path, file in files.items():
                _add(tar, store, path, file)
                done_bytes += file.bytes
                if on_file:
                    on_file(done_bytes, total_bytes, path)
            tar.close()
            stream.close()
            finish_part(part, archive)
    except OSError as error:
        raise os_failure(error, str(archive)) from error
    return manifest


def reduce_manifest(manifest: MirrorManifest, data: Sequence[str] | None) -> MirrorManifest:
    """The manifest of some data ids of a mirror; all of it without any. Raises MissingError."""
    if data is None:
        return manifest
    wanted = select_files(manifest, data)
    repositories = {
        name: repository.model_copy(
            update={"files": {p: f for p, f in repository.files.items() if f"{name}/{p}" in wanted}}
        )
        for name, repository in manifest.repositories.items()
    }
    kept = {name: repository for name, repository in repositories.items() if repository.files}
    return manifest.model_copy(update={"repositories": kept})


def _is_compressed(archive: Path) -> bool:
    if archive.name.endswith((".tar", ".tar.zst")):
        return archive.name.endswith(".zst")
    raise ConfigError(f"{archive} is no name of a bundle, expected one that ends in .tar or .tar.zst")


def _member(path: str, size_bytes: int) -> tarfile.TarInfo:
    """A plain file of nobody, from the beginning of time."""
    member = tarfile.TarInfo(path)
    member.size, member.mode = size_bytes, 0o644
    return member


def _add(tar: tarfile.TarFile, store: Store, path: str, file: MirrorFile) -> None:
    reader = _Reader(read_pieces(store, path, file.bytes))
    tar.addfile(_member(path, file.bytes), reader)  # type: ignore[arg-type]  # it only reads
    if reader.found() != file:
        raise DataError(
            f"{store.uri}/{path} has {file.bytes:,} bytes with another sha256 than {file.sha256}",
            hint="a360 data verify names every defect; a360 data mirror mends what the hub has",
        )


class _Reader:
    """Pieces as the file that tarfile reads once, hashed on the way."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self._digest, self._size_bytes = hashlib.sha256(), 0

    def read(self, size: int) -> bytes:
        """Exactly so many bytes, fewer at the end only."""
        parts = []
        while size > 0:
            if not self._rest and not (piece := next(self._pieces, b"")):
                break
            self._rest = self._rest or memoryview(piece)
            parts.append(self._rest[:size])
            self._rest = self._rest[len(parts[-1]) :]
            size -= len(parts[-1])
        found = b"".join(parts)
        self._digest.update(found)
        self._size_bytes += len(found)
        return found

    def found(self) -> MirrorFile:
        """What was read so far."""
        return MirrorFile(bytes=self._size_bytes, sha256=self._digest.hexdigest())
