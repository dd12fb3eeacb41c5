"""Checkpoints times benchmarks, minus what is committed: an immutable plan. Pure: no store, no clock.

Cron, retry, resubmit and resume are this one function called again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, NamedTuple

from a360.benchmarks import Benchmark, locked_grader_hash, locked_task_hash
from a360.benchmarks.conversations import TOKENIZER_TEMPLATE
from a360.datasets.mirror import MirrorManifest, data_revision
from a360.errors import ConfigError, MissingError
from a360.identity import SUPPORTED_VERSIONS, generation_key, hash_value, result_key
from a360.records import Cell, CellState, Checkpoint, Discovery, Failure, Grading, Plan, Protocol, Stage
from a360.results.places import CommitName
from a360.suite import ModelSection, Suite

SEEDS = {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}
"""lm-eval's own defaults, so that its command line gives the same prompts."""


_NO_TEMPLATE = "no chat template: the tokenizer has none, and the suite names none in model.chat_template"


class Unavailable(NamedTuple):
    """Why a benchmark has no protocol, and the state of its cells."""

    state: Literal["missing", "not applicable"]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Protocols:
    """The protocol of every benchmark of a suite, or why it has none."""

    protocols: dict[str, Protocol]
    unavailable: dict[str, Unavailable] = field(default_factory=dict)
    gradings: dict[str, Grading] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class History:
    """What the store already holds for a model."""

    commits: Collection[CommitName] = frozenset()
    generations: Collection[CommitName] = frozenset()
    """Of benchmarks that are graded apart; the key of a name is the generation key."""
    failures: Mapping[CommitName, Failure] = field(default_factory=dict)


def build_protocols(suite: Suite, manifest: MirrorManifest) -> Protocols:
    """The protocols of a suite on a mirror; a benchmark whose data the mirror lacks is unavailable.

    It is missing where anybody could mirror it, and not applicable where that takes a right to gated data: a
    sweep without that right is whole without it.

    Raises:
        ConfigError: the mirror holds stand-in rows for a real benchmark, or a task is not locked.
    """
    protocols, unavailable, gradings = {}, {}, {}
    for benchmark, limit in suite.chosen():
        if manifest.stand_in and not benchmark.stand_in:
            raise ConfigError(
                f"mirror holds stand-in rows: benchmark {benchmark.id} of suite {suite.name} "
                "expects real data",
                hint=f"Use a mirror of {', '.join(benchmark.data)}, or the benchmark demo-{benchmark.id}.",
            )
        try:
            revision = data_revision(manifest, benchmark.data)
            classifier = _classifier_digest(manifest, benchmark)
        except MissingError as error:
            unavailable[benchmark.id] = _unavailable(benchmark, error)
            continue
        protocols[benchmark.id] = _protocol(suite.model, benchmark, limit, revision)
        if benchmark.grader:
            gradings[benchmark.id] = Grading(
                grader=benchmark.grader,
                source_hash=locked_grader_hash(benchmark.grader),
                classifier_digest=classifier,
                judge_model=suite.judge.model if suite.judge and benchmark.judge else None,
                prompt_hash=_judge_prompts_hash(manifest, benchmark),
            )
    return Protocols(protocols=protocols, unavailable=unavailable, gradings=gradings)


def _classifier_digest(manifest: MirrorManifest, benchmark: Benchmark) -> str | None:
    data = benchmark.classifier_data()
    return data_revision(manifest, data) if data else None


def _judge_prompts_hash(manifest: MirrorManifest, benchmark: Benchmark) -> str | None:
    asked = benchmark.conversations
    return data_revision(manifest, (asked.judge_prompts,)) if asked else None


def _unavailable(benchmark: Benchmark, error: MissingError) -> Unavailable:
    reason = f"data missing: {error.message}"
    if benchmark.gated:
        return Unavailable("not applicable", f"{reason}; gated: a360 data mirror needs a token in HF_TOKEN")
    return Unavailable("missing", reason)


