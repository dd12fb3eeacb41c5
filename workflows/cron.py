"""The schedules of a suite: its sweep, and its report while a sweep runs.

A tick that finds the last sweep still running is left out; the next one plans what is missing by then.
"""

from collections.abc import Iterator

from hera.workflows import CronWorkflow, Parameter
from hera.workflows import models as m

from workflows.pods import base_labels
from workflows.settings import Schedule, Settings


def cron_workflows(settings: Settings) -> Iterator[CronWorkflow]:
    """``a360-<suite>`` and ``a360-publish-<suite>`` of every suite that has times for them."""
    for schedule in settings.schedules.suites:
        if schedule.sweep:
            yield _cron(settings, schedule, f"a360-{schedule.suite}", "sweep", schedule.sweep)
        if schedule.publish:
            yield _cron(settings, schedule, f"a360-publish-{schedule.suite}", "publish", schedule.publish)


def _cron(
    settings: Settings, schedule: Schedule, name: str, template: str, times: tuple[str, ...]
) -> CronWorkflow:
    schedules = settings.schedules
    labels = base_labels(settings, template) | {"a360/suite": schedule.suite}
    return CronWorkflow(
        name=name,
        labels=labels,
        schedules=list(times),
        timezone=schedules.time_zone,
        cron_suspend=schedule.suspend,
        concurrency_policy="Forbid",
        starting_deadline_seconds=schedules.starting_deadline_seconds,
        successful_jobs_history_limit=schedules.history,
        failed_jobs_history_limit=schedules.history,
        workflow_template_ref=m.WorkflowTemplateRef(name=f"a360-{template}"),
        arguments=[Parameter(name="suite", value=schedule.suite)],
    )
