"""SIGTERM: what is worth saving is saved within the grace period, then the process ends as terminated."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def terminated(setup: str) -> subprocess.CompletedProcess[str]:
    """A process that runs ``setup`` and sends itself SIGTERM."""
    code = f"import os, signal, time\nfrom a360.signals import end_on_sigterm\n{setup}\n"
    code += "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(30)\nprint('went on')"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_terminated_process_saves_and_ends_by_the_signal() -> None:
    done = terminated("end_on_sigterm(lambda: print('saved', flush=True))")
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "saved\n")


@pytest.mark.parametrize("save", ["lambda: time.sleep(60)", "lambda: 1 / 0"], ids=["stuck", "failing"])
def test_saving_that_is_stuck_or_fails_holds_nobody_up(save: str) -> None:
    began = time.monotonic()
    done = terminated(f"end_on_sigterm({save}, grace_seconds=0.2)")
    assert done.returncode == -signal.SIGTERM
    assert "went on" not in done.stdout
    assert time.monotonic() - began < 25


def test_the_first_process_of_a_container_ends_too() -> None:
    """The kernel ignores a default SIGTERM of process 1; here nothing happens when it is raised."""
    done = terminated("signal.raise_signal = lambda number: None\nend_on_sigterm(lambda: None)")
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "")


def test_saving_may_take_two_thirds_of_the_grace_of_the_pod() -> None:
    slow = "end_on_sigterm(lambda: (time.sleep(1.5), print('saved', flush=True)))"
    for grace, said in (("1", ""), ("6", "saved\n")):
        done = terminated(f"os.environ['A360_GRACE_SECONDS'] = '{grace}'\n{slow}")
        assert (done.returncode, done.stdout) == (-signal.SIGTERM, said)
