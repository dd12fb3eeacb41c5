"""Which ends of a pod are tried again, and with how much memory.

The rows of ``ENDS`` and of the memory table gave the same answers in argo-workflows 4.0.2's own
util/expr/argoexpr and util/template. Here the expressions are translated to Python.
"""

import re
from typing import NamedTuple

import pytest
import yaml

from tests.rendered import DEFAULT, FULL, VARIANTS, substitute, template, templates
from workflows.retry import child_retry, grown_memory, pod_retry


class End(NamedTuple):
    """How an attempt ended, as Argo tells it, and whether another follows."""

    status: str
    message: str
    code: str
    retries: int
    again: bool


OVERDUE = "Pod was active on the node longer than the specified deadline"
THRESHOLD = "Threshold quantity: 100Mi, available: 52Mi. Container main was using 8Gi, request is 4Gi. "
UNHEALTHY = (
    "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu, "
    "which is unexpected"
)
ENDS = [
    End("Failed", "main: Error (exit code 75)", "75", 0, True),
    End("Failed", "main: Error (exit code 75)", "75", 19, True),
    End("Failed", "main: Error (exit code 143)", "143", 5, True),
    End("Failed", "main: OOMKilled (exit code 137)", "137", 0, True),
    End("Failed", "main: OOMKilled (exit code 137)", "137", 1, True),
    End("Failed", "main: OOMKilled (exit code 137)", "137", 2, False),
    End("Error", "pod deleted", "-1", 9, True),
    End("Error", "init: Error (exit code 64): artifact not found", "-1", 0, True),
    End("Error", "wait: Error (exit code 1): failed to upload", "0", 0, True),
    End("Failed", f"The node was low on resource: memory. {THRESHOLD}", "137", 7, True),
    End("Failed", "The node was low on resource: ephemeral-storage. ", "-1", 0, True),
    End("Failed", "Pod was rejected: The node had condition: [DiskPressure]. ", "-1", 0, True),
    End("Failed", "Preempted in order to admit critical pod", "-1", 0, True),
    End("Failed", f"Pod was rejected: {UNHEALTHY}", "-1", 0, True),
    End("Failed", "Pod was rejected as the node is shutting down.", "-1", 0, True),
    End("Failed", 'Usage of EmptyDir volume "work" exceeds the limit "50Gi". ', "137", 0, False),
    End(
        "Failed",
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
        "143",
        0,
        False,
    ),
    End("Failed", "Container main exceeded its local ephemeral storage limit", "-1", 0, False),
    End("Failed", "Pod was terminated in response to imminent node shutdown.", "-1", 0, True),
    End("Failed", "main: Error (exit code 64): context canceled", "64", 0, True),
    End("Failed", "main: Error (exit code 2)", "2", 0, False),
    End("Failed", "main: Error (exit code 3)", "3", 0, False),
    End("Failed", "main: Error (exit code 3): step_1/a: the template is preempted", "3", 0, False),
    End("Failed", "main: Error (exit code 2): no suite 'pod deleted'", "2", 0, False),
    End("Error", "main: Error (exit code 3)", "3", 0, False),
    End("Failed", "main: Error (exit code 1)", "1", 0, False),
    End("Failed", "main: Error (exit code 64): no such file", "64", 0, False),
    End("Failed", OVERDUE, "143", 0, False),
    End("Failed", OVERDUE, "-1", 0, False),
]
CHILD_FAILED = (
    "main: Error (exit code 64): failure condition '{status.phase in [Error Failed]}' evaluated true"
)
ENDS_OF_WAITING = [
    End("Failed", "main: Error (exit code 64): context canceled", "64", 0, True),
    End("Error", "pod deleted", "-1", 0, True),
    End("Failed", CHILD_FAILED, "64", 0, False),
]


