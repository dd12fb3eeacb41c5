"""Entry points of pods: ``python -P -m jobs.<name>``. Parse, call one function, end with its exit code.

Exit codes are those of ``a360.errors``. An exception that nobody foresaw ends with 3, as it would again.
"""

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from a360.errors import A360Error, DataError
from a360.signals import end_on_sigterm

TERMINATED = "ended by SIGTERM: what is committed or in the journal stays\nhint: run the same again"


def run_job(job: Callable[[], int]) -> None:
    """Ends the process with the job's exit code, or that of its error, or by SIGTERM when it is told to."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    if os.environ.get("A360_DEBUG"):
        logging.getLogger("a360").setLevel(logging.DEBUG)
    save_on_sigterm(lambda: None)
    try:
        code = job()
    except A360Error as error:
        report(str(error))
        code = error.exit_code
    except Exception as error:  # the boundary of the job
        traceback.print_exc()
        report(f"{type(error).__name__}: {error}")
        code = DataError.exit_code
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the work is over: its code stands
    sys.exit(code)


def save_on_sigterm(save: Callable[[], None]) -> None:
    """Makes SIGTERM leave a message, call ``save``, and end the process as it ends one."""

    def leave_and_save() -> None:
        _leave(TERMINATED)  # nothing is printed: the interrupted thread may be printing itself
        save()

    end_on_sigterm(leave_and_save)


def report(message: str) -> None:
    """Says why the job fails: on stderr, and in the file that A360_TERMINATION_LOG names."""
    _leave(message)
    print(message, file=sys.stderr, flush=True)


def _leave(message: str) -> None:
    # Kubernetes shows up to 4 KiB of UTF-8 as the reason of a pod's end.
    if path := os.environ.get("A360_TERMINATION_LOG"):
        with contextlib.suppress(OSError):  # losing the note must not change the exit code
            Path(path).write_text(message.encode()[:4096].decode(errors="ignore"), encoding="utf-8")
