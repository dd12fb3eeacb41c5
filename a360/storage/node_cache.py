"""Directories that the processes of a node share by key, the least recently used ones evicted first.

Below the cache directory::

    <key>/            whole and verified
    <key>.partial/    being filled, or left by a process that was killed
    .state/<key>.lock locked exclusively while filled or evicted, shared while in use; its modification
                      time is the last use
    .state/<key>.json size, origin and, once verified, the sha256 of every file

All locks are flocks: they end with their process, however it ends.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from a360.errors import TransientError
from a360.records import Record

_STATE_DIR = ".state"


class CacheState(Record):
    """What the cache knows of a key. ``sha256`` is None until the directory was whole and verified."""

    bytes: int
    fingerprint: str
    sha256: dict[str, str] | None = None


class CacheLock:
    """A flock on a file that is never removed; its modification time is the last use."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)

    def share(self) -> None:
        """Waits until nobody fills or evicts the directory, and keeps them out."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def exclude(self) -> None:
        """Waits until nobody else has any lock. Between a shared and this one others may get their turn."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def try_exclude(self) -> bool:
        """Whether nobody else had a lock; then it is ours."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def touch(self) -> None:
        """Notes a use."""
        if self._descriptor >= 0:
            os.utime(self._descriptor)

    def close(self) -> None:
        """Gives the lock back; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class CachePlace:
    """Where a key lives in a cache directory."""

    def __init__(self, cache_dir: Path, key: str) -> None:
        self.cache_dir = cache_dir
        self.final = cache_dir / key
        self.partial = cache_dir / f"{key}.partial"
        self._state_path = cache_dir / _STATE_DIR / f"{key}.json"
        self.lock_path = cache_dir / _STATE_DIR / f"{key}.lock"

    def read_state(self) -> CacheState | None:
        """What is known of the key; None when nobody ever asked for it."""
        try:
            return CacheState.model_validate_json(self._state_path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None  # damaged: as if nobody had ever asked for it

    def write_state(self, state: CacheState) -> None:
        """Replaces what is known, in one step; needs the exclusive lock."""
        part = self._state_path.with_suffix(".part")
        part.write_text(state.model_dump_json())
        part.rename(self._state_path)

    def occupied_bytes(self) -> int:
        """What the key takes of the cache; a pull that runs counts with its whole size."""
        state = self.read_state() if self.final.exists() or self.partial.exists() else None
        return state.bytes if state else 0

    def evict(self) -> bool:
        """Removes the directory; False when somebody uses or fills it."""
        lock = CacheLock(self.lock_path)
        try:
            if not lock.try_exclude():
                return False
            shutil.rmtree(self.partial, ignore_errors=True)
            if self.final.exists():
                # A kill in the middle must not leave a directory that looks whole.
                self.final.rename(self.partial)
                shutil.rmtree(self.partial)
            return True
        finally:
            lock.close()


def reserve(place: CachePlace, state: CacheState, cap_bytes: int) -> None:
    """Evicts others until the new directory fits, and books its size. Needs the place's exclusive lock.

    Raises:
        TransientError: when what others use leaves too little room.
    """
    room_bytes = cap_bytes - state.bytes
    with _one_at_a_time(place.cache_dir):
        occupied_bytes = _evict_others(place, room_bytes)
        if occupied_bytes > room_bytes:
            raise TransientError(
                f"the cache {place.cache_dir} has {occupied_bytes:,} of {cap_bytes:,} bytes in use, "
                f"{place.final.name} needs {state.bytes:,}",
                hint="raise the cache's size or run fewer workers",
            )
        # Only what has a directory counts as booked.
        place.partial.mkdir(exist_ok=True)
        place.write_state(state)


def evict_all_others(place: CachePlace) -> None:
    """Evicts whatever nobody uses, except ``place``: the disk is smaller than the cap says."""
    with _one_at_a_time(place.cache_dir):
        _evict_others(place, 0)


def _evict_others(own: CachePlace, keep_bytes: int) -> int:
    """The bytes that other keys still occupy after evicting the least recently used ones."""
    locks = sorted((own.cache_dir / _STATE_DIR).glob("*.lock"), key=lambda path: path.stat().st_mtime_ns)
    sizes = {
        place: place.occupied_bytes()
        for place in (CachePlace(own.cache_dir, path.stem) for path in locks if path != own.lock_path)
    }
    occupied_bytes = sum(sizes.values())
    for place, size_bytes in sizes.items():
        if occupied_bytes <= keep_bytes:
            break
        if size_bytes and place.evict():
            occupied_bytes -= size_bytes
    return occupied_bytes


@contextmanager
def _one_at_a_time(cache_dir: Path) -> Iterator[None]:
    """Counting, evicting and booking are one step. Other locks are only tried within: no deadlock."""
    lock = CacheLock(cache_dir / _STATE_DIR / "evict")
    try:
        lock.exclude()
        yield
    finally:
        lock.close()
