"""A run of tests that test_teardown.py kills midway: its cluster runs pods, then it waits for the end."""

import os
import time
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.cluster.pods import pod
from tests.cluster.processes import wait_until


def test_that_never_ends(cluster: Cluster, namespace: str) -> None:
    cluster.apply(*(pod(name, namespace, ["sleep", "1000"]) for name in ("one", "two")))

    def both_run() -> bool:
        pods = cluster.get("pods", "-n", namespace)["items"]
        return [item["status"]["phase"] for item in pods] == ["Running", "Running"]

    wait_until("both pods run", both_run, seconds=180)
    Path(os.environ["A360_VICTIM_READY"]).touch()
    time.sleep(1000)
