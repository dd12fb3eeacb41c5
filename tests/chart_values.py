"""The chart's values for a record of ``workflows.Settings``: each setting has one, or a reason why not."""

from typing import Any

from workflows.settings import Placement, PodKind, Retry, SecretEnv, Settings

WITHOUT_VALUE = {
    "version": "the chart's own",
    "suites_config_map": "fixed: the chart makes it",
    "accounts": "fixed: the chart makes them, and its roles and policies name them",
    "secrets.s3.optional": "pods without these credentials have none: leave the Secret's name empty",
    "secrets.wandb.env": "fixed: the program reads it",
    "secrets.judge.env": "fixed: the program reads it",
    "secrets.hub.env": "fixed: the program reads it",
}
"""Settings that the chart does not offer, with the reason."""

KINDS = ("plan", "evaluate", "transfer", "sandbox", "classifier", "judge", "publish", "mirror")


def values_of(settings: Settings) -> dict[str, Any]:
    """The values with which the chart says what Hera says with these settings."""
    images, secrets, pods = settings.images, settings.secrets, settings.pods
    device, cache, lifetimes = settings.accelerator, settings.cache, settings.lifetimes
    return {
        "images": {name: _image(getattr(images, name)) for name in ("evaluator", "light", "sandbox")}
        | {"pullPolicy": images.pull_policy, "pullSecrets": list(images.pull_secrets)},
        "s3": _store(secrets.s3),
        "wandb": _secret(secrets.wandb),
        "judge": _secret(secrets.judge),
        "hub": _secret(secrets.hub),
        "artifacts": {
            "configMap": settings.artifacts.config_map if settings.artifacts else "",
            "key": settings.artifacts.key if settings.artifacts else "a360",
        },
        "parallelism": settings.parallelism,
        "accelerator": {
            "resource": device.resource,
            "count": device.count,
            "sharedMemory": device.shared_memory,
            "queue": device.queue or "",
        },
        "cache": {"kind": cache.kind, "claim": cache.claim or "", "size": cache.size or ""},
        "pods": {kind: _pod(getattr(pods, kind)) for kind in KINDS}
        | {
            "orchestrate": _place(pods.orchestrate),
            "executorCpu": pods.executor_cpu,
            "executorMemory": pods.executor_memory,
            "graceSeconds": pods.grace_seconds,
        },
        "retries": {
            "pods": _retry(settings.retries.pods),
            "children": _retry(settings.retries.children),
            "oom": settings.retries.oom,
            "oomGrowthPercent": settings.retries.oom_growth_percent,
        },
        "lifetimes": {
            "sweepSeconds": lifetimes.sweep_seconds or 0,
            "checkpointSeconds": lifetimes.checkpoint_seconds,
            "afterSuccessSeconds": lifetimes.after_success_seconds,
            "afterFailureSeconds": lifetimes.after_failure_seconds,
            "podGC": lifetimes.pod_gc,
            "podGCDelay": lifetimes.pod_gc_delay,
        },
        "userId": settings.user_id,
        "metrics": settings.metrics,
        "progress": settings.progress,
        "labels": dict(settings.labels),
        **_schedules(settings),
    }


def _schedules(settings: Settings) -> dict[str, Any]:
    schedules = settings.schedules
    return {
        "suites": {entry.suite: f"name: {entry.suite}\n" for entry in schedules.suites},
        "schedules": {
            "suites": [
                {
                    "suite": entry.suite,
                    "sweep": list(entry.sweep),
                    "publish": list(entry.publish),
                    "suspend": entry.suspend,
                }
                for entry in schedules.suites
            ],
            "timeZone": schedules.time_zone,
            "startingDeadlineSeconds": schedules.starting_deadline_seconds,
            "history": schedules.history,
        },
    }


def _image(name: str) -> dict[str, str]:
    repository, _, digest = name.partition("@")
    if digest:
        return {"repository": repository, "digest": digest, "tag": ""}
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "digest": "", "tag": tag}


def _store(secrets: tuple[SecretEnv, ...]) -> dict[str, Any]:
    if not secrets:
        return {"existingSecret": ""}
    return {"existingSecret": secrets[0].secret, "keys": {secret.env: secret.key for secret in secrets}}


def _secret(secret: SecretEnv | None) -> dict[str, Any]:
    if secret is None:
        return {"existingSecret": ""}
    return {"existingSecret": secret.secret, "key": secret.key, "optional": secret.optional}


def _pod(kind: PodKind) -> dict[str, Any]:
    return {
        "cpu": kind.cpu,
        "memory": kind.memory,
        "scratch": kind.scratch,
    } | _place(kind)


def _place(place: Placement) -> dict[str, Any]:
    return {
        "deadlineSeconds": place.deadline_seconds,
        "nodeSelector": dict(place.node_selector),
        "tolerations": [one.model_dump(exclude_none=True) for one in place.tolerations],
        "priorityClass": place.priority_class or "",
        "runtimeClass": place.runtime_class or "",
    }


def _retry(retry: Retry) -> dict[str, int]:
    return {
        "limit": retry.limit,
        "firstSeconds": retry.first_seconds,
        "factor": retry.factor,
        "capSeconds": retry.cap_seconds,
    }
