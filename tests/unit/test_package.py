"""The built package holds what the checkout holds."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("a360", "jobs")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel, built from a copy: setuptools leaves traces where it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    for top in SHIPPED:
        shutil.copytree(ROOT / top, folder / "tree" / top, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "tree")
    build = [
        "wheel",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(folder / "tree"),
    ]
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *build], check=True)
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_the_package(wheel: set[str]) -> None:
    files = {
        str(path.relative_to(ROOT)) for top in SHIPPED for path in (ROOT / top).rglob("*") if path.is_file()
    }
    assert {name for name in files if "__pycache__" not in name} - wheel == set()
    assert {"a360/benchmarks/lock.json", "jobs/plan.py"} <= wheel


def test_the_wheel_holds_nothing_else(wheel: set[str]) -> None:
    assert {name.partition("/")[0].partition("-")[0] for name in wheel} == set(SHIPPED)


def test_the_wheel_installs_the_command(wheel: set[str]) -> None:
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel)
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
