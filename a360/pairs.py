"""A pair on its way: what is said of it while it runs, how it ends, and what a failure of it means.

Shared by the two stages that commit something (a360/evaluate.py, a360/grade.py) and by those who call them.
"""

import errno
import time
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from a360.errors import A360Error, ConfigError, DataError, TransientError
from a360.records import Cell, Failure
from a360.results.commit import record_failure
from a360.results.places import CommitName
from a360.results.provenance import environment, node, utc, workflow_uid
from a360.results.read import read_failures
from a360.storage import Store
from a360.storage.os_errors import os_failure

Phase = Literal[
    "staging",
    "loading",
    "evaluating",
    "flushed",
    "committing",
    "generated",
    "grading",
    "committed",
    "done already",
    "failed",
]


class Event(NamedTuple):
    """What a process is doing; ``done`` of ``total`` requests while evaluating."""

    phase: Phase
    pair: str
    done: int = 0
    total: int = 0
    message: str = ""


class PairOutcome(NamedTuple):
    """How a pair ended, with the exit code it stands for. What was generated is still to be graded."""

    pair: str
    state: Literal["committed", "generated", "done already", "failed"]
    exit_code: int = 0
    error: str = ""


def group_exit_code(outcomes: Sequence[PairOutcome]) -> int:
    """The exit code of a group: try again if that may help, else the gravest of its pairs."""
    codes = {outcome.exit_code for outcome in outcomes}
    return next((code for code in (75, 2, 3) if code in codes), 0)


def record_failed_pair(store: Store, model: str, cell: Cell, attempt: str, error: A360Error) -> None:
    """Stores why an attempt at a pair failed, under the key that its result would have had."""
    failure = Failure(
        model=model,
        checkpoint=cell.checkpoint,
        benchmark=cell.benchmark,
        key=cell.key or "",
        attempt=f"{attempt}-{time.time_ns()}",
        exit_code=error.exit_code,
        error=error.message,
        hint=error.hint,
        environment=environment(),
        node=node(),
        workflow_uid=workflow_uid(),
        failed_at=utc(time.time()),
    )
    record_failure(store, failure)


def failed_in_this_workflow(store: Store, model: str, name: CommitName) -> Failure | None:
    """The failure of a pair that an earlier pod of this workflow has found to be for good, if one has."""
    uid = workflow_uid()
    failure = read_failures(store, model, name).get(name) if uid else None
    for_good = failure and (failure.exit_code, failure.workflow_uid) == (DataError.exit_code, uid)
    return failure if for_good else None


def as_a360_error(error: Exception) -> A360Error:
    """What an unforeseen exception means for a retry."""
    if isinstance(error, A360Error):
        return error
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            return os_failure(cause, f"evaluation on {node()}")
    text = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), 'no message')}"
    if isinstance(error, ImportError):
        return ConfigError(f"a package is missing: {text}", hint='pip install "a360[evaluate]"')
    if isinstance(error, OSError | MemoryError) or "CUDA" in str(error) or "allocate memory" in str(error):
        return TransientError(f"evaluation was interrupted on {node()}: {text}")
    return DataError(f"evaluation failed: {text}", hint="a360 --debug evaluate shows where.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
