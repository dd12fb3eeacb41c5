"""Argo's own judgement: the full CRDs of 4.0.2 with unknown fields refused, and ``argo lint --offline``."""

import subprocess
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.rendered import VARIANTS, Document, documents, find_argo, find_crds
from workflows.render import render_files

KINDS = {"workflowtemplates": "WorkflowTemplate", "workflows": "Workflow", "cronworkflows": "CronWorkflow"}
Faults = Callable[[Document], list[str]]


def close(schema: Any) -> None:
    """Refuses unknown fields wherever a schema lists its fields: the API server would drop them silently."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


@pytest.fixture(scope="module")
def faults() -> Faults:
    folder = find_crds()
    if folder is None:
        pytest.skip("the CRDs of Argo 4.0.2 are not here: run tests/cluster/build.sh argo (it needs Go)")
    validators: dict[str, jsonschema.Draft202012Validator] = {}
    for name, kind in KINDS.items():
        crd = yaml.load((folder / f"argoproj.io_{name}.yaml").read_text(), yaml.CSafeLoader)
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        close(schema)
        schema["properties"]["metadata"] = {"type": "object"}  # the API server's, not the CRD's
        validators[kind] = jsonschema.Draft202012Validator(schema)

    def find(document: Document) -> list[str]:
        found = validators[document["kind"]].iter_errors(document)
        return [f"{error.json_path}: {error.message[:200]}" for error in found]

    return find


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_document_passes_the_full_crds(faults: Faults, variant: str) -> None:
    assert documents(variant)
    assert {name: found for name, document in documents(variant).items() if (found := faults(document))} == {}


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        ("sweep", "spec.unheardOf", True),
        ("sweep", "spec.arguments.parameters.0.value", 12),
        ("sweep", "spec.templates.3.parallelism", "{{workflow.parameters.width}}"),
        ("publish", "spec.templates.0.synchronization.mutex", {"name": "x"}),
        ("checkpoint", "spec.podPriority", 1),
        ("cron-demo", "spec.schedule", "* * * * *"),
        ("cron-demo", "spec.concurrencyPolicy", "Sometimes"),
        ("cron-demo", "spec.schedules.0", "every day"),
        ("sweep-demo", "spec.templates", {}),
    ],
)
def test_the_crds_refuse(faults: Faults, document: str, path: str, value: object) -> None:
    broken: Any = deepcopy(documents()[document])
    *parents, last = path.split(".")
    at = broken
    for part in parents:
        at = at[int(part)] if isinstance(at, list) else at[part]
    at[int(last) if isinstance(at, list) else last] = value
    assert faults(broken)


def lint(files: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    argo = find_argo()
    if argo is None:
        pytest.skip("argo is not built: run tests/cluster/build.sh argo (it needs Go)")
    paths = [folder / Path(name).name for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text)
    command = [str(word) for word in (argo, "lint", "--offline", "--no-color", *paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("variant", VARIANTS)
def test_argo_lint_accepts_every_file(variant: str, tmp_path: Path) -> None:
    done = lint(render_files(VARIANTS[variant]), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{{inputs.parameters.group}}", "{{inputs.parameters.groop}}", "failed to resolve"),
        ("template: grade-judge", "template: grade-jury", "undefined"),
        (
            "{{steps.run.outputs.artifacts.verdicts}}",
            "{{steps.run.outputs.artifacts.x}}",
            "failed to resolve",
        ),
    ],
)
def test_argo_lint_refuses(old: str, new: str, message: str, tmp_path: Path) -> None:
    files = {name: text.replace(old, new) for name, text in render_files(VARIANTS["default"]).items()}
    done = lint(files, tmp_path)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
