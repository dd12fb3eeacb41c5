"""One file of the hub onto disk: resumable to the byte, and never with bytes that are not its own.

The part lies under the hash of its content, so what a killed process left behind is continued only by a
file of the same content; the ETag beside it lets the server refuse to continue another one. A file counts
when its hash does. Neighbours: a360/datasets/hub.py answers requests, a360/datasets/fill.py asks for files.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from a360.datasets.hub import Body, Hub, HubFile, RangeError
from a360.datasets.mirror import MirrorFile
from a360.errors import DataError, TransientError
from a360.identity import hash_value
from a360.storage.keys import TEMP_PREFIX
from a360.storage.os_errors import os_failure

_PIECE_BYTES = 1 << 20

OnBytes = Callable[[int], None]
"""Gets the number of bytes that arrived, negative where some have to come again; may raise to stop."""


class Source(NamedTuple):
    """Where a file comes from."""

    repository: str
    commit: str
    file: HubFile

    @property
    def path(self) -> str:
        """The file's place in a mirror."""
        return f"{self.repository}/{self.file.path}"


def download_file(hub: Hub, source: Source, parts_dir: Path, on_bytes: OnBytes) -> tuple[Path, MirrorFile]:
    """The whole file below ``parts_dir``, with its size and sha256.

    Bytes that do not have the hash which the hub promises are fetched once more from the first.

    Raises:
        DataError: they differ twice: the hub's data is not what it was under this commit.
        ConfigError, MissingError, TransientError: as ``Hub.open``.
    """
    content = source.file.sha256 or source.file.blob
    part = parts_dir / f"{TEMP_PREFIX}{hash_value(source.path)}-{content}.part"
    try:
        parts_dir.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            fault = _complete(hub, source, part, on_bytes)
            if fault is None:
                found, fault = check_content(_pieces(part), _size(part), source.file)
                if fault is None:
                    part.with_suffix(".etag").unlink(missing_ok=True)
                    return part, found
            on_bytes(-_discard(part))
    except OSError as error:
        raise os_failure(error, str(part)) from error
    raise changed_data(source, fault)


def check_content(
    pieces: Iterable[bytes], size_bytes: int, expected: HubFile
) -> tuple[MirrorFile, str | None]:
    """Size and sha256 of a content in pieces, and how it differs from the hub's, None when it does not."""
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(f"blob {size_bytes}\0".encode(), usedforsecurity=False)
    for piece in pieces:
        sha256.update(piece)
        if expected.sha256 is None:
            blob.update(piece)
    found = MirrorFile(bytes=size_bytes, sha256=sha256.hexdigest())
    same = expected.sha256 == found.sha256 if expected.sha256 else expected.blob == blob.hexdigest()
    if same and size_bytes == expected.bytes:
        return found, None
    return found, f"has {size_bytes:,} bytes with sha256 {found.sha256}"


def changed_data(source: Source, fault: str | None) -> DataError:
    """The error for content that is not what the commit's listing, or an older manifest, promises."""
    file = source.file
    content = f"sha256 {file.sha256}" if file.sha256 else f"git blob {file.blob}"
    promised = f"the hub's listing promises {file.bytes:,} bytes with {content}"
    return DataError(
        f"{source.path} at {source.commit} {fault}, {promised}",
        hint="data changed under one commit: the hub's, or something between it and here alters it",
    )


def _complete(hub: Hub, source: Source, part: Path, on_bytes: OnBytes) -> str | None:
    """Fetches until the part has its size; says why when the server's file is of another one."""
    part.touch()
    failures, furthest_bytes = 0, _size(part)
    while _size(part) < source.file.bytes:
        try:
            if fault := _append(hub, source, part, on_bytes):
                return fault
        except TransientError as error:
            failures = 1 if _size(part) > furthest_bytes else failures + 1
            furthest_bytes = max(furthest_bytes, _size(part))
            if failures >= hub.patience.attempts:
                raise
            hub.pause(error, failures)
    return None


def _append(hub: Hub, source: Source, part: Path, on_bytes: OnBytes) -> str | None:
    """One request for the rest of the part; says why when the server's file is of another size."""
    have, etag_path = _size(part), part.with_suffix(".etag")
    etag = json.loads(etag_path.read_text() or "null") if have and etag_path.is_file() else None
    try:
        with hub.open(source.repository, source.commit, source.file.path, start=have, etag=etag) as body:
            if body.total_bytes not in (None, source.file.bytes):
                return f"is {body.total_bytes:,} bytes long now"
            another = etag is not None and body.etag != etag
            if have and (another or body.start != have):
                on_bytes(-_discard(part))
            if body.start != _size(part):
                raise TransientError(
                    f"{source.path}: the server sent bytes from {body.start:,} of "
                    f"{'another version' if another else 'the file'}, asked for those from {have:,}"
                )
            etag_path.write_text(json.dumps(body.etag))
            return _write(body, part, source.file.bytes, on_bytes)
    except RangeError:
        return f"has no byte {have:,} now"


def _write(body: Body, part: Path, limit_bytes: int, on_bytes: OnBytes) -> str | None:
    # Unbuffered: what has arrived is in the file, also when this process is killed now.
    with part.open("ab", buffering=0) as file:
        for chunk in body.chunks:
            file.write(chunk)
            on_bytes(len(chunk))
            if file.tell() > limit_bytes:
                return f"goes on after {limit_bytes:,} bytes"
    return None


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _discard(part: Path) -> int:
    """Removes a part and returns how many bytes are lost with it."""
    lost_bytes = _size(part)
    part.with_suffix(".etag").unlink(missing_ok=True)
    part.unlink(missing_ok=True)
    return lost_bytes
