"""A group of pairs on one checkpoint, end to end: stage, load once, then score and commit each pair apart.

Runs in a process of its own (a pod, or a worker of ``a360 run``): it changes the working directory to the
mirror and sets the environment of ``datasets``. lm-eval and torch are imported only after that.
"""

import errno
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal, NamedTuple

from a360.checkpoints.inventory import read_full_hashes, record_full_hashes
from a360.datasets.mirror import MirrorManifest, read_stored_manifest, select_files
from a360.datasets.staging import offline_environment, stage_mirror, verify_files
from a360.datasets.texts import read_texts
from a360.errors import A360Error, ConfigError, DataError, MissingError, TransientError
from a360.identity import generation_key, hash_value
from a360.plan import build_protocols, pair_id
from a360.records import Cell, Checkpoint, Failure, FullHashes, Plan, Protocol, Provenance, Result
from a360.results.commit import commit_result, record_failure, require_conditional_put, write_items
from a360.results.journal import Journal
from a360.results.places import CommitName, commit_place
from a360.results.provenance import environment, git_sha, new_attempt, node, reported_packages
from a360.storage import open_store
from a360.storage.os_errors import os_failure
from a360.suite import Suite
from a360.weights import WeightCache, pull_checkpoint

if TYPE_CHECKING:
    from a360.evaluators.harness import Outcome
    from a360.evaluators.journaled_lm import MeasuringHFLM

_log = logging.getLogger(__name__)

Phase = Literal[
    "staging", "loading", "evaluating", "flushed", "committing", "committed", "done already", "failed"
]


class Event(NamedTuple):
    """What a process is doing; ``done`` of ``total`` requests while evaluating."""

    phase: Phase
    pair: str
    done: int = 0
    total: int = 0
    message: str = ""


class PairOutcome(NamedTuple):
    """How a pair ended, with the exit code it stands for."""

    pair: str
    state: Literal["committed", "done already", "failed"]
    exit_code: int = 0
    error: str = ""


@dataclass
class _Attempt:
    """One pair while it is being evaluated."""

    cell: Cell
    checkpoint: Checkpoint
    protocol: Protocol
    bytes_pulled: int
    started: float = field(default_factory=time.time)

    @property
    def pair(self) -> str:
        return pair_id(self.cell.checkpoint, self.cell.benchmark)

    @property
    def name(self) -> CommitName:
        return CommitName(self.cell.benchmark, self.cell.checkpoint, self.cell.key or "")


