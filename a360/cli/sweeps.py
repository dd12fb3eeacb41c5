"""The commands that plan, evaluate, collect and publish: they call the stages and show what these say."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from a360.cli.coverage import (
    at_planning,
    count_states,
    coverage_document,
    describe_counts,
    describe_pairs,
    gap_document,
    print_coverage,
    print_gaps,
    print_work,
)
from a360.cli.output import note, print_json, print_text
from a360.cli.progress import busy, watch_pairs, watch_steps
from a360.errors import A360Error, ConfigError, DataError, TransientError
from a360.publish.coverage import make_gaps
from a360.records import Plan
from a360.results.collect import Collected
from a360.results.read import read_plan
from a360.suite import Suite
from a360.sweep import PublishedSweep, collect_sweep, open_suite_store, plan_sweep, publish_sweep, store_plan

if TYPE_CHECKING:
    from a360.pairs import PairOutcome


def run_suite(suite: Suite, name: str, *, workers: int | None, retry_failed: bool, as_json: bool) -> None:
    """Plans, evaluates what is missing, publishes, and shows what is done and what is not.

    Raises:
        ConfigError: pairs are not done because of the configuration.
        TransientError: pairs are not done, and trying again may help.
        DataError: pairs are not done for any other reason.
    """
    plan = _plan(suite, retry_failed=retry_failed)
    store_plan(suite, plan)
    outcomes = _evaluate(suite, plan, workers)
    published = _publish(suite, plan, wandb=True)
    collected = published.collected
    if as_json:
        print_json(_run_document(published, outcomes))
    else:
        _print_run(plan, published, outcomes)
    if not collected.is_complete():
        raise _incomplete(collected, outcomes, name)


def _evaluate(suite: Suite, plan: Plan, workers: int | None) -> "tuple[PairOutcome, ...]":
    from a360.run import run_groups

    pairs = [pair for group in plan.groups for pair in group]
    done = count_states(plan.cells).get("done", 0)
    note(f"plan {plan.id}: {describe_pairs(len(plan.cells))}, {done:,} done, {len(pairs):,} to run")
    if not pairs:
        return ()
    count = workers or suite.run.workers
    # Workers that an interrupt ends leave tqdm's semaphores to Python's tracker, which warns of each.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    try:
        with watch_pairs(pairs, min(count, len(plan.groups))) as show:
            return run_groups(suite, plan, show, workers=count)
    except KeyboardInterrupt:
        note("interrupted: finished pairs and answered requests are kept; run again to continue")
        raise


def _print_run(plan: Plan, published: PublishedSweep, outcomes: "Sequence[PairOutcome]") -> None:
    collected = published.collected
    if not plan.groups:
        done = count_states(collected.coverage).get("done", 0)
        every = "all pairs are done" if collected.is_complete() else "no pair is left that can be evaluated"
        print_text(f"nothing to do: {every} ({done:,} of {len(collected.coverage):,})")
    print_coverage(collected)
    print_gaps(collected)
    print_text("")
    _print_published(published)


def _run_document(published: PublishedSweep, outcomes: "Sequence[PairOutcome]") -> dict[str, object]:
    return {
        **coverage_document(published.collected),
        "outcomes": dict(Counter(outcome.state for outcome in outcomes)),
        "failures": [
            {"pair": outcome.pair, "exit_code": outcome.exit_code, "error": outcome.error}
            for outcome in outcomes
            if outcome.state == "failed"
        ],
        **_published_document(published),
    }


def _incomplete(collected: Collected, outcomes: "Sequence[PairOutcome]", name: str) -> A360Error:
    """The end of a run that leaves something undone: 75 if trying again may help, 2 or 3 if not."""
    from a360.pairs import group_exit_code

    counts = count_states(collected.coverage)
    undone = {state: n for state, n in counts.items() if state not in ("done", "not applicable")}
    expected = describe_pairs(len(collected.coverage))
    message = f"{sum(undone.values()):,} of {expected} are not done: {describe_counts(undone)}"
    kinds = {kind.exit_code: kind for kind in (ConfigError, TransientError)}
    kind = kinds.get(group_exit_code(outcomes), DataError)
    if kind is TransientError:
        return kind(message, hint=f"some may succeed when tried again: a360 run {name}")
    return kind(message, hint=f"a360 status {name} shows the reasons again")


def show_plan(suite: Suite, *, retry_failed: bool, as_json: bool) -> None:
    """Stores a plan and shows what it will run and what it leaves out."""
    plan = _plan(suite, retry_failed=retry_failed)
    place = store_plan(suite, plan)
    where = f"{suite.store.uri}/{place}"
    left_out = at_planning(plan)
    to_run = sum(map(len, plan.groups))
    if as_json:
        gaps = [gap_document(gap) for gap in make_gaps(left_out)]
        counts = {"pairs": len(plan.cells), "to_run": to_run, "counts": count_states(plan.cells)}
        head = {"suite": plan.suite, "model": plan.model, "plan": plan.id, "stored_at": where}
        print_json({**head, **counts, "groups": [list(group) for group in plan.groups], "not_planned": gaps})
        return
    duplicates = [left_out for left_out in plan.quarantined if left_out.state == "duplicate"]
    checkpoints = len(plan.checkpoints) + len(plan.quarantined) - len(duplicates)
    size = f"{checkpoints} checkpoints x {len(plan.benchmarks)} benchmarks"
    print_text(f"suite {plan.suite}, training run {plan.model}: {size}")
    print_text(f"plan {plan.id}, stored as {where}")
    counts_text = describe_counts(
        {**count_states(left_out.coverage), **({"to run": to_run} if to_run else {})}
    )
    print_text(f"{describe_pairs(len(plan.cells))}: {counts_text}")
    print_work(plan)
    print_gaps(left_out, "not planned")
    for duplicate in duplicates:
        note(f"ignored: {duplicate.id}: {duplicate.reason}")


def collect_status(suite: Suite) -> Collected:
    """The results of a suite's pairs and their states now."""
    return collect_sweep(suite, _plan(suite))


