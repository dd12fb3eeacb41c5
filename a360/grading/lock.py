"""Writes the graders' hashes into benchmarks/lock.json: ``python -m a360.grading.lock``."""

import json
from pathlib import Path

from a360.grading.graders import GRADERS, source_hash


def build_grader_lock() -> dict[str, str]:
    """Grader -> hash of its sources."""
    return {grader: source_hash(grader) for grader in sorted(GRADERS)}


if __name__ == "__main__":
    lock_path = Path(__file__).resolve().parents[1] / "benchmarks" / "lock.json"
    lock = json.loads(lock_path.read_text(encoding="utf-8"))
    lock["graders"] = build_grader_lock()
    lock_path.write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n", encoding="utf-8")
