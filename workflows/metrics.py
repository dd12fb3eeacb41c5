"""Counters and durations that Argo's controller exports. Labels are few: no checkpoint, no workflow name.

A metric's help must be the same wherever its name occurs, so names and helps are here only.
"""

from hera.workflows import Counter, Histogram
from hera.workflows import models as m

from workflows.settings import Settings

MINUTES = (1, 5, 15, 30, 60, 120, 240)


def job_metrics(
    settings: Settings, job: str, benchmarks: str | None = None
) -> list[Counter | Histogram] | None:
    """What a template tells about its pods: how many ended how, and how long they took.

    Argo emits a template's metrics for every attempt that another one follows, and for the last.
    """
    if not settings.metrics:
        return None
    labels = {"job": job, "benchmarks": benchmarks or "-"}
    return [
        Counter(
            name="a360_attempts_total",
            help="Attempts at jobs of a360 that ended",
            labels=_labels(labels | {"status": "{{status}}"}),
            value="1",
        ),
        Histogram(
            name="a360_job_seconds",
            help="Seconds of attempts at jobs of a360; the last one of several counts from the first on",
            labels=_labels(labels),
            value="{{duration}}",
            buckets=[m.Amount(root=60 * minutes) for minutes in MINUTES],
        ),
    ]


def workflow_metrics(settings: Settings, kind: str) -> list[Counter] | None:
    """What a workflow tells about itself."""
    if not settings.metrics:
        return None
    labels = {"kind": kind, "suite": "{{workflow.parameters.suite}}", "status": "{{workflow.status}}"}
    return [
        Counter(
            name="a360_workflows_total",
            help="Workflows of a360 that ended",
            labels=_labels(labels),
            value="1",
        )
    ]


def _labels(labels: dict[str, str]) -> list[m.MetricLabel]:
    return [m.MetricLabel(key=key, value=value) for key, value in labels.items()]
