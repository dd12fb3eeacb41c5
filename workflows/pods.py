"""The parts that every pod is made of: who it runs as, what it may write, what it is told.

A pod passes Pod Security ``restricted`` whatever the controller is configured to give its own containers:
``podSpecPatch`` sets theirs too. It is also the one place for the grace period, the runtime class and the
memory of later attempts. Its text is substituted before it is parsed, so expressions stand in it unquoted.
"""

from dataclasses import dataclass
from typing import Any

from hera.workflows import Container
from hera.workflows import models as m

from workflows.retry import grown_memory, pod_retry
from workflows.settings import Placement, PodKind, SecretEnv, Settings

WORK_DIR = "/a360/work"
OUT_DIR = "/a360/out"
IN_DIR = "/a360/in"
CACHE_DIR = "/a360/cache"
SUITES_DIR = "/etc/a360/suites"
SUITE_ARGUMENT = f"--suite={SUITES_DIR}/{{{{workflow.parameters.suite}}}}.yaml"
WORK_ARGUMENT = f"--work-dir={WORK_DIR}"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """What tells one template from another; everything else is the same for all."""

    name: str
    component: str
    image: str
    kind: PodKind
    account: str
    job: str
    """The module below jobs/."""
    arguments: tuple[str, ...]
    secrets: tuple[SecretEnv, ...] = ()
    trusted: bool = True
    """False for the sandbox: no suite, no names of the cluster, nothing but its work volume."""


def pod_container(settings: Settings, pod: Pod, **changes: Any) -> Container:
    """A Hera container template; ``changes`` are Hera's own arguments, volumes and labels are added to."""
    kind = pod.kind
    fields: dict[str, Any] = {
        "name": pod.name,
        "image": pod.image,
        "image_pull_policy": settings.images.pull_policy,
        "command": ["python", "-P", "-m", f"jobs.{pod.job}"],
        "args": list(pod.arguments),
        "env": _environment(settings, pod),
        "resources": _resources(kind, {}),
        "security_context": CONTAINER_SECURITY,
        "service_account_name": pod.account,
        "automount_service_account_token": False,
        "executor": m.ExecutorConfig(service_account_name=settings.accounts.executor),
        "retry_strategy": pod_retry(settings),
        "pod_spec_patch": pod_patch(settings, kind, kind.memory),
        "labels": base_labels(settings, pod.component) | {"a360/template": pod.name},
        **placed(kind),
    }
    volumes, mounts = _volumes(settings, pod)
    fields["volumes"] = volumes + changes.pop("volumes", [])
    fields["volume_mounts"] = mounts + changes.pop("volume_mounts", [])
    fields["labels"] |= changes.pop("labels", {})
    if devices := changes.pop("devices", None):
        fields["resources"] = _resources(kind, devices)
    return Container(**fields | changes)


CONTAINER_SECURITY = m.SecurityContext(
    allow_privilege_escalation=False,
    read_only_root_filesystem=True,
    capabilities=m.Capabilities(drop=["ALL"]),
)


def pod_security(settings: Settings) -> m.PodSecurityContext:
    """The security context of every pod of a workflow."""
    user = settings.user_id
    return m.PodSecurityContext(
        run_as_non_root=True,
        run_as_user=user,
        run_as_group=user,
        fs_group=user,
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=m.SeccompProfile(type="RuntimeDefault"),
    )


def base_labels(settings: Settings, component: str) -> dict[str, str]:
    """The labels of a workflow or pod that are known when it is rendered."""
    return dict(settings.labels) | {
        "app.kubernetes.io/name": "a360",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "a360",
    }


def placed(place: Placement) -> dict[str, Any]:
    """Hera's arguments for where a template's pods run, and until when."""
    return {
        "active_deadline_seconds": place.deadline_seconds,
        "node_selector": dict(place.node_selector) or None,
        "tolerations": [m.Toleration(**t.model_dump()) for t in place.tolerations] or None,
        "priority_class_name": place.priority_class,
    }


