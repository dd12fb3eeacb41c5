"""The workflow templates that the chart installed, and what they name: accounts, secrets, queues, GPUs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from a360.cluster.connection import Connection
from a360.cluster.documents import Document, list_at, mapping_at, parameters_at, text_at, texts_at
from a360.cluster.kinds import WORKFLOW_TEMPLATES
from a360.errors import ConfigError

SWEEP_TEMPLATE = "a360-sweep"
EVALUATE = "evaluate"
GRADE_JUDGE = "grade-judge"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
INSTALL_HINT = "helm install a360 helm/a360 --namespace {}"

_CHART = re.compile(r"a360-(\d.*)")


@dataclass(frozen=True, kw_only=True)
class SecretUse:
    """A secret that a pod cannot start without; ``key`` is empty where all of it is used."""

    name: str
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Template:
    """An installed WorkflowTemplate."""

    name: str
    version: str
    """Of the chart that installed it; empty where no label says."""
    spec: Document

    @property
    def parameters(self) -> Mapping[str, str]:
        """Its parameters that have a value."""
        return parameters_at(self.spec, "arguments", "parameters")

    def steps(self) -> list[Document]:
        """Its templates: what pods are made from, and what arranges them."""
        return list_at(self.spec, "templates")

    def accounts(self) -> set[str]:
        """The service accounts that its pods run as, executors included."""
        owners = (self.spec, *self.steps())
        return {name for owner in owners if (name := text_at(owner, "serviceAccountName"))} | self.executors()

    def executors(self) -> set[str]:
        """The accounts of Argo's own containers, whose token comes from a Secret of a fixed name."""
        owners = (self.spec, *self.steps())
        return {name for owner in owners if (name := text_at(owner, "executor", "serviceAccountName"))}

    def secrets(self) -> set[SecretUse]:
        """Every secret that is not optional."""
        return set(_secret_uses(self.spec))

    def queues(self) -> set[str]:
        """The Kueue queues that its pods wait in."""
        labels = (texts_at(step, "metadata", "labels").get(QUEUE_LABEL, "") for step in self.steps())
        return {label for label in labels if label}

    def step(self, name: str) -> Document | None:
        """One of its templates, where it has it."""
        return next((step for step in self.steps() if text_at(step, "name") == name), None)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """The templates that a sweep of today would use."""

    sweep: Template
    checkpoint: Template

    def both(self) -> tuple[Template, Template]:
        """The sweep's and the checkpoint's template."""
        return self.sweep, self.checkpoint

    def secrets(self, *, judged: bool) -> set[SecretUse]:
        """Every secret that a sweep needs; the judge's, which pods can start without, where it is asked."""
        judge = self.checkpoint.step(GRADE_JUDGE) if judged else None
        needed = self.sweep.secrets() | self.checkpoint.secrets()
        return needed | set(_secret_uses(judge, optional_too=True))

    def evaluate(self) -> Document:
        """The template of the GPU pod.

        Raises:
            ConfigError: the installed template has none.
        """
        found = self.checkpoint.step(EVALUATE)
        if found is None:
            raise ConfigError(
                f"WorkflowTemplate {self.checkpoint.name} has no template {EVALUATE}",
                hint="it is not one of a360's; install the chart again",
            )
        return found

    def gpus(self) -> dict[str, int]:
        """How many of which device one evaluate pod asks for: GPUs or parts of them, by a vendor's name."""
        limits = mapping_at(self.evaluate(), "container", "resources", "limits")
        counts = {name: str(count) for name, count in limits.items() if "/" in name}
        return {name: int(count) for name, count in counts.items() if count.isdigit() and int(count)}


def read_installed(connection: Connection) -> Installed:
    """The installed templates of the namespace.

    Raises:
        ConfigError: one is missing.
    """
    sweep = _read(connection, SWEEP_TEMPLATE, "the chart is not installed there")
    named = sweep.parameters.get("checkpoint-template", "")
    because = f"parameter checkpoint-template of {SWEEP_TEMPLATE} names it"
    return Installed(sweep=sweep, checkpoint=_read(connection, named, because))


def _read(connection: Connection, name: str, because: str) -> Template:
    document = connection.find(WORKFLOW_TEMPLATES, name) if name else None
    if document is None:
        raise ConfigError(
            f"no WorkflowTemplate {name!r} in namespace {connection.namespace}: {because}",
            hint=f"{INSTALL_HINT.format(connection.namespace)}, or say with --namespace where a360 is",
        )
    labels = texts_at(document, "metadata", "labels")
    chart = _CHART.fullmatch(labels.get("helm.sh/chart", ""))
    version = labels.get("app.kubernetes.io/version") or (chart.group(1) if chart else "")
    return Template(name=name, version=version, spec=mapping_at(document, "spec"))


def _secret_uses(value: object, *, optional_too: bool = False) -> Iterator[SecretUse]:
    if isinstance(value, list):
        for item in value:
            yield from _secret_uses(item, optional_too=optional_too)
    if not isinstance(value, Mapping):
        return
    for key, part in value.items():
        if key in ("secretKeyRef", "secretRef", "secret") and isinstance(part, Mapping):
            name = text_at(part, "name") or text_at(part, "secretName")
            if name and "{{" not in name and (optional_too or part.get("optional") is not True):
                yield SecretUse(name=name, key=text_at(part, "key"))
        else:
            yield from _secret_uses(part, optional_too=optional_too)
