"""The evaluate job: ``python -P -m jobs.evaluate --suite PATH --plan ID --pairs CHECKPOINT/BENCHMARK …``."""

import argparse
import sys

from a360.evaluate import Evaluator
from a360.pairs import Event, group_exit_code
from a360.results.read import read_plan
from a360.signals import end_on_sigterm
from a360.suite import load_suite
from a360.sweep import open_suite_store
from jobs import report, run_job


def main() -> int:
    """Evaluates one group of pairs of a stored plan; each is committed apart."""
    parser = argparse.ArgumentParser(prog="jobs.evaluate", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--plan", required=True)
    parser.add_argument("--pairs", required=True, nargs="+", help="pairs of one checkpoint")
    arguments = parser.parse_args()
    suite = load_suite(arguments.suite)
    plan = read_plan(open_suite_store(suite), arguments.plan)
    evaluator = Evaluator(suite, _log)
    end_on_sigterm(evaluator.flush)
    outcomes = evaluator.evaluate_group(plan, arguments.pairs)
    if failed := [outcome for outcome in outcomes if outcome.state == "failed"]:
        report("\n".join(f"{outcome.pair}: {outcome.error}" for outcome in failed))
    return group_exit_code(outcomes)


def _log(event: Event) -> None:
    if event.phase == "evaluating" and event.done not in (0, event.total):
        return
    count = f" {event.done}/{event.total}" if event.total else ""
    print(f"{event.phase}: {event.pair}{count}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_job(main)
