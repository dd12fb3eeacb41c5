"""One cluster for all tests of a session, and a fresh namespace for each that asks."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import lifecycle
from tests.cluster.cluster import Cluster
from tests.cluster.layout import default_layout
from tests.cluster.processes import current_process
from tests.cluster.programs import missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take clusters up and down themselves come before the session's own cluster."""
    items.sort(key=lambda item: item.path.stem != "test_teardown")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that ``make cluster-up`` left running, with today's code, else one of the session's own."""
    if lacking := missing():
        pytest.skip(f"a cluster needs {', '.join(lacking)}")
    layout = default_layout()
    if lifecycle.runs_for_a_person(layout):
        lifecycle.load_code(layout)
        with _credentials(found := Cluster(layout)):
            yield found
        return
    lifecycle.up(layout, owner=current_process())
    try:
        with _credentials(started := Cluster(layout)):
            yield started
    finally:
        lifecycle.down(layout)


@contextmanager
def _credentials(cluster: Cluster) -> Iterator[None]:
    """This process talks to the cluster's store as its pods do."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.s3.environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace under Pod Security ``restricted``; it goes with everything in it."""
    name = cluster.create_namespace()
    yield name
    cluster.delete_namespace(name)
