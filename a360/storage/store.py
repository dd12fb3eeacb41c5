"""What every store offers, and the settings that choose one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from a360.records import Record


class Entry(NamedTuple):
    """One listed object."""

    key: str
    bytes: int
    version: str
    """The ETag, or modification time in ns and inode of a file: changes when the content is replaced."""
    modified: float
    """Seconds since the epoch."""


class StoreSettings(Record):
    """How an S3 endpoint is reached; ``file://`` ignores all of it.

    Credentials come from the usual AWS sources (environment, profile, workload identity), never from a suite.
    """

    endpoint_url: str | None = None
    region: str | None = None
    path_style: bool = True
    checksum: Literal["when_supported", "when_required"] = "when_required"


class Store(Protocol):
    """Six verbs.

    Errors: ConfigError for 401, 403 and a missing bucket, MissingError for a missing object,
    TransientError for everything that may pass (5xx, throttling, network, disk full).
    """

    uri: str

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every object whose key starts with ``prefix`` (a string prefix, not a folder), sorted by key."""

    def read(self, key: str, start: int | None = None, length: int | None = None) -> bytes:
        """The object, or ``length`` bytes from ``start``; a negative ``start`` counts from the end.

        Fewer bytes come back where the object ends. Raises MissingError.
        """

    def write(self, key: str, data: bytes) -> None:
        """Puts the object, replacing an older one in one step: readers see the old or the new."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """True when this call created the object, False when it existed.

        Of many callers exactly one gets True. A reader never sees a part of the data.
        """

    def pull_tree(self, keys: Sequence[str], target_dir: Path) -> int:
        """Copies objects to ``target_dir / key`` and returns the bytes transferred.

        A file appears under its name only when it is whole.
        """

    def delete(self, key: str) -> None:
        """Removes the object; a missing one is fine."""
