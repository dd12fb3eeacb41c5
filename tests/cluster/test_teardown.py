"""A cluster leaves the machine as it was, whatever became of the run that started it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import lifecycle
from tests.cluster.footprint import footprint
from tests.cluster.layout import CHECKOUT, RECORDS
from tests.cluster.processes import wait_until
from tests.cluster.programs import missing
from tests.cluster.state import layout_in_use

pytestmark = pytest.mark.timeout(1800)

UP, DOWN, STATUS = ([sys.executable, "-m", "tests.cluster", action] for action in ("up", "down", "status"))
VICTIM = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/cluster/victim.py"]


@pytest.fixture(autouse=True)
def free_machine() -> None:
    """Nothing of a cluster here, else a difference would prove nothing."""
    if found := missing():
        pytest.skip(f"a cluster needs {', '.join(found)}")
    if used := layout_in_use():
        pytest.skip(f"a cluster is up in {used.root} (make cluster-down)")


@pytest.fixture
def state_dir() -> Path:
    """In build/, which can carry images and whose logs stay for a look at them."""
    directory = CHECKOUT / "build" / "teardown"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory / "one"


def run(command: list[str], state_dir: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "A360_CLUSTER_DIR": str(state_dir)}
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)


@contextmanager
def running(command: list[str], state_dir: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end of the block, if it has not ended by then."""
    log_path = state_dir.with_suffix(".log")
    with log_path.open("wb") as log:
        environment = {**os.environ, "A360_CLUSTER_DIR": str(state_dir), **more}
        process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture
def clean_end(state_dir: Path) -> Iterator[None]:
    """Whatever a failed assertion has left."""
    yield
    if used := layout_in_use():
        lifecycle.down(used)


@pytest.mark.usefixtures("clean_end")
def test_down_restores_the_machine_after_a_run_of_tests_was_killed(state_dir: Path) -> None:
    before = footprint(state_dir)
    ready = state_dir.with_name("ready")
    with running(VICTIM, state_dir, A360_VICTIM_READY=str(ready)) as victim:
        wait_until("the victim's pods run", lambda: ready.exists() or victim.poll() is not None, seconds=400)
        assert victim.poll() is None, state_dir.with_suffix(".log").read_text()
    during = footprint(state_dir)
    assert during["mounts"] == before["mounts"], "a mount is seen outside the node"
    assert sum("sleep 1000" in line for line in during["processes"]) == 2
    assert [kind for kind in before if during[kind] == before[kind]] == ["mounts", "firewall"]

    done = run(DOWN, state_dir)

    assert done.returncode == 0, done.stderr
    assert footprint(state_dir) == before


@pytest.mark.usefixtures("clean_end")
def test_up_removes_what_a_killed_up_has_left_and_refuses_to_run_twice(state_dir: Path) -> None:
    before = footprint(state_dir)
    other_dir = state_dir.with_name("other")
    with running(UP, state_dir):
        controllers = RECORDS / "kube-controller-manager.process"
        wait_until("half of it is up", controllers.exists, seconds=300)
        second = run(UP, other_dir)
        assert second.returncode == 1
        assert "another up or down of a cluster is under way" in second.stderr

    up = run(UP, other_dir)

    assert up.returncode == 0, up.stderr
    assert f"removing what a run that was cut short has left in {state_dir}" in up.stderr
    assert f"KUBECONFIG={other_dir}/etc/admin.kubeconfig" in up.stdout
    assert footprint(state_dir)["files"] == []
    assert run(STATUS, other_dir).returncode == 0
    assert "hint: make cluster-down" in run(UP, state_dir).stderr
    assert run(DOWN, state_dir).returncode == 0
    assert footprint(other_dir) == before
    assert run(DOWN, state_dir).returncode == 0, "there is nothing to take down, and that is no error"
