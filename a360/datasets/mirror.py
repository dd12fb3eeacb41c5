"""Data sets offline: a directory laid out as the hub's repositories are, and its manifest.

``<mirror>/allenai/ai2_arc/README.md`` and ``<mirror>/allenai/ai2_arc/ARC-Challenge/test-…parquet``: a
process whose working directory is the mirror loads unmodified lm-eval tasks, because
``load_dataset("allenai/ai2_arc")`` looks for that relative directory before it asks the hub. The manifest
names every file; its hash keys the data cache, and the planner takes data revisions from it.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from a360.errors import ConfigError, DataError, MissingError
from a360.identity import canonical_json, hash_value
from a360.records import Record
from a360.storage.os_errors import os_failure
from a360.storage.store import Store

MANIFEST_NAME = "manifest.json"
README_NAME = "README.md"
INDEX_NAME = ".huggingface.yaml"
"""Both name the configurations and their files to ``datasets``, so they belong to each of them."""


class MirrorFile(Record):
    """Size and whole-file hash of one mirrored file."""

    bytes: int
    sha256: str


class MirrorRepository(Record):
    """One data set repository: its revision on the hub and its files by path inside it."""

    revision: str
    files: dict[str, MirrorFile]


class MirrorManifest(Record):
    """Every file of a mirror. ``stand_in`` rows serve ``demo-`` benchmarks only."""

    schema_name: Literal["a360.mirror/1"] = "a360.mirror/1"
    stand_in: bool
    repositories: dict[str, MirrorRepository]


def build_manifest(mirror_dir: Path, *, stand_in: bool, revisions: Mapping[str, str]) -> MirrorManifest:
    """The manifest of the repositories named in ``revisions`` (repository -> revision), every file hashed.

    Raises:
        MissingError: a repository has no files.
        DataError: a file of the mirror belongs to no repository.
    """
    repositories = {}
    for name, revision in sorted(revisions.items()):
        root = mirror_dir / name
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        if not paths:
            raise MissingError(f"the mirror {mirror_dir} has no files of the repository {name}")
        files = {path.relative_to(root).as_posix(): _describe(path) for path in paths}
        repositories[name] = MirrorRepository(revision=revision, files=files)
    manifest = MirrorManifest(stand_in=stand_in, repositories=repositories)
    present = {path.relative_to(mirror_dir).as_posix() for path in mirror_dir.rglob("*") if path.is_file()}
    if strangers := sorted(present - {MANIFEST_NAME} - _all_files(manifest).keys()):
        raise DataError(f"{mirror_dir / strangers[0]} belongs to none of the mirror's repositories")
    return manifest


def write_manifest(mirror_dir: Path, manifest: MirrorManifest) -> None:
    """Puts the manifest in one step, after all files: a mirror without one is not a mirror."""
    part = mirror_dir / f"{MANIFEST_NAME}.{os.getpid()}.part"
    try:
        part.write_text(canonical_json(manifest) + "\n")
        part.replace(mirror_dir / MANIFEST_NAME)
    except OSError as error:
        raise os_failure(error, str(mirror_dir / MANIFEST_NAME)) from error


def read_manifest(mirror_dir: Path) -> MirrorManifest:
    """The manifest at the root of a local mirror.

    Raises:
        ConfigError: there is none, or it is malformed.
    """
    path = mirror_dir / MANIFEST_NAME
    try:
        return _parse_manifest(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_manifest(str(mirror_dir)) from error
    except OSError as error:
        raise os_failure(error, str(path)) from error


def read_stored_manifest(store: Store) -> MirrorManifest:
    """The manifest at the root of a mirror in a store, with the errors of ``read_manifest``."""
    try:
        return _parse_manifest(store.read(MANIFEST_NAME), f"{store.uri}/{MANIFEST_NAME}")
    except MissingError as error:
        raise _no_manifest(store.uri) from error


def manifest_hash(manifest: MirrorManifest) -> str:
    """16 hex digits that change with any file, revision or the kind of the mirror."""
    return hash_value(manifest)


def data_revision(manifest: MirrorManifest, data: Sequence[str]) -> str:
    """The revision of the files that ``data`` names: a hash of their paths and contents.

    A data id is a repository (``cais/mmlu``) or a folder of one (``allenai/ai2_arc/ARC-Challenge``).

    Raises:
        MissingError: the mirror has no files of a data id.
    """
    return hash_value([[path, file.sha256] for path, file in select_files(manifest, data).items()])


def select_files(manifest: MirrorManifest, data: Sequence[str]) -> dict[str, MirrorFile]:
    """The files of data ids by path inside the mirror, sorted. Raises MissingError as ``data_revision``."""
    files = _all_files(manifest)
    chosen: set[str] = set()
    for data_id in data:
        found = {path for path in files if path.startswith(f"{data_id}/")}
        if not found:
            raise MissingError(
                f"the mirror has no data {data_id}; it has {', '.join(manifest.repositories) or 'nothing'}",
                hint="add the data set to the mirror, or take the benchmark out of the suite",
            )
        above = [name for name in manifest.repositories if data_id.startswith(f"{name}/")]
        cards = {f"{name}/{card}" for name in above for card in (README_NAME, INDEX_NAME)}
        chosen |= found | (cards & files.keys())
    return {path: files[path] for path in sorted(chosen)}


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


def _all_files(manifest: MirrorManifest) -> dict[str, MirrorFile]:
    return {
        f"{name}/{path}": file
        for name, repository in manifest.repositories.items()
        for path, file in repository.files.items()
    }


def _describe(path: Path) -> MirrorFile:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return MirrorFile(bytes=file.tell(), sha256=sha256)


def _fault(path: Path, expected: MirrorFile) -> str | None:
    """What is wrong with a file, None when it is the manifest's."""
    try:
        found = _describe(path)
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


def _parse_manifest(text: bytes, where: str) -> MirrorManifest:
    try:
        return MirrorManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise ConfigError(
            f"{where} is not a mirror manifest (a360.mirror/1): {place}: {first['msg']}",
            hint="write the mirror again",
        ) from error


def _no_manifest(where: str) -> ConfigError:
    return ConfigError(
        f"{where} is not a data mirror: it has no {MANIFEST_NAME}",
        hint="a mirror that was cut off while it was written has none: write it again, or name another one",
    )
