"""What ``datasets`` finds out about a mirrored repository, found out once for all of its configurations."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from datasets.load import DatasetModule, LocalDatasetModuleFactory


@contextmanager
def repositories_read_once() -> Iterator[None]:
    """Within it, a repository's README is parsed and its files are listed once for all configurations.

    MMLU has 57 of them, and each would parse a README that names all 57. No file may appear meanwhile.
    """
    original, found = LocalDatasetModuleFactory.get_module, dict[tuple[object, ...], DatasetModule]()

    def get_module(self: LocalDatasetModuleFactory) -> DatasetModule:
        key = (self.path, repr(self.data_files), self.data_dir)
        if key not in found:
            found[key] = original(self)
        return copy.deepcopy(found[key])  # its user takes things out of it

    LocalDatasetModuleFactory.get_module = get_module
    try:
        yield
    finally:
        LocalDatasetModuleFactory.get_module = original
