"""``a360-sweep``: plan, then one child workflow per checkpoint, then publish whatever happened.

The plan is a document in the store. Through Argo pass its id, a short line per checkpoint and, as a global
output that nodes do not repeat, the names of benchmarks. Width is bounded here by ``parallelism`` on the
steps. A child's name is the plan's choice and always the same, so a waiting pod that is lost finds its
child again instead of creating another.
"""

import json

from hera.workflows import Container, Parameter, Resource, Step, Steps, WorkflowTemplate
from hera.workflows import models as m

from workflows.checkpoint import checkpoint_template
from workflows.metrics import job_metrics
from workflows.pods import OUT_DIR, SUITE_ARGUMENT, Pod, base_labels, placed, pod_container, pod_patch
from workflows.publish import publish_container
from workflows.retry import child_retry
from workflows.settings import Settings
from workflows.spec import spec_fields

ITEM = ("child", "checkpoint", "groups")


def sweep_template(settings: Settings) -> WorkflowTemplate:
    """The template that people submit; its children come from the checkpoint template of today."""
    with WorkflowTemplate(
        name="a360-sweep",
        entrypoint="sweep",
        on_exit="publish",
        arguments=[
            Parameter(name="suite"),
            Parameter(name="retry-failed", value="false"),
            Parameter(name="priority", value="0"),
            Parameter(name="checkpoint-template", value=checkpoint_template(settings).name),
        ],
        active_deadline_seconds=settings.lifetimes.sweep_seconds,
        **spec_fields(settings, "sweep"),
    ) as template:
        plan = _plan(settings)
        run = _run_checkpoint(settings)
        publish_container(settings)
        with Steps(name="sweep", parallelism=settings.parallelism):
            Step(name="plan", template=plan)
            Step(
                name="checkpoint",
                template=run,
                with_param="{{steps.plan.outputs.parameters.checkpoints}}",
                arguments={"plan": "{{steps.plan.outputs.parameters.plan}}"}
                | {name: f"{{{{item.{name}}}}}" for name in ITEM},
            )
    return template


def child_manifest(settings: Settings) -> str:
    """The child workflow as text: every value as JSON, so that ``012`` stays a string.

    Argo hands out strings of an item as they stand between the quotes of JSON, with its escapes.
    Hera would strip the quotes around an expression in a Workflow object.
    """
    own = base_labels(settings.model_copy(update={"labels": {}}), "checkpoint")
    chosen = {key: json.dumps(value) for key, value in sorted(settings.labels.items()) if key not in own}
    labels = "\n".join(f"    {key}: {value}" for key, value in (chosen | own).items())
    parameters = "\n".join(
        f"    - name: {name}\n      value: {{{{={value}}}}}"
        for name, value in {
            "suite": "toJson(workflow.parameters.suite)",
            "plan": "toJson(inputs.parameters.plan)",
            "checkpoint": _of_item("checkpoint"),
            "groups": _of_item("groups"),
            "benchmarks": "toJson(workflow.outputs.parameters.benchmarks)",
            "sweep": "toJson(workflow.name)",
        }.items()
    )
    return f"""\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  name: {{{{=toJson(inputs.parameters.child)}}}}
  labels:
{labels}
    a360/suite: {{{{=toJson(workflow.parameters.suite)}}}}
    a360/sweep: {{{{=toJson(workflow.name)}}}}
    a360/checkpoint-hash: {{{{=toJson(last(split(inputs.parameters.child, "-")))}}}}
  annotations:
    a360/checkpoint: {{{{={_of_item("checkpoint")}}}}}
    a360/plan: {{{{=toJson(inputs.parameters.plan)}}}}
spec:
  priority: {{{{=asInt(workflow.parameters.priority)}}}}
  workflowTemplateRef:
    name: {{{{=toJson(workflow.parameters['checkpoint-template'])}}}}
  arguments:
    parameters:
{parameters}
"""


def _of_item(name: str) -> str:
    return f"'\"' + inputs.parameters.{name} + '\"'"


def _plan(settings: Settings) -> Container:
    files = {
        "plan": f"{OUT_DIR}/plan.txt",
        "benchmarks": f"{OUT_DIR}/benchmarks.txt",
        "checkpoints": f"{OUT_DIR}/checkpoints.json",
    }
    pod = Pod(
        name="plan",
        component="plan",
        image=settings.images.light,
        kind=settings.pods.plan,
        account=settings.accounts.planner,
        job="plan",
        arguments=(
            SUITE_ARGUMENT,
            "--retry-failed={{workflow.parameters.retry-failed}}",
            "--sweep={{workflow.name}}",
            f"--plan-id-file={files['plan']}",
            f"--benchmarks-file={files['benchmarks']}",
            f"--checkpoints-file={files['checkpoints']}",
        ),
        secrets=settings.secrets.s3,
    )
    return pod_container(
        settings,
        pod,
        outputs=[
            Parameter(
                name=name,
                value_from=m.ValueFrom(path=path),
                global_name=name if name == "benchmarks" else None,
            )
            for name, path in files.items()
        ],
        volumes=[m.Volume(name="out", empty_dir=m.EmptyDirVolumeSource())],
        volume_mounts=[m.VolumeMount(name="out", mount_path=OUT_DIR)],
        metrics=job_metrics(settings, "plan"),
    )


def _run_checkpoint(settings: Settings) -> Resource:
    place = settings.pods.orchestrate
    return Resource(
        name="run-checkpoint",
        inputs=[Parameter(name=name) for name in ("plan", *ITEM)],
        action="apply",
        manifest=child_manifest(settings),
        set_owner_reference=True,
        success_condition="status.phase == Succeeded",
        failure_condition="status.phase in (Failed, Error)",
        service_account_name=settings.accounts.orchestrator,
        automount_service_account_token=True,
        retry_strategy=child_retry(settings),
        pod_spec_patch=pod_patch(settings, place, memory=None),
        labels=base_labels(settings, "checkpoint") | {"a360/template": "run-checkpoint"},
        metrics=job_metrics(settings, "checkpoint"),
        **placed(place),
    )
