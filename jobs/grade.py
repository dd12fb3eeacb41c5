"""The grade job: ``python -P -m jobs.grade --suite PATH --plan ID --group N --work-dir DIR``.

Grades the answers that the evaluate job of the same group has committed; needs no checkpoint and no mirror.
Programs of a model run in a pod without credentials: ``--fetch FILE`` writes them down for it,
``--commit FILE`` takes its verdicts (jobs/sandbox.py).
"""

import argparse
from pathlib import Path

from a360.errors import TransientError
from a360.grade import Grader
from a360.grading.sandbox.documents import VerdictsOfGroup, read_document
from a360.plan import pairs_of_group
from a360.suite import load_suite, place_in
from a360.sweep import read_planned
from jobs import run_job
from jobs.group import end_group
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
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--fetch", type=Path, help="writes the programs that are to be judged, and ends")
    where.add_argument("--commit", type=Path, help="file with the verdicts on them")
    arguments = parser.parse_args()
    suite, plan = read_planned(load_suite(arguments.suite), arguments.plan)
    suite = place_in(suite, arguments.work_dir)
    pairs = arguments.pairs or pairs_of_group(plan, arguments.group)
    grader = Grader(suite, watch_pairs(pairs))
    if arguments.fetch:
        programs, failed = grader.list_programs(plan, pairs)
        arguments.fetch.write_text(programs.model_dump_json())
        # What is wrong for good is recorded, and the other pairs of the group go on.
        return TransientError.exit_code if end_group(failed) == TransientError.exit_code else 0
    verdicts = read_document(arguments.commit, VerdictsOfGroup) if arguments.commit else None
    return end_group(grader.grade_group(plan, pairs, verdicts))


if __name__ == "__main__":
    run_job(main)
