"""Workflows as a360 reads them: phase, parameters, and the nodes that Argo keeps in their status."""

import base64
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from a360.cluster.documents import (
    Document,
    list_at,
    mapping_at,
    parameters_at,
    text_at,
    texts_at,
    time_at,
)

SUITE_LABEL, SWEEP_LABEL, CHECKPOINT_LABEL = "a360/suite", "a360/sweep", "a360/checkpoint-hash"
POD_WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
NODE_NAME_ANNOTATION = "workflows.argoproj.io/node-name"
ENDED = {"Succeeded", "Failed", "Error"}

_ITEM = re.compile(r"\(\d+:([^()]*)\)")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One step of a workflow, one attempt of it, or a group of steps."""

    name: str
    template: str
    type: str
    phase: str
    message: str
    progress: float
    started: datetime | None
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def item(self) -> Mapping[str, str]:
        """The fields of the list item that the node belongs to; Argo writes them into its name."""
        return item_of(self.name)


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A sweep, or the workflow of one checkpoint."""

    name: str
    template: str
    labels: Mapping[str, str]
    parameters: Mapping[str, str]
    phase: str
    message: str
    shutdown: str
    created: datetime | None
    started: datetime | None
    finished: datetime | None
    nodes: tuple[Node, ...] | None
    """None where Argo keeps them elsewhere, or compressed in a way that is not read here."""

    @property
    def ended(self) -> bool:
        """Whether nothing of it will run any more."""
        return self.phase in ENDED


def read_workflow(document: Document) -> Workflow:
    """The workflow of an API document."""
    spec, status = mapping_at(document, "spec"), mapping_at(document, "status")
    return Workflow(
        name=text_at(document, "metadata", "name"),
        template=text_at(spec, "workflowTemplateRef", "name"),
        labels=texts_at(document, "metadata", "labels"),
        parameters=parameters_at(spec, "arguments", "parameters"),
        phase=text_at(status, "phase") or "Pending",
        message=text_at(status, "message"),
        shutdown=text_at(spec, "shutdown"),
        created=time_at(document, "metadata", "creationTimestamp"),
        started=time_at(status, "startedAt"),
        finished=time_at(status, "finishedAt"),
        nodes=_nodes(status),
    )


def _nodes(status: Document) -> tuple[Node, ...] | None:
    documents: Mapping[str, object] = mapping_at(status, "nodes")
    if packed := text_at(status, "compressedNodes"):
        try:
            documents = json.loads(gzip.decompress(base64.b64decode(packed)))
        except (OSError, ValueError, EOFError):  # Argo 4.1 may be told to use another compression
            return None
    elif text_at(status, "offloadNodeStatusVersion"):
        return None
    return tuple(_node(node) for node in documents.values())


def _node(node: object) -> Node:
    return Node(
        name=text_at(node, "name"),
        template=text_at(node, "templateName"),
        type=text_at(node, "type"),
        phase=text_at(node, "phase"),
        message=text_at(node, "message"),
        progress=fraction(text_at(node, "progress")),
        started=time_at(node, "startedAt"),
        inputs=parameters_at(node, "inputs", "parameters"),
        outputs=parameters_at(node, "outputs", "parameters"),
    )


def fraction(progress: str) -> float:
    """Argo's ``done/total`` as a part of 1."""
    done, _, total = progress.partition("/")
    return min(1.0, int(done) / int(total)) if done.isdigit() and total.isdigit() and int(total) else 0.0


def item_of(node_name: str) -> Mapping[str, str]:
    """The fields of the first list item in a node's name: ``x(0:benchmarks:boolq,group:7)``."""
    for fields in _ITEM.findall(node_name):
        pairs = [field.partition(":") for field in fields.split(",")]
        if all(separator for _, separator, _ in pairs):
            return {key: value for key, _, value in pairs}
    return {}


def container_images(document: Document) -> list[str]:
    """The images of a pod template's containers."""
    return [text_at(container, "image") for container in list_at(document, "spec", "containers")]
