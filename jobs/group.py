"""What the jobs share that take a group of pairs."""

from collections.abc import Sequence

from a360.pairs import PairOutcome, group_exit_code
from jobs import report


def end_group(outcomes: Sequence[PairOutcome]) -> int:
    """The exit code of a group, after its failures are told."""
    if failed := [outcome for outcome in outcomes if outcome.state == "failed"]:
        report("\n".join(f"{outcome.pair}: {outcome.error}" for outcome in failed))
    return group_exit_code(outcomes)
