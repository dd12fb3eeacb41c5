"""Looks at an image from inside: ``docker run -i --read-only … IMAGE python -P - light < images/smoke.py``.

It is read from standard input, so no image carries it, and needs Python's own library only. A second argument
is the revision that is expected. ``make smoke`` runs it as a pod would: another user than root, a read-only
root, no network, writable places for HOME and /tmp.
"""

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

Check = Callable[[], str | None]


class Image(NamedTuple):
    """What has to be in an image, and what must not."""

    jobs: tuple[str, ...]
    imports: tuple[str, ...]
    absent: tuple[str, ...]
    programs: tuple[str, ...] = ()


DEVELOPMENT = ("pip", "pytest", "mypy", "moto", "hera", "kubernetes")
TORCH = ("torch", "transformers", "lm_eval", "triton")
CLIENTS = ("boto3", "botocore", "huggingface_hub", "requests", "httpx", "urllib3", "wandb")

IMAGES = {
    "evaluator": Image(
        jobs=("evaluate", "grade"),
        imports=(
            "torch",
            "transformers",
            "lm_eval.evaluator",
            "a360.evaluate",
            "a360.evaluators.harness",
            "a360.evaluators.perplexity",
            "a360.storage.s3_store",
            "a360.doctor",
        ),
        absent=("wandb", "wandb_workspaces", *DEVELOPMENT),
    ),
    "light": Image(
        jobs=("plan", "publish", "mirror", "grade"),
        imports=(
            "wandb",
            "wandb_workspaces",
            "a360.sweep",
            "a360.datasets.hub",
            "a360.publish.report",
            "a360.publish.figures",
            "a360.storage.s3_store",
            "a360.doctor",
        ),
        absent=(*TORCH, *DEVELOPMENT),
    ),
    "sandbox": Image(
        jobs=("sandbox",),
        imports=("jobs", "a360.errors", "a360.records", "a360.identity"),
        absent=(*TORCH, *CLIENTS, "numpy", "pyarrow", *DEVELOPMENT),
        programs=("bwrap",),
    ),
}
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "ld", "make", "cargo", "rustc", "nvcc")
CREDENTIALS = ("AWS_", "WANDB_", "HF_TOKEN", "OPENAI_")


def main() -> int:
    """0 where everything holds; a line for each check."""
    name, revision = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    faults = 0
    for what, check in checks(IMAGES[name], revision):
        started = time.monotonic()
        try:
            fault = check()
        except Exception as error:  # whatever it is, the other checks go on
            fault = f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - started
        faults += bool(fault)
        print(f"{'FAILED' if fault else 'ok':6} {what} ({seconds:.1f} s)  {fault or ''}".rstrip())
    print(f"{name}: {f'{faults} checks failed' if faults else 'every check holds'}")
    return int(faults > 0)


def checks(image: Image, revision: str | None) -> Iterator[tuple[str, Check]]:
    """What is looked at; each gives its fault, or nothing."""
    yield "the user is not root", root_user
    yield "the root cannot be written", writable_place
    yield "HOME and the temporary directory can be written", refused_place
    yield "the revision is baked in", partial(wrong_revision, revision)
    yield "no compiler is left", partial(present, shutil.which, COMPILERS)
    yield "no credentials are set", partial(present, is_credential, tuple(os.environ))
    for program in image.programs:
        yield f"{program} runs", partial(failure, [program, "--version"])
    for module in image.imports:
        yield f"import {module}", partial(failed_import, module)
    yield "what belongs elsewhere is absent", partial(present, importlib.util.find_spec, image.absent)
    if "torch" in image.imports:
        yield "torch has CUDA", torch_fault
    for job in image.jobs:
        yield (
            f"python -P -m jobs.{job} --help",
            partial(failure, [sys.executable, "-P", "-m", f"jobs.{job}", "--help"]),
        )


def root_user() -> str | None:
    """Root, if that is who runs this."""
    return None if os.getuid() and os.getgid() else f"uid {os.getuid()}, gid {os.getgid()}"


def present(find: Callable[[str], object], names: tuple[str, ...]) -> str:
    """The names that are found."""
    return ", ".join(name for name in names if find(name))


def is_credential(variable: str) -> bool:
    """Whether an environment variable holds what no image may hold."""
    return variable.startswith(CREDENTIALS)


def failed_import(module: str) -> None:
    """Nothing; what goes wrong is raised."""
    importlib.import_module(module)


def writable_place() -> str | None:
    """A directory of the image, outside the volumes, that this user can write."""
    tops = [
        path for path in Path("/").iterdir() if path.name not in ("a360", "dev", "proc", "sys", "tmp", "run")
    ]
    places = [
        Path("/"),
        *tops,
        *Path("/opt/a360").rglob("*/"),
        *Path("/etc").glob("*/"),
        *Path("/var").glob("*/"),
    ]
    return next((str(place) for place in places if place.is_dir() and os.access(place, os.W_OK)), None)


def refused_place() -> str | None:
    """One of the places that a pod writes, if this user cannot."""
    for place in (Path.home(), Path(tempfile.gettempdir()), Path("/tmp")):
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    wanted = os.environ.get("TMPDIR")
    return (
        None
        if wanted == tempfile.gettempdir()
        else f"TMPDIR is {wanted}, but {tempfile.gettempdir()} is used"
    )


def wrong_revision(expected: str | None) -> str | None:
    """What is wrong with A360_GIT_SHA."""
    found = os.environ.get("A360_GIT_SHA", "")
    if not found or (expected and found != expected):
        return f"A360_GIT_SHA is {found or 'not set'}, expected {expected or 'a revision'}"
    return None


def failure(command: list[str]) -> str | None:
    """The last line that a command says, if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return (
        None if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
    )


def torch_fault() -> str | None:
    """Whether torch is a build for CUDA, and computes."""
    import torch

    if not torch.version.cuda:
        return f"torch {torch.__version__} is a build for the CPU"
    product = float((torch.ones(8, 8) @ torch.ones(8, 8)).sum())
    print(
        f"       torch {torch.__version__}, CUDA {torch.version.cuda}, devices: {torch.cuda.device_count()}"
    )
    return None if product == 512 else f"8x8 ones give {product}"


if __name__ == "__main__":
    sys.exit(main())
