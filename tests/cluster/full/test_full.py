"""Ten checkpoints and every benchmark with rows of its own, on the cluster: ``make test-cluster-full``."""

import time
from pathlib import Path

import pytest

from a360.benchmarks import CATALOGUE
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.cluster.cluster import Cluster
from tests.cluster.comparison import differences, run_here
from tests.cluster.release import Release
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.timeout(7200)

STEPS = range(1, 11)
BENCHMARKS = tuple(row.id for row in CATALOGUE.values() if row.stand_in and row.judge != "needed")


def test_a_whole_sweep_gives_the_numbers_of_one_machine(cluster: Cluster, tmp_path: Path) -> None:
    """Prints how long pods took, and how long one command without a cluster."""
    write_mirror(tmp_path / "mirror", split_documents(read_documents())[1])
    for step in STEPS:
        write_checkpoint(tmp_path / "checkpoints" / f"step_{step}", seed=step)
    changes = {"parallelism": 2}
    release = Release(cluster, cluster.create_namespace(), cluster.s3.create_bucket(), BENCHMARKS, changes)
    release.upload("mirror", tmp_path / "mirror")
    release.upload("checkpoints", tmp_path / "checkpoints")
    release.install()

    began = time.monotonic()
    sweep = release.ended(release.submit(), seconds=5400)
    on_cluster = time.monotonic() - began
    assert sweep["status"]["phase"] == "Succeeded", release.reasons(sweep)
    assert len(release.committed()) == len(STEPS) * len(BENCHMARKS)

    began = time.monotonic()
    here = run_here(release, tmp_path, tmp_path, pattern="step_(?P<step>[0-9]+)")
    on_one_machine = time.monotonic() - began
    assert differences(here, release.store("results")) == []
    pairs = len(STEPS) * len(BENCHMARKS)
    print(f"\n{pairs} pairs: {on_cluster:.0f} s as pods, {on_one_machine:.0f} s with a360 run")
    cluster.delete_namespace(release.namespace)
