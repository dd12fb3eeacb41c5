"""From the hub into a mirror: which files, at which commit, in parallel, and again without a byte too many.

A revision becomes a commit once, and the commit is written down before the first byte, so a run that was
interrupted continues with the same data whatever happens on the hub meanwhile. The manifest comes last.
"""

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import ValidationError

from a360.benchmarks import UnknownBenchmarkError, find_benchmark
from a360.datasets.configurations import index_configurations
from a360.datasets.download import Source, changed_data, check_content, download_file
from a360.datasets.hub import Hub, HubFile, Snapshot
from a360.datasets.mirror import INDEX_NAME, README_NAME, MirrorFile, MirrorRepository
from a360.datasets.target import STATE_DIR, MirrorTarget
from a360.errors import A360Error, ConfigError, MissingError
from a360.identity import canonical_json
from a360.records import Record
from a360.storage.keys import checked_key

STATE_NAME = f"{STATE_DIR}/state.json"
DATA_ENDINGS = (
    ".parquet", ".arrow", ".json", ".jsonl", ".csv", ".tsv", ".txt",
    ".json.gz", ".jsonl.gz", ".csv.gz", ".tsv.gz", ".txt.gz",
    ".json.zst", ".jsonl.zst", ".csv.zst", ".txt.zst", ".zip",
)  # fmt: skip
"""What ``datasets`` reads as rows. Scripts, pictures and hidden files stay on the hub."""

CONVERTED = {
    "pile": "pile",
    "allenai/social_bias_frames": "sbf",
    "aps/dynahate": "dynahate",
}
"""Repositories that the hub has as scripts or not at all -> the kind that ``a360 data convert`` knows."""


_COMMIT = re.compile("[0-9a-f]{40}")


class MirrorState(Record):
    """The commits of a mirror that is not whole yet."""

    schema_name: Literal["a360.mirror-state/1"] = "a360.mirror-state/1"
    revisions: dict[str, str]


class StoppedError(Exception):
    """Another file failed, or a person interrupted: what has arrived of this one stays."""


