"""A plan as what a workflow fans out over: one child workflow per checkpoint, one pod per group. Pure.

The items stay small and hold ids only; a pod reads the plan itself from the store.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from itertools import groupby

from a360.benchmarks import Benchmark
from a360.records import Plan

SWEEP_CHARS = 40
SLUG_CHARS = 12
HASH_CHARS = 8
GENERATED = "generated"
"""Fourth part of a group's text when its answers are committed: it needs its grading stage only."""


def child_name(sweep: str, checkpoint: str) -> str:
    """The name of a checkpoint's child workflow: at most 62 characters, legal in Kubernetes.

    ``<sweep>-<slug>-<hash>``: the slug is the end of the checkpoint's id, where ids differ; the hash keeps
    apart what has one slug (``ckpt_1`` and ``ckpt-1``). A sweep's name that is too long, or is no DNS label,
    is shortened in the same way.
    """
    parts = (_label(sweep), _slug(checkpoint)[-SLUG_CHARS:].strip("-"), _hash(checkpoint))
    return "-".join(part for part in parts if part)


def fan_out(plan: Plan, benchmarks: Iterable[Benchmark], sweep: str) -> list[dict[str, str]]:
    """One item per checkpoint that has something to run, in the plan's order.

    ``groups`` reads ``<number>:<benchmark>+<benchmark>:<grade kind>,…``, with ``:generated`` behind it where
    only the grading stage is left.
    """
    kinds = {benchmark.id: benchmark.grade for benchmark in benchmarks}
    generated = {f"{cell.checkpoint}/{cell.benchmark}" for cell in plan.cells if cell.stages == ("grade",)}
    numbered = list(enumerate(plan.groups))
    items = []
    for checkpoint, groups in groupby(numbered, key=lambda each: each[1][0].rpartition("/")[0]):
        texts = [_group_text(number, pairs, kinds, generated) for number, pairs in groups]
        items.append(
            {
                "child": child_name(sweep, checkpoint),
                "checkpoint": checkpoint,
                "groups": ",".join(texts),
            }
        )
    return items


def _group_text(number: int, pairs: tuple[str, ...], kinds: Mapping[str, str], generated: set[str]) -> str:
    benchmarks = [pair.rpartition("/")[2] for pair in pairs]
    parts = [str(number), "+".join(benchmarks), kinds[benchmarks[0]]]
    return ":".join([*parts, GENERATED] if set(pairs) <= generated else parts)


def _label(sweep: str) -> str:
    """The sweep's name, if it can begin a child's; else its beginning and its hash."""
    if len(sweep) <= SWEEP_CHARS and re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", sweep):
        return sweep
    beginning = _slug(sweep)[: SWEEP_CHARS - HASH_CHARS - 1].strip("-")
    return f"{beginning}-{_hash(sweep)}" if beginning else f"a360-{_hash(sweep)}"


def _slug(text: str) -> str:
    """Lower-case letters, digits and single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARS]
