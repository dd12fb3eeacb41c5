"""Writes benchmarks/lock.json in the pinned evaluator environment: ``python -m a360.evaluators.lock MIRROR``.

MIRROR is any mirror that has every data set; rows do not enter the lock.
"""

import json
import os
import sys
from importlib import metadata
from pathlib import Path

from a360.benchmarks import CATALOGUE
from a360.evaluators.tasks import load_tasks, task_hash


def build_lock() -> dict[str, object]:
    """The lock of the whole catalogue; the working directory is the mirror."""
    rows = {row.task: row for row in CATALOGUE.values() if row.evaluator == "harness"}
    return {
        "lm_eval": metadata.version("lm_eval"),
        "tasks": {task: task_hash(load_tasks(row).leaves.values()) for task, row in rows.items()},
    }


if __name__ == "__main__":
    lock_path = Path(__file__).resolve().parents[1] / "benchmarks" / "lock.json"
    os.chdir(sys.argv[1])
    lock = {**json.loads(lock_path.read_text(encoding="utf-8")), **build_lock()}
    lock_path.write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n", encoding="utf-8")
