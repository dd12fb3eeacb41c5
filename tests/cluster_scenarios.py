"""What the commands for a cluster do, told so that any API server can be the cluster.

A scenario takes a ``Cluster``: a kubeconfig, a namespace in which the chart is installed, and the name of a
suite there. It calls ``a360`` as a person would, looks through the API at what came of it, and
deletes what it made.
tests/integration runs them on the API of tests/kubernetes_api.py.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import a360.cli
from a360.cluster.connection import Connection, connect
from a360.cluster.documents import text_at, texts_at, value_at
from a360.cluster.kinds import WORKFLOWS
from a360.cluster.place import Place
from tests import cluster_objects as objects


class Ended(NamedTuple):
    """How a call of a360 ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster in which the chart is installed."""

    kubeconfig: Path
    namespace: str
    suite: str

    def connection(self) -> Connection:
        return connect(Place(kubeconfig=str(self.kubeconfig), namespace=self.namespace))

    def a360(self, *words: str) -> Ended:
        """The command line in this process, told where the cluster is."""
        return call_a360(*words, "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace)

    def workflow_names(self) -> set[str]:
        return {text_at(flow, "metadata", "name") for flow in self.connection().list(WORKFLOWS)}

    @contextlib.contextmanager
    def cleaned(self) -> Iterator[set[str]]:
        """Deletes the workflows that are made within; gives the names of those before."""
        before = self.workflow_names()
        try:
            yield before
        finally:
            for name in self.workflow_names() - before:
                self.connection().delete(WORKFLOWS, name)


def call_a360(*words: str) -> Ended:
    """The command line in this process."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["a360", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            a360.cli.main()
    except SystemExit as end:
        return Ended(int(end.code or 0), out.getvalue(), err.getvalue())
    finally:
        sys.argv = argv
    raise AssertionError("the command line always ends the process")


def assert_refused(ended: Ended, *said: str) -> None:
    """Exit code 2, one error that says all of it, and a hint."""
    assert ended.code == 2, ended
    assert ended.out == ""
    for words in said:
        assert words in ended.err
    assert "\nhint: " in ended.err
    assert "Traceback" not in ended.err


# --- scenarios -------------------------------------------------------------------------------------


def submitting_creates_a_sweep_from_the_installed_template(cluster: Cluster) -> None:
    with cluster.cleaned() as before:
        ended = cluster.a360("submit", cluster.suite, "--retry-failed", "--priority", "7", "--json")
        assert ended.code == 0, ended.err
        [name] = cluster.workflow_names() - before
        assert ended.document["sweep"] == name
        created = cluster.connection().get(WORKFLOWS, name)
        assert name.startswith(f"{cluster.suite}-")
        assert len(name) <= 40
        assert text_at(created, "spec", "workflowTemplateRef", "name") == "a360-sweep"
        assert texts_at(created, "metadata", "labels")["a360/suite"] == cluster.suite
        assert value_at(created, "spec", "arguments", "parameters") == [
            {"name": "suite", "value": cluster.suite},
            {"name": "retry-failed", "value": "true"},
            {"name": "priority", "value": "7"},
        ]


def a_name_is_kept_and_a_second_sweep_cannot_have_it(cluster: Cluster) -> None:
    with cluster.cleaned() as before:
        assert cluster.a360("submit", cluster.suite, "--name", "by-hand").code == 0
        assert cluster.workflow_names() - before == {"by-hand"}
        assert_refused(
            cluster.a360("submit", cluster.suite, "--name", "by-hand"), "by-hand", "already exists"
        )


def a_name_that_is_not_legal_is_refused_before_anything_is_made(cluster: Cluster) -> None:
    with cluster.cleaned() as before:
        assert_refused(cluster.a360("submit", cluster.suite, "--name", "ckpt_012"), "'ckpt_012'", "40")
        assert cluster.workflow_names() == before


def a_suite_that_is_not_there_is_answered_with_those_that_are(cluster: Cluster) -> None:
    with cluster.cleaned() as before:
        ended = cluster.a360("submit", "no-such-suite")
        assert_refused(ended, "no suite 'no-such-suite'", "a360-suites", cluster.namespace, cluster.suite)
        assert cluster.workflow_names() == before


def a_sweep_that_is_not_there_is_answered_with_those_that_are(cluster: Cluster) -> None:
    with cluster.cleaned():
        cluster.connection().create(WORKFLOWS, objects.sweep("s-there", cluster.suite))
        for command in ("watch", "stop", "retry", "logs"):
            assert_refused(cluster.a360(command, "no-such-sweep"), "'no-such-sweep'", "s-there")


