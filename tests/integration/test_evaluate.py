"""The evaluate job and ``a360 run`` on real lm-eval: bad input, races, signals, killed workers.

Every process is a real one, started as a user or a pod starts it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from a360.benchmarks import find_benchmark
from a360.datasets.mirror import build_manifest, read_manifest, write_manifest
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.errors import ConfigError
from a360.records import Failure, Plan
from a360.results.places import plan_place
from a360.results.read import list_commits, read_failures, read_plan
from a360.storage import Store, open_store
from a360.suite import load_suite
from a360.sweep import plan_sweep, store_plan
from tests.servers import S3Server, forward, small_disk_command, stub_server
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}


def a360(*arguments: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "a360", *map(str, arguments)]
    return subprocess.run(command, env=environment(**changes), capture_output=True, text=True)


def job(name: str, *arguments: str | Path, **changes: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", f"jobs.{name}", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment(**changes), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def mirror_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("mirror") / "mirror"
    write_mirror(directory, split_documents(read_documents())[1])
    return directory


@pytest.fixture(scope="module")
def checkpoints_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoints")
    for step in (1, 2):
        write_checkpoint(directory / f"step_{step}", seed=step)
    return directory


def write_suite(
    directory: Path, mirror_dir: Path, root: Path, benchmarks: list[str], **changes: object
) -> Path:
    run = {"device": "cpu", "batch_size": 4, "threads": 1, "pairs_per_group": "all", "cache_dir": "cache"}
    suite = {
        "name": "small",
        "model": {
            "name": "tiny",
            "root": str(root),
            "naming": {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": str(mirror_dir)},
        "benchmarks": benchmarks,
        "run": run,
        **changes,
    }
    path = directory / "suite.yaml"
    path.write_text(json.dumps(suite))
    return path


def store_of(directory: Path) -> Store:
    return open_store(str(directory / "store"))


def stored_plan(suite_path: Path) -> Plan:
    suite = load_suite(str(suite_path))
    plan = plan_sweep(suite)
    store_plan(suite, plan)
    return plan


def failures(directory: Path) -> dict[str, Failure]:
    found = read_failures(store_of(directory), "tiny")
    return {f"{name.checkpoint}/{name.benchmark}": failure for name, failure in found.items()}


def committed(directory: Path) -> list[str]:
    return sorted(f"{name.checkpoint}/{name.benchmark}" for name in list_commits(store_of(directory), "tiny"))


def with_unfit_rows(mirror_dir: Path, target_dir: Path) -> Path:
    """A copy of the mirror whose BoolQ rows lack ``passage`` and one of ARC's its question."""
    subprocess.run(["cp", "-r", str(mirror_dir), str(target_dir)], check=True)
    for path in target_dir.glob("aps/super_glue/boolq/*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["passage"]), path)
    for path in target_dir.glob("allenai/ai2_arc/ARC-Challenge/test*.parquet"):
        table = pq.read_table(path)
        at = table.schema.get_field_index("question")
        questions = table["question"].to_pylist()
        questions[1] = None
        pq.write_table(table.set_column(at, table.schema.field(at), pa.array(questions, pa.string())), path)
    readme = target_dir / "aps" / "super_glue" / "README.md"
    assert "passage" not in readme.read_text()
    manifest = read_manifest(mirror_dir)
    revisions = {name: repository.revision for name, repository in manifest.repositories.items()}
    write_manifest(target_dir, build_manifest(target_dir, stand_in=True, revisions=revisions))
    return target_dir


def test_one_bad_checkpoint_or_benchmark_never_stops_the_others(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    root = tmp_path / "root"
    subprocess.run(["cp", "-r", str(checkpoints_dir), str(root)], check=True)
    weights = root / "step_2" / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], float("nan"))
    save_file(tensors, weights, metadata={"format": "pt"})
    write_checkpoint(root / "step_3", seed=3)
    truncated = root / "step_3" / "model.safetensors"
    truncated.write_bytes(truncated.read_bytes()[:-100])
    mirror = with_unfit_rows(mirror_dir, tmp_path / "mirror")
    benchmarks = ["demo-boolq", "demo-arc-challenge-25shot", "demo-truthfulqa-mc2"]
    suite = write_suite(tmp_path, mirror, root, benchmarks)

    done = a360("run", suite)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert committed(tmp_path) == ["step_1/demo-truthfulqa-mc2"]
    found = failures(tmp_path)
    unfit = ["step_1/demo-arc-challenge-25shot", "step_1/demo-boolq"]
    assert sorted(found) == sorted([*unfit, *(f"step_2/{benchmark}" for benchmark in benchmarks)])
    null = found["step_1/demo-arc-challenge-25shot"].error
    assert "a row lacks a field: benchmark demo-arc-challenge-25shot" in null
    assert "split test, row 1: question is null" in null
    assert "rows do not fit the task: benchmark demo-boolq" in found["step_1/demo-boolq"].error
    assert "passage" in found["step_1/demo-boolq"].error
    assert "NaN or infinite logits" in found["step_2/demo-boolq"].error
    assert {failure.exit_code for failure in found.values()} == {3}

    status = json.loads(a360("status", suite, "--json").stdout)
    assert "step_3" in json.dumps(status)
    assert "its header promises" in json.dumps(status)

    again = a360("run", suite)
    assert again.returncode == 3
    assert "nothing to do" in again.stdout + again.stderr
    assert failures(tmp_path) == found, "a pair that failed for good was tried again"


