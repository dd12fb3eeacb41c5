"""The second stage of a pair: committed answers -> metrics and per-item outcomes, committed as its result.

Needs no checkpoint, and of the mirror only a grader's classifier; can be repeated with another grader or
classifier without asking the model again: the generation keeps its key, the result gets another one. Called
by jobs/grade.py and by ``a360 run``. Programs of a model are judged in this process's sandbox, or elsewhere:
then one call lists them and a later one commits the verdicts.
"""

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from a360.datasets.mirror import data_revision
from a360.datasets.working import WorkingMirror
from a360.errors import ConfigError, DataError, TransientError
from a360.grading.graders import find_grader, source_hash
from a360.grading.judge import JournaledJudge
from a360.grading.sandbox.documents import ProgramsOfGroup, Verdicts, VerdictsOfGroup
from a360.grading.task import Graded, GradeTask
from a360.identity import SUPPORTED_VERSIONS, result_key
from a360.pairs import Event, PairOutcome, as_a360_error, record_failed_pair
from a360.plan import find_cells, pair_id
from a360.records import Cell, Generations, Grading, Measurement, Plan, Provenance, Result
from a360.results.answers import AnswerRow, parse_answers
from a360.results.commit import commit_result, require_conditional_put, write_items
from a360.results.journal import Journal
from a360.results.places import CommitName, commit_place, generations_place
from a360.results.provenance import describe_process, new_attempt
from a360.results.read import read_generations, read_object
from a360.storage import open_store
from a360.suite import Suite

_log = logging.getLogger(__name__)


