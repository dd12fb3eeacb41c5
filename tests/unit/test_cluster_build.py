"""tests/cluster/build.sh with a compiler that only pretends: what it builds, when, and what it leaves."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLUSTER = Path(__file__).resolve().parents[1] / "cluster"
FAKE_GO = """#!/bin/sh
echo "$*" >>"$CALLS"
while [ $# -gt 1 ]; do [ "$1" = -o ] && target=$2; shift; done
echo partial >"$target" && [ ! -e "$CALLS.fail" ] && chmod +x "$target"
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the fake compiler writes how it was called."""
    shutil.copytree(CLUSTER / "go" / "pause", tmp_path / "cluster" / "go" / "pause")
    shutil.copy(CLUSTER / "build.sh", tmp_path / "cluster")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "go").write_text(FAKE_GO)
    (tmp_path / "bin" / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("A360_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def build(calls: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = calls.parent / "cluster" / "build.sh"
    return subprocess.run([script, *words], capture_output=True, text=True)


def test_a_program_is_built_once_and_its_path_is_all_that_is_printed(calls: Path) -> None:
    first, second = build(calls, "pause"), build(calls, "pause")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    path = Path(first.stdout.removesuffix("\n"))
    assert path == Path(second.stdout.strip())
    assert os.access(path, os.X_OK)
    assert path.is_relative_to(calls.parent / "cache")
    assert len(calls.read_text().splitlines()) == 1
    assert [name.name for name in path.parent.iterdir() if not name.name.startswith(".")] == ["pause"]


def test_a_failed_build_leaves_no_program(calls: Path) -> None:
    calls.with_name("calls.fail").touch()
    assert build(calls, "pause").returncode != 0
    assert [path for path in (calls.parent / "cache").rglob("*") if path.name == "pause"] == []
    calls.with_name("calls.fail").unlink()
    assert build(calls, "pause").returncode == 0


def test_another_recipe_or_checksum_is_another_program(calls: Path) -> None:
    paths = {build(calls, "pause").stdout}
    for name in ("recipe.sh", "go.sum"):
        with (calls.parent / "cluster" / "go" / "pause" / name).open("a") as file:
            file.write("# changed\n")
        paths.add(build(calls, "pause").stdout)
    assert len(paths) == 3


def test_where_builds_nothing_and_says_what_is_missing(calls: Path) -> None:
    asked = build(calls, "--where", "pause")
    assert asked.returncode == 1
    assert asked.stderr == "not built: pause; hint: tests/cluster/build.sh pause\n"
    assert not calls.exists()
    built = build(calls, "pause")
    again = build(calls, "--where", "pause")
    assert (again.returncode, again.stdout) == (0, built.stdout)


def test_checksums_are_verified_whatever_the_environment_says(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = calls.parent / "bin" / "go"
    go.write_text(FAKE_GO.replace('"$*"', '"$GOFLAGS"'))
    monkeypatch.setenv("GOFLAGS", "-mod=mod -p=1")
    assert build(calls, "pause").returncode == 0
    assert calls.read_text().split()[-1] == "-mod=readonly"


def test_a_machine_without_go_is_told(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = calls.parent / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "sha256sum", "cut"):
        (tools / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(tools))
    told = build(calls, "pause")
    assert told.returncode == 2
    assert told.stderr == "pause is not built and Go is missing; hint: install Go >= 1.26\n"


@pytest.mark.parametrize("words", [[], ["nothing-like-it"]])
def test_what_nobody_builds_is_refused(calls: Path, words: list[str]) -> None:
    assert build(calls, *words).returncode == 2


def test_every_program_of_a_cluster_has_a_recipe() -> None:
    from tests.cluster.programs import BUILT

    asked = subprocess.run(
        [CLUSTER / "build.sh", "--where", *BUILT],
        env={**os.environ, "A360_CACHE": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert [Path(line).name for line in asked.stdout.splitlines()] == list(BUILT)
    assert asked.returncode == 1
