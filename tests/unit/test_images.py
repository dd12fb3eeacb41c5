"""The images without a builder: base, user, order of layers, what gets in, what a job finds there."""

import ast
import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

from images import smoke
from images.build import (
    IMAGES,
    Options,
    build_command,
    buildah_run,
    docker_run,
    find_builder,
    git_revision,
    main,
)
from images.requirements import PARTS, canonical, requirements_path, requirements_text
from tests.rendered import DEFAULT, templates

ROOT = Path(__file__).resolve().parents[2]
every_image = pytest.mark.parametrize("image", IMAGES)


class Instruction(NamedTuple):
    word: str
    rest: str


def dockerfile(image: str) -> str:
    return (ROOT / "images" / image / "Dockerfile").read_text()


def stages(text: str) -> list[list[Instruction]]:
    """What stands before the first FROM, then the instructions of each stage."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found: list[list[Instruction]] = [[]]
    for line in filter(str.strip, re.sub(r"\\\n\s*", "", lines).splitlines()):
        instruction = Instruction(*re.split(r"\s+", line.strip(), maxsplit=1))
        if instruction.word == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def faults_of(image: str, text: str) -> list[str]:
    """What is wrong with a Dockerfile."""
    before, *built = stages(text)
    everything = [instruction for stage in built for instruction in stage]
    final = built[-1]
    runs = [i.rest for i in everything if i.word == "RUN"]
    installs = [number for number, i in enumerate(final) if "--requirement" in i.rest]
    copies = [
        number for number, i in enumerate(final) if i.word == "COPY" and "requirements.txt" not in i.rest
    ]
    users = [i.rest for i in final if i.word == "USER"]
    revision = [number for number, i in enumerate(final) if i.rest.startswith("A360_GIT_SHA")]
    rules = {
        "the base is an argument with a tag": [i.word for i in before] == ["ARG"]
        and re.fullmatch(r"BASE_IMAGE=docker\.io/library/python:3\.11-slim-\w+", before[0].rest),
        "every stage starts from the base": all(
            stage[0].rest.split(" AS ")[0] == "${BASE_IMAGE}" for stage in built
        ),
        "the user is a number, not root's": users == ["10001:10001"],
        "nothing is fetched by hand": not any(
            i.word == "ADD" or re.search(r"https?://|\bcurl\b|\bwget\b|\bgit clone\b", i.rest)
            for i in everything
        ),
        "what is installed is in requirements.txt": [
            i.rest for i in final if i.word == "COPY" and "--from" not in i.rest
        ]
        == [f"images/{image}/requirements.txt /opt/a360/"]
        and len(installs) == 1
        and "--no-deps" in final[installs[0]].rest,
        "the code comes after the dependencies": copies and installs and copies[0] > installs[0],
        "the code comes from its own stage": [final[number].rest for number in copies]
        == ["--from=code /code /opt/a360/code"],
        "nothing runs after the code": all(
            i.rest.startswith("test ") for i in final[copies[0] :] if i.word == "RUN"
        ),
        "a new revision breaks the cache": [i.word for i in final if "A360_GIT_SHA" in i.rest]
        == ["ARG", "RUN", "ENV", "LABEL"],
        "the revision comes last": revision and revision[0] > copies[0],
        "pip keeps no cache": all(
            "--no-cache-dir" in run or "--no-index" in run
            for run in runs
            if " install " in run and "pip" in run
        ),
        "apt leaves no lists": all(
            "--no-install-recommends" in run and "rm -rf /var/lib/apt/lists/*" in run
            for run in runs
            if "apt-get" in run
        ),
        "no compiler is installed": not any(
            re.search(r"build-essential|\bgcc\b|python3?-dev", run) for run in runs
        ),
        "there are labels": any(
            i.word == "LABEL" and "org.opencontainers.image.revision" in i.rest for i in final
        ),
        "nothing of a pip configuration stays": not any(
            re.search(r"COPY.*pip\.conf", str(i)) for i in everything
        ),
    }
    return [rule for rule, holds in rules.items() if not holds]


@every_image
def test_a_dockerfile_keeps_every_rule(image: str) -> None:
    assert faults_of(image, dockerfile(image)) == []


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (
            "ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm\n",
            "",
            "the base is an argument with a tag",
        ),
        ("-slim-bookworm\n", "\n", "the base is an argument with a tag"),
        ("FROM ${BASE_IMAGE}\n", "FROM debian\n", "every stage starts from the base"),
        ("USER 10001:10001", "USER a360", "the user is a number, not root's"),
        ("USER 10001:10001", "USER 10001:10001\nUSER 0", "the user is a number, not root's"),
        ("COPY jobs", "ADD jobs", "nothing is fetched by hand"),
        ("COPY jobs", "ADD https://example.com/x", "nothing is fetched by hand"),
        ("--no-deps --requirement", "--requirement", "what is installed is in requirements.txt"),
        ("# The dep", "COPY a360 /opt/a360/code\n# The dep", "the code comes after the dependencies"),
        ("USER 1", "RUN chmod -R g+w /opt/a360\nUSER 1", "nothing runs after the code"),
        ("# The dep", "ARG A360_GIT_SHA\n# The dep", "the revision comes last"),
        ("RUN test -n", "# RUN test -n", "a new revision breaks the cache"),
        ("--no-cache-dir --no-deps", "--no-deps", "pip keeps no cache"),
        ("RUN useradd", "RUN apt-get install -y x\nRUN useradd", "apt leaves no lists"),
        (
            "RUN useradd",
            "RUN apt-get install --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*\nRUN useradd",
            "no compiler is installed",
        ),
        ("LABEL org", "ENV org", "there are labels"),
        ("COPY jobs", "COPY pip.conf /etc/\nCOPY jobs", "nothing of a pip configuration stays"),
    ],
)
def test_a_broken_rule_is_seen(old: str, new: str, rule: str) -> None:
    text = dockerfile("light")
    assert old in text
    assert rule in faults_of("light", text.replace(old, new, 1))


def test_the_images_share_the_stage_that_makes_the_code() -> None:
    assert len({tuple(stages(dockerfile(image))[1]) for image in IMAGES}) == 1


def lets_through(path: str) -> bool:
    """Whether a build sees a file: the last line of .dockerignore that matches it or a folder above it."""
    parts = path.split("/")
    above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    seen = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.lstrip("!").removeprefix("**/")
        if not line.startswith("#") and any(
            fnmatch.fnmatchcase(name.rpartition("/")[2] if "**/" in line else name, pattern) for name in above
        ):
            seen = line.startswith("!")
    return seen


def test_a_build_sees_what_it_copies_and_nothing_else() -> None:
    copied = {
        path
        for image in IMAGES
        for stage in stages(dockerfile(image))
        for i in stage
        if i.word == "COPY" and "--from" not in i.rest
        for path in i.rest.split()[:-1]
    }
    assert {path for path in copied if not (lets_through(path) and (ROOT / path).exists())} == set()
    assert lets_through("a360/publish/templates/page.html.j2")
    others = {path.name for path in ROOT.iterdir()} | {".git", "build", ".env", "wandb"}
    assert {name for name in others if lets_through(name)} == {p for p in copied if "/" not in p}
    for path in (
        "build/venv/x",
        ".git/config",
        "a360/__pycache__/x.pyc",
        "a360/x.pyc",
        "images/light/Dockerfile",
    ):
        assert not lets_through(path), path


@every_image
def test_what_an_image_holds_is_up_to_date(image: str) -> None:
    assert requirements_path(image).read_text() == requirements_text(image), "run `make pins`"


def distributions_in(image: str) -> set[str]:
    lines = requirements_path(image).read_text().splitlines()
    return {canonical(line.partition("==")[0]) for line in lines if not line.startswith("#")}


@every_image
def test_every_package_of_an_image_has_its_pin(image: str) -> None:
    lines = [line for line in requirements_path(image).read_text().splitlines() if not line.startswith("#")]
    assert set(lines) - set((ROOT / "constraints.txt").read_text().splitlines()) == set()


def test_heavy_and_privileged_packages_are_in_their_images_only() -> None:
    holds = {image: distributions_in(image) for image in IMAGES}
    assert {"torch", "nvidia-cublas", "lm-eval", "boto3"} <= holds["evaluator"]
    assert {"wandb", "matplotlib", "huggingface-hub", "boto3"} <= holds["light"]
    assert not {"torch", "transformers", "lm-eval", "hera", "kubernetes", "pytest"} & holds["light"]
    assert not {"wandb", "hera", "kubernetes", "pytest"} & holds["evaluator"]
    assert not {"boto3", "botocore", "requests", "urllib3", "huggingface-hub", "numpy"} & holds["sandbox"]
    assert len(holds["sandbox"]) < 10


def jobs_of_workflows() -> dict[str, set[str]]:
    """Image -> the jobs that pods run in it."""
    names = {getattr(DEFAULT.images, image): image for image in IMAGES}
    found: dict[str, set[str]] = {image: set() for image in IMAGES}
    for template in templates():
        if container := template.body.get("container"):
            found[names[container["image"]]].add(container["command"][-1].removeprefix("jobs."))
    return found


def test_the_smoke_test_tries_the_jobs_that_the_workflows_run() -> None:
    wanted = jobs_of_workflows()
    assert set(wanted) == set(smoke.IMAGES) == set(PARTS)
    assert {"plan", "publish", "mirror", "grade"} == wanted["light"]
    for image, jobs in wanted.items():
        there = {job for job in jobs if (ROOT / "jobs" / f"{job}.py").is_file()}
        assert set(smoke.IMAGES[image].jobs) == there, image


FOREIGN = {"evaluator": ("a360.publish",), "light": (), "sandbox": ()}
"""Rooms that an image's jobs know of inside functions and never enter."""

