"""Imports go strictly downwards, and each heavy package is imported in its rooms only.

A room is a module or package directly below a360/, or one of the top-level packages beside it.
A room may import rooms of lower levels and itself; rooms of one level do not know each other.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("records", "check", "signals"),
    ("identity",),
    ("storage", "benchmarks"),
    ("suite", "datasets", "checkpoints"),
    ("results", "weights"),
    ("plan",),
    ("models", "scoring", "dynamics", "pairs", "fan_out"),
    ("evaluators", "grading", "publish", "cluster"),
    ("evaluate", "grade"),
    ("sweep",),
    ("run", "doctor"),
    ("demo",),
    ("cli", "jobs", "workflows"),
    ("__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

TORCH_ROOMS = (
    "a360.models",
    "a360.scoring",
    "a360.evaluators",
    "a360.grading.classifiers",
    "a360.checkpoints.convert",
    "a360.demo.train",
)
EXCLUSIVE = {
    "torch": TORCH_ROOMS,
    "transformers": TORCH_ROOMS,
    "lm_eval": ("a360.evaluators", "a360.scoring"),
    "boto3": ("a360.storage",),
    "botocore": ("a360.storage",),
    "wandb": ("a360.publish",),
    "wandb_workspaces": ("a360.publish",),
    "matplotlib": ("a360.publish",),
    "jinja2": ("a360.publish", "a360.evaluators"),
    "hera": ("workflows",),
    "kubernetes": ("a360.cluster",),
    "huggingface_hub": ("a360.datasets.hub",),
    "httpx2": ("a360.datasets.hub", "a360.grading.judge_client"),
}
"""Package -> the modules that may import it, at the top or inside a function."""


class Import(NamedTuple):
    importer: str
    """Dotted name of the module that imports."""
    imported: str
    line: int


def modules(root: Path = ROOT) -> list[tuple[str, Path]]:
    """Dotted name and path of every module that ships."""
    paths = sorted(path for top in ("a360", "jobs", "workflows") for path in (root / top).rglob("*.py"))
    return [(".".join(path.relative_to(root).with_suffix("").parts), path) for path in paths]


def imports_of(name: str, source: str) -> Iterator[Import]:
    """Every import of a module wherever it stands; ``from x import y`` counts as x.y."""
    package = name.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(name, f"{base}.{alias.name}", node.lineno)


def room_of(module: str) -> str | None:
    """The room of a dotted name; None for other people's packages and for a360 itself."""
    parts = module.split(".")
    if parts[0] != "a360":
        return parts[0] if parts[0] in ("jobs", "workflows") else None
    return parts[1] if len(parts) > 1 and parts[1] != "__init__" else None


def upward(item: Import) -> str | None:
    """What is wrong with an import between rooms, or None."""
    here, there = room_of(item.importer), room_of(item.imported)
    if there is None or here == there:
        return None
    if here is None:
        return f"{item.importer}:{item.line} imports {item.imported}: the package itself stays empty"
    if there not in LEVEL or LEVEL[there] >= LEVEL[here]:
        return f"{item.importer}:{item.line} imports {item.imported}: not below {here}"
    return None


def trespass(item: Import) -> str | None:
    """What is wrong with the import of a heavy package, or None."""
    rooms = EXCLUSIVE.get(item.imported.split(".")[0])
    if rooms is None or any(item.importer == room or item.importer.startswith(f"{room}.") for room in rooms):
        return None
    return f"{item.importer}:{item.line} imports {item.imported}: only {', '.join(rooms)} may"


def all_imports() -> Iterator[Import]:
    for name, path in modules():
        yield from imports_of(name, path.read_text())


def test_every_room_is_named_in_the_order() -> None:
    rooms = {room for name, _ in modules() if (room := room_of(name))}
    assert rooms - LEVEL.keys() == set(), "give the new room its place in LEVELS"
    assert {"errors", "records", "identity", "storage"} <= rooms


def test_imports_go_strictly_downwards() -> None:
    assert [fault for item in all_imports() if (fault := upward(item))] == []


def test_heavy_packages_are_imported_in_their_rooms_only() -> None:
    assert [fault for item in all_imports() if (fault := trespass(item))] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("a360.errors", "import a360.records"),
        ("a360.identity", "def f():\n    from a360.storage import open_store"),
        ("a360.storage.files", "from a360 import benchmarks"),
        ("a360.storage.files", "from ..suite import Suite"),
        ("a360.storage.files", "from .. import suite"),
        ("a360.results.read", "if TYPE_CHECKING:\n    from a360.plan import make_plan"),
        ("a360.evaluate", "import jobs.plan"),
        ("a360.evaluate", "import a360.unheard_of"),
        ("a360.__init__", "from a360.errors import A360Error"),
    ],
)
def test_an_upward_import_is_seen(module: str, source: str) -> None:
    assert [fault for item in imports_of(module, source) if (fault := upward(item))]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("a360.storage.files", "from a360.errors import DataError"),
        ("a360.storage.files", "from . import store"),
        ("a360.storage.__init__", "from .store import Store"),
        ("jobs.plan", "from a360.plan import make_plan"),
        ("a360.cli", "from a360 import run"),
        ("a360.cli", "import json"),
    ],
)
def test_a_downward_import_is_fine(module: str, source: str) -> None:
    assert [fault for item in imports_of(module, source) if (fault := upward(item))] == []


@pytest.mark.parametrize(
    ("module", "source", "allowed"),
    [
        ("a360.scoring.engine", "import torch.nn.functional", True),
        ("a360.plan", "def f():\n    import torch", False),
        ("a360.demo.train", "from transformers import LlamaConfig", True),
        ("a360.demo.trainer", "from transformers import LlamaConfig", False),
        ("a360.cli", "from boto3 import client", False),
        ("a360.storage.s3", "from botocore.exceptions import ClientError", True),
    ],
)
def test_heavy_imports_inside_functions_count(module: str, source: str, allowed: bool) -> None:
    faults = [fault for item in imports_of(module, source) if (fault := trespass(item))]
    assert bool(faults) != allowed


def loaded_by(code: str) -> set[str]:
    """The packages that a fresh interpreter holds after running ``code``."""
    script = f"import sys\n{code}\nprint('LOADED', *sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_help_imports_no_heavy_package() -> None:
    loaded = loaded_by(
        "import a360.cli\n"
        "sys.argv = ['a360', '--help']\n"
        "try:\n    a360.cli.main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    assert {"a360", "typer"} <= loaded
    heavy = {"torch", "transformers", "lm_eval", "boto3", "wandb", "hera", "kubernetes", "huggingface_hub"}
    assert loaded & heavy == set()
