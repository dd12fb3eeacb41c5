"""Where a result came from: image or package set, revision, node, pod. Never part of a key."""

import os
import platform
import subprocess
import time
import uuid
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

from a360.identity import hash_value

_REPORTED = ("a360", "torch", "transformers", "tokenizers", "lm_eval", "datasets", "numpy", "safetensors")


@cache
def packages() -> dict[str, str]:
    """Every installed distribution and its version."""
    return {str(d.metadata["Name"]).lower(): d.version for d in metadata.distributions()}


def reported_packages() -> dict[str, str]:
    """The versions that matter to a reader of a result."""
    return {name: version for name, version in packages().items() if name.replace("-", "_") in _REPORTED}


@cache
def environment() -> str:
    """The image digest; outside a container a hash of the package set and of a360's own revision."""
    return os.environ.get("A360_IMAGE_DIGEST") or f"packages-{hash_value([packages(), git_sha()])}"


def environments() -> frozenset[str]:
    """Those that do the work of a sweep: this one, and on a cluster the images of all its pods."""
    listed = os.environ.get("A360_IMAGE_DIGESTS", "")
    return frozenset([environment(), *filter(None, listed.split(","))])


@cache
def git_sha() -> str | None:
    """The revision baked into the image, else that of the checkout this module lies in, with ``-dirty``."""
    baked = os.environ.get("A360_GIT_SHA")
    if baked:
        return baked
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None  # installed somewhere inside another repository, perhaps
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def node() -> str:
    """The name of the machine, the cluster's where it is known."""
    return os.environ.get("A360_NODE_NAME") or platform.node()


def workflow_uid() -> str | None:
    """The uid of the workflow that this process works for; None outside a cluster."""
    return os.environ.get("A360_WORKFLOW_UID")


def new_attempt() -> str:
    """An id for one process's attempt at its pairs: the pod's uid, else random; 12 characters or more."""
    return os.environ.get("A360_POD_UID") or uuid.uuid4().hex[:12]


def describe_process(attempt: str, started: float, *, conditional_put: bool) -> dict[str, object]:
    """What a ``Provenance`` says of the process that writes it; ``started`` counts seconds from 1970."""
    finished = time.time()
    return {
        "image_digest": os.environ.get("A360_IMAGE_DIGEST"),
        "git_sha": git_sha(),
        "packages": reported_packages(),
        "attempt": attempt,
        "node": node(),
        "pod": os.environ.get("A360_POD_NAME"),
        "workflow_uid": workflow_uid(),
        "started_at": utc(started),
        "finished_at": utc(finished),
        "wall_seconds": round(finished - started, 3),
        "conditional_put": conditional_put,
    }


def utc(seconds: float) -> str:
    """Seconds since 1970 as a text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
