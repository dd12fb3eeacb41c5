"""What W&B is told about collected results: ids, axes, rows, summary. Pure.

Between ``rows`` and ``wandb_runs``. Equal results give equal payloads and ids; a change of any number,
axis or protocol gives another id.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from a360.identity import canonical_json, hash_value
from a360.publish.averages import all_curves
from a360.publish.rows import BenchmarkView, Kind, Scalar, WideRow, metric_key, wide_rows
from a360.publish.series import Curve, evaluated_places
from a360.publish.wandb_child import RunPayload
from a360.results.collect import Collected

SCHEMA = "a360.wandb/1"
RUN_NAMES: Mapping[str, tuple[Kind, ...]] = {
    "downstream_eval": ("average", "downstream"),
    "perplexity_eval": ("perplexity",),
}
"""Name of a W&B run -> the kinds of curves that it shows."""


def make_payloads(
    collected: Collected, views: Mapping[str, BenchmarkView], project: str = "a360"
) -> tuple[RunPayload, ...]:
    """One offline run for each name whose kinds have results."""
    curves = all_curves(collected, views)
    payloads = []
    for name, kinds in RUN_NAMES.items():
        shown = [curve for curve in curves if curve.view.kind in kinds]
        rows = _with_averages(collected, shown)
        if rows:
            payloads.append(_payload(collected, shown, rows, name, project))
    return tuple(payloads)


def _payload(
    collected: Collected, curves: Sequence[Curve], rows: Sequence[WideRow], name: str, project: str
) -> RunPayload:
    model = collected.plan.model
    steps, step_rule = _wandb_steps(rows)
    content = RunPayload(
        run_id="",
        name=name,
        project=re.sub(r"[/\\#?%:]+", "-", project)[:128],
        group=model,
        tags=["a360", "current"],
        config={
            "a360_kind": name,
            "a360_schema": SCHEMA,
            "a360_model": model,
            "a360_rows": len(rows),
            "a360_step": step_rule,
            **_protocols(collected, [curve.benchmark for curve in curves]),
        },
        x="training_step" if any(row.tokens is None for row in rows) else "tokens",
        prefixes=[curve.benchmark.replace(".", "_") for curve in curves],
        rows=[row.flat() for row in rows],
        steps=steps,
        summary=_summary(collected, curves),
    )
    digest = hashlib.sha256(canonical_json(content._asdict()).encode()).hexdigest()[:10]
    return content._replace(
        run_id=f"{re.sub(r'[^A-Za-z0-9_-]+', '-', model)[:64]}-{name}-{digest}",
        config={**content.config, "a360_digest": digest},
    )


def _with_averages(collected: Collected, curves: Sequence[Curve]) -> list[WideRow]:
    """One row per checkpoint with the numbers of benchmarks and averages."""
    rows = wide_rows(collected.results, [curve.benchmark for curve in curves])
    index = {place.checkpoint: i for i, place in enumerate(evaluated_places(collected.results))}
    for curve in curves:
        if curve.view.kind == "average":
            key, line = metric_key(curve.benchmark, curve.metric), curve.headline
            for row in rows:
                value, error = line.values[index[row.checkpoint]], line.stderr[index[row.checkpoint]]
                row.values.update({key: value} if value is not None else {})
                row.values.update({f"{key}_stderr": error} if error is not None else {})
    return rows


def _wandb_steps(rows: Sequence[WideRow]) -> tuple[list[int], str]:
    """W&B's own step of every row and where it comes from.

    W&B drops a row whose step is not above the last one's without an error, and training steps start again
    in a new phase.
    """
    steps = [row.step for row in rows]
    if all(later > earlier for earlier, later in pairwise(steps)):
        return steps, "training step"
    return list(range(len(rows))), "position"


def _protocols(collected: Collected, benchmarks: Sequence[str]) -> dict[str, str]:
    """Hash of the protocol of each benchmark; of all, where results of several are shown."""
    found: dict[str, set[str]] = {benchmark: set() for benchmark in benchmarks}
    for result in collected.results:
        if result.benchmark in found:
            found[result.benchmark].add(hash_value(result.protocol))
    return {f"a360_protocol_{name}": ",".join(sorted(hashes)) for name, hashes in found.items() if hashes}


def _summary(collected: Collected, curves: Sequence[Curve]) -> dict[str, Scalar]:
    """Last and best of every headline under flat keys; W&B's own summaries nest and hit the stderr too."""
    places = evaluated_places(collected.results)
    summary: dict[str, Scalar] = {}
    for curve in curves:
        best = curve.best()
        if best is None:
            continue
        key = metric_key(curve.benchmark, curve.metric)
        extreme = {"higher": "max", "lower": "min", "target": "best"}[curve.view.direction]
        summary[f"{key}.last"] = curve.measured()[-1].value
        summary[f"{key}.{extreme}"] = best.value
        summary[f"{key}.best_ckpt"] = places[best.index].checkpoint
    return summary
