"""One YAML file -> a ``Suite``, validated whole before anything is listed, pulled or loaded.

A suite names a training run, where its checkpoints, data and results are, and the benchmarks. Command-line
flags only choose a suite, an id or a directory.
"""

from collections import Counter
from collections.abc import Hashable, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from a360.benchmarks import CATALOGUE, Benchmark, find_benchmark
from a360.benchmarks.choices import BenchmarkChoice, Chosen, OwnSequences, OwnTexts
from a360.errors import ConfigError
from a360.records import Naming, Record
from a360.storage import StoreSettings

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class ModelSection(Record):
    """The training run: where its checkpoints are and how they are loaded."""

    name: Name
    root: str
    """URI of the checkpoint root; a path is relative to the suite's file."""
    hub: tuple[str, ...] = ()
    """Ids of the repository on the hub that the checkpoints were copied from, today's first. For people."""
    s3: StoreSettings = StoreSettings()
    naming: Naming
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    softmax_dtype: Literal["float32"] | None = "float32"
    max_length: int | None = Field(default=None, ge=2)
    add_bos_token: bool | None = None
    chat_template: str | None = Field(default=None, min_length=1)
    """Jinja text for benchmarks that are conversations, in the place of the tokenizer's own."""


class StoreSection(Record):
    """Where results live."""

    uri: str
    s3: StoreSettings = StoreSettings()
    single_writer: bool = False
    """Allows a store without conditional put: then only one process may commit."""


class DataSection(Record):
    """The mirror of the benchmarks' data sets."""

    mirror: str
    s3: StoreSettings = StoreSettings()


class JudgeSection(Record):
    """A model that rates answers, behind an address that speaks as OpenAI's does; its key is no setting.

    Only the model's name is part of a key: where it is served, and how often it is asked, change no rating.
    """

    model: Annotated[str, Field(min_length=1)]
    url: Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")]
    """Up to and without ``/chat/completions``: ``https://judge.example.com/v1``."""
    timeout_seconds: float = Field(default=120.0, gt=0)
    attempts: int = Field(default=6, ge=1)
    """Requests for one judgment before a judge that is busy or away counts as away."""
    workers: int = Field(default=4, ge=1, le=64)
    """Questions at a time."""


class RunSection(Record):
    """How work is carried out; none of it changes a key."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch_size: int = Field(default=8, ge=1)
    workers: int = Field(default=1, ge=1)
    threads: int | None = Field(default=None, ge=1)
    """Torch threads of one worker; by default the cores divided by the workers."""
    recycle_pairs: int = Field(default=200, ge=1)
    """A worker process is replaced after so many pairs."""
    worker_memory_gib: float = Field(default=64.0, gt=0)
    """A worker process that has grown beyond this is replaced after its group."""
    pairs_per_group: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    """Pairs of one checkpoint that share a process and a loaded model."""
    journal_seconds: float = Field(default=60.0, gt=0)
    journal_requests: int = Field(default=2000, ge=1)
    cache_dir: str = "cache"
    cache_gib: float = Field(default=100.0, gt=0)
    allow_weak_sandbox: bool = False
    """Whether generated programs are run where the sandbox does not hold; every result says so."""


class SweepSection(Record):
    """Bounds of one sweep."""

    max_pairs: int | None = Field(default=None, ge=1)
    order: Literal["newest-first", "oldest-first"] = "oldest-first"


class PublishSection(Record):
    """Where publications go."""

    directory: str = "report"
    project: str | None = None
    """W&B project of the offline runs; by default the model's name."""


_UNNAMED = 'in "<unicode string>", '
"""How PyYAML names a text that has no file."""
_IN_WORDS = {"extra_forbidden": "unknown key", "missing": "is required"}


def _in_words(kind: str, message: str) -> str:
    return _IN_WORDS.get(kind, message.removeprefix("Value error, "))


