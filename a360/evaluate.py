"""A group of pairs on one checkpoint, end to end: stage, load once, then score and commit each pair apart.

Of a pair that is graded apart the answers are committed, and a360/grade.py goes on with them.

Runs in a process of its own (a pod, or a worker of ``a360 run``): it changes the working directory to the
mirror and sets the environment of ``datasets``. lm-eval and torch are imported only after that.
"""

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from a360.benchmarks import Texts
from a360.checkpoints.inventory import read_full_hashes, record_full_hashes
from a360.datasets.conversations import read_conversations
from a360.datasets.mirror import select_files
from a360.datasets.prompts import read_prompts
from a360.datasets.sequences import read_sequences
from a360.datasets.texts import read_texts
from a360.datasets.working import WorkingMirror
from a360.errors import ConfigError, MissingError, TransientError
from a360.identity import hash_value
from a360.pairs import Event, PairOutcome, as_a360_error, failed_in_this_workflow, record_failed_pair
from a360.plan import build_protocols, find_cells, pair_id, verify_protocol
from a360.records import (
    Cell,
    Checkpoint,
    FullHashes,
    Generations,
    Measurement,
    Plan,
    Protocol,
    Provenance,
    Result,
)
from a360.results.commit import (
    commit_generations,
    commit_result,
    require_conditional_put,
    write_answers,
    write_items,
)
from a360.results.journal import Journal
from a360.results.places import CommitName, commit_place, generations_place
from a360.results.provenance import describe_process, new_attempt
from a360.storage import open_store
from a360.suite import Suite
from a360.weights import WeightCache, pull_checkpoint

