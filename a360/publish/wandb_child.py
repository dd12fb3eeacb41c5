"""Writes one W&B offline run, read from stdin, in a process of its own.

Started by ``wandb_runs``, which chooses the environment and verifies what was written. The SDK reads a
hundred environment variables when it is imported, keeps threads and starts a service; in a process that ends
here none of it touches the publisher. Imports nothing of a360, so that it runs by its path wherever the
package lies.
"""

import json
import signal
import sys
from typing import NamedTuple

LIMIT_SECONDS = 600
"""A publisher that was killed leaves no process behind for longer than this."""


class RunPayload(NamedTuple):
    """What the SDK is told."""

    run_id: str
    name: str
    project: str
    group: str
    tags: list[str]
    config: dict[str, str | int]
    x: str
    """The key of the x axis."""
    prefixes: list[str]
    """Benchmarks; the keys of their metrics start with one and a slash."""
    rows: list[dict[str, str | int | float]]
    steps: list[int]
    summary: dict[str, str | int | float]


def write_run(payload: RunPayload, folder: str) -> None:
    """Leaves ``<folder>/wandb/offline-run-<time>-<run id>``."""
    import wandb

    settings = wandb.Settings(
        mode="offline",
        root_dir=folder,
        console="off",
        silent=True,
        disable_code=True,
        disable_git=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
    run = wandb.init(
        id=payload.run_id,
        name=payload.name,
        project=payload.project,
        group=payload.group,
        job_type=payload.name,
        tags=payload.tags,
        config=dict(payload.config),
        settings=settings,
    )
    for key in dict.fromkeys(("checkpoint", "phase", "training_step", payload.x)):
        run.define_metric(key, summary="none")
    for prefix in payload.prefixes:
        run.define_metric(f"{prefix}/*", step_metric=payload.x, summary="none")
    for row, step in zip(payload.rows, payload.steps, strict=True):
        run.log(dict(row), step=step)
    run.summary.update(dict(payload.summary))
    run.finish()


if __name__ == "__main__":
    signal.alarm(LIMIT_SECONDS)
    write_run(RunPayload(**json.load(sys.stdin)), sys.argv[1])
