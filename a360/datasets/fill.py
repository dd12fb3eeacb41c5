"""From the hub into a mirror: which files, at which commit, in parallel, and again without a byte too many.

A revision becomes a commit once, and the commit is written down before the first byte, so a run that was
interrupted continues with the same data whatever happens on the hub meanwhile. The manifest comes last.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import ValidationError

from a360.benchmarks import CATALOGUE, Benchmark
from a360.datasets.configurations import index_configurations
from a360.datasets.download import Source
from a360.datasets.hub import Hub, HubFile, Snapshot
from a360.datasets.mirror import INDEX_NAME, MODELS, README_NAME, MirrorFile, MirrorRepository
from a360.datasets.pull import Pull
from a360.datasets.target import OWN_REVISION, STATE_DIR, FillProgress, MirrorTarget
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
MODEL_FILES = ("*.json", "*.safetensors", "vocab.txt", "merges.txt", "tokenizer.model")
"""What transformers reads of a model; weights in another format only where they are the only ones."""

CONVERTED = {
    "pile": "pile",
    "allenai/social_bias_frames": "sbf",
    "aps/dynahate": "dynahate",
    "AlexaAI/bold": "bold",
    "toxigen/toxigen-data": "toxigen-prompts",
    "a360/toxicity-prompts": "toxicity-prompts",
    "a360/mt-bench": "mt-bench",
}
"""Repositories that the hub has not, or in another form -> the kind that ``a360 data convert`` knows."""
GENERATED = ("a360/long-eval-lines", "a360/long-eval-topics")
"""Repositories that ``a360 data long-eval`` makes."""


_COMMIT = re.compile("[0-9a-f]{40}")


class MirrorState(Record):
    """The commits of a mirror that is not whole yet."""

    schema_name: Literal["a360.mirror-state/1"] = "a360.mirror-state/1"
    revisions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What a run did. ``refused`` repositories are not in the mirror, the others are."""

    revisions: dict[str, str]
    pulled_files: int
    pulled_bytes: int
    kept_files: int
    refused: dict[str, A360Error] = field(default_factory=dict)

    def raise_refused(self) -> None:
        """Raises what was refused: one error as it is, several as one, ConfigError if one of them is."""
        errors = list(self.refused.values())
        if len(errors) == 1:
            raise errors[0]
        if errors:
            kind = ConfigError if any(isinstance(error, ConfigError) for error in errors) else MissingError
            lines = [f"{error.message}; {error.hint}" for error in errors]
            raise kind("\n".join(lines), hint="the rest is in the mirror")


def benchmark_data(rows: Iterable[Benchmark]) -> tuple[str, ...]:
    """The data ids of benchmarks, each once.

    Raises:
        ConfigError: a benchmark's rows are the project's own.
    """
    chosen = tuple(rows)
    for row in chosen:
        if row.stand_in and row.id in CATALOGUE:
            raise ConfigError(
                f"the rows of {row.id} are a360's own, not the hub's", hint="a360 demo writes its own mirror"
            )
    return tuple(dict.fromkeys(data for row in chosen for data in row.places()))


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
    with target.locked():
        own = _own_repositories(target)
        wanted = _by_repository([data_id for data_id in data if not own & _prefixes(data_id)])
        if strangers := sorted((revisions or {}).keys() - wanted.keys()):
            raise ConfigError(
                f"a revision of {strangers[0]}, which is not among the data: {', '.join(wanted)}"
            )
        pins = _read_pins(target, revisions or {})
        refused: dict[str, A360Error] = {}
        sources = {}
        for name in wanted:
            try:
                snapshot = _look_up(hub, name, pins.get(name) or (revisions or {}).get(name))
                pins[name] = snapshot.commit
                sources[name] = _choose(snapshot, name, wanted[name])
            except (ConfigError, MissingError) as error:
                refused[name] = error
        target.store.write(STATE_NAME, f"{canonical_json(MirrorState(revisions=pins))}\n".encode())
        pull = Pull(target, hub, on_progress)
        files = pull.run([source for name in sorted(sources) for source in sources[name]], workers)
        _commit(target, sources, files, {name for name in sources if wanted[name] != {""}})
        target.store.delete(STATE_NAME)
        target.clear_work()
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
        size = 1 if parts[0] in CONVERTED else 3 if data_id.startswith(MODELS) else 2
        wanted.setdefault("/".join(parts[:size]), set()).add("/".join(parts[size:]))
    return {name: {""} if "" in folders else folders for name, folders in sorted(wanted.items())}


def _own_repositories(target: MirrorTarget) -> set[str]:
    """The repositories of the mirror that did not come from the hub: they stay as they are."""
    repositories = target.manifest.repositories.items()
    return {name for name, repository in repositories if repository.revision.startswith(OWN_REVISION)}


def _prefixes(data_id: str) -> set[str]:
    parts = data_id.split("/")
    return {"/".join(parts[:size]) for size in range(1, len(parts) + 1)}


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
    if name in GENERATED:
        raise ConfigError(
            f"the hub does not serve the rows of {name}", hint="a360 data long-eval TARGET makes them"
        )
    return hub.look_up(name, revision)


def _choose(snapshot: Snapshot, name: str, folders: set[str]) -> list[Source]:
    """The files to mirror: README.md and the data files of the folders.

    Raises:
        MissingError: a folder has no data file.
        ConfigError: a file's name would leave the mirror.
    """
    chosen = {file for file in snapshot.files if file.path in (README_NAME, INDEX_NAME)}
    for folder in folders:
        inside = [file for file in snapshot.files if file.path.startswith(f"{folder}/" if folder else "")]
        rows = _model_files(inside) if name.startswith(MODELS) else {f for f in inside if _is_data(f.path)}
        if not rows:
            scripts = [file.path for file in snapshot.files if file.path.endswith(".py")]
            raise MissingError(
                f"the hub has no data files of {f'{name}/{folder}'.rstrip('/')} at {snapshot.commit}"
                + (f", only the script {scripts[0]}" if scripts else ""),
                hint="is it the folder's name? a360 data convert and a360 data add take files of your own",
            )
        chosen |= rows
    sources = [Source(name, snapshot.commit, file) for file in sorted(chosen, key=lambda file: file.path)]
    for source in sources:
        checked_key(source.path, f"{name} at {snapshot.commit}")  # what a server lists may be anything
    return sources


def _model_files(files: Sequence[HubFile]) -> set[HubFile]:
    """The files at the top of a model's repository that make the model and its tokenizer."""
    top = [file for file in files if "/" not in file.path]
    has_safetensors = any(file.path.endswith(".safetensors") for file in top)
    wanted = MODEL_FILES if has_safetensors else (*MODEL_FILES, "pytorch_model*.bin")
    return {file for file in top if any(fnmatchcase(file.path, pattern) for pattern in wanted)}


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
