"""A mirror that is being filled: a directory or a bucket, its manifest so far, and room for unfinished files.

Whatever fills a mirror (a360/datasets/fill.py from the hub, a360/datasets/convert.py from files of the
user) places whole files first and writes the manifest last, so that what the manifest names is there.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from a360.datasets.mirror import (
    MANIFEST_NAME,
    MirrorFile,
    MirrorManifest,
    MirrorRepository,
    read_stored_manifest,
)
from a360.errors import ConfigError, DataError
from a360.identity import canonical_json, hash_value
from a360.storage import Store, StoreSettings, open_store
from a360.storage.file_store import FileStore, finish_part
from a360.storage.keys import checked_key
from a360.storage.os_errors import os_failure

STATE_DIR = ".a360-mirror"
"""Unfinished files and pinned revisions, below the target; gone when the mirror is whole."""
OWN_REVISION = "sha256:"
"""How the revision of a repository begins that was made of somebody's files: their hash follows."""
_LOCK_NAME = "lock"
_READ_BYTES = 16 << 20


class FillProgress(NamedTuple):
    """Bytes that are there and bytes in all; ``remark`` says what has just been finished."""

    done_bytes: int
    total_bytes: int
    remark: str


class MirrorTarget:
    """The store of a mirror, what its manifest says (nothing yet for a new one), and a local work directory.

    Raises:
        ConfigError: the target holds something else than a mirror, or a mirror of stand-in rows.
    """

    def __init__(self, uri: str, settings: StoreSettings | None = None) -> None:
        self.store: Store = open_store(uri, settings)
        self.root = self.store.root if isinstance(self.store, FileStore) else None
        self.work_dir = self.root / STATE_DIR if self.root else _work_dir(self.store.uri)
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> MirrorManifest:
        first = next(iter(self.store.list("")), None)
        if first is None:
            return MirrorManifest(stand_in=False, repositories={})
        if any(entry.key == MANIFEST_NAME for entry in self.store.list(MANIFEST_NAME)):
            manifest = read_stored_manifest(self.store)
            if manifest.stand_in:
                raise ConfigError(
                    f"{self.store.uri} is a mirror of stand-in rows; real data cannot be added to it",
                    hint="choose another target",
                )
            return manifest
        if not any(True for _ in self.store.list(f"{STATE_DIR}/")):
            raise ConfigError(
                f"{self.store.uri} is not empty and no mirror: it has {first.key} and no {MANIFEST_NAME}",
                hint="choose an empty target, or one that holds a mirror",
            )
        return MirrorManifest(stand_in=False, repositories={})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes of this machine from filling the same target.

        The work directory is gone afterwards, unless it holds what an interrupted run will continue with.
        """
        try:
            self.work_dir.mkdir(parents=True, exist_ok=True)
            with (self.work_dir / _LOCK_NAME).open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise ConfigError(
                        f"another process is filling {self.store.uri}", hint="wait until it has ended"
                    ) from error
                yield
                if [path.name for path in self.work_dir.iterdir()] == [_LOCK_NAME]:
                    shutil.rmtree(self.work_dir)
        except OSError as error:
            raise os_failure(error, str(self.work_dir)) from error

    def require_own(self, name: str) -> None:
        """Only what was made of a user's files may be replaced by it. Raises ConfigError."""
        for present, repository in self.manifest.repositories.items():
            if present == name and not repository.revision.startswith(OWN_REVISION):
                raise ConfigError(
                    f"{self.store.uri} has {name} from the hub at {repository.revision}",
                    hint="choose another target, or another name",
                )
            if present.startswith(f"{name}/") or name.startswith(f"{present}/"):
                raise ConfigError(
                    f"{name} and {present} cannot lie in one mirror: one is a folder of the other"
                )

    def clear_work(self) -> None:
        """Removes what only an interrupted run needs; for whoever holds the lock and has finished."""
        for path in self.work_dir.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK_NAME:
                path.unlink()

    def sizes(self) -> dict[str, int]:
        """Every file that is there, by path, with its size in bytes; unfinished ones are left out."""
        entries = self.store.list("")
        return {entry.key: entry.bytes for entry in entries if not entry.key.startswith(f"{STATE_DIR}/")}

    def pieces(self, path: str, size_bytes: int) -> Iterator[bytes]:
        """The content of a file that is there, in pieces of at most 16 MiB."""
        return read_pieces(self.store, path, size_bytes)

    def place(self, part: Path, path: str) -> None:
        """Gives a whole local file its name in the mirror; the part is gone then."""
        try:
            if self.root:
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                finish_part(part, self.root / path)
            else:
                self.store.write(path, part.read_bytes())
                part.unlink()
        except OSError as error:
            raise os_failure(error, f"{self.store.uri}/{path}") from error

    def write(self, path: str, content: bytes) -> MirrorFile:
        """Puts a small file and returns its description."""
        self.store.write(path, content)
        return MirrorFile(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    def commit(self, repositories: Mapping[str, MirrorRepository]) -> None:
        """Writes the manifest with these repositories added, or in the place of older ones of their names."""
        merged = {**self.manifest.repositories, **repositories}
        self.manifest = MirrorManifest(stand_in=False, repositories=dict(sorted(merged.items())))
        self.store.write(MANIFEST_NAME, f"{canonical_json(self.manifest)}\n".encode())


def read_pieces(store: Store, path: str, size_bytes: int) -> Iterator[bytes]:
    """The content of a stored file in pieces of at most 16 MiB.

    Raises:
        DataError: it is shorter than ``size_bytes``.
    """
    for start in range(0, size_bytes, _READ_BYTES):
        length = min(_READ_BYTES, size_bytes - start)
        piece = store.read(path, start, length)
        if len(piece) != length:
            raise DataError(f"{store.uri}/{path} ends at {start + len(piece):,} of {size_bytes:,} bytes")
        yield piece


def require_free_name(name: str, where: str) -> None:
    """Names with a dot in front, and the manifest's, are the mirror's own: work on it would be lost."""
    segments = checked_key(name, where).split("/")
    taken = [segment for segment in segments if segment.startswith(".") or segments[0] == MANIFEST_NAME]
    if taken:
        raise ConfigError(
            f"{name!r} cannot be a place in {where}: {taken[0]} is kept for the mirror itself",
            hint="expected something like ours/manuals: no part begins with a dot",
        )


def _work_dir(uri: str) -> Path:
    cache_dir = Path(os.environ.get("A360_CACHE") or Path.home() / ".cache" / "a360")
    return cache_dir / "mirrors" / hash_value(uri)
