"""The evaluate job: ``python -P -m jobs.evaluate --suite PATH --plan ID --group N --work-dir DIR``.

A person names pairs instead: ``--pairs CHECKPOINT/BENCHMARK …``. Of a pair that is graded apart it commits
the answers; the grade job goes on with them.
"""

import argparse
from pathlib import Path

from a360.evaluate import Evaluator
from a360.plan import pairs_of_group
from a360.suite import load_suite, place_in
from a360.sweep import read_planned
from jobs import run_job, save_on_sigterm
from jobs.group import end_group
from jobs.progress import watch_pairs


def main() -> int:
    """Evaluates one group of pairs of a stored plan; each is committed apart."""
    parser = argparse.ArgumentParser(prog="jobs.evaluate", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--plan", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--group", type=int, help="number of a group in the plan")
    what.add_argument("--pairs", nargs="+", help="pairs of one checkpoint")
    parser.add_argument("--work-dir", type=Path, help="replaces the directories that the suite names")
    parser.add_argument("--cache-dir", type=Path, help="replaces run.cache_dir alone: a node's cache")
    arguments = parser.parse_args()
    suite, plan = read_planned(load_suite(arguments.suite), arguments.plan)
    suite = place_in(suite, arguments.work_dir, arguments.cache_dir)
    pairs = arguments.pairs or pairs_of_group(plan, arguments.group)
    evaluator = Evaluator(suite, watch_pairs(pairs))
    save_on_sigterm(evaluator.flush)
    return end_group(evaluator.evaluate_group(plan, pairs))


if __name__ == "__main__":
    run_job(main)
