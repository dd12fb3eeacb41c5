"""Progress of a pod: lines on stderr, and ``done/total`` in the file that ARGO_PROGRESS_FILE names."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a360.pairs import Event


WRITE_SECONDS = 1.0
_PART = 100
"""A pair counts as so many; the executor takes whole numbers only."""
_ENDED = ("committed", "generated", "done already", "failed")


def write_progress(done: int, total: int) -> None:
    """Puts the file in one step; nothing is written outside a workflow, and never a total of nothing."""
    path = os.environ.get("ARGO_PROGRESS_FILE")
    if not path or total < 1:
        return
    part = Path(f"{path}.{os.getpid()}.part")
    with contextlib.suppress(OSError):  # losing progress must not fail the work
        part.write_text(f"{min(done, total)}/{total}", encoding="ascii")
        part.replace(path)


def throttled() -> Callable[[int, int], None]:
    """``write_progress`` at most once a second, and at the end."""
    written = float("-inf")

    def write(done: int, total: int) -> None:
        nonlocal written
        if done >= total or time.monotonic() - written >= WRITE_SECONDS:
            written = time.monotonic()
            write_progress(done, total)

    return write


def watch_pairs(pairs: Sequence[str]) -> "Callable[[Event], None]":
    """A function that takes the events of pairs: a line for each step, progress over all of them."""
    parts, write = dict.fromkeys(pairs, 0), throttled()

    def take(event: "Event") -> None:
        running = event.total > 0 and event.done not in (0, event.total)
        if not running:
            count = f" {event.done}/{event.total}" if event.total else ""
            print(f"{event.phase}: {event.pair}{count}", file=sys.stderr, flush=True)
        share = (_PART - 1) * event.done // event.total if event.total else parts[event.pair]
        parts[event.pair] = _PART if event.phase in _ENDED else share
        write(sum(parts.values()), _PART * len(parts))

    return take
