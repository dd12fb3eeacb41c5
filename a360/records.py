"""The documents that cross a process, all frozen, all refusing unknown fields.

Written once and read by every later stage: inventory (discover), plan, result and failure
(evaluate), coverage (collect). In-memory values that never leave a process are dataclasses beside
the code that uses them.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Direction = Literal["higher", "lower", "target"]
Aggregation = Literal["item", "micro", "macro"]
GradeKind = Literal["none", "code", "classifier", "judge"]
"""Which kind of pod grades a benchmark; none where the evaluator scores it itself."""
Stage = Literal["evaluate", "grade"]
CellState = Literal["done", "missing", "failed", "quarantined", "not uploaded", "not applicable"]


class Record(BaseModel):
    """A frozen document; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# --- discover -----------------------------------------------------------------------------------


class CheckpointFile(Record):
    """One file of a checkpoint: its name below the checkpoint, its size and its cheap content hash.

    ``content_hash`` is the sha256 of the whole file up to 256 MiB, of fixed windows beyond.
    """

    name: str
    bytes: int
    content_hash: str


class Inventory(Record):
    """What a fingerprint stands for: the digest and the proof that the checkpoint is complete."""

    schema_name: Literal["a360.inventory/1"] = "a360.inventory/1"
    fingerprint: str
    digest: str
    files: tuple[CheckpointFile, ...]
    proof: tuple[str, ...]
    """The checks that passed, in words."""
    vocab_size: int | None = None
    parameters: int | None = None
    """Number of weights counted in the safetensors headers; None for ``.bin`` shards."""
    chat_template: bool | None = None
    """Whether the tokenizer has one; None in documents from before anybody looked."""


class FullHashes(Record):
    """sha256 of every whole file of a fingerprint, learnt at the first pull."""

    schema_name: Literal["a360.sha256/1"] = "a360.sha256/1"
    fingerprint: str
    sha256: dict[str, str]


class Checkpoint(Record):
    """A complete checkpoint, ready to be evaluated."""

    id: str
    uri: str
    phase: int
    step: int
    tokens: int | None
    digest: str
    fingerprint: str
    files: tuple[CheckpointFile, ...]
    chat_template: bool | None = None
    """Whether its tokenizer has one; None where nobody looked."""

    @property
    def tokenizer_files(self) -> tuple[CheckpointFile, ...]:
        """The files that define the tokenizer."""
        model = ("config.json", "generation_config.json")
        weights = (".safetensors", ".bin", ".index.json")
        return tuple(f for f in self.files if f.name not in model and not f.name.endswith(weights))


class Quarantine(Record):
    """A checkpoint that is not evaluated, and why."""

    id: str
    uri: str
    phase: int = 0
    step: int = 0
    tokens: int | None = None
    state: Literal["quarantined", "not uploaded", "duplicate"] = "quarantined"
    """A duplicate of a step that another folder stands for is expected nowhere."""
    reason: str


class Discovery(Record):
    """Every checkpoint of a training run, ordered by (phase, step)."""

    model: str
    checkpoints: tuple[Checkpoint, ...]
    quarantined: tuple[Quarantine, ...]


class ExpectedRange(Record):
    """Checkpoint ids of one phase: ``template`` formatted with ``step`` and ``phase``, ends included."""

    template: str
    first: int
    last: int
    every: int = Field(default=1, ge=1)
    phase: int = 1


class TokenAxis(Record):
    """tokens = base_tokens + (step + offset) * tokens_per_step, for the checkpoints of one phase."""

    tokens_per_step: int = Field(gt=0)
    offset: int = 0
    base_tokens: int = 0
    phase: int = 1


class Naming(Record):
    """How a name below the checkpoint root becomes an id, a place in the training run and tokens."""

    pattern: str
    """Regular expression for the whole name, with a group ``step`` and, where steps restart, ``phase``."""
    aliases: dict[str, str] = {}
    """name in the store -> checkpoint id, e.g. ``main: ckpt_359``."""
    expected: tuple[str | ExpectedRange, ...] = ()
    """Ids that the training run should have; a missing one is reported as not uploaded."""
    tokens: tuple[TokenAxis, ...] = ()
    settle_seconds: float = Field(default=600.0, ge=0)


# --- plan ---------------------------------------------------------------------------------------


