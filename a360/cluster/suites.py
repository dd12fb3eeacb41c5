"""The suites that the chart put into the cluster: ConfigMap ``a360-suites``, one YAML text each."""

from contextlib import suppress
from pathlib import Path

from a360.check import Check
from a360.cluster.connection import Connection
from a360.cluster.documents import texts_at
from a360.cluster.kinds import CONFIG_MAPS
from a360.errors import ConfigError
from a360.suite import Suite, parse_suite

SUITES = "a360-suites"
SUITES_DIR = "/etc/a360/suites"
"""Where pods find them."""


def read_suites(connection: Connection) -> dict[str, str]:
    """The YAML text of every suite by its name.

    Raises:
        ConfigError: the ConfigMap is missing.
    """
    document = connection.find(CONFIG_MAPS, SUITES)
    if document is None:
        raise ConfigError(
            f"no ConfigMap {SUITES} in namespace {connection.namespace}, it holds the suites",
            hint="install the chart with suites in its values, or name its namespace with --namespace",
        )
    data = texts_at(document, "data")
    return {key.removesuffix(".yaml"): text for key, text in data.items() if key.endswith(".yaml")}


def read_suite(connection: Connection, name: str) -> Suite:
    """One suite of the cluster, validated.

    Raises:
        ConfigError: there is none of this name, or it is not valid.
    """
    text = require_suite(read_suites(connection), name, connection.namespace)
    where = f"suite {name} in ConfigMap {SUITES} of namespace {connection.namespace}"
    return parse_suite(text, where=where, base_dir=Path(SUITES_DIR))


def require_suite(suites: dict[str, str], name: str, namespace: str) -> str:
    """The text of a suite, or an error that names those there are."""
    if name not in suites:
        there = ", ".join(sorted(suites)) or "none"
        raise ConfigError(
            f"no suite {name!r} in ConfigMap {SUITES} of namespace {namespace}: found {there}",
            hint="add it to the chart's values and run helm upgrade",
        )
    return suites[name]


def asks_judge(suite: Suite) -> bool:
    """Whether a sweep of the suite has answers rated by a judge."""
    return any(chosen.benchmark.grade == "judge" for chosen in suite.chosen())


def any_asks_judge(connection: Connection) -> bool:
    """Whether a suite of the cluster has a judge; one that is not valid asks nobody."""
    for name in read_suites(connection):
        with suppress(ConfigError):
            if asks_judge(read_suite(connection, name)):
                return True
    return False


def check_suite_there(connection: Connection, name: str) -> Check:
    """That a suite is in the cluster and is valid. Raises ConfigError if not."""
    suite = read_suite(connection, name)
    return Check(name="suite", state="ok", found=f"{name}: {len(suite.chosen())} benchmarks")


def check_suites(connection: Connection) -> Check:
    """That there are suites and that all are valid. Raises ConfigError at the first that is not."""
    names = sorted(read_suites(connection))
    for name in names:
        read_suite(connection, name)
    if not names:
        hint = "add one to the chart's values and run helm upgrade"
        return Check(name="suites", state="warn", found=f"ConfigMap {SUITES} is empty", hint=hint)
    return Check(name="suites", state="ok", found=", ".join(names))