def _protocol(model: ModelSection, benchmark: Benchmark, limit: int | None, revision: str) -> Protocol:
    return Protocol(
        benchmark=benchmark.id,
        benchmark_version=benchmark.version,
        task_hash=locked_task_hash(benchmark),
        data_revision=revision,
        shots=benchmark.shots,
        seeds=SEEDS,
        limit=limit,
        decoding=benchmark.decoding.document() if benchmark.decoding else {},
        max_length=model.max_length,
        dtype=model.dtype,
        softmax_dtype=model.softmax_dtype,
        chat_template=_chat_template(model) if benchmark.conversations else None,
        tokenizer=None,
        add_bos_token=model.add_bos_token,
        truncation_side="left",
    )


def _chat_template(model: ModelSection) -> str:
    """The hash of the suite's template, or a word for the checkpoint's own, which its digest covers."""
    return hash_value(model.chat_template) if model.chat_template else TOKENIZER_TEMPLATE


def make_plan(
    suite: Suite,
    discovery: Discovery,
    protocols: Protocols,
    history: History,
    *,
    environments: Collection[str],
    max_checkpoints: int | None = None,
) -> Plan:
    """The plan of what is still to be done.

    ``environments`` are the image digests or package sets that would do it: a pair that failed with exit
    code 3 in one of them is not tried again. Groups are those of at most
    ``max_checkpoints``: the others are left for the next plan.
    """
    rows = [benchmark for benchmark, _ in suite.chosen()]
    benchmarks = tuple(row.id for row in rows)
    cells = [
        _unseen(checkpoint, row) or _cell(checkpoint, row.id, protocols, history, environments)
        for checkpoint in discovery.checkpoints
        for row in rows
    ]
    cells += [
        Cell(checkpoint=left_out.id, benchmark=benchmark, state=left_out.state, reason=left_out.reason)
        for left_out in discovery.quarantined
        if left_out.state != "duplicate"
        for benchmark in benchmarks
    ]
    content = {
        "suite": suite.name,
        "model": suite.model.name,
        "benchmarks": benchmarks,
        "checkpoints": discovery.checkpoints,
        "quarantined": discovery.quarantined,
        "protocols": protocols.protocols,
        "gradings": protocols.gradings,
        "cells": tuple(cells),
        "groups": _groups(suite, cells, max_checkpoints),
        "settings": suite.model_dump(mode="json", by_alias=True),
    }
    unnamed = Plan.model_validate({"id": "", **content})
    return unnamed.model_copy(update={"id": hash_value(unnamed)})


def _unseen(checkpoint: Checkpoint, row: Benchmark) -> Cell | None:
    """The cell of a checkpoint that has not been trained on the row's sequences yet."""
    asked = row.memorization
    if asked is None or asked.asks_unseen or asked.seen_from_step is None:
        return None
    if checkpoint.step >= asked.seen_from_step:
        return None
    reason = f"not seen yet: its last chunk ends at step {asked.seen_from_step}"
    return Cell(checkpoint=checkpoint.id, benchmark=row.id, state="not applicable", reason=reason)


def _cell(
    checkpoint: Checkpoint,
    benchmark: str,
    protocols: Protocols,
    history: History,
    environments: Collection[str],
) -> Cell:
    protocol = protocols.protocols.get(benchmark)
    if protocol is None:
        state, reason = protocols.unavailable[benchmark]
        return Cell(checkpoint=checkpoint.id, benchmark=benchmark, state=state, reason=reason)
    if protocol.chat_template == TOKENIZER_TEMPLATE and checkpoint.chat_template is False:
        return Cell(
            checkpoint=checkpoint.id, benchmark=benchmark, state="not applicable", reason=_NO_TEMPLATE
        )
    grading = protocols.gradings.get(benchmark)
    candidates = [_names(checkpoint, protocol, grading, version) for version in SUPPORTED_VERSIONS]
    for name, generation in candidates:
        if name in history.commits:
            return _keyed(name, generation, "done")
    # A generation is as good under an older identity version: grading it asks no model again.
    generated = [each for each in candidates if each[0]._replace(key=each[1]) in history.generations]
    name, generation = [*generated, *candidates][0]
    failure = history.failures.get(name)
    if failure and failure.exit_code == 3 and failure.environment in environments:
        return _keyed(name, generation, "failed", reason=f"failed before: {failure.error}")
    if grading is None:
        return _keyed(name, generation, "missing", stages=("evaluate",))
    return _keyed(name, generation, "missing", stages=("grade",) if generated else ("evaluate", "grade"))


