"""SIGTERM as a preempted pod gets it: save what is worth saving, then end as a terminated process.

Called by every job and by the workers of ``a360 run``. It imports nothing of a360.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType


def end_on_sigterm(save: Callable[[], None], grace_seconds: float | None = None) -> None:
    """Makes SIGTERM call ``save``, then end the process as SIGTERM does.

    Saving may take ``grace_seconds``, by default two thirds of what the pod has until it is killed.
    ``save`` runs in a thread of its own: the interrupted main thread may hold a lock of its connection pool.
    """

    def on_sigterm(signum: int, frame: FrameType | None) -> None:
        saving = threading.Thread(target=save, daemon=True)
        saving.start()
        saving.join(_saving_seconds() if grace_seconds is None else grace_seconds)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
        os._exit(128 + signal.SIGTERM)  # the first process of a container survives its own SIGTERM

    signal.signal(signal.SIGTERM, on_sigterm)


def _saving_seconds() -> float:
    """A360_GRACE_SECONDS is the pod's ``terminationGracePeriodSeconds``; Kubernetes' default is 30."""
    return float(os.environ.get("A360_GRACE_SECONDS", "30")) * 2 / 3
