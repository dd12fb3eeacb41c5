"""A sweep in one process that ends itself with SIGKILL, or another signal, at a chosen place.

``python tests/victim.py SUITE LOG [PHASE N MS [SIGNAL]]`` runs the functions that the jobs run: plan, then
evaluate and grade group by group, publish. PHASE is a phase of an event, collecting or publishing;
the signal comes MS milliseconds after the N-th event of that phase. LOG gets every event, so that a test can
tell how far it came.
"""

import os
import signal
import sys
import threading
import time

import a360.publish.report
import a360.sweep
from a360.evaluate import Evaluator
from a360.grade import Grader
from a360.pairs import Event
from a360.run import take_group
from a360.signals import end_on_sigterm
from a360.suite import load_suite


class Executioner:
    """Counts events and signals the process when its time has come."""

    def __init__(self, log_path: str, phase: str, count: int, milliseconds: float, signal_name: str) -> None:
        self._log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._phase, self._count, self._seconds = phase, count, milliseconds / 1000
        self._signal = signal.Signals[signal_name]

    def __call__(self, event: Event) -> None:
        os.write(self._log, f"{event.phase} {event.pair} {event.done}\n".encode())
        if event.phase == self._phase:
            self._count -= 1
            if self._count == 0:
                self._kill()

    def _kill(self) -> None:
        if self._seconds == 0:
            os.kill(os.getpid(), self._signal)
            return
        threading.Thread(target=self._wait_and_kill, daemon=True).start()

    def _wait_and_kill(self) -> None:
        time.sleep(self._seconds)
        os.kill(os.getpid(), self._signal)


def main(
    suite_path: str,
    log_path: str,
    phase: str = "",
    count: str = "0",
    milliseconds: str = "0",
    signal_name: str = "SIGKILL",
) -> None:
    """Runs the sweep to its end, or to its death."""
    suite = load_suite(suite_path)
    executioner = Executioner(log_path, phase, int(count), float(milliseconds), signal_name)
    plan = a360.sweep.plan_sweep(suite)
    a360.sweep.store_plan(suite, plan)
    if plan.groups:
        evaluator, grader = Evaluator(suite, executioner), Grader(suite, executioner)
        end_on_sigterm(evaluator.flush)
        for group in plan.groups:
            take_group(evaluator, grader, plan, group)
    executioner(Event("collecting", ""))  # type: ignore[arg-type]
    a360.sweep.collect_sweep(suite, plan)
    executioner(Event("publishing", ""))  # type: ignore[arg-type]
    a360.sweep.publish_sweep(suite, plan, wandb=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