def tried_again(expression: str, end: End) -> bool:
    """The answer of a retry expression."""
    scope = {"lastRetry.status": end.status, "lastRetry.message": end.message, "lastRetry.exitCode": end.code}
    python = re.sub(r"(lastRetry\.\w+) matches ('[^']*')", r"bool(search(\2, \1))", expression)
    python = re.sub(r"lastRetry\.\w+", lambda name: f"scope['{name[0]}']", python)
    python = python.replace("asInt(retries)", str(end.retries))
    python = python.replace("&&", "and").replace("||", "or").replace("!(", "not (")
    return bool(eval(python, {"scope": scope, "search": re.search}))


@pytest.mark.parametrize("end", ENDS, ids=lambda end: f"{end.code}-{end.retries}-{end.message[:30]}")
def test_pods_are_tried_again_for_causes_that_pass(end: End) -> None:
    assert tried_again(str(pod_retry(DEFAULT).expression), end) == end.again


@pytest.mark.parametrize("end", ENDS_OF_WAITING, ids=lambda end: end.message[:50])
def test_waiting_pods_are_tried_again_unless_the_child_failed(end: End) -> None:
    assert tried_again(str(child_retry(DEFAULT).expression), end) == end.again


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_pod_has_the_strategy_of_its_kind(variant: str) -> None:
    settings = VARIANTS[variant]
    for pod in templates(variant):
        if pod.makes_pods:
            strategy = (child_retry if "resource" in pod.body else pod_retry)(settings)
            assert pod.body["retryStrategy"]["expression"] == strategy.expression


def test_limits_and_backoff_are_settings() -> None:
    assert template("checkpoint", "evaluate", "full")["retryStrategy"] == {
        "limit": 7,
        "retryPolicy": "Always",
        "expression": pod_retry(FULL).expression,
        "backoff": {"duration": "5", "factor": 3, "cap": "90s"},
    }
    assert template("sweep", "run-checkpoint", "full")["retryStrategy"] == {
        "limit": 3,
        "retryPolicy": "Always",
        "expression": child_retry(FULL).expression,
        "backoff": {"duration": "2", "factor": 1, "cap": "20s"},
    }


@pytest.mark.parametrize(
    ("retries", "code", "memory"),
    [
        (0, "0", "64Gi"),
        (1, "137", "96Gi"),
        (2, "137", "144Gi"),
        (7, "137", "144Gi"),
        (3, "0", "64Gi"),
        (2, "143", "64Gi"),
    ],
)
def test_memory_grows_after_it_ran_out_only(retries: int, code: str, memory: str) -> None:
    values = {"retries": str(retries), "lastRetry.exitCode": code}
    patch = yaml.safe_load(substitute(template("checkpoint", "evaluate")["podSpecPatch"], values))
    (main,) = (c for c in patch["containers"] if c["name"] == "main")
    assert main["resources"] == {"requests": {"memory": memory}, "limits": {"memory": memory}}


def test_the_first_attempt_has_the_memory_of_the_container() -> None:
    first = {"retries": "0", "lastRetry.exitCode": "0"}
    for pod in templates("full"):
        if "container" in pod.body:
            patch = yaml.safe_load(substitute(pod.body["podSpecPatch"], first))
            (main,) = (c["resources"] for c in patch["containers"] if c["name"] == "main")
            given = pod.body["container"]["resources"]
            assert main["limits"]["memory"] == given["limits"]["memory"]
            assert main["requests"]["memory"] == given["requests"]["memory"]


def test_growth_is_a_setting() -> None:
    def step(retries: int) -> str:
        values = {"retries": str(retries), "lastRetry.exitCode": "137"}
        return substitute(grown_memory(FULL, "100Gi"), values)

    assert [step(n) for n in (1, 2, 3, 4)] == ["125Gi", "160000Mi", "200000Mi", "200000Mi"]


def test_no_retries_after_an_oom_means_no_growth() -> None:
    settings = DEFAULT.model_copy(update={"retries": DEFAULT.retries.model_copy(update={"oom": 0})})
    assert grown_memory(settings, "1Gi").startswith("{{=['1Gi'][")
    assert not tried_again(str(pod_retry(settings).expression), ENDS[3])