class Grader:
    """What a process that grades keeps between groups.

    Raises:
        ConfigError: a store without conditional put and no ``single_writer``.
    """

    def __init__(self, suite: Suite, on_event: Callable[[Event], None] = lambda event: None) -> None:
        self._suite = suite
        self._on_event = on_event
        self._store = open_store(suite.store.uri, suite.store.s3)
        self._conditional_put = require_conditional_put(self._store, single_writer=suite.store.single_writer)
        self._attempt = new_attempt()
        self._mirror: WorkingMirror | None = None

    def grade_group(
        self, plan: Plan, pair_ids: Sequence[str], verdicts: VerdictsOfGroup | None = None
    ) -> tuple[PairOutcome, ...]:
        """The outcome of every pair. A failed pair is recorded and the next one goes on.

        Args:
            plan: What the pairs are of.
            pair_ids: Pairs whose answers are committed.
            verdicts: On their programs, where those were judged elsewhere.

        Raises:
            ConfigError: a pair is not in the plan, or has no grading stage; nothing was graded.
        """
        given = verdicts.pairs if verdicts else None
        return tuple(self._grade_pair(plan, cell, given) for cell in _graded_cells(plan, pair_ids))

    def list_programs(
        self, plan: Plan, pair_ids: Sequence[str]
    ) -> tuple[ProgramsOfGroup, tuple[PairOutcome, ...]]:
        """The programs of every pair without a result, and the pairs whose answers cannot be read.

        Raises:
            ConfigError: a pair is not in the plan, or its answers are no programs.
        """
        from a360.grading.code import list_programs

        programs, failed = {}, []
        for cell in _graded_cells(plan, pair_ids):
            pair, grading = pair_id(cell.checkpoint, cell.benchmark), plan.gradings[cell.benchmark]
            if grading.grader != "code":
                raise ConfigError(f"pair {pair} has no programs: its grader is {grading.grader}")
            try:
                if not self._is_committed(plan.model, cell):
                    find_grader(grading)
                    _, answers = self._read_answers(plan, cell)
                    programs[pair] = list_programs(self._task(cell, grading, answers, None))
            except Exception as raised:  # the boundary of a pair
                failed.append(self._fail(plan, cell, raised))
        return ProgramsOfGroup(source_hash=source_hash("code"), pairs=programs), tuple(failed)

    def _grade_pair(self, plan: Plan, cell: Cell, given: Mapping[str, Verdicts] | None) -> PairOutcome:
        pair = pair_id(cell.checkpoint, cell.benchmark)
        try:
            if self._is_committed(plan.model, cell):
                outcome = PairOutcome(pair, "done already")
            elif given is not None and pair not in given:
                outcome = PairOutcome(
                    pair, "failed", DataError.exit_code, f"{pair}: its programs were not listed"
                )
            else:
                outcome = PairOutcome(pair, self._grade(plan, cell, pair, given[pair] if given else None))
        except Exception as raised:  # the boundary of a pair
            return self._fail(plan, cell, raised)
        self._on_event(Event(outcome.state, pair, message=outcome.error))
        return outcome

    def _fail(self, plan: Plan, cell: Cell, raised: Exception) -> PairOutcome:
        pair, error = pair_id(cell.checkpoint, cell.benchmark), as_a360_error(raised)
        _log.debug("%s failed", pair, exc_info=raised)
        try:
            record_failed_pair(self._store, plan.model, cell, self._attempt, error)
        except TransientError as lost:
            error = lost  # the store is away: try again
        self._on_event(Event("failed", pair, message=str(error)))
        return PairOutcome(pair, "failed", error.exit_code, str(error))

    def _read_answers(self, plan: Plan, cell: Cell) -> tuple[Generations, tuple[AnswerRow, ...]]:
        generations = read_generations(self._store, plan.model, _name(cell, cell.generation_key))
        _verify_generations(plan, cell, generations)
        answers = parse_answers(read_object(self._store, generations.answers), generations.answers.key)
        return generations, answers

    def _grade(
        self, plan: Plan, cell: Cell, pair: str, verdicts: Verdicts | None
    ) -> Literal["committed", "done already"]:
        started = time.time()
        grading = plan.gradings[cell.benchmark]
        self._on_event(Event("grading", pair))
        grade = find_grader(grading)
        generations, answers = self._read_answers(plan, cell)
        with self._open_judge(cell, grading, pair) as judge:
            task = self._task(cell, grading, answers, judge)
            graded = grade(task) if verdicts is None else _of_verdicts(task, verdicts)
        self._on_event(Event("committing", pair))
        items = write_items(self._store, cell.key or "", graded.items)
        shared = {field: getattr(generations, field) for field in Measurement.model_fields}
        result = Result(
            **{**shared, "provenance": self._provenance(generations, grading, started, judge)},
            key=cell.key or "",
            grading=grading,
            metrics=graded.metrics,
            items=(items,),
            raw={
                **graded.raw,
                **({"judge_answered_as": [*sorted(judge.models)]} if judge else {}),
                "generations": generations_place(plan.model, _name(cell, cell.generation_key)),
            },
        )
        return "committed" if commit_result(self._store, result) else "done already"

    def _task(
        self, cell: Cell, grading: Grading, answers: tuple[AnswerRow, ...], judge: JournaledJudge | None
    ) -> GradeTask:
        pair = pair_id(cell.checkpoint, cell.benchmark)
        return GradeTask(
            benchmark=self._suite.find_benchmark(cell.benchmark),
            grading=grading,
            answers=answers,
            mirror_dir=self._stage_classifier(cell.benchmark, grading),
            judge=judge,
            allow_weak_sandbox=self._suite.run.allow_weak_sandbox,
            on_progress=lambda done, total: self._on_event(Event("grading", pair, done, total)),
        )

    @contextmanager
    def _open_judge(self, cell: Cell, grading: Grading, pair: str) -> Iterator[JournaledJudge | None]:
        """The judge of a grading with what it has said before; None where the grading has none.

        Raises:
            ConfigError: the suite has another judge than the plan, or none.
        """
        if grading.judge_model is None:
            yield None
            return
        settings = self._suite.judge
        if settings is None or settings.model != grading.judge_model:
            raise ConfigError(
                f"judge is not the plan's: {pair}: found {settings.model if settings else 'none'}, "
                f"expected {grading.judge_model}",
                hint="Plan again: answers are kept, they are graded anew.",
            )
        # A judgment costs more than the object that keeps it, so each has one of its own.
        attempt = f"{self._attempt}-{uuid.uuid4().hex[:8]}"
        journal = Journal(self._store, cell.key or "", attempt, flush_requests=1)
        journal.load()
        from a360.grading.judge_client import KEY_VARIABLE, JudgeClient

        client = JudgeClient(settings, os.environ.get(KEY_VARIABLE))
        try:
            yield JournaledJudge(
                client,
                settings.model,
                journal,
                workers=settings.workers,
                on_progress=lambda done, total: self._on_event(Event("grading", pair, done, total)),
            )
        finally:
            client.close()
            journal.flush()

    def _stage_classifier(self, benchmark: str, grading: Grading) -> Path:
        """The directory with the files of a grading's classifier, verified; any where it has none.

        Raises:
            ConfigError: the mirror has another classifier than the plan says.
        """
        data = self._suite.find_benchmark(benchmark).classifier_data()
        if grading.classifier_digest is None or not data:
            return Path()
        settings = self._suite.data
        self._mirror = self._mirror or WorkingMirror(
            settings.mirror, settings.s3, Path(self._suite.run.cache_dir)
        )
        found = data_revision(self._mirror.manifest, data)
        if found != grading.classifier_digest:
            raise ConfigError(
                f"classifier of {benchmark} is {found} in the mirror, the plan expects "
                f"{grading.classifier_digest}",
                hint="Plan again: answers are kept, they are graded anew.",
            )
        self._mirror.stage(data)
        return self._mirror.dir

    def _is_committed(self, model: str, cell: Cell) -> bool:
        place = commit_place(model, _name(cell, cell.key))
        return any(entry.key == place for entry in self._store.list(place))

    def _provenance(
        self, generations: Generations, grading: Grading, started: float, judge: JournaledJudge | None
    ) -> Provenance:
        """Of the grading; that of the answers is in the generation's own document."""
        return Provenance.model_validate(
            {
                **describe_process(self._attempt, started, conditional_put=self._conditional_put),
                "engine": f"grader {grading.grader}",
                "device": "cpu",
                "gpu": None,
                "threads": 1,
                "batch_size": 1,
                "gpu_seconds": None,
                "bytes_pulled": generations.answers.bytes,
                "tokens_scored": None,
                "requests_scored": judge.asked if judge else 0,
                "requests_from_journal": judge.from_journal if judge else 0,
                "tokenizer_hash": generations.provenance.tokenizer_hash,
                "dataset_revisions": generations.provenance.dataset_revisions,
            }
        )


