"""Small valid documents for tests of plan, results and collecting."""

from pathlib import Path

from a360.plan import Protocols
from a360.records import (
    Checkpoint,
    CheckpointFile,
    Discovery,
    Metric,
    Protocol,
    Provenance,
    Quarantine,
    Result,
)
from a360.suite import Suite, parse_suite


def make_suite(
    benchmarks: str = "[demo-boolq, demo-wikitext]", extra: str = "", base_dir: Path = Path("/")
) -> Suite:
    text = f"""
name: small
model:
  name: m
  root: root
  naming: {{pattern: 'step_(?P<step>[0-9]+)', settle_seconds: 0}}
  dtype: float32
store: {{uri: store}}
data: {{mirror: mirror}}
benchmarks: {benchmarks}
{extra}
"""
    return parse_suite(text, where="test", base_dir=base_dir)


def make_checkpoint(step: int, digest: str | None = None) -> Checkpoint:
    files = (CheckpointFile(name="config.json", bytes=2, content_hash="c"),)
    return Checkpoint(
        id=f"step_{step}",
        uri=f"/checkpoints/step_{step}",
        phase=1,
        step=step,
        tokens=step * 10,
        digest=digest or f"{step:064x}",
        fingerprint=f"{step:016x}",
        files=files,
    )


def make_discovery(steps: range, quarantined: tuple[Quarantine, ...] = ()) -> Discovery:
    return Discovery(
        model="m", checkpoints=tuple(make_checkpoint(step) for step in steps), quarantined=quarantined
    )


def make_protocol(benchmark: str, **changes: object) -> Protocol:
    base = Protocol(
        benchmark=benchmark,
        benchmark_version=1,
        task_hash="t",
        data_revision="d",
        shots=0,
        seeds={"fewshot": 1234},
        limit=None,
        decoding={},
        max_length=None,
        dtype="float32",
        softmax_dtype=None,
        chat_template=None,
        tokenizer=None,
        add_bos_token=None,
        truncation_side="left",
    )
    return base.model_copy(update=changes)


def make_protocols(*benchmarks: str) -> Protocols:
    return Protocols(protocols={benchmark: make_protocol(benchmark) for benchmark in benchmarks})


def make_result(
    benchmark: str, checkpoint: Checkpoint, key: str, *, value: float = 0.5, truncated: int = 0
) -> Result:
    metric = Metric(
        metric="acc",
        filter="none",
        task=benchmark,
        aggregation="item",
        value=value,
        stderr=0.1,
        n=10,
        direction="higher",
        headline=True,
    )
    provenance = Provenance(
        image_digest=None,
        git_sha=None,
        packages={},
        engine="hflm",
        device="cpu",
        gpu=None,
        threads=1,
        batch_size=1,
        attempt="a",
        node="n",
        pod=None,
        workflow_uid=None,
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:00:01+00:00",
        wall_seconds=1.0,
        gpu_seconds=None,
        bytes_pulled=0,
        tokens_scored=1,
        requests_scored=10,
        requests_from_journal=0,
        tokenizer_hash="h",
        dataset_revisions={},
        conditional_put=True,
    )
    return Result(
        key=key,
        generation_key="g",
        model="m",
        checkpoint=checkpoint.id,
        phase=1,
        step=checkpoint.step,
        tokens=checkpoint.tokens,
        digest=checkpoint.digest,
        benchmark=benchmark,
        protocol=make_protocol(benchmark),
        grading=None,
        metrics=(metric,),
        items=(),
        prompts=10,
        truncated_prompts=truncated,
        provenance=provenance,
        raw={"results": {"x": 1}},
    )