ROOTS = {
    image: [f"jobs.{job}" for job in spec.jobs]
    + [name for name in spec.imports if name.startswith(("a360", "jobs"))]
    for image, spec in smoke.IMAGES.items()
}


def source_of(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.is_file()), None)


def imports_of(node: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Every import below a node that runs, and whether it stands in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, inside) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from ((f"{child.module}.{alias.name}", inside) for alias in child.names)
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from imports_of(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def reached_from(roots: list[str], foreign: tuple[str, ...]) -> dict[str, str]:
    """Other people's packages that a job may import -> the module of a360 that does."""
    waiting, seen, found = list(roots), set[str](), dict[str, str]()
    while waiting:
        parts = waiting.pop().split(".")
        for name in {".".join(parts[:n]) for n in range(1, len(parts) + 1)} - seen:
            seen.add(name)
            if (path := source_of(name)) is None:
                continue
            for imported, inside in imports_of(ast.parse(path.read_text())):
                top = imported.partition(".")[0]
                if top not in ("a360", "jobs", "workflows"):
                    found.setdefault(top, name)
                elif not (inside and imported.startswith(foreign)):
                    waiting.append(imported)
    return {top: name for top, name in found.items() if top not in sys.stdlib_module_names}


@every_image
def test_a_job_finds_every_package_that_it_may_import(image: str) -> None:
    names, holds = packages_distributions(), distributions_in(image)
    reached = reached_from(ROOTS[image], FOREIGN[image])
    assert "pydantic" in reached
    astray = {
        top: module
        for top, module in reached.items()
        if not holds & {canonical(name) for name in names.get(top, [top])}
    }
    assert astray == {}


def test_an_import_that_an_image_cannot_serve_is_seen() -> None:
    assert {"torch", "lm_eval"} <= reached_from(["jobs.evaluate"], ()).keys()
    assert "wandb" in reached_from(["jobs.evaluate"], ())
    assert "wandb" not in reached_from(["jobs.evaluate"], ("a360.publish",))
    assert reached_from(["a360.publish.html"], ("a360.publish",)).keys() >= {"jinja2"}


OPTIONS = Options(
    "reg.example.com/a360", "v1", "c0ffee", "1.2.3", "debian:x", ("--secret=id=pip.conf,src=p",)
)


def test_docker_goes_first_and_either_can_be_named() -> None:
    assert find_builder(None, lambda name: True) == "docker"
    assert find_builder(None, lambda name: name == "buildah") == "buildah"
    assert find_builder("buildah", lambda name: True) == "buildah"
    assert find_builder("docker", lambda name: name == "buildah") is None
    assert find_builder(None, lambda name: False) is None


def test_without_a_builder_both_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["build", "light"]) == 2
    said = capsys.readouterr().err
    assert "docker" in said
    assert "buildah" in said
    assert "hint: " in said


