"""Rendered workflows for tests: settings, walks over documents, Argo's substitution, Argo's own tools.

``substitute`` does what argo-workflows 4.0.2 does with the few forms of expressions that a360 writes; it was
compared with that version's util/template on the same texts. An expression it does not know is an error.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from workflows.render import render_documents
from workflows.settings import (
    Accelerator,
    Cache,
    Images,
    Lifetimes,
    Placement,
    PodKind,
    Pods,
    Retries,
    Retry,
    Schedule,
    Schedules,
    Secrets,
    Settings,
    Toleration,
)

ROOT = Path(__file__).resolve().parents[1]
Document = dict[str, Any]

_GPU_TAINT = Toleration(key="gpu", operator="Equal", value="yes", effect="NoSchedule")

DEFAULT = Settings()
FULL = Settings(
    version="1.2.3-rc.1",
    images=Images(
        evaluator="reg.example.com:5000/evaluator@sha256:" + "1" * 64,
        light="reg.example.com:5000/light@sha256:" + "2" * 64,
        sandbox="reg.example.com:5000/sandbox@sha256:" + "3" * 64,
        pull_policy="Always",
        pull_secrets=("pull-1", "pull-2"),
    ),
    pods=Pods(
        evaluate=PodKind(
            cpu="12",
            memory="100Gi",
            scratch="300Gi",
            deadline_seconds=7000,
            node_selector={"gpu": "h100"},
            tolerations=(_GPU_TAINT,),
            priority_class="nightly",
        ),
        sandbox=PodKind(cpu="3", memory="6Gi", deadline_seconds=5000, runtime_class="gvisor"),
        orchestrate=Placement(deadline_seconds=90000, tolerations=(Toleration(key="cpu"),)),
        grace_seconds=45,
    ),
    accelerator=Accelerator(resource="amd.com/gpu", count=4, shared_memory="32Gi", queue="gpus"),
    cache=Cache(kind="claim", claim="weights"),
    retries=Retries(
        pods=Retry(limit=7, first_seconds=5, factor=3, cap_seconds=90),
        children=Retry(limit=3, first_seconds=2, factor=1, cap_seconds=20),
        oom=3,
        oom_growth_percent=125,
    ),
    lifetimes=Lifetimes(
        sweep_seconds=864000,
        checkpoint_seconds=80000,
        after_success_seconds=60,
        after_failure_seconds=120,
        pod_gc="OnPodCompletion",
        pod_gc_delay="5s",
    ),
    schedules=Schedules(
        suites=(
            Schedule(suite="amber", sweep=("0 1 * * *", "0 13 * * 6"), publish=()),
            Schedule(suite="crystal", publish=("*/30 * * * *",), suspend=True),
        ),
        time_zone="Europe/Berlin",
        starting_deadline_seconds=77,
        history=1,
    ),
    parallelism=5,
    user_id=20002,
    suites_config_map="my-suites",
    progress="0/10",
    labels={"team": "evals", "cost": "012"},
)
LEAN = Settings(
    secrets=Secrets(s3=(), wandb=None, judge=None, hub=None),
    accelerator=Accelerator(count=0),
    cache=Cache(kind="emptyDir", size="50Gi"),
    artifacts=None,
    metrics=False,
)
VARIANTS = {"default": DEFAULT, "full": FULL, "lean": LEAN}


class Template(NamedTuple):
    """A template of a document, and whether it makes a pod whose main container is ours or Argo's."""

    document: str
    name: str
    body: Document

    @property
    def label(self) -> str:
        return f"{self.document}/{self.name}"

    @property
    def makes_pods(self) -> bool:
        return "container" in self.body or "resource" in self.body


@cache
def _rendered(variant: str) -> dict[str, Document]:
    return {Path(path).stem: document for path, document in render_documents(VARIANTS[variant]).items()}


def documents(variant: str = "default") -> dict[str, Document]:
    """File name without ending -> document."""
    return _rendered(variant)