def _names(
    checkpoint: Checkpoint, protocol: Protocol, grading: Grading | None, version: int
) -> tuple[CommitName, str]:
    """The name of the result, and the key of its generation, under an identity version."""
    generation = generation_key(checkpoint.digest, protocol, version)
    return CommitName(protocol.benchmark, checkpoint.id, result_key(generation, grading, version)), generation


def _keyed(
    name: CommitName,
    generation: str,
    state: CellState,
    *,
    reason: str | None = None,
    stages: tuple[Stage, ...] = (),
) -> Cell:
    return Cell(
        checkpoint=name.checkpoint,
        benchmark=name.benchmark,
        state=state,
        reason=reason,
        generation_key=generation,
        key=name.key,
        stages=stages,
    )


def _groups(suite: Suite, cells: list[Cell], max_checkpoints: int | None) -> tuple[tuple[str, ...], ...]:
    """Pair ids to run, oldest or newest checkpoint first, cheap benchmarks first, bounded by the sweep."""
    wanted = [cell for cell in cells if cell.state == "missing" and cell.key]
    by_checkpoint = [
        sorted(group, key=lambda cell: suite.find_benchmark(cell.benchmark).cost)
        for _, group in groupby(wanted, key=lambda cell: cell.checkpoint)
    ]
    if suite.sweep.order == "newest-first":
        by_checkpoint.reverse()
    left = suite.sweep.max_pairs or len(wanted)
    groups = []
    for pairs in by_checkpoint[:max_checkpoints]:
        pairs, left = pairs[:left], left - len(pairs[:left])
        for ids in _alike(suite, pairs):
            size = len(ids) if suite.run.pairs_per_group == "all" else suite.run.pairs_per_group
            groups += [tuple(ids[i : i + size]) for i in range(0, len(ids), size)]
    return tuple(groups)


def _alike(suite: Suite, pairs: list[Cell]) -> list[list[str]]:
    """Pair ids that the same pods can take on: the same stages, and the same kind of grading."""
    alike: dict[object, list[str]] = {}
    for cell in pairs:
        kind = (suite.find_benchmark(cell.benchmark).grade, cell.stages)
        alike.setdefault(kind, []).append(pair_id(cell.checkpoint, cell.benchmark))
    return list(alike.values())


def pair_id(checkpoint: str, benchmark: str) -> str:
    """The id of a pair in a plan."""
    return f"{checkpoint}/{benchmark}"


def pairs_of_group(plan: Plan, number: int) -> tuple[str, ...]:
    """The pair ids of a group of a plan.

    Raises:
        ConfigError: it has no such group.
    """
    if not 0 <= number < len(plan.groups):
        raise ConfigError(f"plan {plan.id} has no group {number}: its {len(plan.groups)} groups begin at 0")
    return plan.groups[number]


def find_cells(plan: Plan, pair_ids: Sequence[str]) -> list[Cell]:
    """The cells of pairs that a plan can evaluate.

    Raises:
        ConfigError: a pair is not in the plan, or has no checkpoint.
    """
    cells = {pair_id(cell.checkpoint, cell.benchmark): cell for cell in plan.cells if cell.key}
    for pair in pair_ids:
        if pair not in cells:
            raise ConfigError(
                f"pair {pair} is not in plan {plan.id}", hint="a360 plan --json prints its pairs."
            )
    return [cells[pair] for pair in pair_ids]


def verify_protocol(plan: Plan, cell: Cell, checkpoint: Checkpoint, protocol: Protocol | None) -> None:
    """Makes sure that a process arrives at the plan's protocol and key; ``protocol`` is its own.

    Raises:
        ConfigError: it does not.
    """
    planned = plan.protocols[cell.benchmark]
    keys = {generation_key(checkpoint.digest, planned, version) for version in SUPPORTED_VERSIONS}
    if protocol != planned or cell.generation_key not in keys:
        here = protocol.model_dump() if protocol else {}
        differing = sorted(k for k, v in planned.model_dump().items() if here.get(k) != v) or ["key"]
        raise ConfigError(
            f"plan {plan.id} cannot be reproduced: benchmark {cell.benchmark}: "
            f"{', '.join(differing)} differ here",
            hint="Plan with the same suite, mirror and a360 version that evaluates.",
        )
