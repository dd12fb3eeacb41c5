"""Writes ``images/<image>/requirements.txt``: what an image holds, to the last package, each at its pin.

An image installs its file without resolving anything, and its layer of dependencies changes only when this
file does. The names come from pyproject.toml and from what the installed packages require, the versions from
constraints.txt. Run it by ``make pins`` in the development environment.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PARTS = {
    "evaluator": ("core", "evaluate"),
    "light": ("core", "publish", "data"),
    "sandbox": ("records",),
}
"""Image -> what it holds: ``core`` is what a360 always needs, ``records`` only documents, else extras."""

MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""The images' Python, whatever runs this."""

HEADER = "# Made by `make pins` from pyproject.toml and constraints.txt.\n"


def main() -> None:
    """Writes every file, and says which changed."""
    for image in PARTS:
        path, text = requirements_path(image), requirements_text(image)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
            print(path.relative_to(ROOT), file=sys.stderr)


def requirements_path(image: str) -> Path:
    """The file of an image."""
    return ROOT / "images" / image / "requirements.txt"


def requirements_text(image: str) -> str:
    """What the file of an image has to hold.

    Raises:
        KeyError: a package has no line in constraints.txt.
    """
    pins = read_pins()
    names = close_over(part for name in PARTS[image] for part in requirements_of(name))
    return HEADER + "".join(f"{pins[name]}\n" for name in sorted(names))


def requirements_of(part: str) -> list[str]:
    """The lines of pyproject.toml that belong to a part."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core: list[str] = project["dependencies"]
    if part == "core":
        return core
    if part == "records":
        return [line for line in core if canonical(Requirement(line).name) == "pydantic"]
    extra: list[str] = project["optional-dependencies"][part]
    return extra


def read_pins() -> dict[str, str]:
    """Canonical name -> its line in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonical(line.partition("==")[0]): line for line in lines if not line.startswith("#")}


def close_over(lines: Iterable[str]) -> set[str]:
    """The canonical names of requirements and of everything that these require."""
    waiting = [Requirement(line) for line in lines]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonical(wanted.name)
        for extra in {"", *wanted.extras} - {extra for seen_name, extra in seen if seen_name == name}:
            seen.add((name, extra))
            needed = (Requirement(line) for line in requires(name) or [])
            waiting += [
                n for n in needed if n.marker is None or n.marker.evaluate({**MARKERS, "extra": extra})
            ]
    return {name for name, _ in seen}


def canonical(name: str) -> str:
    """The name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
