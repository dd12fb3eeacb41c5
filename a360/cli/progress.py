"""Progress on stderr: bars with the time that is left on a terminal, one line per finished pair elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from a360.benchmarks import CATALOGUE
from a360.cli.output import note, notes

if TYPE_CHECKING:
    from a360.pairs import Event

ENDED = {"committed", "done already", "failed"}
_SPEED_SECONDS = 1800.0
"""Pairs differ in length, so the time that is left is reckoned from a long past."""


@dataclass
class _Work:
    """How much of the pairs is done, weighted by what their benchmarks cost."""

    pairs: Sequence[str]
    parts: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def take(self, event: "Event") -> None:
        """Counts an event. A pair that is tried again is not ended any more."""
        if event.phase in ENDED:
            self.ended.add(event.pair)
            self.parts[event.pair] = 1.0
            return
        self.ended.discard(event.pair)
        if event.phase in ("generated", "grading"):
            return  # grading costs little beside what it grades
        self.parts[event.pair] = (
            event.done / event.total if event.phase == "evaluating" and event.total else 0.0
        )

    def total(self) -> float:
        return sum(map(_cost, self.pairs))

    def done(self) -> float:
        return sum(_cost(pair) * part for pair, part in self.parts.items())


def _cost(pair: str) -> float:
    row = CATALOGUE.get(pair.rpartition("/")[2])
    return row.cost if row else 1.0


@contextmanager
def watch_pairs(pairs: Sequence[str], workers: int) -> "Iterator[Callable[[Event], None]]":
    """A function to be called with every event while the pairs are evaluated."""
    if not notes.is_terminal:
        yield _Lines(_Work(pairs)).show
        return
    bars = _Bars(_Work(pairs), workers)
    with Live(Group(bars.overall, bars.workers), console=notes, refresh_per_second=5, transient=True):
        yield bars.show


@contextmanager
def watch_steps(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A function to be called with (steps done, steps in all, a remark)."""
    if not notes.is_terminal:
        yield _TenthLines(title).show
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[remark]}"),
        _left(),
    )
    with Progress(*columns, console=notes, transient=True) as progress:
        task = progress.add_task(title, total=None, remark="")

        def show(done: int, total: int, remark: str) -> None:
            progress.update(task, completed=done, total=total, remark=remark)

        yield show


@contextmanager
def busy(title: str) -> Iterator[None]:
    """A sign of life on a terminal while something takes seconds."""
    with notes.status(title):
        yield


class _Bars:
    """One bar for all pairs and one line per worker."""

    def __init__(self, work: _Work, workers: int) -> None:
        self._work = work
        self.overall = Progress(
            TextColumn("[bold]{task.fields[pairs]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            _left(),
            console=notes,
            speed_estimate_period=_SPEED_SECONDS,
        )
        self.workers = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=16),
            _RequestsColumn(),
            console=notes,
        )
        self._all = self.overall.add_task("", total=work.total(), pairs=self._count())
        self._lines = [self.workers.add_task("waiting", total=None, state="") for _ in range(workers)]
        self._pairs: dict[TaskID, str] = {}

    def show(self, event: "Event") -> None:
        """Takes an event."""
        self._work.take(event)
        self.overall.update(self._all, completed=self._work.done(), pairs=self._count())
        line = self._line_of(event.pair)
        if event.phase in ENDED:
            self._pairs.pop(line, None)
            self.workers.update(line, description="waiting", total=None, completed=0, state="")
            if event.phase == "failed":
                note(f"failed: {event.pair}{_indented(event.message)}")
        elif event.phase != "flushed":
            state = "preparing" if event.phase == "evaluating" and not event.total else event.phase
            self.workers.update(
                line, description=event.pair, total=event.total or None, completed=event.done, state=state
            )

    def _line_of(self, pair: str) -> TaskID:
        """The worker's line that shows the pair, else a free one, else the one unheard of for longest."""
        line = next((line for line, shown in self._pairs.items() if shown == pair), None)
        if line is None:
            line = next(
                (line for line in self._lines if line not in self._pairs),
                next(iter(self._pairs), self._lines[0]),
            )
        self._pairs.pop(line, None)
        self._pairs[line] = pair
        return line

    def _count(self) -> str:
        return f"{len(self._work.ended):,}/{len(self._work.pairs):,} pairs"


class _Lines:
    """One line per pair that ended, for logs."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._started = time.monotonic()

    def show(self, event: "Event") -> None:
        """Takes an event."""
        self._work.take(event)
        if event.phase in ENDED:
            count = f"[{len(self._work.ended)}/{len(self._work.pairs)}]"
            note(f"{count} {event.phase}: {event.pair}{self._left()}{_indented(event.message)}")

    def _left(self) -> str:
        done, total = self._work.done(), self._work.total()
        if not 0 < done < total:
            return ""
        seconds = (time.monotonic() - self._started) * (total - done) / done
        return f" ({seconds // 60:.0f}:{seconds % 60:02.0f} left)"


class _TenthLines:
    """A line for every tenth of the steps, for logs."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = 0

    def show(self, done: int, total: int, remark: str) -> None:
        """Takes a step."""
        tenth = 10 * done // total if total else 0
        if tenth > self._shown:
            self._shown = tenth
            note(f"{self._title} {done}/{total} {remark}".rstrip())


class _RequestsColumn(ProgressColumn):
    """Requests answered, or what a worker does before there are any."""

    def render(self, task: "object") -> Text:
        """The text of a worker's line."""
        total, completed = getattr(task, "total", None), getattr(task, "completed", 0)
        state: str = getattr(task, "fields", {}).get("state", "")
        return Text(f"{completed:,.0f}/{total:,.0f}" if total and state == "evaluating" else state)


def _indented(message: str) -> str:
    return "".join(f"\n  {line}" for line in message.splitlines())


def _left() -> TimeRemainingColumn:
    return TimeRemainingColumn(compact=True)
