"""The plan job: ``python -P -m jobs.plan --suite PATH [--retry-failed] [--plan-id-file PATH]``.

Prints the groups that have to run as a JSON list of ids, which is what a workflow fans out over.
"""

import argparse
import json
import sys
from pathlib import Path

from a360.suite import load_suite
from a360.sweep import plan_sweep, store_plan
from jobs import run_job


def main() -> int:
    """Stores a plan and prints its groups."""
    parser = argparse.ArgumentParser(prog="jobs.plan", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--retry-failed", action="store_true")
    parser.add_argument("--plan-id-file", type=Path, help="where the plan's id is written")
    arguments = parser.parse_args()
    suite = load_suite(arguments.suite)
    plan = plan_sweep(suite, retry_failed=arguments.retry_failed)
    place = store_plan(suite, plan)
    groups = [
        {"group": number, "checkpoint": pairs[0].partition("/")[0], "pairs": list(pairs)}
        for number, pairs in enumerate(plan.groups)
    ]
    if arguments.plan_id_file:
        arguments.plan_id_file.write_text(plan.id)
    print(f"plan {plan.id}: {len(groups)} groups, stored as {place}", file=sys.stderr)
    print(json.dumps(groups))
    return 0


if __name__ == "__main__":
    run_job(main)
