"""Settings -> the files of the chart and of ``workflows/submit``, the same bytes every time."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from hera.workflows import Workflow

from workflows.checkpoint import checkpoint_template
from workflows.cron import cron_workflows
from workflows.mirror import mirror_template
from workflows.publish import publish_template
from workflows.settings import Settings
from workflows.spec import plain_document
from workflows.submissions import submissions
from workflows.sweep import sweep_template

CHART_DIR = "helm/a360/files"
SUBMIT_DIR = "workflows/submit"
HEADER = "# Rendered by `make render` from workflows/*.py; edit those.\n"


def render_documents(settings: Settings) -> dict[str, dict[str, Any]]:
    """Path below the repository -> the document; the checkpoint template's name is not in its path."""
    chart: dict[str, Workflow] = {
        "checkpoint": checkpoint_template(settings),
        "sweep": sweep_template(settings),
        "publish": publish_template(settings),
        "mirror": mirror_template(settings),
    }
    for cron in cron_workflows(settings):
        chart[f"cron-{str(cron.name).removeprefix('a360-')}"] = cron
    files = {f"{CHART_DIR}/{name}.yaml": workflow for name, workflow in chart.items()}
    files |= {f"{SUBMIT_DIR}/{name}.yaml": workflow for name, workflow in submissions()}
    return {path: plain_document(workflow) for path, workflow in files.items()}


def render_files(settings: Settings) -> dict[str, str]:
    """Path below the repository -> the text of the file."""
    return {path: HEADER + to_yaml(document) for path, document in render_documents(settings).items()}


def write_files(files: Mapping[str, str], root: Path) -> list[str]:
    """Writes what differs, removes what is rendered no more; returns the paths that changed."""
    changed = [path for path, text in files.items() if _read(root / path) != text]
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path])
    stale = stale_files(files, root)
    for path in stale:
        (root / path).unlink()
    return sorted([*changed, *stale])


def diff_files(files: Mapping[str, str], root: Path) -> Iterator[str]:
    """The lines of a diff from what is on disk to what would be written; none when all is current."""
    for path in sorted({*files, *stale_files(files, root)}):
        old, new = _read(root / path) or "", files.get(path, "")
        yield from difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), path, f"{path} (rendered)"
        )


def stale_files(files: Mapping[str, str], root: Path) -> list[str]:
    """Rendered files on disk that nothing renders any more; what carries no header is not ours."""
    there = [path for folder in (CHART_DIR, SUBMIT_DIR) for path in (root / folder).glob("*.yaml")]
    names = [path.relative_to(root).as_posix() for path in there if path.read_text().startswith(HEADER)]
    return sorted(name for name in names if name not in files)


class _Dumper(yaml.SafeDumper):
    """Block style for texts of several lines; no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(document: Mapping[str, Any]) -> str:
    """A document as YAML: Kubernetes' own order at the top, alphabetical below."""
    parts = []
    for key in ("apiVersion", "kind", "metadata", "spec"):
        part = {key: document[key]}
        parts.append(yaml.dump(part, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=10000))
    return "".join(parts)


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None