def test_an_image_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "heavy"]) == 2
    assert "heavy" in capsys.readouterr().err


@pytest.mark.parametrize("builder", ["docker", "buildah"])
def test_a_build_gets_revision_version_base_and_name(builder: str) -> None:
    command = build_command(builder, "light", OPTIONS)
    assert command[:2] == [builder, "build"]
    assert {
        "--file=images/light/Dockerfile",
        "--tag=reg.example.com/a360/light:v1",
        "--build-arg=A360_GIT_SHA=c0ffee",
        "--build-arg=A360_VERSION=1.2.3",
        "--build-arg=BASE_IMAGE=debian:x",
        "--secret=id=pip.conf,src=p",
    } <= set(command)
    assert command[-1] == "."
    assert ("--layers" in command) == (builder == "buildah")
    assert "BASE_IMAGE" not in str(build_command(builder, "light", OPTIONS._replace(base_image=None)))


def test_the_smoke_test_runs_without_rights_network_and_a_writable_root() -> None:
    docker = docker_run("a360/light:v1")
    assert {"--read-only", "--cap-drop=ALL", "--network=none", "--security-opt=no-new-privileges"} <= set(
        docker
    )
    assert not any("user" in word for word in docker), "the image's own user is what is looked at"
    buildah = " ".join(buildah_run("c1"))
    for part in (
        "remount,bind,ro /",
        "--reuid=10001",
        "--bounding-set=-all",
        "--no-new-privs",
        "--network=none",
    ):
        assert part in buildah


