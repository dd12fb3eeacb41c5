"""A group of pairs on one checkpoint, end to end: stage, load once, then score and commit each pair apart.

Runs in a process of its own (a pod, or a worker of ``a360 run``): it changes the working directory to the
mirror and sets the environment of ``datasets``. lm-eval and torch are imported only after that.
"""

import logging
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from a360.checkpoints.inventory import read_full_hashes, record_full_hashes
from a360.datasets.mirror import MirrorManifest, read_stored_manifest, select_files
from a360.datasets.staging import offline_environment, stage_mirror, verify_files
from a360.datasets.texts import read_texts
from a360.errors import ConfigError, MissingError, TransientError
from a360.identity import generation_key, hash_value
from a360.pairs import Event, PairOutcome, as_a360_error, record_failed_pair
from a360.plan import build_protocols, pair_id
from a360.records import Cell, Checkpoint, FullHashes, Plan, Protocol, Provenance, Result
from a360.results.commit import commit_result, require_conditional_put, write_items
from a360.results.journal import Journal
from a360.results.places import CommitName, commit_place
from a360.results.provenance import describe_process, new_attempt
from a360.storage import open_store
from a360.suite import Suite
from a360.weights import WeightCache, pull_checkpoint

if TYPE_CHECKING:
    from a360.evaluators.harness import Outcome
    from a360.evaluators.journaled_lm import MeasuringHFLM

_log = logging.getLogger(__name__)


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
        try:
            record_failed_pair(self._store, plan.model, attempt.cell, self._attempt, error)
        except TransientError as lost:
            error = lost  # the store is away: try again
        return self._end(attempt, PairOutcome(attempt.pair, "failed", error.exit_code, str(error)))

    def _end(self, attempt: _Attempt, outcome: PairOutcome) -> PairOutcome:
        self._on_event(Event(outcome.state, attempt.pair, message=outcome.error))
        return outcome

    def _provenance(self, attempt: _Attempt, outcome: "Outcome", model: "MeasuringHFLM") -> Provenance:
        from a360.evaluators.harness import describe_device

        device = describe_device(model)
        process = describe_process(self._attempt, attempt.started, conditional_put=self._conditional_put)
        data = self._suite.find_benchmark(attempt.cell.benchmark).data
        return Provenance.model_validate(
            {
                **process,
                "engine": "hflm",
                "device": device.name,
                "gpu": device.gpu,
                "threads": device.threads,
                "batch_size": int(model.batch_size),
                "gpu_seconds": process["wall_seconds"] if device.gpu else None,
                "bytes_pulled": attempt.bytes_pulled,
                "tokens_scored": outcome.tokens_scored,
                "requests_scored": outcome.prompts - outcome.requests_from_journal,
                "requests_from_journal": outcome.requests_from_journal,
                "tokenizer_hash": hash_value(
                    [[file.name, file.content_hash] for file in attempt.checkpoint.tokenizer_files]
                ),
                "dataset_revisions": {
                    name: repository.revision
                    for name, repository in self._manifest.repositories.items()
                    if any(f"{place}/".startswith(f"{name}/") for place in data)
                },
            }
        )


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
