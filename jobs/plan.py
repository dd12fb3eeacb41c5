"""The plan job: ``python -P -m jobs.plan --suite PATH [--sweep NAME] [--checkpoints-file F] …``.

Prints the groups that have to run as a JSON list of ids; a workflow fans out over the checkpoints file.
"""

import argparse
import json
import sys
from pathlib import Path

from a360.fan_out import MOST_CHECKPOINTS, benchmarks_text, fan_out
from a360.suite import load_suite
from a360.sweep import plan_sweep, store_plan
from jobs import run_job
from jobs.progress import throttled


def main() -> int:
    """Stores a plan and says what has to run."""
    parser = argparse.ArgumentParser(prog="jobs.plan", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--retry-failed", nargs="?", const="true", default="false", choices=["true", "false"])
    parser.add_argument("--sweep", help="name of the workflow, by default the suite's")
    parser.add_argument("--plan-id-file", type=Path, help="where the plan's id is written")
    parser.add_argument("--checkpoints-file", type=Path, help="where the items of the fan-out are written")
    parser.add_argument(
        "--benchmarks-file", type=Path, help="where the names behind their numbers are written"
    )
    arguments = parser.parse_args()
    suite = load_suite(arguments.suite)
    plan = plan_sweep(
        suite,
        retry_failed=arguments.retry_failed == "true",
        max_checkpoints=MOST_CHECKPOINTS,
        on_progress=throttled(),
    )
    place = store_plan(suite, plan)
    groups = [
        {"group": number, "checkpoint": pairs[0].rpartition("/")[0], "pairs": list(pairs)}
        for number, pairs in enumerate(plan.groups)
    ]
    benchmarks = [chosen.benchmark for chosen in suite.chosen()]
    if arguments.benchmarks_file:
        arguments.benchmarks_file.write_text(benchmarks_text(benchmarks))
    if arguments.checkpoints_file:
        items = fan_out(plan, benchmarks, arguments.sweep or suite.name)
        arguments.checkpoints_file.write_text(json.dumps(items))
    if arguments.plan_id_file:
        arguments.plan_id_file.write_text(plan.id)
    left = sum(cell.state == "missing" for cell in plan.cells) - sum(map(len, plan.groups))
    left_text = f", {left} pairs are left for the next sweep" if left else ""
    print(f"plan {plan.id}: {len(groups)} groups, stored as {place}{left_text}", file=sys.stderr)
    print(json.dumps(groups))
    return 0


if __name__ == "__main__":
    run_job(main)