class FillProgress(NamedTuple):
    """Bytes that are there and bytes in all; ``remark`` says what happens."""

    done_bytes: int
    total_bytes: int
    remark: str


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What a run did. ``refused`` repositories are not in the mirror, the others are."""

    revisions: dict[str, str]
    pulled_files: int
    pulled_bytes: int
    kept_files: int
    refused: dict[str, A360Error] = field(default_factory=dict)

    def raise_refused(self) -> None:
        """Raises one error that names everything that was refused, ConfigError if one of them is."""
        if not self.refused:
            return
        errors = list(self.refused.values())
        kind = ConfigError if any(isinstance(error, ConfigError) for error in errors) else MissingError
        raise kind("\n".join(error.message for error in errors), hint=errors[0].hint)


def benchmark_data(benchmark_ids: Iterable[str]) -> tuple[str, ...]:
    """The data ids of benchmarks, each once.

    Raises:
        ConfigError: there is no such benchmark, or its rows are the project's own.
    """
    try:
        rows = [find_benchmark(benchmark_id) for benchmark_id in benchmark_ids]
    except UnknownBenchmarkError as error:
        raise ConfigError(str(error)) from None
    for row in rows:
        if row.stand_in:
            raise ConfigError(
                f"the rows of {row.id} are a360's own, not the hub's", hint="a360 demo writes its own mirror"
            )
    return tuple(dict.fromkeys(data for row in rows for data in row.data))


def parse_revisions(texts: Iterable[str]) -> dict[str, str]:
    """Repository -> revision of texts such as ``cais/mmlu=0123…``.

    Raises:
        ConfigError: for anything else.
    """
    pairs = [text.partition("=") for text in texts]
    for name, sign, revision in pairs:
        if not (name and sign and revision):
            raise ConfigError(f"{name + sign + revision!r} is no revision, expected OWNER/NAME=SHA")
    return {name: revision for name, _, revision in pairs}


def fill_mirror(
    target: MirrorTarget,
    data: Sequence[str],
    hub: Hub,
    *,
    revisions: Mapping[str, str] | None = None,
    workers: int = 4,
    on_progress: Callable[[FillProgress], None] = lambda progress: None,
) -> Filled:
    """Brings data ids (a repository, or a folder of one) into the mirror; what is there and whole stays.

    A repository that cannot be had does not keep the others from being mirrored: see ``Filled.refused``.

    Raises:
        ConfigError: a revision was asked for, and the mirror has the repository at another one.
        DataError: the hub's data, or the mirror's, is not what it was under the same commit.
        TransientError: the hub does not answer; what has arrived is kept.
    """
    wanted = _by_repository(data)
    with target.locked():
        kept = _converted(target, wanted)
        pins = _read_pins(target, revisions or {})
        refused: dict[str, A360Error] = {}
        sources = {}
        for name in sorted(wanted.keys() - kept):
            try:
                snapshot = _look_up(hub, name, pins.get(name) or (revisions or {}).get(name))
                pins[name] = snapshot.commit
                sources[name] = _choose(snapshot, name, wanted[name])
            except (ConfigError, MissingError) as error:
                refused[name] = error
        target.store.write(STATE_NAME, f"{canonical_json(MirrorState(revisions=pins))}\n".encode())
        pull = _Pull(target, hub, on_progress)
        files = pull.run([source for name in sorted(sources) for source in sources[name]], workers)
        _commit(target, sources, files, {name for name in sources if wanted[name] != {""}})
        target.store.delete(STATE_NAME)
    return Filled(
        revisions={name: pins[name] for name in sorted(sources)},
        pulled_files=len(files) - pull.kept_files,
        pulled_bytes=pull.arrived_bytes,
        kept_files=pull.kept_files,
        refused=refused,
    )


def _by_repository(data: Sequence[str]) -> dict[str, set[str]]:
    """Repository -> its folders; the empty folder is all of it."""
    wanted: dict[str, set[str]] = {}
    for data_id in data:
        parts = checked_key(data_id, "the data ids").split("/")
        size = 1 if parts[0] in CONVERTED else 2
        wanted.setdefault("/".join(parts[:size]), set()).add("/".join(parts[size:]))
    return {name: {""} if "" in folders else folders for name, folders in sorted(wanted.items())}


def _converted(target: MirrorTarget, names: Iterable[str]) -> set[str]:
    """The repositories that are in the mirror and did not come from the hub: they stay as they are."""
    present = target.manifest.repositories
    return {name for name in names if name in present and present[name].revision.startswith("sha256:")}


def _read_pins(target: MirrorTarget, revisions: Mapping[str, str]) -> dict[str, str]:
    """Repository -> commit, as far as the mirror or an interrupted run has settled it."""
    pins = {}
    if any(entry.key == STATE_NAME for entry in target.store.list(STATE_NAME)):
        try:
            pins = MirrorState.model_validate_json(target.store.read(STATE_NAME)).revisions
        except ValidationError as error:
            raise ConfigError(
                f"{target.store.uri}/{STATE_NAME} is no a360.mirror-state/1", hint="remove it"
            ) from error
    repositories = target.manifest.repositories.items()
    pins = {**pins, **{name: repository.revision for name, repository in repositories}}
    for name, revision in revisions.items():
        # A branch is resolved once; only another commit is a contradiction.
        if name in pins and pins[name] != revision and _COMMIT.fullmatch(revision):
            raise ConfigError(
                f"{target.store.uri} has {name} at {pins[name]}, asked for {revision}",
                hint="a mirror keeps its revisions; put another one into another target",
            )
    return dict(pins)


def _look_up(hub: Hub, name: str, revision: str | None) -> Snapshot:
    if name in CONVERTED:
        raise ConfigError(
            f"the hub does not serve the rows of {name}",
            hint=f"a360 data convert {CONVERTED[name]} SOURCE… TARGET takes them from its own files",
        )
    return hub.look_up(name, revision)


def _choose(snapshot: Snapshot, name: str, folders: set[str]) -> list[Source]:
    """The files to mirror: README.md and the data files of the folders.

    Raises:
        MissingError: a folder has no data file.
    """
    chosen = {file for file in snapshot.files if file.path in (README_NAME, INDEX_NAME)}
    for folder in folders:
        inside = [file for file in snapshot.files if file.path.startswith(f"{folder}/" if folder else "")]
        rows = {file for file in inside if _is_data(file.path)}
        if not rows:
            scripts = [file.path for file in snapshot.files if file.path.endswith(".py")]
            raise MissingError(
                f"the hub has no data files of {f'{name}/{folder}'.rstrip('/')} at {snapshot.commit}"
                + (f", only the script {scripts[0]}" if scripts else ""),
                hint="is it the folder's name? a360 data convert and a360 data add take files of your own",
            )
        chosen |= rows
    return [Source(name, snapshot.commit, file) for file in sorted(chosen, key=lambda file: file.path)]


def _is_data(path: str) -> bool:
    hidden = any(part.startswith(".") for part in path.split("/"))
    return path.lower().endswith(DATA_ENDINGS) and not hidden


def _commit(
    target: MirrorTarget,
    sources: Mapping[str, list[Source]],
    files: Mapping[str, MirrorFile],
    parts: set[str],
) -> None:
    """Writes the manifest; ``parts`` are repositories of which only folders were asked for."""
    repositories = {}
    for name, chosen in sources.items():
        present = target.manifest.repositories.get(name)
        found = {source.file.path: files[source.path] for source in chosen}
        if name in parts and README_NAME in found and INDEX_NAME not in found:
            found |= _place_index(target, name)
        repositories[name] = MirrorRepository(
            revision=chosen[0].commit, files={**(present.files if present else {}), **found}
        )
    target.commit(repositories)


def _place_index(target: MirrorTarget, name: str) -> dict[str, MirrorFile]:
    index = index_configurations(target.store.read(f"{name}/{README_NAME}"))
    return {} if index is None else {INDEX_NAME: target.write(f"{name}/{INDEX_NAME}", index)}


class _Pull:
    """Checks what is there and downloads the rest, several files at a time."""

    def __init__(self, target: MirrorTarget, hub: Hub, on_progress: Callable[[FillProgress], None]) -> None:
        self._target, self._hub, self._show = target, hub, on_progress
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._sizes = target.sizes()
        self._done_bytes = self._total_bytes = 0
        self.arrived_bytes = self.kept_files = 0

    def run(self, sources: Sequence[Source], workers: int) -> dict[str, MirrorFile]:
        """Path -> description of every file; the first failure stops the others."""
        self._total_bytes = sum(source.file.bytes for source in sources)
        # The largest first: they decide when all is done.
        queue = sorted(sources, key=lambda source: (-source.file.bytes, source.path))
        pool = ThreadPoolExecutor(workers, thread_name_prefix="mirror")
        try:
            tasks = {source.path: pool.submit(self._bring, source) for source in queue}
            done, _ = wait(tasks.values(), return_when=FIRST_EXCEPTION)
            for error in filter(None, [task.exception() for task in done]):
                raise error
            return {path: task.result() for path, task in tasks.items()}
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)

    def _bring(self, source: Source) -> MirrorFile:
        repository = self._target.manifest.repositories.get(source.repository)
        known = repository.files.get(source.file.path) if repository else None
        if known and _contradicts(known, source.file):
            raise changed_data(source, f"is in the mirror with {known.bytes:,} bytes, sha256 {known.sha256}")
        size = self._sizes.get(source.path)
        if size == source.file.bytes:
            found, fault = check_content(self._target.pieces(source.path, size), size, source.file)
            if fault is None:
                self._count(size, f"kept {source.path}", kept=True)
                return found
        part, found = download_file(self._hub, source, self._target.work_dir, self._arrive)
        if known and found != known:
            raise changed_data(source, f"is in the mirror with {known.bytes:,} bytes, sha256 {known.sha256}")
        self._target.place(part, source.path)
        self._count(0, f"mirrored {source.path}")
        return found

    def _arrive(self, arrived_bytes: int) -> None:
        if self._stop.is_set():
            raise StoppedError
        with self._lock:
            self.arrived_bytes += max(arrived_bytes, 0)
        self._count(arrived_bytes, "")

    def _count(self, more_bytes: int, remark: str, *, kept: bool = False) -> None:
        with self._lock:
            self._done_bytes += more_bytes
            self.kept_files += kept
            self._show(FillProgress(self._done_bytes, self._total_bytes, remark))


def _contradicts(known: MirrorFile, listed: HubFile) -> bool:
    other_hash = listed.sha256 is not None and listed.sha256 != known.sha256
    return known.bytes != listed.bytes or other_hash
