"""One pod like an evaluate pod, made by hand: is the image pulled, is there a GPU, does the store answer?

The pod takes image, account, environment, volumes and resources from the installed template, so it meets
what an evaluate pod would meet, and runs ``a360 doctor`` instead. It passes Pod Security ``restricted`` or is
refused as an evaluate pod would be. It is deleted at the end, also when this process is interrupted.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from a360.check import Check, State
from a360.cluster.connection import Connection
from a360.cluster.documents import Document, list_at, mapping_at, text_at, texts_at
from a360.cluster.kinds import PODS
from a360.cluster.pods import Pod, read_pod
from a360.cluster.suites import SUITES, SUITES_DIR
from a360.cluster.templates import QUEUE_LABEL, Installed
from a360.errors import A360Error, ConfigError, DataError

PROBE_LABEL = "a360/probe"
CONTAINER = "main"
POLL_SECONDS = 2.0
WORK_DIR = "/a360/work"

_SHOWN = {"packages: evaluate": "probe: packages", "device": "probe: device", "store": "probe: store"}
_SHOWN |= {"checkpoints": "probe: checkpoints", "data": "probe: data"}
_STATES: dict[str, State] = {"ok": "ok", "warn": "warn", "fail": "fail"}
_HOPELESS = ("InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_PULL = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time that a test can replace."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def run_probe(
    connection: Connection, installed: Installed, suite: str, *, timeout_seconds: float, clock: Clock
) -> Iterator[Check]:
    """The checks of one pod: that it starts, and what ``a360 doctor`` says inside.

    The pod is deleted when the iterator ends, is closed or is interrupted.
    """
    remove_leftovers(connection)
    document = probe_document(installed, suite, timeout_seconds=timeout_seconds)
    try:
        created = connection.create(PODS, document)
    except A360Error as error:
        yield Check(name="probe: pod", state="fail", found=error.message, hint=error.hint)
        return
    name = text_at(created, "metadata", "name")
    try:
        started = clock.now()
        try:
            _wait(connection, name, lambda pod: pod.started or pod.ended, started + timeout_seconds, clock)
            seconds = clock.now() - started
            image = text_at(list_at(document, "spec", "containers")[0], "image")
            found = f"{image} pulled and started in {seconds:.0f} s"
            yield Check(name="probe: pod", state="ok", found=found)
            pod = _wait(connection, name, lambda pod: pod.ended, started + timeout_seconds, clock)
            log = list(connection.log_lines(name, CONTAINER, follow=False, tail=None))
        except A360Error as error:
            yield Check(name="probe: pod", state="fail", found=error.message, hint=error.hint)
            return
        yield from inner_checks(log, pod, wants_gpu=bool(installed.gpus()))
    finally:
        connection.delete(PODS, name)


def remove_leftovers(connection: Connection) -> None:
    """Deletes pods of probes whose process was killed before it could."""
    for pod in map(read_pod, connection.list(PODS, PROBE_LABEL)):
        if pod.ended:
            connection.delete(PODS, pod.name)


def probe_document(installed: Installed, suite: str, *, timeout_seconds: float) -> dict[str, object]:
    """The pod: what the evaluate template says of its pods, with another command."""
    template, spec = installed.evaluate(), installed.checkpoint.spec
    inner = mapping_at(template, "container")
    volumes = [*list_at(spec, "volumes"), *list_at(template, "volumes")]
    names = {text_at(volume, "name") for volume in volumes}
    mounts = [mount for mount in list_at(inner, "volumeMounts") if text_at(mount, "name") in names]
    if not any(text_at(mount, "mountPath") == SUITES_DIR for mount in mounts):
        volumes.append({"name": "probe-suites", "configMap": {"name": SUITES}})
        mounts.append({"name": "probe-suites", "mountPath": SUITES_DIR, "readOnly": True})
    if not any(text_at(mount, "mountPath") in ("/tmp", WORK_DIR) for mount in mounts):
        volumes.append({"name": "probe-tmp", "emptyDir": {}})
        mounts.append({"name": "probe-tmp", "mountPath": "/tmp"})
    used = {text_at(mount, "name") for mount in mounts}
    container = {
        "name": CONTAINER,
        "image": text_at(inner, "image"),
        "command": ["python", "-P", "-m", "a360", "doctor", f"{SUITES_DIR}/{suite}.yaml", "--json"],
        "env": [variable for variable in list_at(inner, "env") if "{{" not in json.dumps(variable)],
        "volumeMounts": mounts,
        **_taken(inner, "imagePullPolicy", "envFrom", "resources", "securityContext"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "a360-probe-", "labels": _labels(spec, template)},
        "spec": {
            **_taken(
                spec,
                "serviceAccountName",
                "securityContext",
                "imagePullSecrets",
                "nodeSelector",
                "tolerations",
            ),
            **_taken(
                template, "serviceAccountName", "nodeSelector", "tolerations", "affinity", "priorityClassName"
            ),
            **_taken(template, "securityContext"),
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            # Ends the pod where this process cannot any more; the next probe deletes it.
            "activeDeadlineSeconds": int(timeout_seconds) + 60,
            "containers": [container],
            "volumes": [volume for volume in volumes if text_at(volume, "name") in used],
        },
    }


def _labels(spec: Document, template: Document) -> dict[str, str]:
    """Those of evaluate pods, as network policies go by them; but no queue: it would wait there."""
    labels = texts_at(spec, "podMetadata", "labels") | texts_at(template, "metadata", "labels")
    kept = {key: text for key, text in labels.items() if "{{" not in text and key != QUEUE_LABEL}
    return {**kept, PROBE_LABEL: "true"}


def _taken(owner: Document, *keys: str) -> dict[str, object]:
    return {key: owner[key] for key in keys if owner.get(key) is not None}


def _wait(
    connection: Connection, name: str, reached: Callable[[Pod], bool], deadline: float, clock: Clock
) -> Pod:
    """The pod when it has got there.

    Raises:
        ConfigError: it cannot get there.
        DataError: it did not within the time.
    """
    while True:
        pod = read_pod(connection.get(PODS, name), CONTAINER)
        if reached(pod):
            return pod
        reason = pod.waiting.partition(":")[0]
        if reason in _HOPELESS:
            raise ConfigError(f"pod {name} cannot start: {pod.waiting}", hint=_hint(reason))
        if clock.now() >= deadline:
            doing = "running" if pod.started else f"waiting: {pod.waiting or pod.phase}"
            raise DataError(f"pod {name} is still {doing}", hint=_hint(reason))
        clock.pause(POLL_SECONDS)


def _hint(reason: str) -> str:
    if reason in _PULL or reason == "InvalidImageName":
        return "check the image in the chart's values, the registry, and imagePullSecrets"
    if reason == "Unschedulable":
        return "no node fits; where the cluster adds nodes on demand, a longer --timeout waits for one"
    if reason == "CreateContainerConfigError":
        return "a secret or ConfigMap that the template names is missing"
    return "kubectl describe pod and the namespace's events may say more; --timeout waits longer"


def inner_checks(log: list[str], pod: Pod, *, wants_gpu: bool) -> Iterator[Check]:
    """What ``a360 doctor`` said in the pod."""
    document = _document(log)
    if document is None:
        last = next((line for line in reversed(log) if line.strip()), pod.message or "it wrote nothing")
        code = "" if pod.exit_code is None else f" with exit code {pod.exit_code}"
        found = f"a360 doctor ended in the pod{code}: {last}"
        yield Check(name="probe: pod", state="fail", found=found, hint="check the evaluator image")
        return
    for check in list_at(document, "checks"):
        name = _SHOWN.get(text_at(check, "name"))
        if name is None:  # of directories that are the pod's own, and of what it does not do
            continue
        state, found = _STATES.get(text_at(check, "state"), "fail"), text_at(check, "found")
        hint = text_at(check, "hint") or None
        if name == "probe: device" and wants_gpu and found.startswith("cpu"):
            state, hint = "fail", "the pod was given a GPU and torch sees none: check driver and image"
        yield Check(name=name, state=state, found=found, hint=hint)


def _document(log: list[str]) -> Mapping[str, object] | None:
    """The JSON document in a log that may have other lines before and after it."""
    try:
        first, last = log.index("{"), len(log) - log[::-1].index("}")
        found: object = json.loads("\n".join(log[first:last]))
    except ValueError:
        return None
    return found if isinstance(found, Mapping) else None