def test_two_processes_on_one_pair_commit_it_once_and_both_succeed(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    suite = write_suite(tmp_path, mirror_dir, checkpoints_dir, ["demo-boolq"])
    plan = stored_plan(suite)
    arguments = ("--suite", suite, "--plan", plan.id, "--pairs", "step_1/demo-boolq")
    racers = [job("evaluate", *arguments) for _ in range(2)]
    said = [racer.communicate()[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], said
    assert committed(tmp_path) == ["step_1/demo-boolq"]
    assert sum("committed: step_1/demo-boolq" in text for text in said) == 1
    assert sum("done already: step_1/demo-boolq" in text for text in said) == 1


def test_a_checkpoint_that_was_away_for_a_moment_is_tried_again(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    root = tmp_path / "root"
    subprocess.run(["cp", "-r", str(checkpoints_dir), str(root)], check=True)
    suite = write_suite(tmp_path, mirror_dir, root, ["demo-boolq"])
    plan = stored_plan(suite)
    (root / "step_1").rename(tmp_path / "away")
    failed = a360("evaluate", suite, "--plan", plan.id, "--pair", "step_1/demo-boolq")
    assert failed.returncode == 75, failed.stderr
    assert "changed after it was planned" in failures(tmp_path)["step_1/demo-boolq"].error
    (tmp_path / "away").rename(root / "step_1")
    assert ["step_1/demo-boolq"] in [list(group) for group in stored_plan(suite).groups]


def test_a_plan_that_cannot_be_reproduced_is_refused(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    suite = write_suite(tmp_path, mirror_dir, checkpoints_dir, ["demo-boolq"])
    plan = stored_plan(suite)
    protocol = plan.protocols["demo-boolq"].model_copy(update={"task_hash": "0" * 16})
    forged = plan.model_copy(update={"id": "forged", "protocols": {"demo-boolq": protocol}})
    store_of(tmp_path).write(plan_place("forged"), forged.model_dump_json().encode())
    assert read_plan(store_of(tmp_path), "forged") == forged
    refused = job("evaluate", "--suite", suite, "--plan", "forged", "--pairs", "step_1/demo-boolq")
    said = refused.communicate()[1]
    assert refused.returncode == 2
    assert "plan forged cannot be reproduced: benchmark demo-boolq: task_hash differ here" in said
    assert committed(tmp_path) == []


def test_a_task_that_resolves_otherwise_is_a_lock_mismatch() -> None:
    from a360.evaluators.tasks import LoadedTasks, verify_lock

    with pytest.raises(
        ConfigError, match="lock mismatch: benchmark demo-boolq: task 'boolq' resolves to"
    ) as raised:
        verify_lock(find_benchmark("demo-boolq"), LoadedTasks(leaves={}, groups={}), "0" * 16)
    assert raised.value.exit_code == 2


def test_bytes_that_are_not_the_manifests_are_refused(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    mirror = tmp_path / "mirror"
    subprocess.run(["cp", "-r", str(mirror_dir), str(mirror)], check=True)
    [path] = mirror.glob("aps/super_glue/boolq/validation*.parquet")
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 5), path)
    suite = write_suite(tmp_path, mirror, checkpoints_dir, ["demo-boolq"])
    plan = stored_plan(suite)
    arguments = ("--suite", suite, "--plan", plan.id, "--pairs", "step_1/demo-boolq")
    refused = job("evaluate", *arguments, A360_WORKFLOW_UID="one")
    said = refused.communicate()[1]
    assert refused.returncode == 3
    assert "validation" in said
    assert "its manifest promises" in said
    assert committed(tmp_path) == []

    recorded = list((tmp_path / "store" / "v1" / "failures").rglob("*.json"))
    again = job("evaluate", *arguments, A360_WORKFLOW_UID="one")  # as when another pair asked for it
    assert "its manifest promises" in again.communicate()[1]
    assert again.returncode == 3
    assert list((tmp_path / "store" / "v1" / "failures").rglob("*.json")) == recorded


def test_sigterm_keeps_what_was_answered_and_ends_as_a_terminated_process(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    suite = write_suite(tmp_path, mirror_dir, checkpoints_dir, ["demo-gsm8k-5shot"])
    plan = stored_plan(suite)
    arguments = ("--suite", suite, "--plan", plan.id, "--pairs", "step_1/demo-gsm8k-5shot")
    log, victim = tmp_path / "events.log", ROOT / "tests" / "victim.py"
    terminated = subprocess.run(
        [sys.executable, str(victim), str(suite), str(log), "evaluating", "6", "0", "SIGTERM"],
        env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert terminated.returncode == -signal.SIGTERM, terminated.stderr
    steps = [int(line.split()[2]) for line in log.read_text().splitlines() if line.startswith("evaluating")]
    journal = tmp_path / "store" / "v1" / "journal"
    answered = sum(pq.read_metadata(path).num_rows for path in journal.rglob("*.parquet"))
    assert answered == max(steps) == 5  # the first event says 0 of 0
    finished = job("evaluate", *arguments)
    said = finished.communicate()[1]
    assert finished.returncode == 0, said
    [path] = (tmp_path / "store" / "v1" / "commits").rglob("*.json")
    assert json.loads(path.read_text())["provenance"]["requests_from_journal"] == answered


def test_a_killed_worker_gives_its_group_back_and_a_killed_parent_leaves_no_worker(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    suite = write_suite(tmp_path, mirror_dir, checkpoints_dir, ["demo-boolq", "demo-gsm8k-5shot"])
    command = [sys.executable, "-P", "-m", "a360", "run", str(suite)]
    parent = subprocess.Popen(
        command, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    first = wait_for_worker(parent.pid)
    wait_for(tmp_path / "store" / "v1" / "commits", "*.json")
    os.kill(first, signal.SIGKILL)
    second = wait_for_worker(parent.pid, but=first)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{second}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{second}").exists(), "the worker outlived its parent"
    done = a360("run", suite)
    assert done.returncode == 0, done.stderr
    assert len(committed(tmp_path)) == 4


def wait_for(directory: Path, pattern: str) -> None:
    deadline = time.monotonic() + 120
    while not any(directory.rglob(pattern)):
        assert time.monotonic() < deadline, f"no {pattern} below {directory}"
        time.sleep(0.05)


def wait_for_worker(parent: int, but: int = 0) -> int:
    """The pid of a worker process of ``a360 run``."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in map(int, children):
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"spawn_main" in command and child != but:
                return child
        time.sleep(0.05)
    raise AssertionError("no worker process was started")


def test_a_store_without_conditional_put_needs_a_single_writer(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path, moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket = moto.create_bucket()
    with stub_server(lambda request: forward(request, moto.endpoint_url, drop=["if-none-match"])) as stub:
        s3 = stub.settings.model_dump()
        store = {"uri": f"s3://{bucket}/results", "s3": s3}
        suite = write_suite(tmp_path, mirror_dir, checkpoints_dir, ["demo-boolq"], store=store)
        refused = a360("run", suite)
        assert refused.returncode == 2, refused.stderr
        assert "store ignores conditional put" in refused.stderr
        assert "single_writer" in refused.stderr
        assert a360("plan", suite).returncode == 2
        assert not list(open_store(f"s3://{bucket}/results", moto.settings).list("v1/plans/"))
        allowed = write_suite(
            tmp_path, mirror_dir, checkpoints_dir, ["demo-boolq"], store={**store, "single_writer": True}
        )
        done = a360("run", allowed)
        assert done.returncode == 0, done.stderr
    result_store = open_store(f"s3://{bucket}/results", moto.settings)
    names = [entry.key for entry in result_store.list("v1/commits/")]
    assert len(names) == 2
    assert json.loads(result_store.read(names[0]))["provenance"]["conditional_put"] is False


def test_a_full_disk_ends_with_try_again_and_nothing_half_committed(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    suite = write_suite(
        tmp_path, mirror_dir, checkpoints_dir, ["demo-boolq"], store={"uri": str(disk / "store")},
    )  # fmt: skip
    fill = (
        "import os, pathlib, subprocess, sys; disk = pathlib.Path(sys.argv[1]); suite = sys.argv[2]\n"
        "run = lambda *a: subprocess.run([sys.executable, '-P', '-m', *a], capture_output=True, text=True)\n"
        "planned = run('a360', 'plan', suite, '--json')\n"
        "plan = next((disk / 'store/v1/plans').glob('*.json')).stem\n"
        "filler = os.open(disk / 'filler', os.O_WRONLY | os.O_CREAT)\n"
        "try:\n"
        "    while os.write(filler, bytes(4096)): pass\n"
        "except OSError: pass\n"
        "done = run('jobs.evaluate', '--suite', suite, '--plan', plan, '--pairs', 'step_1/demo-boolq')\n"
        "print(done.returncode, done.stderr, [str(p) for p in disk.rglob('*@*')])\n"
    )
    command = small_disk_command(disk, 2_000_000, [sys.executable, "-c", fill, str(disk), str(suite)])
    if command is None:
        pytest.skip("a small disk needs the right to mount one in a namespace")
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.stdout.startswith("75 "), done.stdout + done.stderr
    assert "no space" in done.stdout.lower()
    assert done.stdout.rstrip().endswith("[]")


def test_the_second_checkpoint_of_a_process_gets_the_same_prompts(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    """lm-eval's tasks are reused between checkpoints: both must draw the same shots."""
    suite = write_suite(tmp_path, mirror_dir, checkpoints_dir, ["demo-arc-challenge-25shot", "demo-boolq"])
    assert a360("run", suite, "--workers", "1").returncode == 0
    hashes = {}
    for path in (tmp_path / "store" / "v1" / "commits").rglob("*.json"):
        result = json.loads(path.read_text())
        items: pa.Table = pq.read_table(tmp_path / "store" / result["items"][0]["key"])
        hashes[result["checkpoint"], result["benchmark"]] = items["prompt_hash"].to_pylist()
    for benchmark in ("demo-arc-challenge-25shot", "demo-boolq"):
        assert hashes["step_1", benchmark] == hashes["step_2", benchmark]
        assert len(set(hashes["step_1", benchmark])) == 24


def test_a_task_that_is_not_the_locked_one_is_refused_and_the_others_go_on(
    tmp_path: Path, mirror_dir: Path, checkpoints_dir: Path
) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(ROOT / "a360", forged / "a360", ignore=shutil.ignore_patterns("__pycache__"))
    lock = forged / "a360" / "benchmarks" / "lock.json"
    document = json.loads(lock.read_text())
    document["tasks"]["boolq"] = "0" * 16
    lock.write_text(json.dumps(document))
    suite = write_suite(tmp_path, mirror_dir, checkpoints_dir, ["demo-boolq", "demo-copa"])
    done = a360("run", suite, PYTHONPATH=str(forged))
    assert done.returncode == 2, done.stderr
    assert committed(tmp_path) == ["step_1/demo-copa", "step_2/demo-copa"]
    failure = failures(tmp_path)["step_1/demo-boolq"]
    assert failure.exit_code == 2
    assert "0" * 16 in failure.error
