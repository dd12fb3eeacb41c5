"""What pods have stored against ``a360 run`` on this machine: equal to the last bit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from a360.records import Result
from a360.storage import Store, open_store
from tests.cluster.layout import CHECKOUT
from tests.cluster.release import Release


def run_here(release: Release, made: Path, directory: Path, pattern: str) -> Store:
    """The results of the release's suite, evaluated by one command from ``made`` without any cluster."""
    suite = release.suite()
    suite["model"] |= {"root": str(made / "checkpoints")}
    suite["model"]["naming"] |= {"pattern": pattern}
    suite |= {"store": {"uri": "store"}, "data": {"mirror": str(made / "mirror")}}
    (directory / "suite.yaml").write_text(json.dumps(suite))
    command = [sys.executable, "-P", "-m", "a360", "run", str(directory / "suite.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return open_store(str(directory / "store"))


def differences(here: Store, there: Store) -> list[str]:
    """Every pair whose key, metrics or documents differ, in words; none where both have the same pairs."""
    mine, theirs = _results(here), _results(there)
    found = [f"only one has {pair}" for pair in sorted(mine.keys() ^ theirs.keys())]
    for pair in sorted(mine.keys() & theirs.keys()):
        if (mine[pair].key, mine[pair].metrics) != (theirs[pair].key, theirs[pair].metrics):
            found.append(f"{pair}: key or metrics")
        if _items(here, mine[pair]) != _items(there, theirs[pair]):
            found.append(f"{pair}: items")
    return found


def _results(store: Store) -> dict[str, Result]:
    found = {}
    for entry in store.list("v1/commits/"):
        result = Result.model_validate_json(store.read(entry.key))
        found[f"{result.checkpoint}/{result.benchmark}"] = result
    return found


def _items(store: Store, result: Result) -> list[dict[str, Any]]:
    [stored] = result.items
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(store.read(stored.key))).to_pylist()
    return rows
