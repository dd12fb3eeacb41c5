"""What a W&B offline run holds, read back with W&B's own command, and whether it is what was meant."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from a360.publish.rows import Scalar
from a360.publish.wandb_child import RunPayload

LIMIT_SECONDS = 300


@dataclass(kw_only=True)
class ReadRun:
    """The records of a run file, as far as they can be read."""

    run_id: str = ""
    rows: list[dict[str, Scalar]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    config: dict[str, Scalar] = field(default_factory=dict)
    summary: dict[str, Scalar] = field(default_factory=dict)
    exit_code: int | None = None
    """None when the run was not finished."""


def quiet_environment(folder: Path) -> dict[str, str]:
    """The process's environment without a user's W&B settings, everything W&B writes below ``folder``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    places = {f"WANDB_{what}_DIR": str(folder) for what in ("DATA", "CACHE", "CONFIG", "ARTIFACT")}
    return {
        **kept,
        **places,
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
    }


def read_run(run_dir: Path) -> ReadRun:
    """The records of an offline run's directory; an unreadable or missing file gives an empty one."""
    found = ReadRun()
    files = sorted(run_dir.glob("run-*.wandb"))
    if len(files) != 1:
        return found
    with tempfile.TemporaryDirectory(prefix="a360-wandb-") as scratch:  # it leaves a log in TMPDIR
        done = subprocess.run(
            [sys.executable, "-P", "-m", "wandb", "leet", "inspect", "--json", str(files[0])],
            capture_output=True,
            text=True,
            check=False,
            env=quiet_environment(run_dir.parent) | {"TMPDIR": scratch},
            timeout=LIMIT_SECONDS,
        )
    for line in done.stdout.splitlines():
        _take(found, json.loads(line))
    return found


def _take(found: ReadRun, record: Mapping[str, object]) -> None:
    match record:
        case {"type": "run", "run": {"run_id": str(run_id), "config": {"update": dict(config)}}}:
            found.run_id, found.config = run_id, config
        case {"type": "history", "history": {"item": dict(item), "step": {"num": int(step)}}}:
            found.rows.append({key: value for key, value in item.items() if not key.startswith("_")})
            found.steps.append(step)
        case {"type": "summary", "summary": {"update": dict(update)}}:
            found.summary |= update
        case {"type": "exit", "exit": {"exit_code": int(code)}}:
            found.exit_code = code


def fault_of_run(run_dir: Path, payload: RunPayload) -> str | None:
    """What is wrong with a run in its directory, in words; None when it holds the payload and no more."""
    found = read_run(run_dir)
    if found.run_id != payload.run_id:
        return f"run id {found.run_id!r}, expected {payload.run_id!r}"
    if found.exit_code != 0:
        return "the run was not finished" if found.exit_code is None else f"exit code {found.exit_code}"
    if len(found.rows) != len(payload.rows):
        return f"{len(found.rows)} rows, expected {len(payload.rows)}"
    if found.steps != payload.steps:
        return f"steps {found.steps}, expected {payload.steps}"
    for number, (row, expected) in enumerate(zip(found.rows, payload.rows, strict=True)):
        if _plain(row) != _plain(expected):
            return f"row {number} of {expected['checkpoint']} has other values than were sent"
    missing = _differing(found.config, payload.config) + _differing(found.summary, payload.summary)
    return f"other values of {', '.join(missing)} than were sent" if missing else None


def _plain(row: Mapping[str, Scalar]) -> dict[str, str | float]:
    """Numbers as floats: the file keeps no difference between 1 and 1.0."""
    return {key: value if isinstance(value, str) else float(value) for key, value in row.items()}


def _differing(found: Mapping[str, Scalar], expected: Mapping[str, Scalar]) -> list[str]:
    there = _plain({key: value for key, value in found.items() if key in expected})
    return [key for key, value in _plain(expected).items() if there.get(key) != value]
