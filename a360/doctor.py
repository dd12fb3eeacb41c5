"""Is everything there that a360, and one suite, needs? Checks that look and never repair.

``check_installation`` needs nothing; ``check_suite`` opens the suite's store, checkpoints, mirror and cache.
Heavy packages are tried in processes of their own: a package that is installed may still fail to import.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from a360.benchmarks import Benchmark
from a360.check import Check, State, guarded
from a360.checkpoints.folders import group_folders
from a360.checkpoints.naming import NamingScheme
from a360.datasets.mirror import MirrorManifest, read_stored_manifest, select_files
from a360.errors import DataError
from a360.plan import build_protocols
from a360.results.commit import require_conditional_put
from a360.storage import open_store
from a360.suite import Suite

CORE = ("pydantic", "pyarrow", "boto3", "numpy", "typer", "rich")
EVALUATE = ("torch", "transformers", "lm_eval", "datasets", "safetensors")
PUBLISH = ("wandb", "matplotlib", "jinja2")
LOW_DISK_BYTES = 2**30
_PROBE_SECONDS = 120
_BRING_DATA = "mirror the data, or take the benchmark out of the suite"


def check_installation(suite: Suite | None = None) -> Iterator[Check]:
    """The checks of this Python, its packages, the device and W&B."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check(name="python", state="ok", found=f"{version} at {sys.executable}")
    yield _check_packages("core", CORE, "fail")
    yield _check_packages("evaluate", EVALUATE, "warn")
    yield _check_packages("publish", PUBLISH, "warn")
    yield _check_device(suite.run.device if suite else "auto")
    yield _check_wandb()


def check_suite(suite: Suite) -> Iterator[Check]:
    """The checks of what a suite names."""
    yield from check_places(suite)
    yield guarded("cache", lambda: _check_disk("cache", Path(suite.run.cache_dir), suite.run.cache_gib))
    yield guarded("report", lambda: _check_disk("report", Path(suite.publish.directory), 0.0))


def check_places(suite: Suite) -> Iterator[Check]:
    """The checks of the places that every machine of a sweep reads and writes: store, checkpoints, data."""
    yield guarded("store", lambda: _check_store(suite))
    yield guarded("checkpoints", lambda: _check_checkpoints(suite))
    yield guarded("data", lambda: _check_data(suite))


def _check_packages(extra: str, names: tuple[str, ...], otherwise: State) -> Check:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        wanted = "a360" if extra == "core" else f"a360[{extra}]"
        return Check(
            name=f"packages: {extra}",
            state=otherwise,
            found=f"not installed: {', '.join(missing)}",
            hint=f"install {wanted} in this environment",
        )
    return Check(name=f"packages: {extra}", state="ok", found=", ".join(found))


_DEVICE_PROBE = """
import torch
count = torch.cuda.device_count()
print(f"{count} x {torch.cuda.get_device_name(0)}" if count else f"cpu, {torch.get_num_threads()} threads")
"""


def _check_device(wanted: str) -> Check:
    done = _probe(_DEVICE_PROBE)
    if done is None or done.returncode:
        return Check(
            name="device",
            state="warn",
            found=f"torch does not start: {_last_line(done)}",
            hint="this environment can plan and publish, not evaluate",
        )
    found = done.stdout.strip()
    if wanted == "cuda" and found.startswith("cpu"):
        hint = "run.device: auto takes what is there; or check the driver with nvidia-smi"
        return Check(name="device", state="fail", found=f"{found}; the suite asks for cuda", hint=hint)
    return Check(name="device", state="ok", found=found)


_WANDB_PROBE = """
import os, sys, tempfile
with tempfile.TemporaryDirectory() as folder:
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=folder)
    import wandb
    with wandb.init(project="a360-doctor", settings=wandb.Settings(console="off")) as run:
        run.log({"value": 1.0})
    found = [name for _, _, names in os.walk(folder) for name in names if name.endswith(".wandb")]
    print(f"{wandb.__version__}, offline run written" if found else "no run file was written")
    sys.exit(not found)
"""


def _check_wandb() -> Check:
    done = _probe(_WANDB_PROBE)
    if done is None or done.returncode:
        hint = "a360 report works without W&B; a360 publish and a360 run need a360[publish]"
        return Check(name="W&B", state="warn", found=f"no offline run: {_last_line(done)}", hint=hint)
    return Check(name="W&B", state="ok", found=done.stdout.strip().splitlines()[-1])


