"""Things that must not be anywhere in the tree: machine paths, package registries, unsafe switches."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE = {"build", "dist", "wandb", ".git", "__pycache__"}
"""Folders that are not part of the tree; caches of tools start with a dot and end in ``_cache``."""

# Written in pieces, so that this file does not contain what it looks for.
REGISTRIES = [
    "pypi" + r"\.org",
    "python" + r"hosted\.org",
    "download" + r"\.pytorch\.org",
    "proxy" + r"\.golang\.org",
    "registry" + r"\.npmjs\.",
    "conda" + r"\.anaconda\.org",
    "--(extra-)?index" + "-url",
    "--find" + "-links",
]
MACHINE_PATHS = ["(?<![a-z.}])/ro" + "ot/", "(?<![a-z.}])/wo" + "rk/", "(?<![a-z.}])/ho" + "me/[a-z]"]
UNSAFE_SWITCHES = ["HF_ALLOW" + "_CODE_EVAL", "confirm_run" + "_unsafe_code"]


def texts(*tops: str) -> Iterator[tuple[str, str]]:
    """Path below the root and text of every file that is text."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if tops and parts[0] not in tops:
            continue
        if any(
            part in MADE or part.endswith(("_cache", ".egg-info")) or part == ".hypothesis" for part in parts
        ):
            continue
        if path.is_file() and b"\0" not in (data := path.read_bytes())[:8192]:
            yield str(path.relative_to(ROOT)), data.decode(errors="replace")


def findings(patterns: list[str], *tops: str) -> list[str]:
    wanted = re.compile("|".join(patterns))
    return [
        f"{name}:{number} {match.group()}"
        for name, text in texts(*tops)
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := wanted.search(line))
    ]


def test_nothing_names_a_package_registry() -> None:
    assert findings(REGISTRIES) == []


def test_nothing_names_a_path_of_one_machine() -> None:
    assert findings(MACHINE_PATHS) == []


def test_the_package_cannot_switch_on_unsafe_code() -> None:
    assert findings(UNSAFE_SWITCHES, "a360", "jobs", "workflows", "images", "helm") == []


def test_the_whole_tree_is_looked_at() -> None:
    names = {name for name, _ in texts()}
    assert {
        "pyproject.toml",
        "Makefile",
        ".ci/run",
        "a360/identity.py",
        "tests/unit/test_cleanliness.py",
    } <= names
    assert not any(name.startswith(("build/", ".git/")) for name in names)


@pytest.mark.parametrize(
    "line",
    [
        "https://" + "pypi" + ".org/simple",
        "pip install --index" + "-url x",
        "at /ro" + "ot/.cache",
        "'/ho" + "me/u/x'",
    ],
)
def test_the_patterns_find_what_they_are_for(line: str) -> None:
    assert re.search("|".join(REGISTRIES + MACHINE_PATHS), line)
