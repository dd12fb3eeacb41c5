"""Files of a user as a repository of a mirror: converted to parquet, or texts of their own as they are.

The revision of such a repository is ``sha256:`` and a hash of the sources, as the hub's is a commit. Rows go
to disk in small groups, so memory does not grow with the files: only a hash per row is kept, to count
duplicates and contradictions.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from a360.benchmarks import Texts
from a360.datasets.configurations import index_configurations, write_readme
from a360.datasets.converters import CONVERTERS, ConvertedRow, Converter
from a360.datasets.mirror import INDEX_NAME, README_NAME, MirrorFile, MirrorRepository
from a360.datasets.source_files import refuse
from a360.datasets.target import OWN_REVISION, MirrorTarget, require_free_name
from a360.datasets.texts import read_texts
from a360.errors import ConfigError, DataError
from a360.storage.content_hash import full_sha256
from a360.storage.os_errors import os_failure

_GROUP_CHARACTERS = 2 << 20
_GROUP_ROWS = 2000
OWN_ENDINGS = (".jsonl", ".jsonl.zst", ".parquet")


@dataclass(kw_only=True)
class SplitCounts:
    """How many rows one split has, and how many of them say the same or the opposite."""

    rows: int = 0
    duplicates: int = 0
    """Rows whose text an earlier one had."""
    contradictions: int = 0
    """Texts that carry more than one label."""
    _labels: dict[int, int] = field(default_factory=dict, repr=False)
    _contradicted: set[int] = field(default_factory=set, repr=False)

    def take(self, text: str, label: str) -> None:
        """Counts a row."""
        key, value = xxhash.xxh3_64_intdigest(text.encode()), xxhash.xxh3_64_intdigest(label.encode())
        self.rows += 1
        if self._labels.setdefault(key, value) != value:
            self._contradicted.add(key)
        self.duplicates = self.rows - len(self._labels)
        self.contradictions = len(self._contradicted)


@dataclass(frozen=True, kw_only=True)
class OwnData:
    """What was put into a mirror: a repository, its revision, and counts by path inside it."""

    repository: str
    revision: str
    counts: dict[str, SplitCounts]


def convert_data(target: MirrorTarget, kind: str, sources: Sequence[Path]) -> OwnData:
    """Converts source files of a kind (a key of ``CONVERTERS``) into a repository of the mirror.

    Raises:
        ConfigError: no such kind, a file twice or with a name that says nothing, or the mirror has the
            repository from the hub.
        DataError: a line or row is broken, with its file and number.
    """
    if kind not in CONVERTERS:
        raise ConfigError(f"no converter {kind!r}, expected one of {', '.join(CONVERTERS)}")
    converter = CONVERTERS[kind]
    revision = _revision(sources)
    rows = _read_sources(converter, sources)
    return put_rows(target, converter, revision, rows, f"Converted by a360 from {converter.sources}")


def _read_sources(converter: Converter, sources: Sequence[Path]) -> Iterator[tuple[ConvertedRow, Path]]:
    row = None
    for source in sources:
        for row in converter.read(source):
            yield row, source
    if row is None:
        raise DataError(f"no rows in {', '.join(map(str, sources))}, expected {converter.sources}")


def put_rows(
    target: MirrorTarget,
    converter: Converter,
    revision: str,
    rows: Iterable[tuple[ConvertedRow, Path]],
    made: str,
) -> OwnData:
    """Writes rows as the repository of a converter; ``made`` says on its card where they come from.

    Raises:
        ConfigError: the mirror has the repository from the hub.
        DataError: the rows of one file have different columns.
    """
    with target.locked():
        target.require_own(converter.repository)
        counts: dict[str, SplitCounts] = {}
        names: dict[str, dict[str, str]] = {}
        with _RowFiles(target.work_dir / "rows") as files:
            for row, source in rows:
                place = converter.place.format(configuration=row.configuration, split=row.split)
                files.add(place, row, source)
                counts.setdefault(place, SplitCounts()).take(row.text, row.label)
                names.setdefault(row.configuration, {})[row.split] = place
            files.close()
            readme = write_readme({name: names[name] for name in sorted(names)}, f"{made}; {revision}.\n")
            _put(target, converter.repository, revision, files.paths, readme)
    sorted_counts = {place: counts[place] for place in sorted(counts)}
    return OwnData(repository=converter.repository, revision=revision, counts=sorted_counts)


def add_texts(target: MirrorTarget, name: str, sources: Sequence[Path], texts: Texts) -> OwnData:
    """Puts JSONL or parquet files into the mirror as they are, under a repository's name.

    Every row is read as ``texts`` says and as an evaluation will read it.

    Raises:
        ConfigError: another kind of file, a file twice, a reserved name, or the mirror has the repository
            from the hub.
        DataError: a row is no document, or a file has no rows.
    """
    require_free_name(name, target.store.uri)
    for source in sources:
        if not source.name.endswith(OWN_ENDINGS) or [s.name for s in sources].count(source.name) > 1:
            raise ConfigError(
                f"{source} cannot be added, expected one {' or '.join(OWN_ENDINGS)} of its name"
            )
    with target.locked():
        target.require_own(name)
        revision = _revision(sources)
        counts, paths = {}, {}
        for source in sources:
            counts[source.name] = SplitCounts(rows=_count_documents(source, texts))
            paths[source.name] = target.work_dir / source.name
            try:
                shutil.copyfile(source, paths[source.name])
            except OSError as error:
                raise os_failure(error, f"copying {source}") from error
        _put(target, name, revision, paths, None)
    return OwnData(repository=name, revision=revision, counts=counts)


def _revision(sources: Sequence[Path]) -> str:
    """``sha256:`` and the hash of what ``sha256sum`` prints of the files, sorted, with their last names.

    Raises:
        ConfigError: one of them is another one, or a copy of it of the same name: its rows would count twice.
    """
    seen: dict[str, Path] = {}
    lines = []
    for source in sources:
        lines.append(f"{full_sha256(source)}  {source.name}\n")
        for mark in (lines[-1], str(source.resolve())):
            if mark in seen:
                raise ConfigError(f"{source} is the same file as {seen[mark]}, expected each once")
            seen[mark] = source
    return OWN_REVISION + hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _count_documents(source: Path, texts: Texts) -> int:
    """Documents of a file to be added as it is; every one of them is read."""
    try:
        documents = sum(1 for _ in read_texts(Path(), [str(source)], texts))
    except DataError as error:
        raise DataError(
            error.message, hint="mend the file, or name the fields of its rows: --text, --group"
        ) from error
    except OSError as error:
        raise os_failure(error, str(source)) from error
    return documents or refuse(str(source), "no rows", "at least one")


def _put(
    target: MirrorTarget, name: str, revision: str, paths: Mapping[str, Path], readme: bytes | None
) -> None:
    """Places files, then the manifest, then removes what an older version of the repository had besides."""
    files = {}
    for place, path in sorted(paths.items()):
        files[place] = MirrorFile(bytes=path.stat().st_size, sha256=full_sha256(path))
        target.place(path, f"{name}/{place}")
    if readme is not None:
        files[README_NAME] = target.write(f"{name}/{README_NAME}", readme)
        if index := index_configurations(readme):
            files[INDEX_NAME] = target.write(f"{name}/{INDEX_NAME}", index)
    target.commit({name: MirrorRepository(revision=revision, files=files)})
    for key in target.sizes():
        if key.startswith(f"{name}/") and key.removeprefix(f"{name}/") not in files:
            target.store.delete(key)


class _RowFiles:
    """Parquet files in the making; rows are written in groups of a few MiB."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, list[Mapping[str, object]]] = {}
        self._columns: dict[str, tuple[str, ...]] = {}
        self._characters: dict[str, int] = {}
        self._writers: dict[str, pq.ParquetWriter] = {}
        self.paths: dict[str, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers.values():
            writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, place: str, row: ConvertedRow, source: Path) -> None:
        """Takes a row of the file at ``place``."""
        columns = self._columns.setdefault(place, tuple(row.values))
        if columns != tuple(row.values):
            refuse(str(source), f"columns {', '.join(row.values)}", f"those before it: {', '.join(columns)}")
        rows = self._rows.setdefault(place, [])
        rows.append(row.values)
        self._characters[place] = self._characters.get(place, 0) + len(row.text)
        if len(rows) >= _GROUP_ROWS or self._characters[place] >= _GROUP_CHARACTERS:
            self._flush(place)

    def close(self) -> None:
        """Ends all files."""
        for place, rows in self._rows.items():
            if rows:
                self._flush(place)
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _flush(self, place: str) -> None:
        writer = self._writers.get(place)
        table = pa.Table.from_pylist(self._rows[place], schema=writer.schema if writer else None)
        if writer is None:
            path = self.paths[place] = self._folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = self._writers[place] = pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
        self._rows[place], self._characters[place] = [], 0