def show_status(suite: Suite, name: str, *, as_json: bool) -> None:
    """Shows what is done now and why the rest is not."""
    collected = collect_status(suite)
    if as_json:
        print_json(coverage_document(collected))
        return
    print_status(collected, hint=f"a360 run {name}")


def print_status(collected: Collected, *, hint: str | None) -> None:
    """A coverage on stdout; ``hint`` is the command that evaluates what is missing."""
    plan, counts = collected.plan, count_states(collected.coverage)
    print_text(f"suite {plan.suite}, training run {plan.model}")
    print_text(f"{describe_pairs(len(collected.coverage))}: {describe_counts(counts)}")
    print_coverage(collected)
    print_gaps(collected)
    if hint and any(cell.state == "missing" and not cell.reason for cell in collected.coverage):
        note(f"hint: {hint} evaluates what is missing")


def publish_suite(suite: Suite, *, wandb: bool, as_json: bool) -> None:
    """Rebuilds the publications and says what changed."""
    published = _publish(suite, _plan(suite), wandb=wandb)
    if as_json:
        print_json(_published_document(published))
        return
    print_text(describe_counts(count_states(published.collected.coverage)))
    for name in published.changed:
        print_text(f"changed: {name}")
    _print_published(published)


def evaluate_pairs(suite: Suite, plan_id: str, pairs: Sequence[str]) -> None:
    """Evaluates pairs of a stored plan in this process.

    Raises:
        typer.Exit: a pair failed; with its exit code.
    """
    from a360.evaluate import Evaluator
    from a360.pairs import group_exit_code
    from a360.signals import end_on_sigterm

    plan = read_plan(open_suite_store(suite), plan_id)
    with watch_pairs(pairs, 1) as show:
        evaluator = Evaluator(suite, show)
        end_on_sigterm(evaluator.flush)
        outcomes = evaluator.evaluate_group(plan, pairs)
    for outcome in outcomes:
        print_text(f"{outcome.state}: {outcome.pair}")
    if code := group_exit_code(outcomes):
        raise typer.Exit(code)


def _plan(suite: Suite, *, retry_failed: bool = False) -> Plan:
    with watch_steps("inspecting checkpoints") as show:
        return plan_sweep(
            suite,
            retry_failed=retry_failed,
            on_progress=lambda done, total: show(done, total, ""),
        )


def _publish(suite: Suite, plan: Plan, *, wandb: bool) -> PublishedSweep:
    with busy("publishing"):
        return publish_sweep(suite, plan, wandb=wandb)


def _print_published(published: PublishedSweep) -> None:
    if not published.changed:
        print_text("nothing changed: what is published is up to date")
    for run in published.wandb_runs:
        print_text(f"W&B run: {run}")
    if published.older_wandb_runs:
        names = ", ".join(path.name for path in published.older_wandb_runs)
        note(f"W&B runs of earlier results beside it: {names}")
    print_text(f"report: {published.report}")


def _published_document(published: PublishedSweep) -> dict[str, object]:
    return {
        "report": str(published.report),
        "changed": list(published.changed),
        "wandb_runs": list(published.wandb_runs),
        "older_wandb_runs": [str(path) for path in published.older_wandb_runs],
    }