def _as_choice(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


class Suite(Record):
    """Everything that one sweep needs."""

    schema_name: Literal["a360.suite/1"] = Field(default="a360.suite/1", alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
    model: ModelSection
    store: StoreSection
    data: DataSection
    benchmarks: tuple[Annotated[BenchmarkChoice, BeforeValidator(_as_choice)], ...] = Field(
        json_schema_extra={"minItems": 1}
    )
    texts: tuple[OwnTexts, ...] = ()
    memorization: tuple[OwnSequences, ...] = ()
    max_truncated: float = Field(default=1.0, ge=0, le=1)
    """A result with a larger part of its prompts truncated is shown as not applicable."""
    run: RunSection = RunSection()
    sweep: SweepSection = SweepSection()
    publish: PublishSection = PublishSection()
    judge: JudgeSection | None = None
    """Who rates answers, for benchmarks that need a judge or may have one."""

    @model_validator(mode="after")
    def _each_benchmark_once(self) -> Self:
        if not (self.benchmarks or self.texts or self.memorization):
            raise ValueError("benchmarks is empty, expected at least 1 id")
        ids = [*(choice.id for choice in self.benchmarks), *(texts.id for texts in self.texts)]
        ids += [row.id for each in self.memorization for row in each.benchmarks()]
        twice = [benchmark for benchmark, count in Counter(ids).items() if count > 1]
        if twice:
            raise ValueError(f"benchmark {twice[0]!r} is named twice")
        return self

    @model_validator(mode="after")
    def _judge_is_named(self) -> Self:
        for choice in self.benchmarks if self.judge is None else ():
            if choice.benchmark().judge == "needed":
                raise ValueError(
                    f"benchmark {choice.id!r} needs a judge, expected a section judge with model and url"
                )
        return self

    @model_validator(mode="after")
    def _steps_of_memorization_are_of_one_phase(self) -> Self:
        if self.memorization and "(?P<phase>" in self.model.naming.pattern:
            raise ValueError(
                "memorization tells by steps which chunks a checkpoint has seen, and steps begin anew in "
                "each phase: found a group (?P<phase>…) in model.naming.pattern, expected a suite of one"
            )
        return self

    def chosen(self) -> tuple[Chosen, ...]:
        """Every benchmark that the suite evaluates: those of the catalogue, then its own data."""
        return tuple(self._rows().values())

    def find_benchmark(self, benchmark_id: str) -> Benchmark:
        """The row of an id as the suite chooses it, else the catalogue's. Raises UnknownBenchmarkError."""
        chosen = self._rows().get(benchmark_id)
        return chosen.benchmark if chosen else find_benchmark(benchmark_id)

    def _rows(self) -> Mapping[str, Chosen]:
        return _chosen_rows(self.benchmarks, self.texts, self.memorization, self.judge is not None)


@lru_cache(maxsize=8)
def _chosen_rows(
    benchmarks: tuple[BenchmarkChoice, ...],
    texts: tuple[OwnTexts, ...],
    memorization: tuple[OwnSequences, ...],
    has_judge: bool,
) -> Mapping[str, Chosen]:
    """Id -> benchmark and limit; a planner asks for it once for every cell."""
    rows = [Chosen(choice.benchmark(), choice.limit) for choice in benchmarks]
    rows += [Chosen(own.benchmark(), own.limit) for own in texts]
    rows += [Chosen(row, None) for each in memorization for row in each.benchmarks()]
    if has_judge:
        rows = [row._replace(benchmark=row.benchmark.judged()) for row in rows]
    return {row.benchmark.id: row for row in rows}


class _Loader(yaml.SafeLoader):
    """YAML in which no mapping has a key twice; PyYAML alone would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        mapping: dict[Hashable, object] = super().construct_mapping(node, deep=deep)
        seen = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"key {name!r} occurs twice", problem_mark=key.start_mark)
            seen.add(name)
        return mapping


def load_suite(name: str) -> Suite:
    """The suite of a YAML file, or of a suite that ships with a360 by its name.

    Paths in the file are taken relative to the file (the working directory for a shipped suite).

    Raises:
        ConfigError: the file is missing, is not YAML, or does not validate; every fault is named.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return parse_suite(_read_file(path), where=str(path), base_dir=path.resolve().parent)
    if name in shipped_suites():
        return parse_suite(shipped_suite_text(name), where=f"shipped suite {name}", base_dir=Path.cwd())
    shipped = ", ".join(shipped_suites())
    raise ConfigError(
        f"no suite {name!r}: expected a YAML file or one of: {shipped}",
        hint="a360 suites lists the shipped suites.",
    )


def parse_suite(text: str, *, where: str, base_dir: Path) -> Suite:
    """The suite of a YAML text, with relative paths made absolute.

    Raises:
        ConfigError: see ``load_suite``.
    """
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"suite is not YAML: {where}: {str(error).replace(_UNNAMED, '')}",
            hint="Check indentation and quotes.",
        ) from None
    if not isinstance(document, dict):
        raise ConfigError(
            f"suite is not a mapping: {where}: found {type(document).__name__}, expected keys such as name"
        )
    try:
        suite = Suite.model_validate(document)
    except ValidationError as error:
        faults = [
            f"  {'.'.join(map(str, e['loc'])) or 'suite'}: {_in_words(e['type'], e['msg'])}"
            for e in error.errors()
        ]
        raise ConfigError(
            "\n".join([f"suite is not valid: {where}:", *faults]),
            hint="a360 suites schema prints the JSON Schema of a suite.",
        ) from None
    return _absolute(suite, base_dir)


def place_in(suite: Suite, work_dir: Path | None, cache_dir: Path | None = None) -> Suite:
    """The suite with its directories inside a pod's volumes; the suite's own file may be read-only.

    ``cache_dir`` is where weights and data are kept, by default below ``work_dir``.
    """
    if work_dir is not None:
        publish = suite.publish.model_copy(update={"directory": str(work_dir.resolve() / "report")})
        suite = suite.model_copy(update={"publish": publish})
        cache_dir = cache_dir or work_dir / "cache"
    if cache_dir is not None:
        run = suite.run.model_copy(update={"cache_dir": str(cache_dir.resolve())})
        suite = suite.model_copy(update={"run": run})
    return suite


def shipped_suites() -> tuple[str, ...]:
    """The names of the suites in the package, sorted."""
    folder = resources.files("a360") / "suites"
    return tuple(
        sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))
    )