class Protocol(Record):
    """Everything that determines the numbers of a generation or scoring, and nothing else.

    Not in it: engine, batch size, versions of libraries, device, image, times. Those are provenance.
    """

    benchmark: str
    benchmark_version: int
    task_hash: str
    """Hash of the resolved tasks, sources of their functions included (benchmarks/lock.json)."""
    data_revision: str
    shots: int | None
    seeds: dict[str, int]
    limit: int | None
    decoding: dict[str, JsonValue]
    max_length: int | None
    dtype: str
    softmax_dtype: str | None
    chat_template: str | None
    tokenizer: str | None
    add_bos_token: bool | None
    truncation_side: Literal["left", "right"]
    numerics: str = "hflm-1"


class Grading(Record):
    """What a second stage adds to a generation."""

    grader: str
    source_hash: str
    classifier_digest: str | None = None
    judge_model: str | None = None
    prompt_hash: str | None = None


class Cell(Record):
    """One expected (checkpoint, benchmark) and its state when the plan was made."""

    checkpoint: str
    benchmark: str
    state: CellState
    reason: str | None = None
    generation_key: str | None = None
    key: str | None = None
    """The key under which the result is, or will be, committed; None without a digest."""
    stages: tuple[Stage, ...] = ()
    """What is to be done, in order: a generation that is committed already needs grading alone."""


class Plan(Record):
    """An immutable work list; ``id`` is the hash of everything else in it."""

    schema_name: Literal["a360.plan/1"] = "a360.plan/1"
    id: str
    suite: str
    model: str
    benchmarks: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]
    quarantined: tuple[Quarantine, ...]
    protocols: dict[str, Protocol]
    """benchmark id -> protocol"""
    gradings: dict[str, Grading]
    cells: tuple[Cell, ...]
    groups: tuple[tuple[str, ...], ...]
    """Pair ids ``<checkpoint>/<benchmark>``; one group runs in one process on one checkpoint."""
    settings: dict[str, JsonValue]
    """The suite as it was: pods of this plan go by it, also when the suite is changed meanwhile."""


# --- evaluate -----------------------------------------------------------------------------------


class Metric(Record):
    """One number of a result. ``value`` None always comes with a ``reason``."""

    metric: str
    filter: str
    task: str
    subset: str | None = None
    aggregation: Aggregation
    value: float | None
    stderr: float | None
    n: int
    direction: Direction
    target: float | None = None
    headline: bool = False
    reason: str | None = None


class StoredObject(Record):
    """An object that belongs to a result: its place, size, sha256 and number of rows."""

    key: str
    bytes: int
    sha256: str
    rows: int


class Provenance(Record):
    """How a result came about; never part of its identity."""

    image_digest: str | None
    git_sha: str | None
    packages: dict[str, str]
    engine: str
    device: str
    gpu: str | None
    threads: int
    batch_size: int
    attempt: str
    node: str
    pod: str | None
    workflow_uid: str | None
    started_at: str
    finished_at: str
    wall_seconds: float
    gpu_seconds: float | None
    bytes_pulled: int
    tokens_scored: int | None
    requests_scored: int
    requests_from_journal: int
    tokenizer_hash: str
    dataset_revisions: dict[str, str]
    conditional_put: bool
    """What the probe of the store said; False only under ``single_writer``."""


class Measurement(Record):
    """What a checkpoint was asked, and how: a generation and a result both say it."""

    generation_key: str
    model: str
    checkpoint: str
    phase: int
    step: int
    tokens: int | None
    digest: str
    benchmark: str
    protocol: Protocol
    prompts: int
    truncated_prompts: int
    provenance: Provenance
    """Of the process that wrote this document."""


class Generations(Measurement):
    """What a checkpoint answered to a benchmark that is graded apart, committed before anybody grades it."""

    schema_name: Literal["a360.generations/1"] = "a360.generations/1"
    answers: StoredObject
    """The table of a360/results/answers.py."""


class Result(Measurement):
    """A commit marker, below 1 MB: the only thing that makes a pair done."""

    schema_name: Literal["a360.result/1"] = "a360.result/1"
    key: str
    grading: Grading | None
    metrics: tuple[Metric, ...]
    items: tuple[StoredObject, ...]
    raw: dict[str, JsonValue]
    """The harness's own results without samples."""


class Failure(Record):
    """One failed attempt at a pair."""

    schema_name: Literal["a360.failure/1"] = "a360.failure/1"
    model: str
    checkpoint: str
    benchmark: str
    key: str
    attempt: str
    exit_code: int
    error: str
    hint: str | None
    environment: str
    """Image digest, or a hash of the package set outside a container."""
    node: str
    workflow_uid: str | None = None
    """Of the workflow whose pod it was: another pod of it need not try what failed for good."""
    failed_at: str
