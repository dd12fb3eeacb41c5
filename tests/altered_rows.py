"""Single repositories of the demo's mirror, copied below a test's working directory and altered there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.datasets.mirror import build_manifest, read_manifest, write_manifest

Rows = list[dict[str, Any]]


def change_mirror(mirror_dir: Path, files: str, change: Callable[[int, Rows], Rows]) -> None:
    """Replaces the rows of every file of a pattern, given its number; the manifest says so."""
    for number, path in enumerate(sorted(mirror_dir.glob(files))):
        table = pq.read_table(path)
        rows = change(number, table.to_pylist())
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    manifest = read_manifest(mirror_dir)
    revisions = {name: repository.revision for name, repository in manifest.repositories.items()}
    write_manifest(mirror_dir, build_manifest(mirror_dir, stand_in=True, revisions=revisions))


class Alter:
    """Copies what it alters into the working directory, where lm-eval's tasks look for their data."""

    def __init__(self, mirror_dir: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._mirror_dir = mirror_dir
        self._directory = directory
        self._monkeypatch = monkeypatch
        self._caches = 0
        (directory / "data").mkdir()
        monkeypatch.chdir(directory / "data")
        self.forget_cache()

    def __call__(self, files: str, change: Callable[[Rows], object]) -> None:
        """Changes the rows of the one file of a pattern."""
        self.copy(files)
        [path] = Path().glob(files)
        table = pq.read_table(path)
        rows = table.to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)

    def copy(self, place: str) -> None:
        """Copies the repository of a place."""
        repository = "/".join(place.split("/")[:2])
        shutil.copytree(self._mirror_dir / repository, repository)

    def as_jsonl(self, place: str) -> None:
        """Copies a repository whose files are JSONL instead of parquet."""
        self.copy(place)
        for path in Path(place).glob("*.parquet"):
            lines = [json.dumps(row) for row in pq.read_table(path).to_pylist()]
            path.with_suffix(".jsonl").write_text("\n".join(lines) + "\n")
            path.unlink()

    def forget_cache(self) -> None:
        """Lets ``datasets`` read everything anew: it gives the old rows of a directory that has changed."""
        self._caches += 1
        cache = self._directory / f"cache-{self._caches}"
        self._monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