def shipped_suite_text(name: str) -> str:
    """The YAML text of a shipped suite."""
    return (resources.files("a360") / "suites" / f"{name}.yaml").read_text(encoding="utf-8")


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"suite cannot be read: {path}: {getattr(error, 'strerror', error)}",
            hint="Give the path of a YAML file.",
        ) from None


def _absolute(suite: Suite, base_dir: Path) -> Suite:
    def resolve(uri: str) -> str:
        return uri if "://" in uri else str((base_dir / Path(uri).expanduser()).resolve())

    changes = {
        "model": suite.model.model_copy(update={"root": resolve(suite.model.root)}),
        "store": suite.store.model_copy(update={"uri": resolve(suite.store.uri)}),
        "data": suite.data.model_copy(update={"mirror": resolve(suite.data.mirror)}),
        "run": suite.run.model_copy(update={"cache_dir": resolve(suite.run.cache_dir)}),
        "publish": suite.publish.model_copy(update={"directory": resolve(suite.publish.directory)}),
    }
    return suite.model_copy(update=changes)


def suite_schema() -> dict[str, object]:
    """The JSON Schema of a suite, with the known benchmark ids as an enumeration."""
    schema = Suite.model_json_schema(by_alias=True)
    choice = schema["$defs"]["BenchmarkChoice"]
    choice["properties"]["id"]["enum"] = sorted(CATALOGUE)
    items = schema["properties"]["benchmarks"]["items"]
    schema["properties"]["benchmarks"]["items"] = {
        "anyOf": [items, {"type": "string", "enum": sorted(CATALOGUE)}]
    }
    return schema
