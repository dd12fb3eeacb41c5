"""``a360 run``: the evaluate job in persistent worker processes of one machine.

A worker imports torch once and keeps its evaluator between groups. It is replaced after a number of pairs
or when it has grown too large; a group whose worker was killed, or whose pairs may succeed when tried again,
goes back to the queue. Nothing is kept here that the store does not have.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, NamedTuple

from a360.errors import A360Error
from a360.records import Plan
from a360.suite import Suite

if TYPE_CHECKING:
    from a360.evaluate import Event, PairOutcome

TRIES = 3
"""How often a pair is given to a worker before it counts as failed."""
_REPORT_SECONDS = 0.2
_STOP_SECONDS = 30.0


class _Group(NamedTuple):
    pairs: tuple[str, ...]
    tries: int


class _Finished(NamedTuple):
    outcomes: "tuple[PairOutcome, ...]"
    resident_bytes: int


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    group: _Group | None = None
    pairs_done: int = 0


@dataclass
class _Pool:
    """The workers of one run and the groups that wait for them."""

    suite: Suite
    plan: Plan
    on_event: "Callable[[Event], None]"
    queue: deque[_Group]
    workers: list[_Worker] = field(default_factory=list)
    outcomes: "dict[str, PairOutcome]" = field(default_factory=dict)

    def start_workers(self, count: int) -> None:
        """Starts workers until there is one for every waiting group, at most ``count``."""
        while len(self.workers) < count and len(self.queue) > self._idle():
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(self.suite, self.plan, theirs), daemon=True)
            process.start()
            theirs.close()
            self.workers.append(_Worker(process, ours))

    def assign(self) -> None:
        """Gives waiting groups to idle workers."""
        for worker in self.workers:
            if worker.group is None and self.queue:
                worker.group = self.queue.popleft()
                worker.pipe.send(worker.group.pairs)

    def listen(self) -> None:
        """Takes what workers say until one of them needs a decision."""
        by_pipe = {worker.pipe: worker for worker in self.workers}
        for pipe in wait(list(by_pipe)):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                message = worker.pipe.recv()
            except (EOFError, ConnectionError):
                self._bury(worker)
                continue
            if isinstance(message, A360Error):
                raise message
            if isinstance(message, _Finished):
                self._finish(worker, message)
            else:
                self.on_event(message)

    def _idle(self) -> int:
        return sum(worker.group is None for worker in self.workers)

    def _finish(self, worker: _Worker, finished: _Finished) -> None:
        group, worker.group = worker.group, None
        again = tuple(o.pair for o in finished.outcomes if o.exit_code == 75)
        if group and again and group.tries < TRIES:
            self.queue.append(_Group(again, group.tries + 1))
        self.outcomes.update({o.pair: o for o in finished.outcomes if not (again and o.pair in again)})
        if group and group.tries >= TRIES:
            self.outcomes.update({o.pair: o for o in finished.outcomes})
        worker.pairs_done += len(finished.outcomes)
        run = self.suite.run
        too_large = finished.resident_bytes > run.worker_memory_gib * 2**30
        if worker.pairs_done >= run.recycle_pairs or too_large:
            self._dismiss(worker)

    def _bury(self, worker: _Worker) -> None:
        """A worker died: its group goes back to the queue, or its pairs count as interrupted."""
        from a360.evaluate import Event, PairOutcome

        self.workers.remove(worker)
        worker.process.join()
        group = worker.group
        if group is None:
            return
        if group.tries < TRIES:
            self.queue.append(_Group(group.pairs, group.tries + 1))
            return
        code = worker.process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        text = f"TransientError: worker process ended with {how}, {TRIES} times\nhint: out of memory?"
        for pair in group.pairs:
            self.outcomes[pair] = PairOutcome(pair, "failed", 75, text)
            self.on_event(Event("failed", pair, message=text))

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join()

    def stop(self) -> None:
        """Ends idle workers quietly and busy ones as a preempted pod: SIGTERM, a flush, at last a kill."""
        for worker in self.workers:
            if worker.group:
                worker.process.terminate()
            else:
                worker.pipe.close()
        deadline = time.monotonic() + _STOP_SECONDS
        for worker in self.workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            worker.process.kill()
            worker.process.join()


def run_groups(
    suite: Suite, plan: Plan, on_event: "Callable[[Event], None]", *, workers: int | None = None
) -> "tuple[PairOutcome, ...]":
    """The outcome of every pair of the plan's groups.

    Raises:
        ConfigError: a worker could not start with this suite; the other workers are stopped.
    """
    count = workers or suite.run.workers
    suite = suite.model_copy(update={"run": suite.run.model_copy(update={"workers": count})})
    pool = _Pool(suite, plan, on_event, deque(_Group(pairs, 1) for pairs in plan.groups))
    with _terminating(pool):
        while pool.queue or any(worker.group for worker in pool.workers):
            pool.start_workers(count)
            pool.assign()
            pool.listen()
    return tuple(pool.outcomes[pair] for group in plan.groups for pair in group if pair in pool.outcomes)


@contextmanager
def _terminating(pool: _Pool) -> Iterator[None]:
    """Stops the workers however the run ends; SIGTERM ends it as an interrupt does."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt) if _in_main_thread() else None
    try:
        yield
    finally:
        pool.stop()
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _work(suite: Suite, plan: Plan, pipe: Connection) -> None:
    """A worker: one evaluator, group after group, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threads = suite.run.threads or max(1, (os.cpu_count() or 1) // suite.run.workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from a360.evaluate import Evaluator, flush_on_sigterm

    try:
        evaluator = Evaluator(suite, _throttled(pipe))
        flush_on_sigterm(evaluator)
        while True:
            outcomes = evaluator.evaluate_group(plan, pipe.recv())
            pipe.send(_Finished(outcomes, _resident_bytes()))
    except EOFError:
        return
    except A360Error as error:
        pipe.send(error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _throttled(pipe: Connection) -> "Callable[[Event], None]":
    """Sends events to the parent, progress within a pair at most five times a second."""
    last = 0.0

    def send(event: "Event") -> None:
        nonlocal last
        is_step = event.phase == "evaluating" and event.done not in (0, event.total)
        if is_step and time.monotonic() - last < _REPORT_SECONDS:
            return
        last = time.monotonic()
        with suppress(BrokenPipeError):  # a dead parent is no failure of the pair; SIGTERM follows
            pipe.send(event)

    return send


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
