"""``a360-mirror``: brings the data of a suite's benchmarks from the hub into the bucket, once."""

from hera.workflows import Parameter, WorkflowTemplate

from workflows.metrics import job_metrics
from workflows.pods import SUITE_ARGUMENT, Pod, pod_container
from workflows.settings import Settings
from workflows.spec import spec_fields


def mirror_template(settings: Settings) -> WorkflowTemplate:
    """The only pods that may reach the hub."""
    secrets = settings.secrets
    pod = Pod(
        name="mirror",
        component="mirror",
        image=settings.images.light,
        kind=settings.pods.mirror,
        account=settings.accounts.mirror,
        job="mirror",
        arguments=(SUITE_ARGUMENT,),
        secrets=(*secrets.s3, *([secrets.hub] if secrets.hub else [])),
    )
    with WorkflowTemplate(
        name="a360-mirror",
        entrypoint="mirror",
        arguments=[Parameter(name="suite")],
        **spec_fields(settings, "mirror"),
    ) as template:
        pod_container(settings, pod, metrics=job_metrics(settings, "mirror"))
    return template