class Evaluator:
    """What a process keeps between groups: stores, the data mirror, the weight cache.

    Raises:
        ConfigError: no mirror, or a store without conditional put and no ``single_writer``.
    """

    def __init__(self, suite: Suite, on_event: Callable[[Event], None] = lambda event: None) -> None:
        self._suite = suite
        self._on_event = on_event
        self._store = open_store(suite.store.uri, suite.store.s3)
        self._source = open_store(suite.model.root, suite.model.s3)
        self._cache = WeightCache(
            dir=Path(suite.run.cache_dir) / "weights", cap_bytes=int(suite.run.cache_gib * 2**30)
        )
        self._conditional_put = require_conditional_put(self._store, single_writer=suite.store.single_writer)
        self._attempt = new_attempt()
        self._journal: Journal | None = None
        self._verified: set[str] = set()
        self._mirror_dir, self._manifest = self._enter_mirror()

    def evaluate_group(self, plan: Plan, pair_ids: Sequence[str]) -> tuple[PairOutcome, ...]:
        """The outcome of every pair. A failed pair is recorded and the next one goes on.

        Raises:
            ConfigError: the plan cannot be reproduced here; nothing was evaluated.
        """
        attempts = self._attempts(plan, pair_ids)
        pending = [attempt for attempt in attempts if not self._is_committed(plan.model, attempt)]
        outcomes = [self._end(a, PairOutcome(a.pair, "done already")) for a in attempts if a not in pending]
        if pending:
            outcomes += self._evaluate_pending(plan, pending)
        return tuple(outcomes)

    def flush(self) -> None:
        """Writes the answers that the running pair has so far."""
        if self._journal:
            self._journal.flush()

    def _evaluate_pending(self, plan: Plan, pending: list[_Attempt]) -> list[PairOutcome]:
        outcomes: list[PairOutcome] = []
        checkpoint, first = pending[0].checkpoint, pending[0]
        try:
            self._on_event(Event("staging", first.pair))
            known = read_full_hashes(self._store, plan.model, checkpoint.fingerprint)
            with pull_checkpoint(checkpoint, self._source, self._cache, known) as pulled:
                hashes = FullHashes(fingerprint=checkpoint.fingerprint, sha256=pulled.sha256)
                record_full_hashes(self._store, plan.model, hashes)
                first.bytes_pulled = pulled.bytes_pulled
                self._on_event(Event("loading", first.pair))
                model = self._load(pulled.dir, first.protocol)
                for attempt in pending:
                    outcomes.append(self._evaluate_pair(plan, attempt, model))
        except Exception as raised:  # the boundary of a group: its pairs fail, the process goes on
            error = _changed_since_planned(raised) if isinstance(raised, MissingError) else raised
            outcomes += [self._fail(plan, attempt, error) for attempt in pending[len(outcomes) :]]
        return outcomes

    def _evaluate_pair(self, plan: Plan, attempt: _Attempt, model: "MeasuringHFLM") -> PairOutcome:
        try:
            attempt.started = time.time()
            self._stage_data(attempt.cell.benchmark)
            outcome = self._score(attempt, model)
            self._on_event(Event("committing", attempt.pair))
            items = write_items(self._store, attempt.name.key, outcome.items)
            provenance = self._provenance(attempt, outcome, model)
            result = Result(
                key=attempt.name.key,
                generation_key=attempt.cell.generation_key or "",
                model=plan.model,
                checkpoint=attempt.checkpoint.id,
                phase=attempt.checkpoint.phase,
                step=attempt.checkpoint.step,
                tokens=attempt.checkpoint.tokens,
                digest=attempt.checkpoint.digest,
                benchmark=attempt.cell.benchmark,
                protocol=attempt.protocol,
                grading=None,
                metrics=outcome.metrics,
                items=(items,),
                prompts=outcome.prompts,
                truncated_prompts=outcome.truncated_prompts,
                provenance=provenance,
                raw=outcome.raw,
            )
            committed = commit_result(self._store, result)
        except Exception as error:  # the boundary of a pair
            return self._fail(plan, attempt, error)
        return self._end(attempt, PairOutcome(attempt.pair, "committed" if committed else "done already"))

    def _score(self, attempt: _Attempt, model: "MeasuringHFLM") -> "Outcome":
        from a360.evaluators.harness import evaluate_benchmark
        from a360.evaluators.perplexity import evaluate_perplexity

        benchmark = self._suite.find_benchmark(attempt.cell.benchmark)
        pair, run = attempt.pair, self._suite.run
        journal = Journal(
            self._store,
            attempt.cell.generation_key or "",
            f"{self._attempt}-{uuid.uuid4().hex[:8]}",  # a second try must not overwrite the first
            flush_seconds=run.journal_seconds,
            flush_requests=run.journal_requests,
            on_flush=lambda rows: self._on_event(Event("flushed", pair, rows)),
        )
        self._journal = journal
        journal.load()
        self._on_event(Event("evaluating", pair))

        def on_progress(done: int, total: int) -> None:
            self._on_event(Event("evaluating", pair, done, total))

        try:
            if benchmark.texts is None:
                return evaluate_benchmark(benchmark, attempt.protocol, model, journal, on_progress)
            paths = select_files(self._manifest, benchmark.data)
            documents = read_texts(self._mirror_dir, paths, benchmark.texts)
            return evaluate_perplexity(benchmark, attempt.protocol, documents, model, journal, on_progress)
        finally:
            journal.flush()
            self._journal = None

    def _load(self, model_dir: Path, protocol: Protocol) -> "MeasuringHFLM":
        # datasets reads its environment at import, and --help must not import torch.
        from a360.evaluators.harness import load_model

        run = self._suite.run
        threads = run.threads or max(1, (os.cpu_count() or 1) // run.workers)
        return load_model(model_dir, protocol, device=run.device, batch_size=run.batch_size, threads=threads)

    def _enter_mirror(self) -> tuple[Path, MirrorManifest]:
        """Makes the mirror the working directory: lm-eval's tasks then find their data by relative paths."""
        mirror = open_store(self._suite.data.mirror, self._suite.data.s3)
        manifest = read_stored_manifest(mirror)
        cache_dir = Path(self._suite.run.cache_dir)
        local = None if self._is_remote() else Path(self._suite.data.mirror.removeprefix("file://"))
        mirror_dir = local or stage_mirror(mirror, (), cache_dir / "data")
        os.environ.update(offline_environment(mirror_dir, manifest, cache_dir / "datasets"))
        os.environ.update(TQDM_DISABLE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
        os.chdir(mirror_dir)
        return mirror_dir, manifest

    def _is_remote(self) -> bool:
        return self._suite.data.mirror.startswith("s3://")

    def _stage_data(self, benchmark: str) -> None:
        if benchmark in self._verified:
            return
        data = self._suite.find_benchmark(benchmark).data
        if self._is_remote():
            mirror = open_store(self._suite.data.mirror, self._suite.data.s3)
            if stage_mirror(mirror, data, self._mirror_dir.parent) != self._mirror_dir:
                raise ConfigError(
                    f"mirror was changed: {mirror.uri}", hint="Plan again: its data has new revisions."
                )
        else:
            verify_files(self._mirror_dir, self._manifest, data)
        self._verified.add(benchmark)

    def _attempts(self, plan: Plan, pair_ids: Sequence[str]) -> list[_Attempt]:
        cells = {pair_id(cell.checkpoint, cell.benchmark): cell for cell in plan.cells}
        checkpoints = {checkpoint.id: checkpoint for checkpoint in plan.checkpoints}
        protocols = build_protocols(self._suite, self._manifest).protocols
        attempts = []
        for pair in pair_ids:
            cell = cells.get(pair)
            if cell is None or cell.key is None:
                raise ConfigError(
                    f"pair {pair} is not in plan {plan.id}", hint="a360 plan --json prints its pairs."
                )
            _verify_protocol(plan, cell, checkpoints[cell.checkpoint], protocols.get(cell.benchmark))
            attempts.append(_Attempt(cell, checkpoints[cell.checkpoint], plan.protocols[cell.benchmark], 0))
        if len({attempt.checkpoint.id for attempt in attempts}) > 1:
            raise ConfigError(f"pairs of several checkpoints in one group: {', '.join(pair_ids)}")
        return attempts

    def _is_committed(self, model: str, attempt: _Attempt) -> bool:
        place = commit_place(model, attempt.name)
        return any(entry.key == place for entry in self._store.list(place))

    def _fail(self, plan: Plan, attempt: _Attempt, raised: Exception) -> PairOutcome:
        error = as_a360_error(raised)
        _log.debug("%s failed", attempt.pair, exc_info=raised)
        failure = Failure(
            model=plan.model,
            checkpoint=attempt.checkpoint.id,
            benchmark=attempt.cell.benchmark,
            key=attempt.name.key,
            attempt=f"{self._attempt}-{time.time_ns()}",
            exit_code=error.exit_code,
            error=error.message,
            hint=error.hint,
            environment=environment(),
            node=node(),
            failed_at=_utc(time.time()),
        )
        try:
            record_failure(self._store, failure)
        except TransientError as lost:
            error = lost  # the store is away: try again
        return self._end(attempt, PairOutcome(attempt.pair, "failed", error.exit_code, str(error)))

    def _end(self, attempt: _Attempt, outcome: PairOutcome) -> PairOutcome:
        self._on_event(Event(outcome.state, attempt.pair, message=outcome.error))
        return outcome

    def _provenance(self, attempt: _Attempt, outcome: "Outcome", model: "MeasuringHFLM") -> Provenance:
        from a360.evaluators.harness import describe_device

        finished = time.time()
        device = describe_device(model)
        return Provenance(
            image_digest=os.environ.get("A360_IMAGE_DIGEST"),
            git_sha=git_sha(),
            packages=reported_packages(),
            engine="hflm",
            device=device.name,
            gpu=device.gpu,
            threads=device.threads,
            batch_size=int(model.batch_size),
            attempt=self._attempt,
            node=node(),
            pod=os.environ.get("A360_POD_NAME"),
            workflow_uid=os.environ.get("A360_WORKFLOW_UID"),
            started_at=_utc(attempt.started),
            finished_at=_utc(finished),
            wall_seconds=round(finished - attempt.started, 3),
            gpu_seconds=round(finished - attempt.started, 3) if device.gpu else None,
            bytes_pulled=attempt.bytes_pulled,
            tokens_scored=outcome.tokens_scored,
            requests_scored=outcome.prompts - outcome.requests_from_journal,
            requests_from_journal=outcome.requests_from_journal,
            tokenizer_hash=hash_value([[f.name, f.content_hash] for f in attempt.checkpoint.tokenizer_files]),
            dataset_revisions={
                name: repository.revision
                for name, repository in self._manifest.repositories.items()
                if any(
                    f"{data}/".startswith(f"{name}/")
                    for data in self._suite.find_benchmark(attempt.cell.benchmark).data
                )
            },
            conditional_put=self._conditional_put,
        )


def flush_on_sigterm(evaluator: Evaluator, grace_seconds: float = 20.0) -> None:
    """Makes SIGTERM flush the journal, then end the process as SIGTERM does.

    The flush runs in a thread of its own: the interrupted main thread may hold a lock of its connection pool.
    """

    def on_sigterm(signum: int, frame: FrameType | None) -> None:
        flushing = threading.Thread(target=evaluator.flush, daemon=True)
        flushing.start()
        flushing.join(grace_seconds)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, on_sigterm)


def group_exit_code(outcomes: Sequence[PairOutcome]) -> int:
    """The exit code of a group: try again if that may help, else the gravest of its pairs."""
    codes = {outcome.exit_code for outcome in outcomes}
    return next((code for code in (75, 2, 3) if code in codes), 0)


def _verify_protocol(plan: Plan, cell: Cell, checkpoint: Checkpoint, protocol: Protocol | None) -> None:
    """Raises ConfigError unless this process would arrive at the plan's protocol and key."""
    planned = plan.protocols[cell.benchmark]
    if protocol != planned or generation_key(checkpoint.digest, planned) != cell.generation_key:
        here = protocol.model_dump() if protocol else {}
        differing = sorted(k for k, v in planned.model_dump().items() if here.get(k) != v) or ["key"]
        raise ConfigError(
            f"plan {plan.id} cannot be reproduced: benchmark {cell.benchmark}: "
            f"{', '.join(differing)} differ here",
            hint="Plan with the same suite, mirror and a360 version that evaluates.",
        )


def _changed_since_planned(error: MissingError) -> TransientError:
    """A file that was there when the pair was planned may come back; no result must stay barred for it."""
    return TransientError(
        f"checkpoint was changed after it was planned: {error.message}",
        hint="Plan again when it is whole; the next plan looks at it anew.",
    )


def as_a360_error(error: Exception) -> A360Error:
    """What an unforeseen exception means for a retry."""
    if isinstance(error, A360Error):
        return error
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            return os_failure(cause, f"evaluation on {node()}")
    text = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), 'no message')}"
    if isinstance(error, ImportError):
        return ConfigError(f"a package is missing: {text}", hint='pip install "a360[evaluate]"')
    if isinstance(error, OSError | MemoryError) or "CUDA" in str(error) or "allocate memory" in str(error):
        return TransientError(f"evaluation was interrupted on {node()}: {text}")
    return DataError(f"evaluation failed: {text}", hint="a360 --debug evaluate shows where.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
