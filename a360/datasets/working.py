"""The mirror as working directory of an evaluation: lm-eval's tasks name data by relative paths."""

import os
from collections.abc import Sequence
from pathlib import Path

from a360.datasets.mirror import read_stored_manifest
from a360.datasets.staging import offline_environment, stage_mirror, verify_files
from a360.errors import ConfigError
from a360.storage import StoreSettings, open_store


class WorkingMirror:
    """A mirror, local or in a bucket, that this process works in; ``datasets`` must not be imported before.

    Raises:
        ConfigError: there is no mirror at the URI.
    """

    def __init__(self, uri: str, s3: StoreSettings, cache_dir: Path) -> None:
        self._store = open_store(uri, s3)
        self._is_remote = uri.startswith("s3://")
        self._verified: set[tuple[str, ...]] = set()
        self.manifest = read_stored_manifest(self._store)
        local = None if self._is_remote else Path(uri.removeprefix("file://"))
        self.dir = local or stage_mirror(self._store, (), cache_dir / "data")
        os.environ.update(offline_environment(self.dir, self.manifest, cache_dir / "datasets"))
        os.environ.update(TQDM_DISABLE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
        os.chdir(self.dir)

    def stage(self, data: Sequence[str]) -> None:
        """Brings the files of data ids here and verifies them, once per process.

        Raises:
            ConfigError: the mirror is another one than when this process began.
            DataError: bytes are not the manifest's, twice.
        """
        if tuple(data) in self._verified:
            return
        if not self._is_remote:
            verify_files(self.dir, self.manifest, data)
        elif stage_mirror(self._store, data, self.dir.parent) != self.dir:
            raise ConfigError(
                f"mirror was changed: {self._store.uri}", hint="Plan again: its data has new revisions."
            )
        self._verified.add(tuple(data))
