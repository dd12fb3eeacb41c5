"""The stages of a sweep as functions of a suite: plan, collect, publish. Jobs and ``a360 run`` call these.

Each stage reads committed documents and writes committed documents; nothing is handed over in memory that the
store does not have.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from a360.checkpoints.discover import discover_checkpoints
from a360.checkpoints.naming import NamingScheme
from a360.datasets.mirror import read_stored_manifest
from a360.plan import History, build_protocols, make_plan
from a360.records import Plan
from a360.results.collect import Collected, collect_results
from a360.results.commit import require_conditional_put, write_plan
from a360.results.matches import read_matches
from a360.results.places import REPORTS
from a360.results.provenance import environments
from a360.results.read import list_commits, list_generations, read_failures, read_plan
from a360.storage import Store, open_store
from a360.suite import Suite


@dataclass(frozen=True, kw_only=True)
class PublishedSweep:
    """What was published, where, and which of it had to change."""

    report: Path
    changed: tuple[str, ...]
    wandb_runs: tuple[str, ...]
    older_wandb_runs: tuple[Path, ...]
    """Of the same names with other results. They stay: someone may want to sync them."""
    collected: Collected


def plan_sweep(
    suite: Suite,
    *,
    retry_failed: bool = False,
    max_checkpoints: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """What is still to be done for a suite. Writes inventory documents only.

    ``on_progress`` gets (checkpoints inspected, checkpoints found).

    Raises:
        ConfigError: the store, the checkpoint root or the mirror is not what the suite says.
        DataError: a document in the store is damaged.
    """
    store, model = open_suite_store(suite), suite.model
    NamingScheme(model.naming)  # what it refuses is refused before anything is read
    manifest = read_stored_manifest(open_store(suite.data.mirror, suite.data.s3))
    protocols = build_protocols(suite, manifest)
    source = open_store(model.root, model.s3)
    discovery = discover_checkpoints(
        source,
        store,
        model.name,
        model.naming,
        now=time.time(),
        on_progress=on_progress,
    )
    history = History(
        commits=list_commits(store, model.name),
        generations=list_generations(store, model.name) if protocols.gradings else frozenset(),
        failures=read_failures(store, model.name),
    )
    return make_plan(
        suite,
        discovery,
        protocols,
        history,
        environments=() if retry_failed else environments(),
        max_checkpoints=max_checkpoints,
    )


def open_suite_store(suite: Suite) -> Store:
    """The result store of a suite."""
    return open_store(suite.store.uri, suite.store.s3)


def read_planned(suite: Suite, plan_id: str) -> tuple[Suite, Plan]:
    """A stored plan and the suite that it was made for, as it was then.

    ``suite`` says in which store to look; whatever else has been changed in it holds for later plans.

    Raises:
        DataError: the store has no such plan, or it is damaged.
    """
    plan = read_plan(open_suite_store(suite), plan_id)
    return Suite.model_validate(plan.settings), plan


def store_plan(suite: Suite, plan: Plan) -> str:
    """Stores the plan and returns its place. Every sweep begins here, so the store is probed here.

    Raises:
        ConfigError: the store ignores conditional put, and the suite does not promise a single writer.
    """
    store = open_suite_store(suite)
    require_conditional_put(store, single_writer=suite.store.single_writer)
    return write_plan(store, plan)


def collect_sweep(suite: Suite, plan: Plan) -> Collected:
    """The results of a plan's cells and their states now."""
    return collect_results(open_suite_store(suite), plan, max_truncated=suite.max_truncated)


def publish_sweep(suite: Suite, plan: Plan, *, wandb: bool) -> PublishedSweep:
    """Rebuilds every publication from what is stored; unchanged data changes nothing."""
    from a360.publish.report import publish_report, put_report
    from a360.publish.rows import benchmark_views
    from a360.publish.wandb_runs import publish_wandb

    collected = collect_sweep(suite, plan)
    directory = Path(suite.publish.directory)
    views = benchmark_views(map(suite.find_benchmark, plan.benchmarks))
    continued = [each for each in collected.results if suite.find_benchmark(each.benchmark).memorization]
    matches = read_matches(open_suite_store(suite), continued)
    published = publish_report(collected, views, directory, matches)
    project = suite.publish.project or suite.model.name
    runs = publish_wandb(collected, views, directory, project=project) if wandb else ()
    files = {name: (directory / name).read_bytes() for name in published.files}
    put_report(open_suite_store(suite), files, prefix=f"{REPORTS}/{suite.model.name}/{suite.name}/")
    return PublishedSweep(
        report=published.page_path,
        changed=(*published.changed, *(f"wandb/{run.run_id}" for run in runs if run.written)),
        wandb_runs=tuple(run.run_id for run in runs),
        older_wandb_runs=tuple(path for run in runs for path in run.superseded),
        collected=collected,
    )