def _of_verdicts(task: GradeTask, verdicts: Verdicts) -> Graded:
    from a360.grading.code import grade_verdicts

    return grade_verdicts(task, verdicts)


def _graded_cells(plan: Plan, pair_ids: Sequence[str]) -> list[Cell]:
    cells = find_cells(plan, pair_ids)
    for cell in cells:
        _verify_grading(plan, cell)
    return cells


def _name(cell: Cell, key: str | None) -> CommitName:
    return CommitName(cell.benchmark, cell.checkpoint, key or "")


def _verify_grading(plan: Plan, cell: Cell) -> None:
    """Raises ConfigError unless the pair is graded, and the plan's grading gives its key."""
    pair, grading = pair_id(cell.checkpoint, cell.benchmark), plan.gradings.get(cell.benchmark)
    if grading is None:
        raise ConfigError(
            f"pair {pair} has no grading stage in plan {plan.id}", hint="Evaluating it commits its result."
        )
    keys = {result_key(cell.generation_key or "", grading, version) for version in SUPPORTED_VERSIONS}
    if cell.key not in keys:
        raise ConfigError(
            f"plan {plan.id} cannot be reproduced: pair {pair} has the key {cell.key}, "
            f"its grading gives {', '.join(sorted(keys))}",
            hint="Plan with the version of a360 that grades.",
        )


def _verify_generations(plan: Plan, cell: Cell, generations: Generations) -> None:
    """Raises DataError unless a generation is what the plan takes it for."""
    checkpoint = next(each for each in plan.checkpoints if each.id == cell.checkpoint)
    expected = (cell.generation_key, checkpoint.digest, plan.protocols[cell.benchmark])
    if (generations.generation_key, generations.digest, generations.protocol) != expected:
        place = generations_place(plan.model, _name(cell, cell.generation_key))
        raise DataError(
            f"generation is not the plan's: {place}: its key, digest or protocol differ from plan {plan.id}",
            hint="Delete it and plan again with --retry-failed: it is then made anew.",
        )
