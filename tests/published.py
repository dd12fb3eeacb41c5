"""Collected results for tests of publishing: made up, but with the shape of a real training run."""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

from a360.benchmarks import find_benchmark
from a360.benchmarks.mmlu import GROUPS
from a360.identity import hash_value
from a360.publish.rows import BenchmarkView, benchmark_views
from a360.records import (
    Aggregation,
    Cell,
    CellState,
    Checkpoint,
    Direction,
    Metric,
    Plan,
    Protocol,
    Provenance,
    Quarantine,
    Result,
)
from a360.results.collect import Collected

SOURCES = ("language reference", "library sources", "docstrings")
DEMO = (
    "demo-mmlu-5shot",
    "demo-arc-challenge-25shot",
    "demo-hellaswag-10shot",
    "demo-truthfulqa-mc2",
    "demo-boolq",
    "demo-gsm8k-5shot",
    "demo-wikitext",
    "demo-heldout-perplexity",
)
LOG_STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """How a made-up training run looks."""

    model: str = "demo-llama-3m"
    steps: tuple[int, ...] = LOG_STEPS
    tokens_per_step: int = 65_536
    benchmarks: tuple[str, ...] = DEMO
    items: int = 400
    gaps: bool = True
    """One quarantined checkpoint, one failed and one missing pair, one benchmark that does not apply."""
    seed: int = 7


def make_collected(sketch: Sketch = Sketch()) -> Collected:
    """A sketch as what collecting a store returns."""
    checkpoints = [_checkpoint(sketch, step) for step in sketch.steps]
    bad = checkpoints.pop(3) if sketch.gaps else None
    quarantined = [_quarantine(bad)] if bad else []
    results, cells = [], []
    for number, checkpoint in enumerate(checkpoints):
        for benchmark in sketch.benchmarks:
            state, reason = _state(sketch, number, benchmark) if sketch.gaps else ("done", None)
            result = make_result(sketch, checkpoint, benchmark)
            results += [result] if state == "done" else []
            cells.append(_cell(checkpoint.id, benchmark, state, reason, result.key))
    cells += [_cell(q.id, b, "quarantined", q.reason, None) for q in quarantined for b in sketch.benchmarks]
    plan = Plan(
        id=hash_value([sketch.model, len(cells)]),
        suite="demo",
        model=sketch.model,
        benchmarks=sketch.benchmarks,
        checkpoints=tuple(checkpoints),
        quarantined=tuple(quarantined),
        protocols={b: make_protocol(b) for b in sketch.benchmarks},
        gradings={},
        cells=tuple(cells),
        groups=(),
        settings={},
    )
    return Collected(plan=plan, results=tuple(results), coverage=tuple(cells))


def make_views(collected: Collected) -> dict[str, BenchmarkView]:
    """The catalogue's view where it has the benchmark, a made-up one elsewhere."""
    views: dict[str, BenchmarkView] = {}
    for benchmark in collected.plan.benchmarks:
        try:
            views |= benchmark_views([find_benchmark(benchmark)])
        except LookupError:
            views[benchmark] = BenchmarkView(
                kind="downstream",
                title=benchmark.replace("-", " "),
                chance=0.25,
                direction="higher",
                label="acc",
            )
    return views


def make_protocol(benchmark: str) -> Protocol:
    """A protocol whose hashes depend on the benchmark's name only."""
    return Protocol(
        benchmark=benchmark,
        benchmark_version=1,
        task_hash=hash_value(["task", benchmark]),
        data_revision=hash_value(["data", benchmark]),
        shots=5 if "5shot" in benchmark else None,
        seeds={"fewshot": 1234},
        limit=None,
        decoding={},
        max_length=2048,
        dtype="float32",
        softmax_dtype=None,
        chat_template=None,
        tokenizer=None,
        add_bos_token=None,
        truncation_side="left",
    )


