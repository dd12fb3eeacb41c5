"""The publish pod: the end of every sweep, whatever came before, and ``a360-publish`` on its own.

It reads the store, never Argo's status; the status of the sweep is only said in the report. Two publications
of one W&B project wait for each other: the suites' ConfigMap names the lock of each suite under
``<suite>.lock`` (the chart writes entity and project), and a suite without one shares the lock ``all``.
"""

from hera.workflows import Container, Parameter, WorkflowTemplate
from hera.workflows import models as m

from workflows.metrics import job_metrics
from workflows.pods import SUITE_ARGUMENT, WORK_ARGUMENT, Pod, pod_container
from workflows.settings import Settings
from workflows.spec import spec_fields

LOCK = "a360-publish-{{inputs.parameters.lock}}"


def publish_container(settings: Settings) -> Container:
    """The template ``publish``; without a plan's id the job plans in memory and shows what is stored."""
    secrets = settings.secrets
    pod = Pod(
        name="publish",
        component="publish",
        image=settings.images.light,
        kind=settings.pods.publish,
        account=settings.accounts.publisher,
        job="publish",
        arguments=(SUITE_ARGUMENT, "--status={{workflow.status}}", WORK_ARGUMENT),
        secrets=(*secrets.s3, *([secrets.wandb] if secrets.wandb else [])),
    )
    lock = m.ConfigMapKeySelector(name=settings.suites_config_map, key="{{workflow.parameters.suite}}.lock")
    return pod_container(
        settings,
        pod,
        inputs=[Parameter(name="lock", value_from=m.ValueFrom(config_map_key_ref=lock, default="all"))],
        synchronization=m.Synchronization(mutexes=[m.Mutex(name=LOCK)]),
        metrics=job_metrics(settings, "publish"),
    )


def publish_template(settings: Settings) -> WorkflowTemplate:
    """``a360-publish``: publishes what is stored, also while a sweep runs."""
    with WorkflowTemplate(
        name="a360-publish",
        entrypoint="publish",
        arguments=[Parameter(name="suite")],
        **spec_fields(settings, "publish"),
    ) as template:
        publish_container(settings)
    return template
