"""``a360-checkpoint-…``: one checkpoint's groups of pairs, a GPU pod each, graded where benchmarks say so.

``groups`` is the plan's text ``46:0,1+5,7*``: the first group's number, then groups of positions in
``benchmarks`` (``boolq:none,next-word:classifier,…``), ``*`` where answers are committed. Groups without a
grading stage are one pod each; a graded group is a chain of its own, so grading starts when its generations
are there, at once where they were committed before, and a failed group holds up no other. A failed group
fails the child: no ``continueOn``.

The name carries the chart's version and a hash of the spec, because a sweep in flight creates its later
children from the template that it started with.
"""

import hashlib
import json
from typing import Any

from hera.workflows import Container, Parameter, Step, Steps, WorkflowTemplate
from hera.workflows import models as m

from workflows.grading import KINDS, PAIRS_ARGUMENTS, grade_templates
from workflows.metrics import job_metrics
from workflows.pods import CACHE_DIR, Pod, pod_container
from workflows.settings import Settings
from workflows.spec import plain_document, spec_fields

GROUP = ("group", "benchmarks", "grade")
GRADED = (*GROUP, "generated")
_TEXTS = 'split(split(workflow.parameters.groups, ":")[1], ",")'
_FIRST = 'int(split(workflow.parameters.groups, ":")[0])'
_POSITIONS = 'split(trimSuffix(#, "*"), "+")'
_BENCHMARKS = 'map(split(workflow.parameters.benchmarks, ","), split(#, ":"))'
_ITEM = (
    f'{{"group": string({_FIRST} + #index), '
    f'"benchmarks": join(map({_POSITIONS}, {_BENCHMARKS}[int(#)][0]), "+"), '
    f'"grade": {_BENCHMARKS}[int({_POSITIONS}[0])][1], '
    '"generated": hasSuffix(#, "*") ? "yes" : "no"}'
)


def checkpoint_template(settings: Settings) -> WorkflowTemplate:
    """The template under its versioned name."""
    template = _unnamed(settings)
    template.name = checkpoint_name(settings.version, plain_document(template)["spec"])
    return template


def checkpoint_name(version: str, spec: dict[str, Any]) -> str:
    """``a360-checkpoint-<version>-<8 hex>``; the hash is that of Helm's ``toJson | sha256sum``."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "&<>":
        text = text.replace(character, f"\\u{ord(character):04x}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"a360-checkpoint-{version.replace('.', '-')}-{digest}"


def groups_where(condition: str) -> str:
    """The items of the groups whose grade kind fulfils a condition, for ``withParam``.

    The spaces keep the expression's braces apart from Argo's.
    """
    return f"{{{{=toJson(filter(map({_TEXTS}, {{ {_ITEM} }} ), #.grade {condition}))}}}}"


def _unnamed(settings: Settings) -> WorkflowTemplate:
    with WorkflowTemplate(
        name="unnamed",
        entrypoint="checkpoint",
        arguments=[
            *(Parameter(name=name) for name in ("suite", "plan", "checkpoint", "groups", "benchmarks")),
            Parameter(name="sweep", value="none"),
        ],
        active_deadline_seconds=settings.lifetimes.checkpoint_seconds,
        artifact_repository_ref=_repository(settings),
        **spec_fields(settings, "checkpoint", sweep="{{workflow.parameters.sweep}}"),
    ) as template:
        evaluate = _evaluate(settings)
        graded = _graded(settings, evaluate)
        with Steps(name="checkpoint") as steps, steps.parallel():
            for name, target, condition, fields in (
                ("plain", evaluate, '== "none"', GROUP),
                ("graded", graded, '!= "none"', GRADED),
            ):
                Step(
                    name=name,
                    template=target,
                    with_param=groups_where(condition),
                    arguments={key: f"{{{{item.{key}}}}}" for key in fields},
                )
    return template


def _repository(settings: Settings) -> m.ArtifactRepositoryRef | None:
    artifacts = settings.artifacts
    if artifacts is None:
        return None
    return m.ArtifactRepositoryRef(config_map=artifacts.config_map, key=artifacts.key)


def _evaluate(settings: Settings) -> Container:
    device, cache = settings.accelerator, settings.cache
    memory = m.EmptyDirVolumeSource(medium="Memory", size_limit=m.Quantity(root=device.shared_memory))
    volumes = [m.Volume(name="shm", empty_dir=memory)]
    mounts = [m.VolumeMount(name="shm", mount_path="/dev/shm")]
    arguments: tuple[str, ...] = PAIRS_ARGUMENTS
    if cache.kind != "none":
        volumes.append(_cache_volume(settings))
        mounts.append(m.VolumeMount(name="cache", mount_path=CACHE_DIR))
        arguments += (f"--cache-dir={CACHE_DIR}",)
    pod = Pod(
        name="evaluate",
        component="evaluate",
        image=settings.images.evaluator,
        kind=settings.pods.evaluate,
        account=settings.accounts.evaluator,
        job="evaluate",
        arguments=arguments,
        secrets=settings.secrets.s3,
    )
    return pod_container(
        settings,
        pod,
        inputs=[Parameter(name=name) for name in GROUP],
        volumes=volumes,
        volume_mounts=mounts,
        devices={device.resource: str(device.count)} if device.count else {},
        labels={"kueue.x-k8s.io/queue-name": device.queue} if device.queue else {},
        annotations={"workflows.argoproj.io/progress": settings.progress},
        metrics=job_metrics(settings, "evaluate", "{{inputs.parameters.benchmarks}}"),
    )


def _cache_volume(settings: Settings) -> m.Volume:
    cache = settings.cache
    if cache.claim:
        claim = m.PersistentVolumeClaimVolumeSource(claim_name=cache.claim)
        return m.Volume(name="cache", persistent_volume_claim=claim)
    size = m.Quantity(root=cache.size) if cache.size else None
    return m.Volume(name="cache", empty_dir=m.EmptyDirVolumeSource(size_limit=size))


def _graded(settings: Settings, evaluate: Container) -> Steps:
    graders = grade_templates(settings)
    inputs = {name: f"{{{{inputs.parameters.{name}}}}}" for name in GROUP}
    with Steps(name="graded", inputs=[Parameter(name=name) for name in GRADED]) as steps:
        when = "{{inputs.parameters.generated}} == no"
        Step(name="evaluate", template=evaluate, arguments=inputs, when=when)
        with steps.parallel():
            for kind in KINDS:
                Step(
                    name=f"grade-{kind}",
                    template=graders[kind],
                    arguments={name: inputs[name] for name in ("group", "benchmarks")},
                    when=f"{{{{inputs.parameters.grade}}}} == {kind}",
                )
    return steps
