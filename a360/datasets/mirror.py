"""Data sets offline: a directory laid out as the hub's repositories are, and its manifest.

``<mirror>/allenai/ai2_arc/README.md`` and ``<mirror>/allenai/ai2_arc/ARC-Challenge/test-…parquet``: a
process whose working directory is the mirror loads unmodified lm-eval tasks, because
``load_dataset("allenai/ai2_arc")`` looks for that relative directory before it asks the hub. The manifest
names every file; its hash keys the data cache, and the planner takes data revisions from it.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
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
MODELS = "models/"
"""Below it are repositories of models, each with owner and name: ``models/tomh/toxigen_hatebert``."""


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
        files = {path.relative_to(root).as_posix(): describe_file(path) for path in paths}
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
                hint="a360 data mirror brings it from the hub; or take the benchmark out of the suite",
            )
        above = [name for name in manifest.repositories if data_id.startswith(f"{name}/")]
        cards = {f"{name}/{card}" for name in above for card in (README_NAME, INDEX_NAME)}
        chosen |= found | (cards & files.keys())
    return {path: files[path] for path in sorted(chosen)}


def _all_files(manifest: MirrorManifest) -> dict[str, MirrorFile]:
    return {
        f"{name}/{path}": file
        for name, repository in manifest.repositories.items()
        for path, file in repository.files.items()
    }


def describe_file(path: Path) -> MirrorFile:
    """Size and sha256 of a local file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return MirrorFile(bytes=file.tell(), sha256=sha256)


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
