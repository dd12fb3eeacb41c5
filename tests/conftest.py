"""The servers that tests share: started once per process that runs tests, on first use."""

import os
from collections.abc import Iterator

import pytest

from tests.servers import S3Server, find_versitygw, moto_server, versitygw_server

os.environ.pop("COLUMNS", None)  # the width of somebody's terminal must not decide what a command prints


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    binary = find_versitygw()
    if binary is None:
        pytest.skip("versitygw is not built: run tests/cluster/build_versitygw.sh (it needs Go)")
    with versitygw_server(binary, tmp_path_factory.mktemp("versitygw")) as server:
        yield server
