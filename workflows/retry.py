"""When something is tried again. Argo counts attempts, not causes, so expressions tell the causes apart.

Exit codes are DESIGN's: 75 asks for another try, 143 was asked to end, 137 ran out of memory. ``limit`` is
for all causes together and deliberately no ``backoff.maxDuration``: that counts from the first attempt's
start and would be the deadline of the later ones.

Source: argo-workflows 4.0.2, workflow/controller/operator.go: ``inferFailedReason`` makes the messages,
``buildRetryStrategyLocalScope`` the variables.
"""

from hera.workflows import RetryStrategy
from hera.workflows import models as m

from workflows.settings import Retry, Settings

LOST = (
    "(?i)(pod deleted|preempted in order|node was low on resource|pod was rejected|imminent node shutdown"
    "|context canceled)"
)
"""Messages of pods whose end says nothing about the program. A graceful end is Failed, not Error.

Source: kubernetes 1.34, pkg/kubelet: eviction/helpers.go, preemption/preemption.go, kubelet.go (rejectPod),
nodeshutdown. A pod that is evicted because it wrote more than its own limit is not among them.
"""
ANSWERED = "lastRetry.exitCode in ['2', '3']"
"""The program has said that it would fail again, in words that may be those of any message."""
OVERDUE = "longer than the specified deadline"
"""The kubelet's words for activeDeadlineSeconds; the program then ends with 143 and must not be retried."""
TOO_MUCH = "exceeds the (total )?limit|exceeded its local ephemeral"
"""Of a pod that wrote more than it may: the next attempt would too, whatever its exit code."""


def pod_retry(settings: Settings) -> RetryStrategy:
    """The strategy of pods that work: infrastructure, exit 75 and 143, and memory a few times."""
    return _strategy(
        settings.retries.pods,
        f"!({ANSWERED} || lastRetry.message matches '{OVERDUE}|{TOO_MUCH}') && (lastRetry.status == 'Error'"
        f" || lastRetry.message matches '{LOST}'"
        " || lastRetry.exitCode in ['75', '143']"
        f" || (lastRetry.exitCode == '137' && asInt(retries) < {settings.retries.oom}))",
    )


def child_retry(settings: Settings) -> RetryStrategy:
    """The strategy of pods that wait for a child: all but the child's own failure.

    A deleted one ends as Failed with exit 64, which a failed child gives too, so only the message decides.
    The next attempt applies the same name and meets the same child.
    """
    return _strategy(
        settings.retries.children,
        "lastRetry.status == 'Error' || !(lastRetry.message matches 'failure condition')",
    )


def grown_memory(settings: Settings, memory: str) -> str:
    """An expression for podSpecPatch: ``memory``, or more of it when the last attempt was killed for it.

    Argo knows ``retries`` and ``lastRetry.exitCode`` there as strings; on the first attempt they are '0'. It
    tells of the last attempt only, so one that follows a preemption has the first amount again.
    """
    amount, unit = int(memory[:-2]), memory[-2:]
    if unit == "Gi":
        amount *= 1024
    steps = [memory]
    for step in range(1, settings.retries.oom + 1):
        grown = amount * settings.retries.oom_growth_percent**step // 100**step
        steps.append(f"{grown // 1024}Gi" if grown % 1024 == 0 else f"{grown}Mi")
    ladder = ", ".join(f"'{step}'" for step in steps)
    return f"{{{{=[{ladder}][lastRetry.exitCode == '137' ? min(asInt(retries), {len(steps) - 1}) : 0]}}}}"


def _strategy(retry: Retry, expression: str) -> RetryStrategy:
    return RetryStrategy(
        limit=m.IntOrString(root=retry.limit),
        retry_policy="Always",
        expression=expression,
        backoff=m.Backoff(
            duration=str(retry.first_seconds),
            factor=m.IntOrString(root=retry.factor),
            cap=f"{retry.cap_seconds}s",
        ),
    )
