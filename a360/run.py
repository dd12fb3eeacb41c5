"""``a360 run``: the evaluate job in persistent worker processes of one machine.

A worker imports torch once and keeps its evaluator between groups. It is replaced after a number of pairs
or when it has grown too large. Of a killed worker's group, what it was doing is tried again alone; so is a
pair that may succeed when tried again. Nothing is kept here that the store does not have.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, NamedTuple

from a360.errors import A360Error, TransientError
from a360.pairs import Event, PairOutcome, as_a360_error, record_failed_pair
from a360.plan import pair_id
from a360.records import Plan
from a360.signals import end_on_sigterm
from a360.storage import open_store
from a360.suite import Suite

if TYPE_CHECKING:
    from a360.evaluate import Evaluator
    from a360.grade import Grader

Work = Callable[[Suite, Plan, Connection], None]
"""Receives tuples of pair ids, sends events and after each group a `Finished`, until its pipe closes."""
TRIES = 3
"""How often a pair is tried before it counts as failed."""
_RETRY_SECONDS = 5.0
_REPORT_SECONDS = 0.2
_STOP_SECONDS = 30.0


class _Group(NamedTuple):
    pairs: tuple[str, ...]
    due: float


class Finished(NamedTuple):
    """What a worker says at the end of a group."""

    outcomes: tuple[PairOutcome, ...]
    resident_bytes: int


@dataclass
class _Queue:
    """Groups that wait for a worker, and how often each pair was tried."""

    groups: deque[_Group]
    tries: Counter[str] = field(default_factory=Counter)

    def take(self) -> _Group | None:
        """The next group that is due."""
        now = time.monotonic()
        due = next((group for group in self.groups if group.due <= now), None)
        if due:
            self.groups.remove(due)
        return due

    def seconds_to_next(self) -> float | None:
        """How long until a waiting group is due; None when nothing waits."""
        return max(0.0, min(g.due for g in self.groups) - time.monotonic()) if self.groups else None

    def retry(self, pair: str) -> bool:
        """Whether the pair was put back, to be tried alone and a little later."""
        self.tries[pair] += 1
        if self.tries[pair] >= TRIES:
            return False
        self.groups.append(_Group((pair,), time.monotonic() + _RETRY_SECONDS * self.tries[pair]))
        return True


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    group: _Group | None = None
    running: str = ""
    ended: dict[str, PairOutcome] = field(default_factory=dict)
    pairs_done: int = 0


@dataclass
class _Pool:
    """The workers of one run."""

    suite: Suite
    plan: Plan
    on_event: Callable[[Event], None]
    queue: _Queue
    work: Work
    workers: list[_Worker] = field(default_factory=list)
    outcomes: dict[str, PairOutcome] = field(default_factory=dict)

    def assign(self, count: int) -> None:
        """Gives every group that is due to an idle worker, starting workers up to ``count``."""
        while idle := next((w for w in self.workers if w.group is None), None) or len(self.workers) < count:
            group = self.queue.take()
            if group is None:
                return
            worker = idle if isinstance(idle, _Worker) else self._start()
            worker.group, worker.running, worker.ended = group, group.pairs[0], {}
            try:
                worker.pipe.send(group.pairs)
            except OSError:
                self._bury(worker)

    def listen(self, count: int) -> None:
        """Takes what workers say until one of them needs a decision or a waiting group can be given."""
        by_pipe = {worker.pipe: worker for worker in self.workers}
        seconds = self.queue.seconds_to_next()
        if len(self.workers) >= count and all(worker.group for worker in self.workers):
            seconds = None  # what is due has to wait for one of them
        if not by_pipe:
            time.sleep(seconds or 0.0)
        for pipe in wait(list(by_pipe), seconds) if by_pipe else ():
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):  # OSError: killed in the middle of a message
                self._bury(worker)
                continue
            if isinstance(message, A360Error):
                raise message
            if isinstance(message, Finished):
                self._finish(worker, message)
            else:
                self._note(worker, message)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_be_worker, args=(self.work, self.suite, self.plan, theirs), daemon=True
        )
        process.start()
        theirs.close()
        self.workers.append(_Worker(process, ours))
        return self.workers[-1]

    def _note(self, worker: _Worker, event: Event) -> None:
        worker.running = event.pair
        if event.phase in ("committed", "done already"):
            worker.ended[event.pair] = PairOutcome(event.pair, event.phase)
        self.on_event(event)

    def _finish(self, worker: _Worker, finished: Finished) -> None:
        for outcome in finished.outcomes:
            if outcome.exit_code != TransientError.exit_code or not self.queue.retry(outcome.pair):
                self.outcomes[outcome.pair] = outcome
        worker.group = None
        worker.pairs_done += len(finished.outcomes)
        run = self.suite.run
        too_large = finished.resident_bytes > run.worker_memory_gib * 2**30
        if worker.pairs_done >= run.recycle_pairs or too_large:
            self._end(worker)

    def _bury(self, worker: _Worker) -> None:
        """A worker died: what it was doing is tried again alone, what it had not begun goes on."""
        self._end(worker)
        self.outcomes.update(worker.ended)
        left = [pair for pair in (worker.group or _Group((), 0.0)).pairs if pair not in worker.ended]
        suspects = [pair for pair in left if pair == worker.running] or left[:1]
        if rest := tuple(pair for pair in left if pair not in suspects):
            self.queue.groups.append(_Group(rest, 0.0))
        for pair in suspects:
            if not self.queue.retry(pair):
                self._give_up(pair, worker.process.exitcode or 0)

    def _give_up(self, pair: str, code: int) -> None:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        error = TransientError(f"worker process ended with {how}, {TRIES} times", hint="Was memory short?")
        _record_failure(self.suite, self.plan, pair, error)
        self.outcomes[pair] = PairOutcome(pair, "failed", error.exit_code, str(error))
        self.on_event(Event("failed", pair, message=str(error)))

    def _end(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join(_STOP_SECONDS)
        worker.process.kill()
        worker.process.join()

    def stop(self) -> None:
        """Ends idle workers quietly and busy ones as a preempted pod: SIGTERM, a flush, at last a kill."""
        for worker in self.workers:
            if worker.group:
                worker.process.terminate()
        while self.workers:
            self._end(self.workers[0])


def run_groups(
    suite: Suite,
    plan: Plan,
    on_event: Callable[[Event], None],
    *,
    workers: int | None = None,
    work: Work | None = None,
) -> tuple[PairOutcome, ...]:
    """The outcome of every pair of the plan's groups.

    ``work`` is what a worker process does, by default evaluate.

    Raises:
        ConfigError: a worker could not start with this suite; the other workers are stopped.
    """
    count = _worker_count(suite, plan, workers or suite.run.workers)
    suite = suite.model_copy(update={"run": suite.run.model_copy(update={"workers": count})})
    queue = _Queue(deque(_Group(pairs, 0.0) for pairs in plan.groups))
    pool = _Pool(suite, plan, on_event, queue, work or _work)
    with _terminating(pool):
        while pool.queue.groups or any(worker.group for worker in pool.workers):
            pool.assign(count)
            pool.listen(count)
    return tuple(pool.outcomes[pair] for group in plan.groups for pair in group)


def _worker_count(suite: Suite, plan: Plan, wanted: int) -> int:
    """As many workers as may write to the store and as the weight cache has room for, at most ``wanted``."""
    sizes = [sum(file.bytes for file in checkpoint.files) for checkpoint in plan.checkpoints]
    room = int(suite.run.cache_gib * 2**30) // max([1, *sizes])
    return 1 if suite.store.single_writer else max(1, min(wanted, room))


def _record_failure(suite: Suite, plan: Plan, pair: str, error: A360Error) -> None:
    cell = next(cell for cell in plan.cells if pair_id(cell.checkpoint, cell.benchmark) == pair)
    store = open_store(suite.store.uri, suite.store.s3)
    record_failed_pair(store, plan.model, cell, str(os.getpid()), error)


@contextmanager
def _terminating(pool: _Pool) -> Iterator[None]:
    """Stops the workers however the run ends; after SIGTERM the process ends as SIGTERM ends one."""
    terminated: list[int] = []

    def interrupt(signum: int, frame: object) -> None:
        terminated.append(signum)
        raise KeyboardInterrupt

    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGTERM, interrupt) if in_main_thread else None
    try:
        yield
    finally:
        pool.stop()
        if previous is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL if terminated else previous)
        if terminated:
            signal.raise_signal(signal.SIGTERM)


def _be_worker(work: Work, suite: Suite, plan: Plan, pipe: Connection) -> None:
    """What a worker process runs: it ends when its parent does, and leaves interrupts to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(suite, plan, pipe)


