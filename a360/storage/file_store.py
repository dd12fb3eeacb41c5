"""A directory as a store: for one machine, a shared file system, and tests.

Objects are files. A write goes to a hidden temporary file beside its target, is synced, and gets its
name in one step: ``rename`` replaces, ``link`` fails where the name exists, which makes put_if_absent
atomic between processes and, over NFS, between machines.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from a360.errors import A360Error, ConfigError, MissingError
from a360.storage.keys import TEMP_PREFIX, checked_key
from a360.storage.os_errors import os_failure
from a360.storage.store import Entry

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class FileStore:
    """Six verbs over the files below ``root``; a root that does not exist yet is an empty store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = f"file://{root}"

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every file whose key starts with ``prefix``, sorted by key.

        Only the folder that the prefix names is walked. Files that vanish meanwhile are left out.
        """
        folder = prefix.rpartition("/")[0]
        try:
            yield from _walk(
                self.root / checked_key(folder, self.uri) if folder else self.root, folder, prefix
            )
        except OSError as error:
            raise os_failure(error, f"{self.uri}/{prefix}") from error

    def read(self, key: str, start: int | None = None, length: int | None = None) -> bytes:
        """The file, or ``length`` bytes from ``start``; a negative ``start`` counts from the end."""
        try:
            with self._path(key).open("rb") as file:
                if start is not None and start < 0:
                    start = max(file.seek(0, os.SEEK_END) + start, 0)
                file.seek(start or 0)
                return file.read(-1 if length is None else length)
        except OSError as error:
            raise os_failure(error, self._uri(key)) from error

    def write(self, key: str, data: bytes) -> None:
        """Puts the file in one step; readers see the old or the new."""
        path = self._path(key)
        try:
            temporary = _write_temporary(path, data)
            try:
                temporary.rename(path)
            except OSError:
                temporary.unlink()
                raise
            _sync_folder(path.parent)
        except OSError as error:
            raise self._write_failure(error, key) from error

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """True when this call created the file, False when it existed."""
        path = self._path(key)
        try:
            temporary = _write_temporary(path, data)
            try:
                won = _link(temporary, path)
            finally:
                temporary.unlink()
            if won:
                _sync_folder(path.parent)
            return won
        except OSError as error:
            raise self._write_failure(error, key) from error

    def pull_tree(self, keys: Sequence[str], target_dir: Path) -> int:
        """Copies files to ``target_dir / key`` and returns the bytes copied.

        Never a hard link: trainers overwrite checkpoints in place, and a link would change with them.
        """
        copied_bytes = 0
        for key in keys:
            source, target = self._path(key), target_dir / key
            if not source.is_file():
                raise MissingError(f"no such object: {self._uri(key)}")
            part = target.with_name(target.name + ".part")
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, part)
                copied_bytes += part.stat().st_size
                finish_part(part, target)
            except OSError as error:
                raise os_failure(error, f"copying {self._uri(key)} to {target}") from error
        return copied_bytes

    def delete(self, key: str) -> None:
        """Removes the file; a missing one is fine. Its folder stays: another process may be writing there."""
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._path(key).unlink()
        except OSError as error:
            raise os_failure(error, self._uri(key)) from error

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key, self.uri)

    def _uri(self, key: str) -> str:
        return f"{self.uri}/{key}"

    def _write_failure(self, error: OSError, key: str) -> A360Error:
        if isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
            return ConfigError(
                f"cannot write {self._uri(key)}: a file stands where a folder must be, or the reverse",
                hint="in a directory store no key may be the beginning of another one's path",
            )
        return os_failure(error, self._uri(key))


def finish_part(part: Path, target: Path) -> None:
    """Gives a whole file its name; after a power cut the name still means that it is whole."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(target)


def _walk(folder: Path, key: str, prefix: str) -> Iterator[Entry]:
    """The files below ``folder``, whose key is ``key``, in the order of their whole keys."""
    try:
        with os.scandir(folder) as entries:
            children = [(f"{key}/{entry.name}" if key else entry.name, entry) for entry in entries]
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        if not key:
            raise ConfigError(f"the store {folder} is a file, expected a directory") from error
        return
    # "a.txt" sorts before "a/b": a folder takes the place of its name with a slash.
    found = [(f"{name}/" if entry.is_dir() else name, entry) for name, entry in children]
    for name, entry in sorted(found, key=lambda pair: pair[0]):
        if name.endswith("/"):
            if (name.startswith(prefix) or prefix.startswith(name)) and not _leads_back(entry, folder):
                yield from _walk(Path(entry.path), name[:-1], prefix)
        elif name.startswith(prefix) and not entry.name.startswith(TEMP_PREFIX):
            with suppress(FileNotFoundError):
                status = entry.stat()
                yield Entry(name, status.st_size, f"{status.st_mtime_ns}-{status.st_ino}", status.st_mtime)


def _leads_back(entry: "os.DirEntry[str]", folder: Path) -> bool:
    """Whether a link in ``folder`` leads to the folder or to one above it: the walk would never end."""
    return entry.is_symlink() and folder.resolve().is_relative_to(Path(entry.path).resolve())


def _write_temporary(path: Path, data: bytes) -> Path:
    """A synced file with the data beside ``path``, on the same file system, under a name nobody lists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(TEMP_PREFIX + uuid.uuid4().hex)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _link(temporary: Path, path: Path) -> bool:
    """Whether ``path`` became a name of the temporary file; False when the name was taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        if path.is_dir():
            raise
        # Over NFS a lost answer is asked again and meets its own link: then both names are one file.
        with suppress(FileNotFoundError):
            return temporary.samefile(path)
        return False
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            raise ConfigError(
                f"{path.parent} is on a file system without hard links, which put_if_absent needs",
                hint="put the store on a local POSIX file system, NFS or S3",
            ) from error
        raise
    return True


def _sync_folder(folder: Path) -> None:
    """Makes a new name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
