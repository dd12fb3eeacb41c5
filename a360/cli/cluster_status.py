"""``a360 status --cluster``: coverage from the store, and what the cluster does about the rest right now."""

from collections.abc import Mapping
from pathlib import Path

from a360.cli.coverage import coverage_document
from a360.cli.live import print_sweep, sweep_document, tell_none
from a360.cli.output import print_json
from a360.cli.progress import busy
from a360.cli.sweeps import collect_status, print_status
from a360.cluster.connection import Connection, connect
from a360.cluster.follow import look
from a360.cluster.place import Place
from a360.cluster.suites import read_suite
from a360.cluster.sweeps import list_sweeps
from a360.results.collect import Collected
from a360.suite import Suite, load_suite


def suite_of_cluster(connection: Connection, name: str) -> Suite:
    """The suite of a YAML file, or of a name in the cluster."""
    if Path(name).suffix in {".yaml", ".yml"}:
        return load_suite(name)
    return read_suite(connection, name)


def show_cluster_status(place: Place, name: str, *, as_json: bool) -> None:
    """Shows what is done, why the rest is not, and each sweep of the suite that runs."""
    connection = connect(place)
    suite = suite_of_cluster(connection, name)
    collected = collect_status(suite)
    with busy("asking the cluster"):
        sweeps = list_sweeps(connection, suite.name)
        running = [look(connection, sweep.name) for sweep in sweeps if not sweep.ended]
    if as_json:
        live = {"namespace": connection.namespace, "sweeps": [sweep_document(sweep) for sweep in running]}
        print_json({**coverage_document(collected), "cluster": live})
        return
    print_status(collected, hint=f"a360 submit {suite.name}" if not running else None)
    for progress in running:
        print_sweep(progress, stored_counts(collected))
    if not running:
        tell_none(suite.name, f"{sweeps[0].name}, {sweeps[0].phase.lower()}" if sweeps else None)


def stored_counts(collected: Collected) -> Mapping[str, str]:
    """How many of each checkpoint's pairs the store has: ``23/29``."""
    done: dict[str, int] = {}
    pairs: dict[str, int] = {}
    for cell in collected.coverage:
        pairs[cell.checkpoint] = pairs.get(cell.checkpoint, 0) + 1
        done[cell.checkpoint] = done.get(cell.checkpoint, 0) + (cell.state == "done")
    return {checkpoint: f"{done[checkpoint]:,}/{count:,}" for checkpoint, count in pairs.items()}