def _work(suite: Suite, plan: Plan, pipe: Connection) -> None:
    """One evaluator and one grader, group after group, until the pipe closes."""
    threads = suite.run.threads or max(1, (os.cpu_count() or 1) // suite.run.workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    from a360.evaluate import Evaluator
    from a360.grade import Grader

    try:
        on_event = _throttled(pipe)
        evaluator, grader = Evaluator(suite, on_event), Grader(suite, on_event)
        end_on_sigterm(evaluator.flush)
        while pairs := _receive(pipe):
            pipe.send(Finished(take_group(evaluator, grader, plan, pairs), _resident_bytes()))
    except Exception as error:  # the boundary of the process
        known = as_a360_error(error)
        if isinstance(known, TransientError):
            raise SystemExit(known.exit_code) from error  # as if killed: the group is tried again
        pipe.send(known)


def take_group(
    evaluator: "Evaluator", grader: "Grader", plan: Plan, pairs: Sequence[str]
) -> tuple[PairOutcome, ...]:
    """The outcome of every pair of a group after both stages."""
    outcomes = evaluator.evaluate_group(plan, pairs)
    generated = [outcome.pair for outcome in outcomes if outcome.state == "generated"]
    ended = [outcome for outcome in outcomes if outcome.state != "generated"]
    return (*ended, *grader.grade_group(plan, generated))


def _receive(pipe: Connection) -> Sequence[str]:
    """The next group, or nothing when the parent has closed the pipe."""
    try:
        pairs: tuple[str, ...] = pipe.recv()
        return pairs
    except EOFError:
        return ()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _throttled(pipe: Connection) -> Callable[[Event], None]:
    """Sends events to the parent, progress within a pair at most five times a second."""
    last = 0.0

    def send(event: Event) -> None:
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
