"""Sweeps: submit one from the installed template, find it, its children, and stop all of it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from a360.cluster.connection import Connection
from a360.cluster.kinds import ARGO_GROUP, ARGO_VERSION, WORKFLOWS
from a360.cluster.templates import SWEEP_TEMPLATE
from a360.cluster.workflows import CHECKPOINT_LABEL, SUITE_LABEL, SWEEP_LABEL, Workflow, read_workflow
from a360.errors import ConfigError

NAME_LENGTH = 40
"""Children append 22 characters to the sweep's name, and Argo allows 63."""
SETTLE_SECONDS = 2.0
QUIET_LOOKS = 2
"""So often in a row no running child must be found before a sweep counts as stopped."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_RANDOM = 5
"""Characters that the API server appends to a generateName."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a new sweep is to do."""

    suite: str
    name: str | None = None
    retry_failed: bool = False
    priority: int | None = None

    def document(self, namespace: str) -> dict[str, object]:
        """The Workflow to create.

        Raises:
            ConfigError: the name is not one that the workflow and its children can have.
        """
        parameters = {"suite": self.suite, "retry-failed": "true" if self.retry_failed else "false"}
        if self.priority is not None:
            parameters["priority"] = str(self.priority)
        labels = {
            "app.kubernetes.io/name": "a360",
            "app.kubernetes.io/part-of": "a360",
            "app.kubernetes.io/component": "sweep",
            SUITE_LABEL: self.suite,
        }
        return {
            "apiVersion": f"{ARGO_GROUP}/{ARGO_VERSION}",
            "kind": "Workflow",
            "metadata": {**self._named(), "namespace": namespace, "labels": labels},
            "spec": {
                "workflowTemplateRef": {"name": SWEEP_TEMPLATE},
                # Argo's full schema takes texts only.
                "arguments": {"parameters": [{"name": k, "value": v} for k, v in parameters.items()]},
            },
        }

    def _named(self) -> dict[str, str]:
        if self.name is None:
            return {"generateName": self.suite[: NAME_LENGTH - _RANDOM - 1].rstrip("-") + "-"}
        if len(self.name) > NAME_LENGTH or not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"no name for a sweep: {self.name!r} has {len(self.name)} characters, expected at most "
                f"{NAME_LENGTH} of a-z, 0-9 and -, the first and last no -",
                hint="leave --name out to get a name with the suite's",
            )
        return {"name": self.name}


def submit_sweep(connection: Connection, submission: Submission) -> Workflow:
    """The sweep that was created. What it needs is checked before, by ``checks_before_submit``."""
    return read_workflow(connection.create(WORKFLOWS, submission.document(connection.namespace)))


def list_sweeps(connection: Connection, suite: str | None = None) -> list[Workflow]:
    """The sweeps in the namespace, of one suite or of all, newest first, however they were submitted."""
    found = map(read_workflow, connection.list(WORKFLOWS, f"!{CHECKPOINT_LABEL}"))
    sweeps = [flow for flow in found if flow.template == SWEEP_TEMPLATE and suite in (None, suite_of(flow))]
    return sorted(sweeps, key=lambda flow: (flow.created is not None, flow.created, flow.name), reverse=True)


def suite_of(sweep: Workflow) -> str:
    """The name of a sweep's suite; empty where the template's default decides."""
    return sweep.parameters.get("suite") or sweep.labels.get(SUITE_LABEL, "")


def find_sweep(connection: Connection, name: str) -> Workflow:
    """The sweep of a name, or the newest one of the suite of that name.

    Raises:
        ConfigError: there is neither; those there are are named.
    """
    document = connection.find(WORKFLOWS, name)
    found = read_workflow(document) if document is not None else None
    if found and found.template == SWEEP_TEMPLATE:
        return found
    sweeps = list_sweeps(connection)
    of_suite = [sweep for sweep in sweeps if suite_of(sweep) == name]
    if of_suite:
        return of_suite[0]
    there = ", ".join(sweep.name for sweep in sweeps[:5]) or "none"
    parent = found.labels.get(SWEEP_LABEL) if found else None
    raise ConfigError(
        f"no sweep and no suite with sweeps is called {name!r} in namespace {connection.namespace}: "
        f"the newest sweeps are {there}",
        hint=f"it is a part of sweep {parent}" if parent else "check the name, --namespace and --context",
    )


def read_sweep(connection: Connection, name: str) -> Workflow:
    """A sweep as it is now. Raises AbsentError when it was deleted."""
    return read_workflow(connection.get(WORKFLOWS, name))


def list_children(connection: Connection, sweep: str) -> list[Workflow]:
    """The workflows of a sweep's checkpoints that exist now; finished ones are deleted after a while."""
    found = map(read_workflow, connection.list(WORKFLOWS, f"{SWEEP_LABEL}={sweep}"))
    return [flow for flow in found if flow.name != sweep and flow.template != SWEEP_TEMPLATE]


def stop_sweep(
    connection: Connection, sweep: Workflow, *, terminate: bool, pause: Callable[[float], None] = time.sleep
) -> list[str]:
    """Shuts a sweep and its children down; the names of those that were running.

    ``Stop`` lets the sweep publish at its end, ``Terminate`` does not. It goes first: it starts no more
    children then; one that was being created meanwhile is found by looking again.
    """
    strategy = "Terminate" if terminate else "Stop"
    stopped = _shut_down(connection, [sweep], strategy)
    quiet = 0
    while quiet < QUIET_LOOKS:
        more = _shut_down(connection, list_children(connection, sweep.name), strategy)
        stopped += more
        quiet = 0 if more else quiet + 1
        if quiet < QUIET_LOOKS:
            pause(SETTLE_SECONDS)
    return stopped


def _shut_down(connection: Connection, flows: list[Workflow], strategy: str) -> list[str]:
    running = [flow.name for flow in flows if not flow.ended and flow.shutdown != strategy]
    for name in running:
        connection.patch(WORKFLOWS, name, {"spec": {"shutdown": strategy}})
    return running
