"""Makes the two environments behind every make target, and finds them ready in a moment afterwards.

The dependencies (6.6 GB, most of it torch) live outside the checkout, in
``$A360_CACHE/env-<key>``, and are shared by all checkouts that need the same ones. The checkout
has a small environment of its own, ``build/venv``: it sees the shared one and holds nothing but
this checkout's a360, installed in editable mode.

A virtual environment cannot be renamed after it was made (its scripts carry its path), so it is
made in place under a lock, and a marker written last says that it is whole.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
EXTRAS = ("evaluate", "publish", "workflows", "cluster", "dev")
MARKER = ".complete"


def main() -> None:
    """Makes what is missing and says nothing when all is there."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    requirements = sorted(
        project["build-system"]["requires"]
        + project["project"]["dependencies"]
        + [line for extra in EXTRAS for line in project["project"]["optional-dependencies"][extra]]
    )
    cache = Path(os.environ.get("A360_CACHE") or Path.home() / ".cache" / "a360").resolve()
    named = os.environ.get("A360_ENV")
    shared = Path(named).resolve() if named else cache / f"env-{environment_key(requirements)}"
    own = CHECKOUT / "build" / "venv"
    own_stamp = hash_of([str(shared), str(CHECKOUT), project["project"], project["tool"]["setuptools"]])
    if not named and not is_complete(shared, "shared"):
        with locked(cache / f"{shared.name}.lock"):
            if not is_complete(shared, "shared"):
                make_shared(shared, requirements)
    if not is_complete(own, own_stamp):
        with locked(CHECKOUT / "build" / "venv.lock"):
            if not is_complete(own, own_stamp):
                make_own(own, shared, own_stamp)


def environment_key(requirements: list[str]) -> str:
    """16 hex digits that change whenever the environment would: requirements, pins, Python."""
    pins = (CHECKOUT / "constraints.txt").read_text()
    python = [sys.version, sys.base_prefix, platform.machine()]
    return hash_of([requirements, pins, python])


def hash_of(value: object) -> str:
    """16 hex digits for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def is_complete(env_dir: Path, stamp: str) -> bool:
    """Whether the last step of a build was reached, for this stamp."""
    marker = env_dir / MARKER
    return marker.is_file() and marker.read_text() == stamp


def make_shared(env_dir: Path, requirements: list[str]) -> None:
    """All dependencies at their pins, and no a360."""
    say(f"installing the dependencies into {env_dir} (6.6 GB; some minutes, once)")
    started = time.monotonic()
    make_venv(env_dir, sys.executable, "--clear")
    pip = [str(env_dir / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "-c", str(CHECKOUT / "constraints.txt"), *requirements], check=True)
    (env_dir / MARKER).write_text("shared")
    say(f"installed in {time.monotonic() - started:.0f} s")


def make_own(env_dir: Path, shared: Path, stamp: str) -> None:
    """A venv that sees the shared packages through a .pth file, and this checkout's a360."""
    make_venv(env_dir, str(shared / "bin" / "python"), "--clear", "--without-pip")
    python = str(env_dir / "bin" / "python")
    packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    (env_dir / packages / "shared.pth").write_text(
        f"import site; site.addsitedir({str(shared / packages)!r})\n"
    )
    install = [
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--editable",
        str(CHECKOUT),
    ]
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", *install], check=True)
    (env_dir / MARKER).write_text(stamp)
    say(f"a360 is ready: {os.path.relpath(env_dir / 'bin' / 'a360')}")


def make_venv(env_dir: Path, python: str, *options: str) -> None:
    """An unfinished environment of an interrupted build is removed first."""
    if env_dir.exists():
        shutil.rmtree(env_dir)
    env_dir.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, "-m", "venv", *options, str(env_dir)], check=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Two builds of one environment wait for each other; the second finds it ready."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """A line on stderr: stdout belongs to the target that needed the environment."""
    print(f"a360: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(f"a360: setup stopped at: {' '.join(map(str, error.cmd[:6]))} … (exit {error.returncode})")
