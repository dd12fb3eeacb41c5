"""A plan as what a workflow fans out over: one child workflow per checkpoint, one pod per group. Pure.

The items stay small, since the workflow's object repeats each of them six times: a group of pairs is numbers
of benchmarks, whose names are said once. A pod reads the plan itself from the store.
"""

import hashlib
import re
from collections.abc import Sequence
from itertools import groupby

from a360.benchmarks import Benchmark
from a360.records import Plan

MOST_CHECKPOINTS = 500
"""Of one sweep: by a model of its nodes, some 900 children are too large an object for Argo."""
SWEEP_CHARS = 40
SLUG_CHARS = 12
HASH_CHARS = 8
GENERATED = "*"
"""Behind a group whose answers are committed: it needs its grading stage only."""


def child_name(sweep: str, checkpoint: str) -> str:
    """The name of a checkpoint's child workflow: at most 62 characters, legal in Kubernetes.

    ``<sweep>-<slug>-<hash>``: the slug is the end of the checkpoint's id, where ids differ; the hash keeps
    apart what has one slug (``ckpt_1`` and ``ckpt-1``). A sweep's name that is too long, or is no DNS label,
    is shortened in the same way.
    """
    parts = (_label(sweep), _slug(checkpoint)[-SLUG_CHARS:].strip("-"), _hash(checkpoint))
    return "-".join(part for part in parts if part)


def benchmarks_text(benchmarks: Sequence[Benchmark]) -> str:
    """What the numbers in ``groups`` mean: ``<benchmark>:<grade kind>,…``."""
    return ",".join(f"{benchmark.id}:{benchmark.grade}" for benchmark in benchmarks)


def fan_out(plan: Plan, benchmarks: Sequence[Benchmark], sweep: str) -> list[dict[str, str]]:
    """One item per checkpoint that has something to run, in the plan's order.

    ``groups`` reads ``<number of the first group>:<group>,…``; a group is ``<benchmark>+<benchmark>``, each
    the position in ``benchmarks``, with GENERATED behind it where only the grading stage is left.
    """
    positions = {benchmark.id: str(position) for position, benchmark in enumerate(benchmarks)}
    generated = {f"{cell.checkpoint}/{cell.benchmark}" for cell in plan.cells if cell.stages == ("grade",)}
    numbered = list(enumerate(plan.groups))
    items = []
    for checkpoint, groups in groupby(numbered, key=lambda each: each[1][0].rpartition("/")[0]):
        mine = list(groups)
        texts = [
            "+".join(positions[pair.rpartition("/")[2]] for pair in pairs)
            + (GENERATED if set(pairs) <= generated else "")
            for _, pairs in mine
        ]
        items.append(
            {
                "child": child_name(sweep, checkpoint),
                "checkpoint": checkpoint,
                "groups": f"{mine[0][0]}:{','.join(texts)}",
            }
        )
    return items


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