def make_result(sketch: Sketch, checkpoint: Checkpoint, benchmark: str) -> Result:
    """A result whose numbers depend on sketch, checkpoint and benchmark only."""
    chance = random.Random(f"{sketch.seed} {checkpoint.step} {benchmark}")
    progress = math.log1p(checkpoint.step) / math.log1p(max(sketch.steps) or 1)
    protocol = make_protocol(benchmark)
    key = hash_value([checkpoint.digest, protocol.model_dump(mode="json")])
    return Result(
        key=key,
        generation_key=key,
        model=sketch.model,
        checkpoint=checkpoint.id,
        phase=checkpoint.phase,
        step=checkpoint.step,
        tokens=checkpoint.tokens,
        digest=checkpoint.digest,
        benchmark=benchmark,
        protocol=protocol,
        grading=None,
        metrics=tuple(_metrics(sketch, benchmark, progress, chance)),
        items=(),
        prompts=sketch.items,
        truncated_prompts=17 if "25shot" in benchmark else 0,
        provenance=_provenance(),
        raw={},
    )


def _metrics(sketch: Sketch, benchmark: str, progress: float, chance: random.Random) -> Iterable[Metric]:
    def accuracy(name: str, **more: object) -> Metric:
        goal = 0.25 + 0.35 * progress**2
        value = round(min(1.0, max(0.0, goal + chance.gauss(0, 0.4 / math.sqrt(sketch.items)))), 6)
        error = round(math.sqrt(value * (1 - value) / max(1, sketch.items - 1)), 6)
        return _metric(
            {"metric": name, "task": benchmark, "value": value, "stderr": error, "n": sketch.items, **more}
        )

    if "mmlu" in benchmark:
        yield accuracy("acc", aggregation="macro", headline=True, task="mmlu")
        for group in ("mmlu", "mmlu_stem", "mmlu_humanities"):
            yield accuracy("acc", aggregation="micro", task=group)
        for group in GROUPS:
            yield accuracy("acc", aggregation="macro", task="mmlu", subset=group)
        for subject in ("abstract_algebra", "anatomy"):
            yield accuracy("acc", task=f"mmlu_{subject}")
    elif "gsm8k" in benchmark:
        yield accuracy("exact_match", filter="strict-match", headline=True)
        yield accuracy("exact_match", filter="flexible-extract")
    elif "heldout" in benchmark:
        shared = {"metric": "bits_per_byte", "direction": "lower", "stderr": None, "n": 120}
        for source, shift in (("", 1.0), *zip(SOURCES, (0.9, 1.1, 1.25), strict=True)):
            bits = round(shift * (2.0 + 6.0 * (1 - progress)) + chance.gauss(0, 0.03), 6)
            task = f"demo_heldout_{source.replace(' ', '_')}" if source else "demo_heldout"
            place = {"task": task, "aggregation": "item" if source else "micro", "headline": not source}
            yield _metric({**shared, **place, "value": bits})
    elif "wikitext" in benchmark:
        words = 10 ** (5.2 - 3.1 * progress)
        for name, value in (("word_perplexity", words), ("bits_per_byte", math.log2(words) / 5.3)):
            number = {
                "value": round(value, 6),
                "stderr": None,
                "n": 62,
                "headline": name == "word_perplexity",
            }
            yield _metric({"metric": name, "task": benchmark, "direction": "lower", **number})
    else:
        yield accuracy("acc_norm", headline=True)
        yield accuracy("acc")


def _metric(fields: dict[str, object]) -> Metric:
    aggregation: Aggregation = "item"
    direction: Direction = "higher"
    return Metric.model_validate(
        {"filter": "none", "aggregation": aggregation, "direction": direction, **fields}
    )


def _checkpoint(sketch: Sketch, step: int) -> Checkpoint:
    name = f"step-{step:06d}"
    return Checkpoint(
        id=name,
        uri=f"file:///checkpoints/{name}",
        phase=1,
        step=step,
        tokens=step * sketch.tokens_per_step,
        digest=hash_value([sketch.model, step]) * 4,
        fingerprint=hash_value([step]),
        files=(),
    )


def _quarantine(checkpoint: Checkpoint) -> Quarantine:
    reason = "model.safetensors has 1,048,576 bytes, its header promises 14,680,064"
    return Quarantine(
        id=checkpoint.id,
        uri=checkpoint.uri,
        phase=1,
        step=checkpoint.step,
        tokens=checkpoint.tokens,
        reason=reason,
    )


def _state(sketch: Sketch, number: int, benchmark: str) -> tuple[CellState, str | None]:
    last = len(sketch.steps) - 2
    if number == last and benchmark == sketch.benchmarks[-1]:
        return "missing", None
    if number == 2 and benchmark in sketch.benchmarks[1:2]:
        return "failed", "DataError: log-likelihood of document 12 is NaN, expected a finite number"
    if number < 2 and "truthfulqa" in benchmark:
        return "not applicable", "120 of 400 prompts truncated, the suite allows 10%"
    return "done", None


