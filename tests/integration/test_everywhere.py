"""One suite on a directory, moto and versitygw: the same bytes give the same keys."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.results.places import commits_prefix
from a360.storage import Store, StoreSettings, open_store
from a360.suite import load_suite
from a360.sweep import plan_sweep
from tests.servers import S3Server
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
DATA = ("manifest.json", "aps/", "truthfulqa/")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    for step in (1, 2):
        write_checkpoint(directory / "checkpoints" / f"step_{step}", seed=step)
    return directory


def upload(world: Path, store: Store) -> None:
    """Checkpoints and the data of two benchmarks, under the names they have on disk."""
    for path in sorted(world.rglob("*")):
        name = path.relative_to(world).as_posix()
        wanted = name.startswith(("checkpoints/", *(f"mirror/{data}" for data in DATA)))
        if path.is_file() and wanted:
            store.write(name, path.read_bytes())


def write_suite(path: Path, base: str, settings: StoreSettings | None) -> Path:
    s3 = settings.model_dump() if settings else {}
    suite = {
        "name": "everywhere",
        "model": {
            "name": "tiny",
            "root": f"{base}/checkpoints",
            "s3": s3,
            "naming": {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": f"{base}/results", "s3": s3},
        "data": {"mirror": f"{base}/mirror", "s3": s3},
        "benchmarks": ["demo-boolq", "demo-truthfulqa-mc2"],
        "run": {
            "device": "cpu", "batch_size": 4, "threads": 1, "workers": 2, "cache_dir": "cache",
            "cache_gib": 1, "recycle_pairs": 1, "worker_memory_gib": 0.01,
        },
    }  # fmt: skip
    path.write_text(json.dumps(suite))
    return path


def keys(suite_path: Path) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    plan = plan_sweep(load_suite(str(suite_path)))
    assert len(plan.cells) == 4
    return {(cell.checkpoint, cell.benchmark): (cell.generation_key, cell.key) for cell in plan.cells}


@pytest.fixture(params=["moto", "versitygw"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


def test_the_same_bytes_have_the_same_keys_on_every_store(
    world: Path, server: S3Server, tmp_path: Path
) -> None:
    local = tmp_path / "local"
    upload(world, open_store(str(local)))
    uri = f"s3://{server.create_bucket()}/place"
    remote = open_store(uri, server.settings)
    upload(world, remote)
    on_disk = write_suite(tmp_path / "disk.yaml", str(local), None)
    on_s3 = write_suite(tmp_path / "s3.yaml", uri, server.settings)
    before = keys(on_s3)
    assert before == keys(on_disk)
    assert len(set(before.values())) == 4

    remote.write("checkpoints/step_1/README.md", b"# edited")
    assert keys(on_s3) == before

    weights = "checkpoints/step_1/model.safetensors"
    data = remote.read(weights)
    remote.write(weights, data[:-1] + bytes([data[-1] ^ 1]))
    after = keys(on_s3)
    assert all(after[pair] != before[pair] for pair in before if pair[0] == "step_1")
    assert all(after[pair] == before[pair] for pair in before if pair[0] == "step_2")


def test_two_workers_run_a_sweep_that_lives_on_s3_alone(
    world: Path, moto: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With workers that are replaced after every pair, by number and by memory."""
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    uri = f"s3://{moto.create_bucket()}/place"
    store = open_store(uri, moto.settings)
    upload(world, store)
    suite = write_suite(tmp_path / "suite.yaml", uri, moto.settings)
    command = [sys.executable, "-P", "-m", "a360", "run", str(suite), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    committed = [entry.key for entry in store.list(f"results/{commits_prefix('tiny')}")]
    assert len(committed) == 4
    assert any(entry.key.endswith("report.html") for entry in store.list("results/v1/reports/"))
    attempts = {json.loads(store.read(key))["provenance"]["attempt"] for key in committed}
    assert len(attempts) == 4, "a worker was not replaced"
