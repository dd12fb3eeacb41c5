"""W&B offline runs ``downstream_eval`` and ``perplexity_eval``, rebuilt whole from collected results.

A run is a pure function of its rows: its id ends in their hash, so the same results give the same id and are
skipped, other results give another run. Nothing is appended or resumed, which would duplicate rows. A run is
written under a temporary name by ``wandb_child``, read back by ``wandb_read``, compared, and only then given
its place.
"""

import fcntl
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from a360.errors import A360Error, ConfigError, DataError, TransientError
from a360.publish import wandb_child
from a360.publish.rows import BenchmarkView
from a360.publish.wandb_child import RunPayload
from a360.publish.wandb_payload import make_payloads
from a360.publish.wandb_read import fault_of_run, quiet_environment
from a360.results.collect import Collected
from a360.storage.os_errors import DiskFullError, os_failure

BUILDING = ".building-"
DIGEST_LENGTH = 10
FULL_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class WandbRun:
    """A verified offline run in the output directory."""

    name: str
    run_id: str
    path: Path
    rows: int
    written: bool
    """False when it was already there."""
    superseded: tuple[Path, ...]
    """Runs of the same model and name with other results. They stay: someone may want to sync them."""


def publish_wandb(
    collected: Collected, views: Mapping[str, BenchmarkView], out_dir: Path, *, project: str = "a360"
) -> tuple[WandbRun, ...]:
    """One offline run per kind of benchmark that has results, below ``out_dir/wandb``; no network is used.

    A run that is there and holds exactly these rows is left alone; one that was cut short is removed and
    written again.

    Raises:
        ConfigError: wandb is not installed, or the directory cannot be written.
        DataError: what W&B wrote is not what it was told.
        TransientError: W&B did not come to an end; the disk is full.
    """
    payloads = make_payloads(collected, views, project)
    if payloads and importlib.util.find_spec("wandb") is None:
        raise ConfigError("wandb is not installed, expected version 0.31", hint='pip install "a360[publish]"')
    folder = out_dir.absolute() / "wandb"
    try:
        with _only_publisher(folder) as lock:
            return tuple(_publish(payload, folder, lock) for payload in payloads)
    except OSError as error:
        raise os_failure(error, str(folder)) from error


@contextmanager
def _only_publisher(folder: Path) -> Iterator[int]:
    """Waits until nobody else publishes here, and clears what killed publishers left.

    The lock is passed to the writing process: where the publisher is killed, it holds until the writer ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob(f"{BUILDING}*"):
            shutil.rmtree(left)
        yield lock.fileno()


def _publish(payload: RunPayload, folder: Path, lock: int) -> WandbRun:
    found, written = None, False
    for path in sorted(folder.glob(f"offline-run-*-{payload.run_id}")):
        if found is None and fault_of_run(path, payload) is None:
            found = path
        else:
            shutil.rmtree(path)
    if found is None:
        found, written = _build(payload, folder, lock), True
    family = payload.run_id[:-DIGEST_LENGTH] + "?" * DIGEST_LENGTH
    return WandbRun(
        name=payload.name,
        run_id=payload.run_id,
        path=found,
        rows=len(payload.rows),
        written=written,
        superseded=tuple(path for path in sorted(folder.glob(f"offline-run-*-{family}")) if path != found),
    )


def _build(payload: RunPayload, folder: Path, lock: int) -> Path:
    """The new run's directory, verified and in its place."""
    building = Path(tempfile.mkdtemp(prefix=BUILDING, dir=folder))
    try:
        _write(payload, building, lock)
        made = sorted((building / "wandb").glob(f"offline-run-*-{payload.run_id}"))
        fault = fault_of_run(made[0], payload) if made else "no run was written"
        if fault:
            raise _failure(f"W&B run {payload.run_id} was read back with {fault}", folder)
        for name in ("logs", "tmp"):  # links and paths of the building place
            shutil.rmtree(made[0] / name, ignore_errors=True)
        return made[0].rename(folder / made[0].name)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write(payload: RunPayload, building: Path, lock: int) -> None:
    # -P: the folder of the script holds an html.py, which must not stand for Python's own.
    command = [sys.executable, "-P", wandb_child.__file__, str(building)]
    try:
        subprocess.run(
            command,
            input=json.dumps(payload._asdict()),
            capture_output=True,
            text=True,
            check=True,
            cwd=building,
            env=quiet_environment(building),
            pass_fds=(lock,),
            timeout=wandb_child.LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError(
            f"W&B took more than {error.timeout:.0f} s to write run {payload.run_id}"
        ) from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        message = f"W&B could not write run {payload.run_id} below {building.parent}: {last}"
        if error.returncode < 0:
            raise TransientError(f"{message} (signal {-error.returncode})") from error
        raise _failure(message, building.parent) from error


def _failure(message: str, folder: Path) -> A360Error:
    """W&B does not say when the disk is full; everything else would happen again."""
    if shutil.disk_usage(folder).free < FULL_BYTES:
        return DiskFullError(f"{message}; the disk of {folder} is full", hint="Free some space there.")
    return DataError(message, hint="a360 was tested with wandb 0.31; which version is installed?")
