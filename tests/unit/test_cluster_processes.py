"""Processes that outlive their starter: records, identity, ends."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.layout import Layout
from tests.cluster.processes import (
    NotReadyError,
    Process,
    current_process,
    descendants,
    kill,
    read_record,
    recorded,
    start,
    stop,
    wait_until,
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "cluster", records=tmp_path)
    layout.make()
    return layout


def test_a_process_is_recorded_and_runs_apart_from_its_starter(layout: Layout) -> None:
    process = start(layout, "sleeper", ["sleep", "1000"])
    try:
        assert descendants([process.pid]) == [process]
        assert recorded(layout, "sleeper") == process
        session = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[3]
        assert session != Path("/proc/self/stat").read_text().rpartition(")")[2].split()[3]
    finally:
        stop(process)
    assert not process.alive
    stop(process)  # once more is no error


def test_a_starter_that_is_killed_leaves_a_record(layout: Layout) -> None:
    code = f"""
from pathlib import Path, PosixPath; from tests.cluster.layout import Layout
from tests.cluster.processes import start; import os
start({layout!r}, "orphan", ["sleep", "1000"])
os.kill(os.getpid(), 9)
"""
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root)
    orphan = recorded(layout, "orphan")
    assert orphan is not None
    assert descendants([orphan.pid]) == [orphan]
    kill([orphan])
    assert not orphan.alive


def test_a_later_process_of_the_same_pid_is_left_alone() -> None:
    victim = subprocess.Popen(["sleep", "1000"])
    try:
        impostor = Process(victim.pid, 1)
        assert not impostor.alive
        stop(impostor)
        kill([impostor])
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_a_process_that_ignores_the_request_is_killed(layout: Layout) -> None:
    ready = layout.var / "ready"
    process = start(
        layout, "stubborn", ["sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 1; done"]
    )
    try:
        wait_until("the trap is set", ready.exists, seconds=20)
        stop(process, seconds=0.5)
        assert descendants([process.pid]) == []
    finally:
        kill(descendants([process.pid]))


def test_a_process_that_ends_is_told_with_its_last_words(layout: Layout) -> None:
    process = start(layout, "brief", ["sh", "-c", "echo no such thing >&2; exit 3"])
    with pytest.raises(NotReadyError, match=r"it answers: its process ended\nno such thing"):
        wait_until(
            "it answers", lambda: False, seconds=60, process=process, log_path=layout.log / "brief.log"
        )


def test_descendants_are_found_below_their_root(layout: Layout) -> None:
    process = start(layout, "family", ["sh", "-c", "sleep 1000 & sleep 1000 & wait"])
    try:
        wait_until("both children run", lambda: len(descendants([process.pid])) == 3, seconds=20)
        assert process in descendants([process.pid])
    finally:
        kill(descendants([process.pid]))
    assert descendants([process.pid]) == []


def test_a_process_inherits_nothing_of_a_person(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    monkeypatch.setenv("KUBECONFIG", "/mine")
    start(layout, "env", ["env"], A360_EXTRA="yes")
    log_path = layout.log / "env.log"
    wait_until("it has printed", lambda: "A360_EXTRA=yes" in log_path.read_text(), seconds=20)
    assert "proxy" not in log_path.read_text().lower()
    assert "KUBECONFIG" not in log_path.read_text()


def test_this_process_is_alive() -> None:
    assert current_process().alive
    assert current_process().started < time.clock_gettime(time.CLOCK_BOOTTIME) * 100 + 100


def test_a_record_is_two_numbers(tmp_path: Path) -> None:
    (tmp_path / "x.process").write_text("12 34\n")
    assert read_record(tmp_path / "x.process") == Process(12, 34)
