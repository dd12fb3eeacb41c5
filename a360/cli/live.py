"""A sweep on the cluster for people and for scripts: a live table, lines for a log, one JSON document."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.live import Live
from rich.table import Table
from rich.text import Text

from a360.cli.output import note, notes, print_json, print_table, print_text, print_title
from a360.cluster.connection import connect
from a360.cluster.follow import follow_sweep, require_success
from a360.cluster.place import Place
from a360.cluster.progress import STATES, CheckpointProgress, State, SweepProgress, seconds_left
from a360.cluster.sweeps import find_sweep, suite_of

_STYLES: dict[State, str] = {
    "running": "cyan",
    "waiting": "dim",
    "done": "green",
    "failed": "bold red",
    "stopped": "yellow",
}
_FRAME_LINES = 6
"""Lines of a terminal that the table leaves to its head and to the prompt."""


class Show(Protocol):
    """Takes each look at a sweep."""

    def __call__(self, progress: SweepProgress) -> None:
        """Shows it."""


def watch_sweep(place: Place, target: str, *, interval_seconds: float, as_json: bool) -> None:
    """Shows a sweep until its end.

    Raises:
        DataError: pairs are not done at its end.
    """
    connection = connect(place)
    sweep = find_sweep(connection, target)
    last = None
    with _shown() as show:
        for progress in follow_sweep(connection, sweep.name, interval_seconds=interval_seconds):
            show(progress)
            last = progress
    assert last is not None  # the first look ends in a progress or in an error
    if as_json:
        print_json(sweep_document(last))
    else:
        print_sweep(last)
    require_success(last, suite_of(sweep))


@contextmanager
def _shown() -> Iterator[Show]:
    if not notes.is_terminal:
        yield _Lines().show
        return
    with Live(console=notes, auto_refresh=False, transient=True) as live:

        def show(progress: SweepProgress) -> None:
            live.update(_screen(progress), refresh=True)

        yield show


class _Lines:
    """One line per checkpoint that ended, for logs."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def show(self, progress: SweepProgress) -> None:
        """Takes a look."""
        for checkpoint in progress.checkpoints:
            if checkpoint.state in ("running", "waiting") or checkpoint.checkpoint in self._told:
                continue
            self._told.add(checkpoint.checkpoint)
            count = f"[{progress.count('done'):,}/{progress.count():,} pairs]"
            left = f" ({clock(progress.seconds_left)} left)" if progress.seconds_left else ""
            why = f": {checkpoint.message}" if checkpoint.state == "failed" and checkpoint.message else ""
            note(f"{count} {checkpoint.state}: {checkpoint.checkpoint}{left}{why}")


def _screen(progress: SweepProgress) -> Table:
    table = Table(title=describe_sweep(progress), title_justify="left", box=None, padding=(0, 3, 0, 0))
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in NUMBERS else "left", no_wrap=True)
    rows = sorted(progress.checkpoints, key=lambda checkpoint: STATES.index(checkpoint.state))
    interesting = [row for row in rows if row.state != "waiting"]
    for row in interesting[: max(1, notes.height - _FRAME_LINES)]:
        cells = checkpoint_row(row, progress)
        table.add_row(
            *(Text(cell, style=_STYLES[row.state] if i == 1 else "") for i, cell in enumerate(cells))
        )
    return table


COLUMNS = ("checkpoint", "state", "pairs", "part", "left", "message")
NUMBERS = ("pairs", "part", "left")


def checkpoint_row(checkpoint: CheckpointProgress, progress: SweepProgress) -> list[str]:
    """One checkpoint in words."""
    done, total = checkpoint.work()
    left = remaining(checkpoint, progress)
    return [
        checkpoint.checkpoint,
        checkpoint.state,
        f"{checkpoint.count('done'):,}/{checkpoint.count():,}",
        f"{done / total:.0%}" if total else "-",
        clock(left) if left is not None else "-",
        checkpoint.message,
    ]


def remaining(checkpoint: CheckpointProgress, progress: SweepProgress) -> float | None:
    """Seconds that a running checkpoint still takes at its own pace."""
    if checkpoint.state != "running" or checkpoint.started is None:
        return None
    done, total = checkpoint.work()
    return seconds_left(done, total, (progress.now - checkpoint.started).total_seconds())


def print_sweep(progress: SweepProgress, stored: Mapping[str, str] | None = None) -> None:
    """A sweep on stdout: its head, and every checkpoint that is neither waiting nor done.

    ``stored`` says for each checkpoint what the store has of it.
    """
    print_title(describe_sweep(progress))
    rows = [row for row in progress.checkpoints if row.state not in ("waiting", "done")]
    if not rows:
        return
    cells = [checkpoint_row(row, progress) for row in rows]
    if stored is None:
        print_table(COLUMNS, cells, numbers=NUMBERS)
        return
    merged = [[c[0], stored.get(c[0], "-"), *c[1:]] for c in cells]
    print_table([COLUMNS[0], "stored", *COLUMNS[1:]], merged, numbers=(*NUMBERS, "stored"))


def describe_sweep(progress: SweepProgress) -> str:
    """A sweep in one line."""
    sweep = progress.sweep
    head = f"sweep {sweep.name} of suite {suite_of(sweep)}: {sweep.phase.lower()}"
    if not progress.planned and not progress.checkpoints:
        return head if sweep.ended else f"{head}, planning"
    counts = [f"{progress.count('done'):,} of {progress.count():,} pairs done"]
    counts += [
        f"{progress.count(state):,} {state}" for state in ("failed", "stopped") if progress.count(state)
    ]
    at_work = [checkpoint for checkpoint in progress.checkpoints if checkpoint.state == "running"]
    counts += [f"{len(at_work):,} of {len(progress.checkpoints):,} checkpoints at work"] if at_work else []
    counts += [f"about {clock(progress.seconds_left)} left"] if progress.seconds_left else []
    return f"{head}, {', '.join(counts)}"


def sweep_document(progress: SweepProgress) -> dict[str, object]:
    """What ``--json`` prints of a sweep."""
    sweep = progress.sweep
    return {
        "sweep": sweep.name,
        "suite": suite_of(sweep),
        "phase": sweep.phase,
        "message": sweep.message,
        "started": sweep.started.isoformat() if sweep.started else None,
        "finished": sweep.finished.isoformat() if sweep.finished else None,
        "planned": progress.planned,
        "pairs": progress.count(),
        "counts": _counts(progress.count(state) for state in STATES),
        "seconds_left": progress.seconds_left,
        "checkpoints": [
            {
                "id": checkpoint.checkpoint,
                "workflow": checkpoint.workflow,
                "state": checkpoint.state,
                "pairs": checkpoint.count(),
                "counts": _counts(checkpoint.count(state) for state in STATES),
                "seconds_left": remaining(checkpoint, progress),
                "message": checkpoint.message,
            }
            for checkpoint in progress.checkpoints
        ],
    }


def _counts(counts: Iterable[int]) -> dict[str, int]:
    return {state: count for state, count in zip(STATES, counts, strict=True) if count}


def clock(seconds: float | None) -> str:
    """Hours, minutes and seconds: ``1:02:03``, ``2:03``."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def tell_none(suite: str, last: str | None) -> None:
    """Says that nothing runs."""
    print_text(f"no sweep of suite {suite} is running{f'; the last was {last}' if last else ''}")
