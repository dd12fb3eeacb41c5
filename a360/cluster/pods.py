"""Pods as a360 reads them, and what their main containers write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from a360.cluster.connection import Connection
from a360.cluster.documents import Document, list_at, text_at, texts_at, value_at
from a360.cluster.kinds import PODS
from a360.cluster.sweeps import list_children
from a360.cluster.workflows import NODE_NAME_ANNOTATION, POD_WORKFLOW_LABEL, Workflow, item_of
from a360.errors import ConfigError

MAIN = "main"
COMPONENT_LABEL = "app.kubernetes.io/component"
_NAMES_IN_A_SELECTOR = 20


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod and its main container."""

    name: str
    phase: str
    workflow: str
    component: str
    item: Mapping[str, str]
    started: bool
    """Whether the main container runs or has run: before that it has no log."""
    waiting: str
    """Why it has not started, in the cluster's words; empty where nobody said."""
    message: str
    """What it left behind as the reason of its end."""
    exit_code: int | None

    @property
    def ended(self) -> bool:
        """Whether it will write nothing any more."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """The benchmarks that it evaluates or grades."""
        return tuple(b for b in self.item.get("benchmarks", "").split("+") if b)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which pods of a sweep; what is None is not asked."""

    checkpoint: str | None = None
    benchmark: str | None = None
    stage: str | None = None


def read_pod(document: Document, main: str = MAIN) -> Pod:
    """The pod of an API document."""
    containers = list_at(document, "status", "containerStatuses")
    status = next((c for c in containers if text_at(c, "name") == main), {})
    state = value_at(status, "state")
    code = value_at(state, "terminated", "exitCode")
    labels = texts_at(document, "metadata", "labels")
    return Pod(
        name=text_at(document, "metadata", "name"),
        phase=text_at(document, "status", "phase") or "Pending",
        workflow=labels.get(POD_WORKFLOW_LABEL, ""),
        component=labels.get(COMPONENT_LABEL, ""),
        item=item_of(text_at(document, "metadata", "annotations", NODE_NAME_ANNOTATION)),
        started=value_at(state, "running") is not None or value_at(state, "terminated") is not None,
        waiting=_waiting(document, state),
        message=text_at(state, "terminated", "message") or text_at(document, "status", "message"),
        exit_code=code if isinstance(code, int) else None,
    )


def _waiting(document: Document, state: object) -> str:
    reason, message = text_at(state, "waiting", "reason"), text_at(state, "waiting", "message")
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        return f"{reason}: {message}" if message else reason
    for condition in list_at(document, "status", "conditions"):
        if text_at(condition, "type") == "PodScheduled" and text_at(condition, "status") == "False":
            return f"{text_at(condition, 'reason')}: {text_at(condition, 'message')}"
    return reason


def list_pods(connection: Connection, sweep: Workflow, choice: Choice) -> list[Pod]:
    """The pods of a sweep that a choice means, by workflow and name.

    Raises:
        ConfigError: the sweep has no workflow for the checkpoint, now or any more.
    """
    children = list_children(connection, sweep.name)
    if choice.checkpoint is None:
        names = [sweep.name, *(child.name for child in children)]
    else:
        names = [c.name for c in children if c.parameters.get("checkpoint") == choice.checkpoint]
        if not names:
            raise ConfigError(
                f"sweep {sweep.name} has no workflow for checkpoint {choice.checkpoint!r} "
                f"in namespace {connection.namespace}",
                hint="not started yet, nothing to do for it, or finished a while ago; see a360 watch",
            )
    few = len(names) <= _NAMES_IN_A_SELECTOR
    selector = f"{POD_WORKFLOW_LABEL} in ({','.join(names)})" if few else POD_WORKFLOW_LABEL
    pods = map(read_pod, connection.list(PODS, selector))
    chosen = (pod for pod in pods if pod.workflow in set(names) and _is_chosen(pod, choice))
    return sorted(chosen, key=lambda pod: (names.index(pod.workflow), pod.name))


def _is_chosen(pod: Pod, choice: Choice) -> bool:
    if choice.stage and pod.component != choice.stage:
        return False
    return choice.benchmark is None or choice.benchmark in pod.benchmarks


def read_log(
    connection: Connection, pod: Pod, *, follow: bool = False, tail: int | None = None
) -> Iterator[str]:
    """The lines of a pod's main container."""
    return connection.log_lines(pod.name, MAIN, follow=follow, tail=tail)


def title_of(pod: Pod, checkpoints: Mapping[str, str]) -> str:
    """How a line of its log is marked: checkpoint and benchmarks, or the stage."""
    checkpoint = checkpoints.get(pod.workflow)
    if checkpoint is None:
        return pod.component or pod.name
    parts: Sequence[str] = [checkpoint, "+".join(pod.benchmarks) or pod.component or pod.name]
    stage = f" {pod.component}" if pod.component.startswith("grade") else ""
    return "/".join(parts) + stage
