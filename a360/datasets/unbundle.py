"""From a bundle to a mirror: nothing is there before everything has been checked against its manifest.

The archive may come from anywhere. What it says of names, kinds and sizes is believed only as far as its own
first member, the manifest, says the same: no links, no devices, no name that leaves the target, no byte that
has another hash.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
from pydantic import ValidationError

from a360.datasets.mirror import MANIFEST_NAME, MirrorFile, MirrorManifest, select_files
from a360.errors import ConfigError, DataError
from a360.identity import canonical_json
from a360.storage import Store, StoreSettings, open_store
from a360.storage.file_store import FileStore
from a360.storage.keys import checked_key
from a360.storage.os_errors import os_failure

_ZSTD = b"\x28\xb5\x2f\xfd"
_BLOCK_BYTES = 1 << 20
_MANIFEST_BYTES = 256 << 20
_PLAIN = {tarfile.REGTYPE, tarfile.AREGTYPE}


def read_bundle(
    archive: Path,
    target_uri: str,
    settings: StoreSettings | None = None,
    on_file: Callable[[int, int, str], None] | None = None,
) -> MirrorManifest:
    """The manifest of the mirror that was unpacked to a directory or a bucket.

    A directory appears in one step. In a bucket the manifest comes last: without it there is no mirror.

    Raises:
        ConfigError: the target is not empty.
        DataError: the archive is cut off, damaged, or not a bundle.
    """
    store = open_store(target_uri, settings)
    _require_empty(store)
    try:
        with _folder(store) as folder, _opened(archive) as tar:
            manifest = _read_manifest(tar)
            total_bytes, done_bytes = sum(file.bytes for file in _files(manifest).values()), 0
            for path, file in _unpack(tar, manifest, folder):
                if not isinstance(store, FileStore):
                    store.write(path, (folder / path).read_bytes())
                    (folder / path).unlink()
                done_bytes += file.bytes
                if on_file:
                    on_file(done_bytes, total_bytes, path)
            text = f"{canonical_json(manifest)}\n"
            if isinstance(store, FileStore):
                (folder / MANIFEST_NAME).write_text(text)
                folder.rename(store.root)
            else:
                store.write(MANIFEST_NAME, text.encode())
    except _DamagedError as error:
        raise DataError(
            f"{archive} {error}", hint="copy it again, or make it again with a360 data bundle"
        ) from error
    except OSError as error:
        raise os_failure(error, str(error.filename or target_uri)) from error
    return manifest


class _DamagedError(Exception):
    """Why an archive is not a whole bundle, as the end of a sentence about it."""


def _require_empty(store: Store) -> None:
    """Files without a manifest in a bucket are what an interrupted call left behind; they are overwritten."""
    if isinstance(store, FileStore):
        if not store.root.exists() or (store.root.is_dir() and not any(store.root.iterdir())):
            return
    elif not any(entry.key == MANIFEST_NAME for entry in store.list(MANIFEST_NAME)):
        return
    raise ConfigError(f"{store.uri} is not empty", hint="unpack into a new directory or prefix")


@contextmanager
def _folder(store: Store) -> Iterator[Path]:
    """A new directory that is gone afterwards: beside a target directory, or a temporary one."""
    beside = store.root.parent if isinstance(store, FileStore) else None
    if beside:
        beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".a360-bundle-", dir=beside))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """The archive's members as a stream; whatever is wrong with its bytes is a _DamagedError."""
    with archive.open("rb") as file:
        compressed = file.read(len(_ZSTD)) == _ZSTD
        file.seek(0)
        stream: IO[bytes] = pa.CompressedInputStream(file, "zstd") if compressed else file
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK_BYTES) as tar:
                yield tar
        except (tarfile.TarError, EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the system's, not the decompressor's
                raise
            raise _DamagedError(f"is no whole tar archive: {error or type(error).__name__}") from error


def _read_manifest(tar: tarfile.TarFile) -> MirrorManifest:
    member = tar.next()
    if member is None or member.name != MANIFEST_NAME or member.type not in _PLAIN:
        found = "nothing" if member is None else repr(member.name)
        raise _DamagedError(f"is no bundle: its first member is {found}, expected {MANIFEST_NAME}")
    if member.size > _MANIFEST_BYTES:
        raise _DamagedError(f"is no bundle: its manifest has {member.size:,} bytes")
    try:
        manifest = MirrorManifest.model_validate_json(_content(tar, member).read())
        for path in _files(manifest):
            checked_key(path, "its manifest")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "document"
        raise _DamagedError(f"has a manifest that is none: {place}: {first['msg']}") from error
    except ConfigError as error:
        raise _DamagedError(f"has a manifest that is none: {error.message}") from error
    return manifest


def _unpack(tar: tarfile.TarFile, manifest: MirrorManifest, folder: Path) -> Iterator[tuple[str, MirrorFile]]:
    """Writes one file after the other below ``folder``, and yields each that is what the manifest says."""
    expected = _files(manifest)
    while (member := tar.next()) is not None:
        file = expected.pop(member.name, None)
        if file is None:
            raise _DamagedError(f"has a member {member.name!r} that its manifest does not name, or twice")
        if member.type not in _PLAIN or member.issparse():
            raise _DamagedError(f"has {member.name} as something else than a plain file")
        if member.size != file.bytes:
            raise _DamagedError(f"has {member.name} with {member.size:,} bytes, expected {file.bytes:,}")
        path = folder / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (sha256 := _copy(_content(tar, member), path)) != file.sha256:
            raise _DamagedError(f"has {member.name} with sha256 {sha256}, expected {file.sha256}")
        yield member.name, file
    if expected:
        raise _DamagedError(f"ends before {min(expected)}: {len(expected):,} files are missing")


def _files(manifest: MirrorManifest) -> dict[str, MirrorFile]:
    return select_files(manifest, list(manifest.repositories))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:  # only for what is no plain file, which was refused before
        raise _DamagedError(f"has no content for {member.name}")
    return content


def _copy(source: IO[bytes], path: Path) -> str:
    """Writes and syncs a file, and returns its sha256."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while piece := source.read(_BLOCK_BYTES):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