def templates(variant: str = "default") -> list[Template]:
    """Every template of every workflow template."""
    return [
        Template(name, body["name"], body)
        for name, document in documents(variant).items()
        for body in document["spec"].get("templates", [])
    ]


def template(document: str, name: str, variant: str = "default") -> Document:
    """One template by its name."""
    (found,) = (t.body for t in templates(variant) if (t.document, t.name) == (document, name))
    return found


def environment(body: Document) -> dict[str, Any]:
    """Name -> value, or the source of the value."""
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in body["container"]["env"]}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key's path and value, and every text, of a document."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.{key}", item
            yield from walk(item, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from walk(item, f"{path}[{number}]")
            if isinstance(item, str):
                yield f"{path}[{number}]", item


# --- Argo's substitution --------------------------------------------------------------------------

_NAME = r"([\w.-]+)"


def substitute(text: str, values: Mapping[str, str]) -> str:
    """The text with every tag replaced; a tag without a value or of an unknown form is an error."""
    return re.sub(
        r"\{\{(=?)(.*?)\}\}",
        lambda tag: _evaluate(tag[2], values) if tag[1] else values[tag[2].strip()],
        text,
    )


def _evaluate(expression: str, values: Mapping[str, str]) -> str:
    expression = re.sub(r"\['([\w-]+)'\]", r".\1", expression)
    if found := re.fullmatch(rf"toJson\({_NAME}\)", expression):
        return _go_json(values[found[1]])
    if found := re.fullmatch(rf"""'"' \+ {_NAME} \+ '"'""", expression):
        return f'"{values[found[1]]}"'
    if found := re.fullmatch(rf'toJson\(last\(split\({_NAME}, "-"\)\)\)', expression):
        return _go_json(values[found[1]].split("-")[-1])
    if found := re.fullmatch(rf"asInt\({_NAME}\)", expression):
        return str(int(values[found[1]]))
    pattern = rf"(\['.*'\])?\[lastRetry\.exitCode == '137' \? min\(asInt\({_NAME}\), (\d+)\) : 0\]"
    if found := re.fullmatch(pattern, expression):
        ladder = json.loads(found[1].replace("'", '"'))
        grown = min(int(values[found[2]]), int(found[3])) if values["lastRetry.exitCode"] == "137" else 0
        return str(ladder[grown])
    raise AssertionError(f"tests/rendered.py does not know the expression {expression!r}")


def _go_json(value: str) -> str:
    text = json.dumps(value, ensure_ascii=False)
    for character in "&<>":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


# --- Argo's own tools -----------------------------------------------------------------------------


def find_argo() -> Path | None:
    """The argo program that tests/cluster/build.sh has built, or A360_ARGO names."""
    if named := os.environ.get("A360_ARGO"):
        return Path(named)
    return next((folder / "argo" for folder in _argo_folders() if (folder / "argo").is_file()), None)


def find_crds() -> Path | None:
    """The folder of the full CRDs: beside the built programs, or in Go's module cache."""
    folders = [folder / "manifests" for folder in _argo_folders()]
    if go := shutil.which("go"):
        done = subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True)
        folders.append(Path(done.stdout.strip()) / "github.com/argoproj/argo-workflows/v4@v4.0.2/manifests")
    found = (folder / "base" / "crds" / "full" for folder in folders)
    return next((folder for folder in found if (folder / "argoproj.io_workflows.yaml").is_file()), None)


def _argo_folders() -> list[Path]:
    """Where build.sh says that argo is, or every folder of its cache while there is no such script."""
    script = ROOT / "tests" / "cluster" / "build.sh"
    if script.is_file():
        done = subprocess.run([script, "--where", "argo"], capture_output=True, text=True, check=False)
        return [Path(line).parent for line in done.stdout.splitlines()]
    cache_dir = Path(os.environ.get("A360_CACHE") or Path.home() / ".cache" / "a360")
    return sorted(cache_dir.glob("argo-*"))