def _probe(code: str) -> subprocess.CompletedProcess[str] | None:
    """What a fresh interpreter did with the code; None when it took too long."""
    command = [sys.executable, "-P", "-c", code]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None


def _last_line(done: subprocess.CompletedProcess[str] | None) -> str:
    if done is None:
        return f"no answer within {_PROBE_SECONDS} s"
    return next(
        iter(reversed(f"{done.stdout}\n{done.stderr}".strip().splitlines())), f"exit code {done.returncode}"
    )


def _check_store(suite: Suite) -> Check:
    store = open_store(suite.store.uri, suite.store.s3)
    honoured = require_conditional_put(store, single_writer=suite.store.single_writer)
    if not honoured:
        return Check(
            name="store",
            state="warn",
            found=f"{store.uri}: writable, no conditional put",
            hint="store.single_writer is set: let only one process commit",
        )
    return Check(name="store", state="ok", found=f"{store.uri}: writable, conditional put holds")


def _check_checkpoints(suite: Suite) -> Check:
    scheme = NamingScheme(suite.model.naming)
    source = open_store(suite.model.root, suite.model.s3)
    folders, others = group_folders(source, source.list(""), scheme.matches)
    if not folders:
        found = ", ".join(others[:3]) or "nothing"
        raise DataError(
            f"no name below {source.uri} matches {scheme.pattern.pattern!r}: found {found}",
            hint="model.root is the folder above the checkpoints; naming.pattern matches their whole names",
        )
    absent = scheme.absent(scheme.assign(folder.name for folder in folders))
    found = f"{source.uri}: {len(folders):,} folder{'' if len(folders) == 1 else 's'} match"
    if absent:
        names = f"{absent[0].id}, …" if len(absent) > 1 else absent[0].id
        hint = "a360 checkpoints lists all of them"
        return Check(
            name="checkpoints",
            state="warn",
            found=f"{found}, {len(absent):,} expected are absent: {names}",
            hint=hint,
        )
    return Check(name="checkpoints", state="ok", found=found)


def _check_data(suite: Suite) -> Check:
    store = open_store(suite.data.mirror, suite.data.s3)
    manifest = read_stored_manifest(store)
    protocols = build_protocols(suite, manifest)
    sizes = {entry.key: entry.bytes for entry in store.list("")}
    for name, (state, reason) in protocols.unavailable.items():
        if state == "missing":
            raise DataError(f"{name}: {reason}", hint=_BRING_DATA)
    for name in protocols.protocols:
        _compare_sizes(suite.find_benchmark(name), manifest, sizes, store.uri)
    found = f"{store.uri}: {len(protocols.protocols)} benchmarks have their files"
    if closed := [f"{name}: {reason}" for name, (_, reason) in protocols.unavailable.items()]:
        return Check(name="data", state="warn", found=f"{found}; {'; '.join(closed)}", hint=_BRING_DATA)
    return Check(name="data", state="ok", found=found)


def _compare_sizes(benchmark: Benchmark, manifest: MirrorManifest, sizes: dict[str, int], where: str) -> None:
    for path, file in select_files(manifest, benchmark.places()).items():
        if sizes.get(path) != file.bytes:
            found = f"{sizes[path]:,} bytes" if path in sizes else "nothing"
            raise DataError(
                f"{benchmark.id}: {where}/{path}: found {found}, the manifest promises {file.bytes:,} bytes",
                hint="mirror the data set again",
            )


def _check_disk(name: str, directory: Path, wanted_gib: float) -> Check:
    present = next(folder for folder in (directory, *directory.parents) if folder.exists())
    free_bytes = shutil.disk_usage(present).free
    found = f"{directory}: {free_bytes / 2**30:,.1f} GiB free"
    if not present.is_dir() or not os.access(present, os.W_OK):
        return Check(
            name=name,
            state="fail",
            found=f"{present} is no directory that can be written",
            hint="choose another one in the suite",
        )
    if free_bytes < LOW_DISK_BYTES:
        return Check(name=name, state="fail", found=found, hint="free space, or choose another directory")
    if free_bytes < wanted_gib * 2**30:
        hint = f"run.cache_gib allows {wanted_gib:g} GiB; lower it, or free space"
        return Check(name=name, state="warn", found=found, hint=hint)
    return Check(name=name, state="ok", found=found)
