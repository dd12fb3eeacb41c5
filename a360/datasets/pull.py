"""Many files of the hub at a time into a mirror: what is there and whole stays, the rest is downloaded."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from a360.datasets.download import Source, changed_data, check_content, download_file
from a360.datasets.hub import Hub, HubFile
from a360.datasets.mirror import MirrorFile
from a360.datasets.target import FillProgress, MirrorTarget


class StoppedError(Exception):
    """Another file failed, or a person interrupted: what has arrived of this one stays."""


class Pull:
    """Checks what is there and downloads the rest, several files at a time."""

    def __init__(self, target: MirrorTarget, hub: Hub, on_progress: Callable[[FillProgress], None]) -> None:
        self._target, self._hub, self._show = target, hub, on_progress
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._sizes = target.sizes()
        self._done_bytes = self._total_bytes = 0
        self.arrived_bytes = self.kept_files = 0

    def run(self, sources: Sequence[Source], workers: int) -> dict[str, MirrorFile]:
        """Path -> description of every file; the first failure stops the others."""
        self._total_bytes = sum(source.file.bytes for source in sources)
        # The largest first: they decide when all is done.
        queue = sorted(sources, key=lambda source: (-source.file.bytes, source.path))
        pool = ThreadPoolExecutor(workers, thread_name_prefix="mirror")
        try:
            tasks = {source.path: pool.submit(self._bring, source) for source in queue}
            done, _ = wait(tasks.values(), return_when=FIRST_EXCEPTION)
            for error in filter(None, [task.exception() for task in done]):
                raise error
            return {path: task.result() for path, task in tasks.items()}
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)

    def _bring(self, source: Source) -> MirrorFile:
        repository = self._target.manifest.repositories.get(source.repository)
        known = repository.files.get(source.file.path) if repository else None
        if known and _contradicts(known, source.file):
            raise changed_data(source, f"is in the mirror with {known.bytes:,} bytes, sha256 {known.sha256}")
        size = self._sizes.get(source.path)
        if size == source.file.bytes:
            found, fault = check_content(self._target.pieces(source.path, size), size, source.file)
            if fault is None:
                self._count(size, f"kept {source.path}", kept=True)
                return found
        part, found = download_file(self._hub, source, self._target.work_dir, self._arrive)
        if known and found != known:
            raise changed_data(source, f"is in the mirror with {known.bytes:,} bytes, sha256 {known.sha256}")
        self._target.place(part, source.path)
        self._count(0, f"mirrored {source.path}")
        return found

    def _arrive(self, arrived_bytes: int) -> None:
        if self._stop.is_set():
            raise StoppedError
        with self._lock:
            self.arrived_bytes += max(arrived_bytes, 0)
        self._count(arrived_bytes, "")

    def _count(self, more_bytes: int, remark: str, *, kept: bool = False) -> None:
        with self._lock:
            self._done_bytes += more_bytes
            self.kept_files += kept
            self._show(FillProgress(self._done_bytes, self._total_bytes, remark))


def _contradicts(known: MirrorFile, listed: HubFile) -> bool:
    other_hash = listed.sha256 is not None and listed.sha256 != known.sha256
    return known.bytes != listed.bytes or other_hash
