"""The publish job: ``python -P -m jobs.publish --suite PATH --plan ID``.

Pairs that are not done are shown in the report with their reasons; they are no failure of this job.
"""

import argparse

from a360.results.read import read_plan
from a360.suite import load_suite
from a360.sweep import open_suite_store, publish_sweep
from jobs import run_job


def main() -> int:
    """Rebuilds every publication of a stored plan from what is committed."""
    parser = argparse.ArgumentParser(prog="jobs.publish", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--plan", required=True)
    arguments = parser.parse_args()
    suite = load_suite(arguments.suite)
    published = publish_sweep(suite, read_plan(open_suite_store(suite), arguments.plan), wandb=True)
    print(f"changed: {', '.join(published.changed) or 'nothing'}")
    print(f"report: {published.report}")
    return 0


if __name__ == "__main__":
    run_job(main)
