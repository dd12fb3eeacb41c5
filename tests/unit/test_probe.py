"""The probe of conditional puts against stores that lie in either way."""

from pathlib import Path

import pytest

from a360.errors import TransientError
from a360.storage import probe_conditional_put
from a360.storage.file_store import FileStore


class Overwriting(FileStore):
    """Ignores the condition, as some S3 servers do."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.write(key, data)
        return True


class Boasting(FileStore):
    """Keeps the first object and claims that every put created it."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        super().put_if_absent(key, data)
        return True


class Forgetting(FileStore):
    """Answers as it should and stores the last body."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        created = not list(self.list(key))
        self.write(key, data)
        return created


class Failing(FileStore):
    """Breaks down at the second put."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if list(self.list(key)):
            raise TransientError("busy")
        return super().put_if_absent(key, data)


@pytest.mark.parametrize(
    ("kind", "answer"), [(FileStore, True), (Overwriting, False), (Boasting, False), (Forgetting, False)]
)
def test_only_a_store_that_refuses_and_keeps_passes(
    kind: type[FileStore], answer: bool, tmp_path: Path
) -> None:
    store = kind(tmp_path)
    assert probe_conditional_put(store) is answer
    assert list(store.list()) == []


def test_a_probe_that_fails_raises_and_cleans_up(tmp_path: Path) -> None:
    store = Failing(tmp_path)
    with pytest.raises(TransientError, match="busy"):
        probe_conditional_put(store)
    assert list(store.list()) == []
