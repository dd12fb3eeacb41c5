"""Builds the images and runs their smoke tests, with docker or with buildah: ``make images``, ``make smoke``.

Python's own library only, so a machine that builds images needs no development environment. buildah has no
switch for a read-only root: there the container's first process mounts it so and then gives up every right.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ("evaluator", "light", "sandbox")
BUILDERS = ("docker", "buildah")
USER = "10001"
SMOKE = ROOT / "images" / "smoke.py"


class Options(NamedTuple):
    """What a build is told."""

    repository: str
    """The names of images start with it: ``<repository>/light``."""
    tag: str
    revision: str
    version: str
    base_image: str | None = None
    extra: tuple[str, ...] = ()
    """Arguments for the builder."""

    def name(self, image: str) -> str:
        """The image's name and tag."""
        return f"{self.repository}/{image}:{self.tag}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds or checks the images one after the other; ends at the first that fails."""
    parser = argparse.ArgumentParser(prog="images.build", description=__doc__)
    parser.add_argument("what", choices=["build", "smoke"])
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {', '.join(IMAGES)}; all by default")
    parser.add_argument("--builder", help="docker or buildah, by default the one that is there")
    parser.add_argument("--repository", default="a360")
    parser.add_argument("--tag", help="by default the revision")
    parser.add_argument("--base-image", help="a Debian with Python 3.11 and its venv module")
    parser.add_argument("--extra", action="append", default=[], help="an argument for the builder")
    given = parser.parse_args(arguments)
    if unknown := set(given.images) - set(IMAGES):
        return complain(f"there is no image {', '.join(sorted(unknown))}", f"choose of {', '.join(IMAGES)}")
    builder = find_builder(given.builder, works)
    if builder is None:
        wanted = given.builder or "docker with a daemon that answers, or buildah"
        return complain(
            f"found no builder: wanted {wanted}", "install docker or buildah, or name it: BUILDER=…"
        )
    revision = git_revision()
    if revision is None:
        return complain("found no git revision", "images are built from a git checkout")
    options = Options(
        given.repository,
        given.tag or revision[:12] + ("-dirty" if revision.endswith("-dirty") else ""),
        revision,
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        given.base_image,
        tuple(given.extra),
    )
    run = build if given.what == "build" else smoke
    return next((code for image in given.images or IMAGES if (code := run(builder, image, options))), 0)


def find_builder(asked: str | None, works: Callable[[str], bool]) -> str | None:
    """The builder that is asked for, else the first that works."""
    return next((name for name in BUILDERS if asked in (None, "", name) and works(name)), None)


def works(builder: str) -> bool:
    """Whether it is there; docker is a client, so its daemon has to answer."""
    if shutil.which(builder) is None:
        return False
    command = [builder, "info"] if builder == "docker" else [builder, "--version"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def build(builder: str, image: str, options: Options) -> int:
    """The builder's exit code."""
    code = subprocess.run(build_command(builder, image, options), cwd=ROOT, check=False).returncode
    if code == 0:
        print(options.name(image), flush=True)
    return code


def build_command(builder: str, image: str, options: Options) -> list[str]:
    """The command that builds an image with the checkout as its context."""
    arguments = {"A360_GIT_SHA": options.revision, "A360_VERSION": options.version}
    if options.base_image:
        arguments["BASE_IMAGE"] = options.base_image
    return [
        *(["docker", "build"] if builder == "docker" else ["buildah", "build", "--layers"]),
        f"--file=images/{image}/Dockerfile",
        f"--tag={options.name(image)}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *options.extra,
        ".",
    ]


def smoke(builder: str, image: str, options: Options) -> int:
    """The exit code of the smoke test inside an image that was built."""
    print(f"== {options.name(image)}", flush=True)
    test = ["python", "-P", "-", image, options.revision]
    if builder == "docker":
        return run_with_smoke_test([*docker_run(options.name(image)), *test])
    made = ["buildah", "from", "--pull-never", options.name(image)]
    done = subprocess.run(made, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return done.returncode
    container = done.stdout.strip()
    try:
        return run_with_smoke_test([*buildah_run(container), *test])
    finally:
        subprocess.run(["buildah", "rm", container], stdout=subprocess.DEVNULL, check=False)


def run_with_smoke_test(command: list[str]) -> int:
    """The exit code of a command that reads the smoke test."""
    with SMOKE.open("rb") as source:
        return subprocess.run(command, stdin=source, check=False).returncode


def docker_run(name: str) -> list[str]:
    """A container as a pod's main container is, with the image's own user."""
    rights = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"]
    places = [f"--tmpfs=/a360/work:uid={USER},gid={USER}", "--tmpfs=/tmp"]
    return ["docker", "run", "--rm", "--interactive", *rights, *places, name]


def buildah_run(container: str) -> list[str]:
    """The same; mounts come first, then the user of the image and none of root's rights."""
    first = (
        "mount -o remount,bind,ro / && mount -t tmpfs tmpfs /tmp"
        f" && mount -t tmpfs -o uid={USER},gid={USER},mode=755 tmpfs /a360/work"
        f" && cd /a360/work && exec setpriv --reuid={USER} --regid={USER} --clear-groups"
        ' --bounding-set=-all --inh-caps=-all --no-new-privs "$@"'
    )
    rights = ["--cap-add=CAP_SYS_ADMIN", "--user=0:0", "--network=none"]
    return ["buildah", "run", *rights, container, "--", "sh", "-ec", first, "sh"]


def git_revision() -> str | None:
    """The checkout's revision, with ``-dirty`` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def complain(message: str, hint: str) -> int:
    """Exit code 2, with a reason."""
    print(f"images: {message}\nhint: {hint}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
