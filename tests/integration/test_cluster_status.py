"""``a360 status --cluster``: coverage from a real store beside live progress from a small API server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from a360.cli.live import _screen, clock
from a360.cluster.follow import look
from a360.cluster.kinds import CONFIG_MAPS, WORKFLOWS
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests import cluster_objects as objects
from tests.cluster_objects import item, node, plan_node
from tests.cluster_scenarios import Cluster, assert_refused
from tests.fakes import checkpoint_files
from tests.kubernetes_api import kubernetes_api

pytestmark = pytest.mark.integration

GROUPS = "0:5,6"
EVALUATED = "s-a[0].evaluate(0:benchmarks:demo-boolq,grade:none,group:0)"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A suite of two checkpoints whose places are folders here."""
    directory = tmp_path_factory.mktemp("status")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    for step in (1, 2):
        folder = directory / "checkpoints" / f"step_{step}"
        folder.mkdir(parents=True)
        for name, content in checkpoint_files(step).items():
            (folder / name).write_bytes(content)
    document = {
        "name": "local",
        "model": {
            "name": "tiny",
            "root": str(directory / "checkpoints"),
            "naming": {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0},
        },
        "store": {"uri": str(directory / "store")},
        "data": {"mirror": str(directory / "mirror")},
        "benchmarks": ["demo-boolq", "demo-truthfulqa-mc2"],
    }
    return yaml.safe_dump(document)


@pytest.fixture
def cluster(suite: str, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that has the suite."""
    with kubernetes_api() as api:
        path = api.write_kubeconfig(tmp_path / "kubeconfig")
        cluster = Cluster(kubeconfig=path, namespace="a360", suite="local")
        config = {**objects.core("ConfigMap", "a360-suites"), "data": {"local.yaml": suite}}
        cluster.connection().create(CONFIG_MAPS, config)
        yield cluster


@pytest.fixture
def at_work(cluster: Cluster) -> Cluster:
    """A sweep that has finished one of two pairs of its first checkpoint."""
    items = [item("s-a", "step_1", GROUPS), item("s-b", "step_2", GROUPS)]
    running = objects.child("s", "s-a", "step_1", GROUPS, nodes=[node(EVALUATED, "evaluate")])
    cluster.connection().create(WORKFLOWS, objects.sweep("s", "local", nodes=[plan_node(items)]))
    cluster.connection().create(WORKFLOWS, running)
    return cluster


def test_coverage_and_live_progress_stand_beside_each_other(at_work: Cluster) -> None:
    ended = at_work.a360("status", "local", "--cluster", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["counts"] == {"missing": 4}
    [sweep] = ended.document["cluster"]["sweeps"]
    assert (sweep["sweep"], sweep["pairs"], sweep["counts"]) == ("s", 4, {"waiting": 3, "done": 1})
    assert [(c["id"], c["state"]) for c in sweep["checkpoints"]] == [
        ("step_1", "running"),
        ("step_2", "waiting"),
    ]
    assert sweep["seconds_left"] > 0
    assert sweep["checkpoints"][0]["seconds_left"] > 0
    assert sweep["checkpoints"][1]["seconds_left"] is None


def test_people_see_what_runs_with_what_is_stored(at_work: Cluster) -> None:
    told = at_work.a360("status", "local", "--cluster").out
    assert "4 pairs: 4 missing" in told
    assert "sweep s of suite local: running, 1 of 4 pairs done, 1 of 2 checkpoints at work, about " in told
    [row] = [line.split() for line in told.splitlines() if line.startswith("step_1 ") and "running" in line]
    assert row[:4] == ["step_1", "0/2", "running", "1/2"]


def test_a_suite_without_a_sweep_is_told_how_to_get_one(cluster: Cluster) -> None:
    cluster.connection().create(WORKFLOWS, objects.sweep("last", "local", "Failed"))
    ended = cluster.a360("status", "local", "--cluster")
    assert "no sweep of suite local is running; the last was last, failed" in ended.out
    assert "a360 submit local" in ended.err


def test_a_suite_that_the_cluster_lacks_is_answered_with_those_there(cluster: Cluster) -> None:
    assert_refused(cluster.a360("status", "demo", "--cluster"), "no suite 'demo'", "found local")


def test_a_terminal_shows_what_works_first_and_never_more_than_fits(at_work: Cluster) -> None:
    console = Console(width=120, height=24, force_terminal=True, color_system=None)
    with console.capture() as shown:
        console.print(_screen(look(at_work.connection(), "s")))
    lines = shown.get().splitlines()
    assert lines[0].startswith("sweep s of suite local: running")
    assert any(line.split()[:3] == ["step_1", "running", "1/2"] for line in lines)
    assert not any("step_2" in line for line in lines)


@pytest.mark.parametrize(("seconds", "text"), [(3723, "1:02:03"), (123, "2:03"), (0.4, "0:00"), (None, "-")])
def test_times_are_read_like_a_clock(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text
