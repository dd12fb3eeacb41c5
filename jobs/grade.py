"""The grade job: ``python -P -m jobs.grade --suite PATH --plan ID --group N --work-dir DIR``.

Grades the answers that the evaluate job of the same group has committed; needs no checkpoint and no mirror.
"""

import argparse
from pathlib import Path

from a360.grade import Grader
from a360.pairs import group_exit_code
from a360.plan import pairs_of_group
from a360.suite import load_suite, place_in
from a360.sweep import read_planned
from jobs import report, run_job
from jobs.progress import watch_pairs


def main() -> int:
    """Grades one group of pairs of a stored plan; each is committed apart."""
    parser = argparse.ArgumentParser(prog="jobs.grade", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--plan", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--group", type=int, help="number of a group in the plan")
    what.add_argument("--pairs", nargs="+", help="pairs, as CHECKPOINT/BENCHMARK")
    parser.add_argument("--work-dir", type=Path, help="replaces the directories that the suite names")
    arguments = parser.parse_args()
    suite, plan = read_planned(load_suite(arguments.suite), arguments.plan)
    suite = place_in(suite, arguments.work_dir)
    pairs = arguments.pairs or pairs_of_group(plan, arguments.group)
    outcomes = Grader(suite, watch_pairs(pairs)).grade_group(plan, pairs)
    if failed := [outcome for outcome in outcomes if outcome.state == "failed"]:
        report("\n".join(f"{outcome.pair}: {outcome.error}" for outcome in failed))
    return group_exit_code(outcomes)


if __name__ == "__main__":
    run_job(main)
