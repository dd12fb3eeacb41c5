"""SIGTERM as a preempted pod gets it: save what is worth saving, then end as a terminated process.

Called by every job and by the workers of ``a360 run``. It imports nothing of a360.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

GRACE_SECONDS = 20.0
"""How long saving may take; Kubernetes kills after 30."""


def end_on_sigterm(save: Callable[[], None], grace_seconds: float = GRACE_SECONDS) -> None:
    """Makes SIGTERM call ``save``, then end the process as SIGTERM does.

    ``save`` runs in a thread of its own: the interrupted main thread may hold a lock of its connection pool.
    """

    def on_sigterm(signum: int, frame: FrameType | None) -> None:
        saving = threading.Thread(target=save, daemon=True)
        saving.start()
        saving.join(grace_seconds)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
        os._exit(128 + signal.SIGTERM)  # the first process of a container survives its own SIGTERM

    signal.signal(signal.SIGTERM, on_sigterm)
