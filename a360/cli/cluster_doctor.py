"""``a360 doctor --cluster``: the checks of a cluster, of a suite's places, and of one pod."""

from collections.abc import Generator

from a360.check import Check
from a360.cli.cluster_status import suite_of_cluster
from a360.cli.doctor import show_each
from a360.cluster.access import PROBE, require_rights
from a360.cluster.checks import checks_of_cluster
from a360.cluster.connection import Connection, connect
from a360.cluster.place import Place
from a360.cluster.probe import Clock, run_probe
from a360.cluster.suites import read_suites
from a360.cluster.templates import read_installed
from a360.doctor import check_places
from a360.errors import A360Error, ConfigError


def show_cluster_checks(
    place: Place, suite: str | None, *, probe_seconds: float | None, as_json: bool
) -> None:
    """Shows every check on stdout.

    Raises:
        ConfigError: there is no connection to a cluster.
        typer.Exit: a check failed.
    """
    checks = _checks(connect(place), suite, probe_seconds)
    try:
        show_each(checks, as_json=as_json)
    finally:
        checks.close()  # an interrupted probe deletes its pod


def _checks(connection: Connection, suite: str | None, probe_seconds: float | None) -> Generator[Check]:
    where = f"namespace {connection.namespace} at {connection.server}"
    yield Check(name="cluster", state="ok", found=where)
    yield from checks_of_cluster(connection)
    try:
        if suite:
            yield from check_places(suite_of_cluster(connection, suite))
        if probe_seconds is not None:
            require_rights(connection, PROBE)
            installed = read_installed(connection)
            name = suite_of_cluster(connection, suite).name if suite else _any_suite(connection)
            clock = Clock()
            yield from run_probe(connection, installed, name, timeout_seconds=probe_seconds, clock=clock)
    except A360Error as error:
        name = "suite" if probe_seconds is None else "probe"
        yield Check(name=name, state="fail", found=error.message, hint=error.hint)


def _any_suite(connection: Connection) -> str:
    names = sorted(read_suites(connection))
    if not names:
        raise ConfigError(
            "the probe needs a suite, and the cluster has none", hint="add one to the chart's values"
        )
    return names[0]