def _cell(checkpoint: str, benchmark: str, state: CellState, reason: str | None, key: str | None) -> Cell:
    return Cell(
        checkpoint=checkpoint, benchmark=benchmark, state=state, reason=reason, generation_key=key, key=key
    )


def _provenance() -> Provenance:
    return Provenance(
        image_digest=None,
        git_sha="0123abcd",
        packages={"torch": "2.15.0", "transformers": "5.23.0", "lm_eval": "0.4.13", "datasets": "5.2.0"},
        engine="hf",
        device="cpu",
        gpu=None,
        threads=1,
        batch_size=8,
        attempt="a1",
        node="node-1",
        pod=None,
        workflow_uid=None,
        started_at="2026-01-02T03:04:05Z",
        finished_at="2026-01-02T03:05:05Z",
        wall_seconds=60.0,
        gpu_seconds=None,
        bytes_pulled=0,
        tokens_scored=1000,
        requests_scored=400,
        requests_from_journal=0,
        tokenizer_hash="89abcdef01234567",
        dataset_revisions={},
        conditional_put=True,
    )


SMALL = Sketch(
    model="small", steps=(0, 10, 100, 1000), items=50,
    benchmarks=("demo-boolq", "demo-gsm8k-5shot", "demo-heldout-perplexity"),
)  # fmt: skip
"""For golden files; with SMALL_VIEWS it does not change when the catalogue does."""

SMALL_VIEWS = {
    "demo-boolq": BenchmarkView(
        kind="downstream", title="BoolQ", chance=0.5, direction="higher", label="acc_norm"
    ),
    "demo-gsm8k-5shot": BenchmarkView(
        kind="downstream", title="GSM8K", chance=0.0, direction="higher", label="exact_match, strict-match"
    ),
    "demo-heldout-perplexity": BenchmarkView(
        kind="perplexity", title="Held-out", chance=None, direction="lower", label="bits_per_byte, micro"
    ),
}

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!--'&{{7*7}}"
"""A name or reason that tries to become markup."""


def make_hostile() -> Collected:
    """SMALL with hostile text wherever a store could hold some."""
    collected = make_collected(SMALL)
    plan = collected.plan
    quarantined = tuple(
        q.model_copy(update={"reason": HOSTILE, "id": f"{HOSTILE}q"}) for q in plan.quarantined
    )
    renamed = {q.id: new.id for q, new in zip(plan.quarantined, quarantined, strict=True)}
    return Collected(
        plan=plan.model_copy(update={"model": HOSTILE, "suite": HOSTILE, "quarantined": quarantined}),
        results=tuple(
            r.model_copy(
                update={"provenance": r.provenance.model_copy(update={"packages": {HOSTILE: HOSTILE}})}
            )
            for r in collected.results
        ),
        coverage=tuple(
            cell.model_copy(
                update={
                    "checkpoint": renamed.get(cell.checkpoint, cell.checkpoint),
                    "reason": None if cell.state == "done" else HOSTILE,
                }
            )
            for cell in collected.coverage
        ),
    )


def amber_sized() -> Collected:
    """360 checkpoints times 23 benchmarks, with scattered gaps."""
    real = tuple(name.removeprefix("demo-") for name in DEMO[:-1])
    benchmarks = (*real, DEMO[-1], *(f"bench-{i}" for i in range(15)))
    sketch = Sketch(
        model="IFM/Amber", steps=tuple(range(360)), tokens_per_step=3_495_886_848, items=1172, gaps=False,
        benchmarks=benchmarks,
    )  # fmt: skip
    collected = make_collected(sketch)
    broken = {"state": "failed", "reason": "TransientError: the device was lost"}
    absent = {"state": "missing", "reason": None}
    cells = tuple(
        cell if i * 7 % 97 > 3 else cell.model_copy(update=absent if i * 7 % 97 < 3 else broken)
        for i, cell in enumerate(collected.coverage)
    )
    done = {(cell.checkpoint, cell.benchmark) for cell in cells if cell.state == "done"}
    results = tuple(r for r in collected.results if (r.checkpoint, r.benchmark) in done)
    return Collected(plan=collected.plan, results=results, coverage=cells)
