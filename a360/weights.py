"""Pulls a checkpoint once per node, verifies it, keeps it by digest: the first step of evaluate.

``storage.node_cache`` knows locks, room and eviction; here is what makes a local copy trustworthy. A pull
works in ``<digest>.partial`` and renames it at the end, so a kill at any byte leaves something that the
next pull repairs.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from a360.errors import ConfigError, DataError, MissingError
from a360.records import Checkpoint, CheckpointFile, FullHashes
from a360.storage import Store
from a360.storage.content_hash import WHOLE_BYTES, full_sha256, hash_file
from a360.storage.node_cache import CacheLock, CachePlace, CacheState, evict_all_others, reserve
from a360.storage.os_errors import DiskFullError, os_failure

_HASH_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class WeightCache:
    """A directory that processes share, and how many bytes of checkpoints it may hold."""

    dir: Path
    cap_bytes: int


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """A verified local checkpoint; nobody evicts it before ``close``, the end of the block or the process."""

    dir: Path
    bytes_pulled: int
    """What this call transferred; 0 when the checkpoint was in the cache."""
    sha256: dict[str, str]
    """File name -> sha256 of the whole file."""
    lock: CacheLock

    def close(self) -> None:
        """Lets others evict the checkpoint; this moment counts as its last use."""
        self.lock.touch()
        self.lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def checkpoint_folder(checkpoint: Checkpoint, source: Store) -> str:
    """The checkpoint's folder as a key of its store; "" when it is the store's root.

    Raises:
        ConfigError: when the checkpoint lies elsewhere.
    """
    uri = checkpoint.uri.rstrip("/")
    if uri == source.uri:
        return ""
    if not uri.startswith(f"{source.uri}/"):
        raise ConfigError(
            f"checkpoint {checkpoint.id} is at {checkpoint.uri}, expected below {source.uri}",
            hint="the plan was made for another checkpoint root; plan again",
        )
    return uri[len(source.uri) + 1 :]


def pull_checkpoint(
    checkpoint: Checkpoint, source: Store, cache: WeightCache, known: FullHashes | None = None
) -> Pulled:
    """The checkpoint as a local directory with its allow-listed files, from the cache or from ``source``.

    Of several processes one pulls while the others wait. Every use checks sizes and content hashes; a pull
    also learns the sha256 of each file and compares it with ``known``.

    Raises:
        ConfigError: a checkpoint larger than the whole cache, or outside of ``source``.
        DataError: the store's bytes differ from the inventory or from ``known``, twice.
        TransientError: full disk, a cache full of checkpoints in use, network.
    """
    pull = _Pull(checkpoint, source, cache, known)
    try:
        lock = CacheLock(pull.place.lock_path)
        try:
            sha256 = pull.find_or_run(lock)
        except BaseException:
            lock.close()
            raise
    except OSError as error:
        failure = os_failure(error, f"weight cache {cache.dir}")
        if isinstance(failure, MissingError):
            failure = ConfigError(
                f"the weight cache {cache.dir} cannot be made: {error}", hint="choose another cache directory"
            )
        raise failure from error
    return Pulled(dir=pull.place.final, bytes_pulled=pull.bytes_pulled, sha256=sha256, lock=lock)


class _Pull:
    """One call's work on one digest."""

    def __init__(
        self, checkpoint: Checkpoint, source: Store, cache: WeightCache, known: FullHashes | None
    ) -> None:
        self.place = CachePlace(cache.dir, checkpoint.digest)
        self.bytes_pulled = 0
        self._source, self._known, self._cap_bytes = source, known, cache.cap_bytes
        self._folder = checkpoint_folder(checkpoint, source)
        self._tree = self.place.partial / self._folder
        self._files = {file.name: file for file in checkpoint.files}
        self._unverified = CacheState(
            bytes=sum(file.bytes for file in checkpoint.files), fingerprint=checkpoint.fingerprint
        )
        if self._unverified.bytes > cache.cap_bytes:
            raise ConfigError(
                f"checkpoint {checkpoint.id} has {self._unverified.bytes:,} bytes, the weight cache "
                f"{cache.dir} holds {cache.cap_bytes:,}",
                hint="raise the cache's size",
            )

    def find_or_run(self, lock: CacheLock) -> dict[str, str]:
        """The full hashes of a directory that now is in the cache; the lock is shared afterwards."""
        verified = False
        while True:
            lock.share()
            sha256 = self._find(verified)
            if sha256 is not None:
                lock.touch()
                shutil.rmtree(self.place.partial, ignore_errors=True)  # the folders above the renamed one
                return sha256
            lock.exclude()
            if self._find() is None:
                self._run()
            # Before the lock is shared again somebody may evict the directory: then all begins anew.
            verified = True

    def _find(self, verified: bool = False) -> dict[str, str] | None:
        """The full hashes of the cached checkpoint; None when it is absent, damaged or not proven equal."""
        state, known = self.place.read_state(), self._known
        if state is None or state.sha256 is None or not self.place.final.exists():
            return None
        if verified:
            return state.sha256
        # The digest covers larger files by windows only: another fingerprint's copy is the same checkpoint
        # only where full hashes say so.
        proven = (
            state.fingerprint == self._unverified.fingerprint
            or all(file.bytes <= WHOLE_BYTES for file in self._files.values())
            or (known is not None and known.fingerprint == self._unverified.fingerprint)
        )
        if not proven or (known is not None and known.sha256 != state.sha256):
            return None
        fits = all(_fits(self.place.final / name, file) for name, file in self._files.items())
        return state.sha256 if fits else None

    def _run(self) -> None:
        """Pulls what is missing, verifies everything and gives the directory its name."""
        missing = self._keep_whole_files()
        reserve(self.place, self._unverified, self._cap_bytes)
        for last_try in (False, True):
            self._transfer(missing)
            with ThreadPoolExecutor(_HASH_THREADS) as pool:
                hashes = pool.map(full_sha256, [self._tree / name for name in self._files])
                sha256 = dict(zip(self._files, hashes, strict=True))
            wrong = self._find_wrong(sha256)
            if not wrong:
                break
            if last_try:
                shutil.rmtree(self.place.partial)
                raise DataError(
                    f"bytes differ after two pulls: {'; '.join(wrong.values())}",
                    hint="the checkpoint was replaced or damaged after discovery; plan again",
                )
            for name in wrong:
                (self._tree / name).unlink()
            missing = list(wrong)
        self.place.write_state(self._unverified.model_copy(update={"sha256": sha256}))
        self._tree.rename(self.place.final)

    def _keep_whole_files(self) -> list[str]:
        """The names still to pull; whatever a killed or rejected pull left that does not fit is removed.

        Larger files are kept only from an unfinished pull of this very fingerprint: their content hash
        does not cover every byte, and a finished copy comes here because something is wrong with it.
        """
        state = self.place.read_state()
        if self.place.final.exists():
            shutil.rmtree(self.place.partial, ignore_errors=True)
            self._tree.parent.mkdir(parents=True, exist_ok=True)
            self.place.final.rename(self._tree)
        kept = {
            self._tree / name
            for name, file in self._files.items()
            if (state == self._unverified or file.bytes <= WHOLE_BYTES) and _fits(self._tree / name, file)
        }
        for path in self.place.partial.rglob("*"):
            if path not in kept and not path.is_dir():
                path.unlink()
        return [name for name in self._files if self._tree / name not in kept]

    def _transfer(self, names: Sequence[str]) -> None:
        self._tree.mkdir(parents=True, exist_ok=True)
        try:
            self.bytes_pulled += self._pull_names(names)
        except DiskFullError:
            evict_all_others(self.place)
            whole = [name for name in names if (self._tree / name).exists()]
            self.bytes_pulled += sum(self._files[name].bytes for name in whole)
            self.bytes_pulled += self._pull_names([name for name in names if name not in whole])

    def _pull_names(self, names: Sequence[str]) -> int:
        prefix = f"{self._folder}/" if self._folder else ""
        return self._source.pull_tree([prefix + name for name in names], self.place.partial)

    def _find_wrong(self, sha256: dict[str, str]) -> dict[str, str]:
        """File name -> what was found and what was expected."""
        wrong = {}
        for name, file in self._files.items():
            where = "/".join(part for part in (self._source.uri, self._folder, name) if part)
            expected = self._known.sha256.get(name) if self._known else None
            if not _fits(self._tree / name, file):
                size_bytes = (self._tree / name).stat().st_size
                wrong[name] = (
                    f"{where} has {size_bytes:,} bytes with sha256 {sha256[name]}, expected "
                    f"{file.bytes:,} bytes with content hash {file.content_hash} of the inventory"
                )
            elif expected not in (None, sha256[name]):
                wrong[name] = f"{where} has sha256 {sha256[name]}, expected {expected} of an earlier pull"
        return wrong


def _fits(path: Path, file: CheckpointFile) -> bool:
    try:
        return path.stat().st_size == file.bytes and hash_file(path) == file.content_hash
    except (FileNotFoundError, NotADirectoryError, MissingError):
        return False