def stopping_reaches_the_children(cluster: Cluster) -> None:
    connection = cluster.connection()
    with cluster.cleaned():
        connection.create(WORKFLOWS, objects.sweep("s-stop", cluster.suite))
        connection.create(WORKFLOWS, objects.child("s-stop", "s-stop-a", "ckpt_1", "0:0"))
        connection.create(WORKFLOWS, objects.child("s-stop", "s-stop-b", "ckpt_2", "1:0", "Succeeded"))
        connection.create(WORKFLOWS, objects.child("s-other", "s-other-a", "ckpt_1", "0:0"))
        ended = cluster.a360("stop", "s-stop", "--json")
        assert ended.code == 0, ended.err
        assert ended.document == {"sweep": "s-stop", "stopped": ["s-stop", "s-stop-a"]}
        assert {name: shutdown_of(connection, name) for name in ("s-stop", "s-stop-a")} == {
            "s-stop": "Stop",
            "s-stop-a": "Stop",
        }
        assert shutdown_of(connection, "s-stop-b") == shutdown_of(connection, "s-other-a") == ""


def terminating_is_stronger_than_stopping(cluster: Cluster) -> None:
    connection = cluster.connection()
    with cluster.cleaned():
        connection.create(WORKFLOWS, objects.sweep("s-end", cluster.suite, shutdown="Stop"))
        connection.create(WORKFLOWS, objects.child("s-end", "s-end-a", "ckpt_1", "0:0"))
        assert cluster.a360("stop", "s-end", "--terminate").code == 0
        assert shutdown_of(connection, "s-end") == shutdown_of(connection, "s-end-a") == "Terminate"


def retrying_submits_the_suite_again_with_what_failed(cluster: Cluster) -> None:
    with cluster.cleaned() as before:
        cluster.connection().create(WORKFLOWS, objects.sweep("s-failed", cluster.suite, "Failed"))
        ended = cluster.a360("retry", "s-failed", "--name", "s-again")
        assert ended.code == 0, ended.err
        assert cluster.workflow_names() - before == {"s-failed", "s-again"}
        parameters = value_at(
            cluster.connection().get(WORKFLOWS, "s-again"), "spec", "arguments", "parameters"
        )
        assert parameters == [
            {"name": "suite", "value": cluster.suite},
            {"name": "retry-failed", "value": "true"},
        ]


def a_suite_means_its_newest_sweep(cluster: Cluster) -> None:
    with cluster.cleaned():
        for name in ("s-1", "s-2"):
            cluster.connection().create(WORKFLOWS, objects.sweep(name, cluster.suite))
        ended = cluster.a360("stop", cluster.suite, "--json")
        assert ended.document["sweep"] == "s-2"
        assert shutdown_of(cluster.connection(), "s-1") == ""


def an_installed_chart_is_found_healthy(cluster: Cluster) -> None:
    ended = cluster.a360("doctor", "--cluster", "--json")
    assert ended.code == 0, ended
    checks = {check["name"]: check for check in ended.document["checks"]}
    assert {"cluster", "argo", "templates", "suites", "secrets", "executor token", "rbac executor"} <= set(
        checks
    )
    assert [name for name, check in checks.items() if check["state"] == "fail"] == []


def a_context_that_is_not_there_is_named(cluster: Cluster) -> None:
    assert_refused(cluster.a360("watch", "x", "--context", "no-such-context"), "no-such-context")


def shutdown_of(connection: Connection, name: str) -> str:
    return text_at(connection.get(WORKFLOWS, name), "spec", "shutdown")


SCENARIOS: tuple[Callable[[Cluster], None], ...] = (
    submitting_creates_a_sweep_from_the_installed_template,
    a_name_is_kept_and_a_second_sweep_cannot_have_it,
    a_name_that_is_not_legal_is_refused_before_anything_is_made,
    a_suite_that_is_not_there_is_answered_with_those_that_are,
    retrying_submits_the_suite_again_with_what_failed,
    an_installed_chart_is_found_healthy,
    a_context_that_is_not_there_is_named,
)
"""On any cluster, also with a controller at work."""

STILL_SCENARIOS: tuple[Callable[[Cluster], None], ...] = (
    a_sweep_that_is_not_there_is_answered_with_those_that_are,
    stopping_reaches_the_children,
    terminating_is_stronger_than_stopping,
    a_suite_means_its_newest_sweep,
)
"""Where no controller runs: they write workflows with a status, and a controller would write another."""
