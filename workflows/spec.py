"""What the specs of all workflow templates have in common; templates of pods are in ``pods.py``."""

from typing import Any

from hera.workflows import Workflow
from hera.workflows import models as m

from workflows.metrics import workflow_metrics
from workflows.pods import base_labels, pod_security
from workflows.settings import Settings


def spec_fields(settings: Settings, component: str, sweep: str = "{{workflow.name}}") -> dict[str, Any]:
    """Hera's arguments for a template's spec and its labels.

    ``sweep`` is the name of the sweep that a pod belongs to. Main containers get no token: each template of
    pods says so itself and names the executor's account; so does the spec for templates to come.
    """
    lifetimes = settings.lifetimes
    labels = base_labels(settings, component)
    of_pods = {"a360/suite": "{{workflow.parameters.suite}}", "a360/sweep": sweep}
    secrets = [m.LocalObjectReference(name=name) for name in settings.images.pull_secrets]
    return {
        "labels": labels,
        "archive_logs": False,
        "automount_service_account_token": False,
        "image_pull_secrets": secrets or None,
        "metrics": workflow_metrics(settings, component),
        "pod_gc": m.PodGC(strategy=lifetimes.pod_gc, delete_delay_duration=lifetimes.pod_gc_delay),
        "pod_metadata": m.Metadata(labels=of_pods),
        "security_context": pod_security(settings),
        "service_account_name": settings.accounts.executor,
        "ttl_strategy": m.TTLStrategy(
            seconds_after_success=lifetimes.after_success_seconds,
            seconds_after_failure=lifetimes.after_failure_seconds,
        ),
        "workflow_metadata": m.WorkflowMetadata(
            labels=labels,
            labels_from={"a360/suite": m.LabelValueFrom(expression="workflow.parameters.suite")},
        ),
    }


def plain_document(workflow: Workflow) -> dict[str, Any]:
    """A workflow as plain data; whole numbers are integers, as every reader of the YAML sees them."""
    document: dict[str, Any] = _whole(workflow.to_dict())
    return document


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
