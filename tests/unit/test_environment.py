"""The environment is the pinned one, and pyproject.toml and constraints.txt agree."""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = {"a360", "pip"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_everything_that_is_installed_is_pinned_to_its_version() -> None:
    pinned = pins()
    installed = {canonical(item.metadata["Name"]): item.version.partition("+")[0] for item in distributions()}
    astray = {name: version for name, version in installed.items() if pinned.get(name) != version}
    assert {name: version for name, version in astray.items() if name not in OURS} == {}


def test_pins_are_names_and_versions_only() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    assert lines == sorted(lines, key=str.lower)


def test_every_requirement_of_the_environment_has_a_pin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    requirements = [
        *project["dependencies"],
        *(line for name in ("evaluate", "publish", "dev") for line in optional[name]),
    ]
    names = {canonical(match[0]) for line in requirements if (match := re.match(r"[A-Za-z0-9._-]+", line))}
    assert len(names) > 15
    assert names - pins().keys() == set()
