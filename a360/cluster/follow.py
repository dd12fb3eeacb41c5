"""A sweep until its end, look by look."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from a360.cluster.connection import Connection
from a360.cluster.progress import SweepProgress, measure
from a360.cluster.sweeps import list_children, read_sweep
from a360.errors import DataError, TransientError

PATIENCE = 10
"""So many looks in a row may get no answer: an API server that restarts is gone for a minute."""


def look(connection: Connection, name: str) -> SweepProgress:
    """How far a sweep is now."""
    sweep = read_sweep(connection, name)
    return measure(sweep, list_children(connection, name), datetime.now(UTC))


def follow_sweep(
    connection: Connection, name: str, *, interval_seconds: float, pause: Callable[[float], None] = time.sleep
) -> Iterator[SweepProgress]:
    """The progress of a sweep every so many seconds; the last one is that of its end.

    Raises:
        TransientError: the cluster did not answer several times in a row.
    """
    silent = 0
    while True:
        try:
            progress = look(connection, name)
        except TransientError:
            silent += 1
            if silent > PATIENCE:
                raise
        else:
            silent = 0
            yield progress
            if progress.sweep.ended:
                return
        pause(interval_seconds)


def require_success(progress: SweepProgress, suite: str) -> None:
    """Says what an ended sweep left undone.

    Raises:
        DataError: the sweep did not succeed.
    """
    sweep = progress.sweep
    if sweep.phase == "Succeeded":
        return
    undone, pairs = progress.count() - progress.count("done"), progress.count()
    left = f"{undone:,} of {pairs:,} pairs are not done" if progress.planned else "it has no plan"
    because = f": {sweep.message}" if sweep.message else ""
    how = "was stopped" if sweep.shutdown else f"ended as {sweep.phase}"
    raise DataError(
        f"sweep {sweep.name} {how}{because}; {left}",
        hint=f"a360 status {suite} shows the reasons, a360 logs {sweep.name} what pods wrote; "
        f"a360 retry {sweep.name} plans again",
    )