if TYPE_CHECKING:
    from a360.evaluators.generation import Generated
    from a360.evaluators.harness import Outcome
    from a360.evaluators.journaled_lm import Asked, MeasuringHFLM

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
        self._mirror = WorkingMirror(suite.data.mirror, suite.data.s3, Path(suite.run.cache_dir))

    def evaluate_group(self, plan: Plan, pair_ids: Sequence[str]) -> tuple[PairOutcome, ...]:
        """The outcome of every pair. A failed pair is recorded and the next one goes on.

        Raises:
            ConfigError: the plan cannot be reproduced here; nothing was evaluated.
        """
        attempts = self._attempts(plan, pair_ids)
        outcomes, pending = [], []
        for attempt in attempts:
            known = self._find(plan, attempt)
            if known:
                outcomes.append(self._end(attempt, known))
            else:
                pending.append(attempt)
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
            self._mirror.stage(self._suite.find_benchmark(attempt.cell.benchmark).data)
            asked = self._ask(attempt, model)
            self._on_event(Event("committing", attempt.pair))
            measurement = self._measurement(plan, attempt, asked, model)
            state = self._commit(attempt, asked, measurement)
        except Exception as error:  # the boundary of a pair
            return self._fail(plan, attempt, error)
        return self._end(attempt, PairOutcome(attempt.pair, state))

    def _commit(
        self, attempt: _Attempt, asked: "Outcome | Generated", measurement: Measurement
    ) -> Literal["committed", "generated", "done already"]:
        from a360.evaluators.generation import Generated

        shared = dict(measurement)
        if isinstance(asked, Generated):
            answers = write_answers(self._store, measurement.generation_key, asked.answers)
            commit_generations(self._store, Generations(**shared, answers=answers))
            return "generated"
        key = attempt.name.key
        items = write_items(self._store, key, asked.items)
        result = Result(**shared, key=key, grading=None, metrics=asked.metrics, items=(items,), raw=asked.raw)
        return "committed" if commit_result(self._store, result) else "done already"

    def _ask(self, attempt: _Attempt, model: "MeasuringHFLM") -> "Outcome | Generated":
        from a360.evaluators.conversations import chat_renderer, converse
        from a360.evaluators.generation import generate_answers
        from a360.evaluators.harness import evaluate_benchmark
        from a360.evaluators.journaled_lm import JournaledLM
        from a360.evaluators.memorization import evaluate_memorization
        from a360.evaluators.perplexity import evaluate_perplexity

        benchmark, protocol = self._suite.find_benchmark(attempt.cell.benchmark), attempt.protocol

        def on_progress(done: int, total: int) -> None:
            self._on_event(Event("evaluating", attempt.pair, done, total))

        with self._open_journal(attempt) as journal:
            if benchmark.evaluator == "harness":
                return evaluate_benchmark(benchmark, protocol, model, journal, on_progress)
            paths = select_files(self._mirror.manifest, benchmark.data)
            if benchmark.memorization:
                sequences = read_sequences(self._mirror.dir, paths)
                return evaluate_memorization(benchmark, protocol, sequences, model, journal, on_progress)
            if benchmark.prompts:
                prompts = read_prompts(self._mirror.dir, paths, benchmark.prompts)
                return generate_answers(benchmark, protocol, prompts, model, journal, on_progress)
            if benchmark.conversations:
                render = chat_renderer(model, protocol, self._suite.model.chat_template)
                conversations = read_conversations(self._mirror.dir, paths, benchmark.conversations)
                return converse(protocol, conversations, JournaledLM(model, journal, on_progress), render)
            documents = read_texts(self._mirror.dir, paths, benchmark.texts or Texts())
            return evaluate_perplexity(benchmark, protocol, documents, model, journal, on_progress)

    @contextmanager
    def _open_journal(self, attempt: _Attempt) -> Iterator[Journal]:
        """The journal of a pair with what earlier attempts left; flushed however the evaluation ends."""
        run = self._suite.run
        journal = Journal(
            self._store,
            attempt.cell.generation_key or "",
            f"{self._attempt}-{uuid.uuid4().hex[:8]}",  # a second try must not overwrite the first
            flush_seconds=run.journal_seconds,
            flush_requests=run.journal_requests,
            on_flush=lambda rows: self._on_event(Event("flushed", attempt.pair, rows)),
        )
        self._journal = journal
        journal.load()
        self._on_event(Event("evaluating", attempt.pair))
        try:
            yield journal
        finally:
            journal.flush()
            self._journal = None

    def _load(self, model_dir: Path, protocol: Protocol) -> "MeasuringHFLM":
        # datasets reads its environment at import, and --help must not import torch.
        from a360.evaluators.harness import load_model

        run = self._suite.run
        threads = run.threads or max(1, (os.cpu_count() or 1) // run.workers)
        return load_model(model_dir, protocol, device=run.device, batch_size=run.batch_size, threads=threads)

    def _attempts(self, plan: Plan, pair_ids: Sequence[str]) -> list[_Attempt]:
        checkpoints = {checkpoint.id: checkpoint for checkpoint in plan.checkpoints}
        protocols = build_protocols(self._suite, self._mirror.manifest).protocols
        attempts = []
        for cell in find_cells(plan, pair_ids):
            verify_protocol(plan, cell, checkpoints[cell.checkpoint], protocols.get(cell.benchmark))
            attempts.append(_Attempt(cell, checkpoints[cell.checkpoint], plan.protocols[cell.benchmark], 0))
        if len({attempt.checkpoint.id for attempt in attempts}) > 1:
            raise ConfigError(f"pairs of several checkpoints in one group: {', '.join(pair_ids)}")
        return attempts

    def _find(self, plan: Plan, attempt: _Attempt) -> PairOutcome | None:
        """The outcome of a pair that has one in the store: a result, a generation, a failure for good."""
        if self._is_stored(commit_place(plan.model, attempt.name)):
            return PairOutcome(attempt.pair, "done already")
        generation = attempt.name._replace(key=attempt.cell.generation_key or "")
        if attempt.cell.benchmark in plan.gradings and self._is_stored(
            generations_place(plan.model, generation)
        ):
            return PairOutcome(attempt.pair, "generated")
        if failure := failed_in_this_workflow(self._store, plan.model, attempt.name):
            return PairOutcome(attempt.pair, "failed", failure.exit_code, failure.error)
        return None

    def _is_stored(self, place: str) -> bool:
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

    def _measurement(
        self, plan: Plan, attempt: _Attempt, asked: "Asked", model: "MeasuringHFLM"
    ) -> Measurement:
        checkpoint = attempt.checkpoint
        return Measurement(
            generation_key=attempt.cell.generation_key or "",
            model=plan.model,
            checkpoint=checkpoint.id,
            phase=checkpoint.phase,
            step=checkpoint.step,
            tokens=checkpoint.tokens,
            digest=checkpoint.digest,
            benchmark=attempt.cell.benchmark,
            protocol=attempt.protocol,
            prompts=asked.prompts,
            truncated_prompts=asked.truncated_prompts,
            provenance=self._provenance(attempt, asked, model),
        )

    def _provenance(self, attempt: _Attempt, asked: "Asked", model: "MeasuringHFLM") -> Provenance:
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
                "tokens_scored": asked.tokens_scored,
                "requests_scored": asked.prompts - asked.requests_from_journal,
                "requests_from_journal": asked.requests_from_journal,
                "tokenizer_hash": hash_value(
                    [[file.name, file.content_hash] for file in attempt.checkpoint.tokenizer_files]
                ),
                "dataset_revisions": {
                    name: repository.revision
                    for name, repository in self._mirror.manifest.repositories.items()
                    if any(f"{place}/".startswith(f"{name}/") for place in data)
                },
            }
        )


def _changed_since_planned(error: MissingError) -> TransientError:
    """A file that was there when the pair was planned may come back; no result must stay barred for it."""
    return TransientError(
        f"checkpoint was changed after it was planned: {error.message}",
        hint="Plan again when it is whole; the next plan looks at it anew.",
    )
