"""The grading ends of a checkpoint's template, one for each kind: code, classifier, judge.

Code that a model wrote runs in a pod of its own: ``fetch`` brings the committed generations out of the store
and hands them on as an artifact, ``run`` has no credentials, no suite and no cloud identity and gives
verdicts back as an artifact, ``commit`` verifies and commits them. Both artifacts are single files without
an archive, so nothing unpacks what a sandbox wrote. Their keys are fixed, so a retry replaces them.
"""

from hera.workflows import Container, Parameter, S3Artifact, Step, Steps
from hera.workflows import models as m
from hera.workflows.archive import NoneArchiveStrategy

from workflows.metrics import job_metrics
from workflows.pods import IN_DIR, OUT_DIR, SUITE_ARGUMENT, WORK_ARGUMENT, Pod, pod_container
from workflows.settings import PodKind, SecretEnv, Settings

KINDS = ("code", "classifier", "judge")
GENERATIONS = "generations"
VERDICTS = "verdicts"

PAIRS_ARGUMENTS = (
    SUITE_ARGUMENT,
    "--plan={{workflow.parameters.plan}}",
    "--group={{inputs.parameters.group}}",
    WORK_ARGUMENT,
)


def grade_templates(settings: Settings) -> dict[str, Container | Steps]:
    """Grade kind -> its template, all of them added to the workflow template that is open."""
    return {
        "code": _grade_code(settings),
        "classifier": _grade(settings, "classifier", settings.images.evaluator, settings.pods.classifier),
        "judge": _grade(
            settings, "judge", settings.images.light, settings.pods.judge, settings.secrets.judge
        ),
    }


def _grade(
    settings: Settings, kind: str, image: str, pods: PodKind, secret: SecretEnv | None = None
) -> Container:
    pod = Pod(
        name=f"grade-{kind}",
        component="grade",
        image=image,
        kind=pods,
        account=settings.accounts.grader,
        job="grade",
        arguments=PAIRS_ARGUMENTS,
        secrets=(*settings.secrets.s3, *([secret] if secret else [])),
    )
    return pod_container(
        settings, pod, inputs=_inputs(), metrics=job_metrics(settings, f"grade-{kind}", _BENCHMARKS)
    )


def _grade_code(settings: Settings) -> Steps:
    fetch = _transfer(
        settings, "fetch", f"--fetch={OUT_DIR}/{GENERATIONS}.json", outputs=[_sent(GENERATIONS)]
    )
    run = _sandbox(settings)
    commit = _transfer(settings, "commit", f"--commit={IN_DIR}/{VERDICTS}.json", artifacts=[_got(VERDICTS)])
    with Steps(name="grade-code", inputs=_inputs()) as steps:
        pairs = {name: f"{{{{inputs.parameters.{name}}}}}" for name in ("group", "benchmarks")}
        Step(name="fetch", template=fetch, arguments=pairs)
        Step(name="run", template=run, arguments=[pairs, _passed("fetch", GENERATIONS)])
        Step(name="commit", template=commit, arguments=[pairs, _passed("run", VERDICTS)])
    return steps


def _transfer(
    settings: Settings,
    end: str,
    argument: str,
    artifacts: list[m.Artifact] | None = None,
    outputs: list[S3Artifact] | None = None,
) -> Container:
    pod = Pod(
        name=f"grade-code-{end}",
        component="grade",
        image=settings.images.light,
        kind=settings.pods.transfer,
        account=settings.accounts.grader,
        job="grade",
        arguments=(*PAIRS_ARGUMENTS, argument),
        secrets=settings.secrets.s3,
    )
    return pod_container(
        settings,
        pod,
        inputs=[*_inputs(), *(artifacts or [])],
        outputs=outputs,
        metrics=job_metrics(settings, pod.name, _BENCHMARKS),
        **(_out_volume() if outputs else {}),
    )


def _sandbox(settings: Settings) -> Container:
    pod = Pod(
        name="grade-code-run",
        component="grade",
        image=settings.images.sandbox,
        kind=settings.pods.sandbox,
        account=settings.accounts.sandbox,
        job="sandbox",
        arguments=(
            f"--generations={IN_DIR}/{GENERATIONS}.json",
            f"--verdicts={OUT_DIR}/{VERDICTS}.json",
            WORK_ARGUMENT,
        ),
        trusted=False,
    )
    return pod_container(
        settings,
        pod,
        inputs=[*_inputs(), _got(GENERATIONS)],
        outputs=[_sent(VERDICTS)],
        metrics=job_metrics(settings, pod.name, _BENCHMARKS),
        **_out_volume(),
    )


_BENCHMARKS = "{{inputs.parameters.benchmarks}}"


def _inputs() -> list[Parameter]:
    return [Parameter(name="group"), Parameter(name="benchmarks")]


def _out_volume() -> dict[str, list[m.Volume] | list[m.VolumeMount]]:
    return {
        "volumes": [m.Volume(name="out", empty_dir=m.EmptyDirVolumeSource())],
        "volume_mounts": [m.VolumeMount(name="out", mount_path=OUT_DIR)],
    }


def _sent(name: str) -> S3Artifact:
    key = f"a360-grading/{{{{workflow.uid}}}}/{{{{inputs.parameters.group}}}}/{name}.json"
    return S3Artifact(
        name=name,
        path=f"{OUT_DIR}/{name}.json",
        key=key,
        archive=NoneArchiveStrategy(),
        artifact_gc=m.ArtifactGC(strategy="Never"),
    )


def _got(name: str) -> m.Artifact:
    # Argo's executor is another user than the job, and writes files for itself alone.
    return m.Artifact(name=name, path=f"{IN_DIR}/{name}.json", mode=0o444)


def _passed(step: str, name: str) -> m.Artifact:
    return m.Artifact(name=name, from_=f"{{{{steps.{step}.outputs.artifacts.{name}}}}}")
