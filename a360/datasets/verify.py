"""Every byte of a mirror against its manifest: what ``a360 data verify`` calls."""

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from a360.datasets.mirror import MANIFEST_NAME, MirrorFile, read_stored_manifest, select_files
from a360.datasets.target import STATE_DIR, read_pieces
from a360.errors import A360Error, DataError
from a360.storage import Store
from a360.storage.keys import checked_key


class Verified(NamedTuple):
    """What was read, and what is wrong, one sentence each; an empty list means that the mirror is whole."""

    files: int
    bytes: int
    defects: tuple[str, ...]


def verify_mirror(store: Store, on_file: Callable[[int, int, str], None] | None = None) -> Verified:
    """Reads and hashes every file. ``on_file`` gets (bytes read, bytes in all, the file's path).

    A file that the manifest does not name is a defect too: ``datasets`` finds rows by patterns of names.

    Raises:
        ConfigError: the store holds no mirror.
        TransientError: the store does not answer.
    """
    manifest = read_stored_manifest(store)
    files = select_files(manifest, list(manifest.repositories))
    total_bytes, read_bytes = sum(file.bytes for file in files.values()), 0
    defects = []
    present = {entry.key for entry in store.list("")}
    for path, file in files.items():
        fault = _fault(store, path, file) if path in present else "is absent"
        if fault:
            defects.append(f"{path} {fault}")
        read_bytes += file.bytes
        if on_file:
            on_file(read_bytes, total_bytes, path)
    strangers = {path for path in present - files.keys() if not path.startswith(f"{STATE_DIR}/")}
    defects += [f"{path} is not in the manifest" for path in sorted(strangers - {MANIFEST_NAME})]
    return Verified(files=len(files), bytes=total_bytes, defects=tuple(defects))


def _fault(store: Store, path: str, expected: MirrorFile) -> str | None:
    try:
        checked_key(path, "the manifest")
        found = _hash(_whole(store, path, expected.bytes))
    except DataError as error:
        return f"cannot be read: {error.message}"
    except A360Error as error:
        if error.exit_code == 2:
            return f"cannot be a file of a mirror: {error.message}"
        raise
    if found == expected:
        return None
    size = f"{found.bytes:,}" if found.bytes <= expected.bytes else f"more than {expected.bytes:,}"
    return (
        f"has {size} bytes with sha256 {found.sha256}, "
        f"its manifest promises {expected.bytes:,} bytes with sha256 {expected.sha256}"
    )


def _whole(store: Store, path: str, size_bytes: int) -> Iterator[bytes]:
    """The pieces of a file, and one byte more where it goes on behind its size."""
    yield from read_pieces(store, path, size_bytes)
    yield store.read(path, size_bytes, 1)


def _hash(pieces: Iterator[bytes]) -> MirrorFile:
    digest, size_bytes = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size_bytes += len(piece)
    return MirrorFile(bytes=size_bytes, sha256=digest.hexdigest())
