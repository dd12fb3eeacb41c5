"""The publish job: ``python -P -m jobs.publish --suite PATH [--plan ID] [--status S] --work-dir DIR``.

Without a plan it makes one in memory: it lists, and publishes what is stored by now. Pairs that are not done
are shown in the report with their reasons; they are no failure of this job.
"""

import argparse
import sys
from pathlib import Path

from a360.suite import load_suite, place_in
from a360.sweep import plan_sweep, publish_sweep, read_planned
from jobs import run_job
from jobs.progress import write_progress


def main() -> int:
    """Rebuilds every publication from what is committed."""
    parser = argparse.ArgumentParser(prog="jobs.publish", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--plan", help="id of a stored plan; without it, what is expected now")
    parser.add_argument("--status", help="how the workflow ended, for the log")
    parser.add_argument("--work-dir", type=Path, help="replaces the directories that the suite names")
    arguments = parser.parse_args()
    suite, plan = load_suite(arguments.suite), None
    if arguments.plan:
        suite, plan = read_planned(suite, arguments.plan)
    suite = place_in(suite, arguments.work_dir)
    if arguments.status:
        print(f"the workflow ended: {arguments.status}", file=sys.stderr, flush=True)
    write_progress(0, 1)
    published = publish_sweep(suite, plan or plan_sweep(suite), wandb=True)
    for state, count in published.collected.count().items():
        print(f"{count} {state}")
    print(f"changed: {', '.join(published.changed) or 'nothing'}")
    print(f"report: {published.report}")
    write_progress(1, 1)
    return 0


if __name__ == "__main__":
    run_job(main)