def test_the_revision_is_that_of_the_checkout() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if head.returncode:
        pytest.skip("not a git checkout")
    assert git_revision() in (head.stdout.strip(), f"{head.stdout.strip()}-dirty")


def test_the_smoke_test_needs_nothing_but_python() -> None:
    source = (ROOT / "images/smoke.py").read_text()
    tops = {name.partition(".")[0] for name, inside in imports_of(ast.parse(source)) if not inside}
    assert tops <= sys.stdlib_module_names


def test_the_smoke_test_fails_outside_an_image() -> None:
    """Here pytest is installed, nothing is baked in, and the root is whoever runs the tests."""
    command = [sys.executable, "-P", "-", "sandbox", "c0ffee"]
    with (ROOT / "images/smoke.py").open() as source:
        done = subprocess.run(
            command,
            stdin=source,
            capture_output=True,
            text=True,
            check=False,
            env={"HF_TOKEN": "x", "PATH": ""},
        )
    assert done.returncode == 1
    for fault in (
        r"FAILED the revision is baked in .* A360_GIT_SHA is not set, expected c0ffee",
        r"FAILED no credentials are set .* HF_TOKEN",
        r"FAILED what belongs elsewhere is absent .* boto3, .*pytest",
        r"FAILED bwrap runs",
        r"FAILED HOME and the temporary directory can be written .* TMPDIR is None",
    ):
        assert re.search(fault, done.stdout), done.stdout
