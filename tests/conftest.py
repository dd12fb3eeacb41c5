"""The servers that tests share: started once per process that runs tests, on first use."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.servers import S3Server, find_versitygw, moto_server, versitygw_server

if TYPE_CHECKING:
    from tests.altered_rows import Alter

os.environ.pop("COLUMNS", None)  # the width of somebody's terminal must not decide what a command prints


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    binary = find_versitygw()
    if binary is None:
        pytest.skip("versitygw is not built: run `tests/cluster/build.sh versitygw` (it needs Go)")
    with versitygw_server(binary, tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def demo_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's mirror, which tests do not change."""
    directory = tmp_path_factory.mktemp("demo") / "mirror"
    write_mirror(directory, split_documents(read_documents())[1])
    return directory


@pytest.fixture
def alter(demo_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Alter":
    """Changes rows of the demo's mirror in a copy, which is the working directory."""
    from tests.altered_rows import Alter  # imports datasets: only where it is used

    return Alter(demo_mirror, tmp_path, monkeypatch)