def pod_patch(settings: Settings, place: Placement, memory: str | None) -> str:
    """The text of a template's podSpecPatch; without ``memory`` its main container is Argo's own.

    The init container of a pod with a read-only root needs a /tmp: without it a resource template's cannot
    write the manifest. Resource pods have no wait container.
    """
    lines = [f"terminationGracePeriodSeconds: {settings.pods.grace_seconds}"]
    if place.runtime_class:
        lines.append(f"runtimeClassName: {place.runtime_class}")
    own = [
        "  securityContext:",
        "    allowPrivilegeEscalation: false",
        "    readOnlyRootFilesystem: true",
        "    capabilities: {drop: [ALL]}",
        "  resources:",
        f"    requests: {{cpu: {settings.pods.executor_cpu}, memory: {settings.pods.executor_memory}}}",
        f"    limits: {{memory: {settings.pods.executor_memory}}}",
    ]
    tmp = ["  volumeMounts:", "  - {name: tmp-dir-argo, mountPath: /tmp, subPath: init}"]
    lines += ["initContainers:", "- name: init", *own, *tmp, "containers:"]
    if memory is None:
        # Argo 4.0 leaves a template's `true` out of the pod, and the account says no.
        token = "automountServiceAccountToken: true"
        return "\n".join([token, *lines, "- name: main", *own]) + "\n"
    grown = grown_memory(settings, memory)
    main = ["- name: main", "  resources:", "    requests:", f"      memory: {grown}"]
    return "\n".join([*lines, "- name: wait", *own, *main, "    limits:", f"      memory: {grown}"]) + "\n"


def _resources(kind: PodKind, devices: dict[str, str]) -> m.ResourceRequirements:
    limits = {"memory": kind.memory} | devices
    requests = {"cpu": kind.cpu} | limits
    return m.ResourceRequirements(
        requests={name: m.Quantity(root=amount) for name, amount in requests.items()},
        limits={name: m.Quantity(root=amount) for name, amount in limits.items()},
    )


def _environment(settings: Settings, pod: Pod) -> list[m.EnvVar]:
    plain = {"HOME": WORK_DIR, "TMPDIR": "/tmp", "A360_TERMINATION_LOG": "/dev/termination-log"}
    if not pod.trusted:
        return [m.EnvVar(name=name, value=value) for name, value in plain.items()]
    plain["A360_IMAGE_DIGEST"] = _digest(pod.image)
    # A plan is made in one image and has to know failures of another one.
    plain["A360_IMAGE_DIGESTS"] = ",".join(map(_digest, (settings.images.evaluator, settings.images.light)))
    plain["A360_GRACE_SECONDS"] = str(settings.pods.grace_seconds)
    plain["A360_WORKFLOW_UID"] = "{{workflow.uid}}"
    fields = {
        "A360_POD_NAME": "metadata.name",
        "A360_POD_UID": "metadata.uid",
        "A360_NODE_NAME": "spec.nodeName",
    }
    return [
        *(m.EnvVar(name=name, value=value) for name, value in plain.items()),
        *(
            m.EnvVar(name=name, value_from=m.EnvVarSource(field_ref=m.ObjectFieldSelector(field_path=path)))
            for name, path in fields.items()
        ),
        *(_secret(secret) for secret in pod.secrets),
    ]


def _digest(image: str) -> str:
    return image.partition("@")[2] or image


def _secret(secret: SecretEnv) -> m.EnvVar:
    selector = m.SecretKeySelector(name=secret.secret, key=secret.key, optional=secret.optional or None)
    return m.EnvVar(name=secret.env, value_from=m.EnvVarSource(secret_key_ref=selector))


def _volumes(settings: Settings, pod: Pod) -> tuple[list[m.Volume], list[m.VolumeMount]]:
    """The work volume, once more as /tmp, and the suites."""
    scratch = m.EmptyDirVolumeSource(size_limit=m.Quantity(root=pod.kind.scratch))
    volumes = [m.Volume(name="work", empty_dir=scratch)]
    mounts = [
        m.VolumeMount(name="work", mount_path=WORK_DIR),
        m.VolumeMount(name="work", mount_path="/tmp", sub_path="tmp"),
    ]
    if pod.trusted:
        source = m.ConfigMapVolumeSource(name=settings.suites_config_map)
        volumes.append(m.Volume(name="suites", config_map=source))
        mounts.append(m.VolumeMount(name="suites", mount_path=SUITES_DIR, read_only=True))
    return volumes, mounts
