"""Workflows for ``argo submit FILE``: a reference to an installed template and its parameters."""

from collections.abc import Iterator

from hera.workflows import Parameter, Workflow
from hera.workflows import models as m

SUITES = ("demo", "amber", "crystalcoder", "pythia")
"""The suites that ship with a360; another one is ``argo submit FILE -p suite=NAME``."""


def submissions() -> Iterator[tuple[str, Workflow]]:
    """File name without its ending, and the workflow."""
    for suite in SUITES:
        yield f"sweep-{suite}", _reference("sweep", suite, "")
    for template in ("publish", "mirror"):
        yield f"{template}-demo", _reference(template, "demo", f"{template}-")


def _reference(template: str, suite: str, prefix: str) -> Workflow:
    return Workflow(
        generate_name=f"a360-{prefix}{suite}-",
        workflow_template_ref=m.WorkflowTemplateRef(name=f"a360-{template}"),
        arguments=[Parameter(name="suite", value=suite)],
    )
