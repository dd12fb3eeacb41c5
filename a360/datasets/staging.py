"""A mirror where evaluation needs it: staged to the node, verified, and the environment that reads it.

The manifest decides what belongs to a benchmark's data (a360/datasets/mirror.py). A process that evaluates
calls these three before it imports ``datasets``.
"""

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from a360.datasets.mirror import (
    MirrorFile,
    MirrorManifest,
    describe_file,
    manifest_hash,
    read_stored_manifest,
    select_files,
    write_manifest,
)
from a360.errors import ConfigError, DataError
from a360.storage.os_errors import os_failure
from a360.storage.store import Store


def verify_files(mirror_dir: Path, manifest: MirrorManifest, data: Sequence[str]) -> None:
    """Hashes the files of ``data`` on disk; a file that differs is read a second time before it counts.

    Raises:
        DataError: a file is absent, or its bytes are not the manifest's, twice.
    """
    for path, file in select_files(manifest, data).items():
        if _fault(mirror_dir / path, file) and (fault := _fault(mirror_dir / path, file)):
            raise _damaged(mirror_dir / path, file, fault)


def stage_mirror(store: Store, data: Sequence[str], target_dir: Path) -> Path:
    """A local mirror, ``target_dir/<manifest hash>``, with the files of ``data``, verified.

    Files that are already whole stay; a pulled file that differs is pulled once more.

    Raises:
        ConfigError: the store holds no mirror.
        DataError: the store's bytes are not the manifest's, twice.
    """
    manifest = read_stored_manifest(store)
    mirror_dir = target_dir / manifest_hash(manifest)
    wanted = select_files(manifest, data)
    with _only_stager(mirror_dir):
        faults = _faults(mirror_dir, wanted)
        for _ in range(2):
            if faults:
                store.pull_tree(sorted(faults), mirror_dir)
                faults = _faults(mirror_dir, {path: wanted[path] for path in faults})
        for path, fault in faults.items():
            raise _damaged(f"{store.uri}/{path}", wanted[path], fault)
        write_manifest(mirror_dir, manifest)
    return mirror_dir


@contextmanager
def _only_stager(mirror_dir: Path) -> Iterator[None]:
    """Waits for other processes of this node: two pulls of one file would write the same part."""
    try:
        mirror_dir.mkdir(parents=True, exist_ok=True)
        lock = mirror_dir.with_suffix(".lock").open("w")
    except OSError as error:
        raise os_failure(error, str(mirror_dir)) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def offline_environment(mirror_dir: Path, manifest: MirrorManifest, cache_dir: Path) -> dict[str, str]:
    """Variables for a process that evaluates, set before it imports ``datasets``.

    It must also make the mirror its working directory, hence the absolute cache. The cache is keyed by the
    manifest, because ``datasets`` gives the old rows of a directory whose files have changed, and those of
    another mirror with the same relative names.

    Raises:
        ConfigError: the cache would lie inside the mirror.
    """
    cache = cache_dir.resolve()
    if cache.is_relative_to(mirror_dir.resolve()):
        raise ConfigError(
            f"the data cache {cache} lies inside the mirror {mirror_dir}, expected it elsewhere"
        )
    return {
        "HF_DATASETS_CACHE": str(cache / manifest_hash(manifest)),
        "HF_DATASETS_OFFLINE": "1",
        "HF_EVALUATE_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_OFFLINE": "1",
    }


def _fault(path: Path, expected: MirrorFile) -> str | None:
    """What is wrong with a file, None when it is the manifest's."""
    try:
        found = describe_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is absent"
    except OSError as error:
        raise os_failure(error, str(path)) from error
    if found == expected:
        return None
    return f"has {found.bytes:,} bytes with sha256 {found.sha256}"


def _faults(mirror_dir: Path, wanted: Mapping[str, MirrorFile]) -> dict[str, str]:
    return {path: fault for path, file in wanted.items() if (fault := _fault(mirror_dir / path, file))}


def _damaged(where: Path | str, expected: MirrorFile, fault: str) -> DataError:
    return DataError(
        f"{where} {fault}, its manifest promises {expected.bytes:,} bytes with sha256 {expected.sha256}",
        hint="mirror the data set again; the manifest is written last, from the files it describes",
    )
