"""The command line on one small sweep: real processes, a tiny model, two benchmarks, lm-eval."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.doctor import check_suite
from a360.suite import load_suite
from tests.servers import s3_error, stub_server
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
BENCHMARKS = ["demo-boolq", "demo-truthfulqa-mc2"]


def a360(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "a360", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def suite_document() -> dict[str, dict[str, object]]:
    return {
        "name": "small",  # type: ignore[dict-item]
        "model": {
            "name": "tiny",
            "root": "checkpoints",
            "naming": {
                "pattern": r"step_(?P<step>\d+)",
                "settle_seconds": 0,
                "tokens": [{"tokens_per_step": 1000}],
            },
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": "mirror"},
        "benchmarks": BENCHMARKS,  # type: ignore[dict-item]
        "run": {
            "device": "cpu",
            "batch_size": 8,
            "threads": 1,
            "pairs_per_group": "all",
            "cache_gib": 0.1,
        },
    }


def write_suite(directory: Path, **changes: object) -> Path:
    """A suite in a directory; ``model__root="x"`` changes one value of a section."""
    document = suite_document()
    for place, value in changes.items():
        section, _, key = place.partition("__")
        if key:
            document[section][key] = value
        else:
            document[section] = value  # type: ignore[assignment]
    path = directory / "suite.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A directory with a finished sweep of two checkpoints, and what its command said."""
    directory = tmp_path_factory.mktemp("sweep")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    for step in (1, 2):
        write_checkpoint(directory / "checkpoints" / f"step_{step}", seed=step)
    return directory, a360("run", write_suite(directory))


@pytest.fixture
def directory(swept: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> Path:
    """A copy of the finished sweep that a test may spoil."""
    return Path(shutil.copytree(swept[0], tmp_path / "sweep"))


# --- a sweep that is whole ---------------------------------------------------------------------------


def test_a_run_ends_with_counts_and_the_place_of_the_report(
    swept: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory, done = swept
    assert done.returncode == 0, done.stderr
    assert "4 pairs, 0 done, 4 to run" in done.stderr
    assert done.stderr.count("committed: ") == 4
    assert done.stdout.splitlines()[-1] == f"report: {directory / 'report' / 'report.html'}"
    assert (directory / "report" / "report.html").is_file()
    assert "committed" not in done.stdout


def test_a_second_run_finds_nothing_to_do(directory: Path) -> None:
    done = a360("run", directory / "suite.yaml")
    assert done.returncode == 0, done.stderr
    assert "nothing to do: all pairs are done (4 of 4)" in done.stdout
    assert "committed" not in done.stderr


def test_publishing_twice_changes_nothing_and_says_so(directory: Path) -> None:
    first = a360("publish", directory / "suite.yaml")
    again = a360("publish", directory / "suite.yaml", "--json")
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    document = json.loads(again.stdout)
    assert document["changed"] == []
    assert len(document["wandb_runs"]) == 1


def test_a_report_that_was_lost_is_built_from_what_is_stored(directory: Path) -> None:
    page = directory / "report" / "report.html"
    before = page.read_bytes()
    page.unlink()
    done = a360("report", directory / "suite.yaml")
    assert done.returncode == 0, done.stderr
    assert "changed: report.html" in done.stdout.splitlines()
    assert page.read_bytes() == before
    assert "nothing changed" in a360("report", directory / "suite.yaml").stdout


def test_status_counts_the_same_for_people_and_for_scripts(directory: Path) -> None:
    told = a360("status", directory / "suite.yaml")
    document = json.loads(a360("status", directory / "suite.yaml", "--json").stdout)
    assert "4 pairs: 4 done" in told.stdout
    assert document["complete"] is True
    assert document["counts"] == {"done": 4}
    assert document["benchmarks"] == {name: {"done": 2} for name in BENCHMARKS}
    assert [(c["id"], c["tokens"]) for c in document["checkpoints"]] == [("step_1", 1000), ("step_2", 2000)]
    assert document["not_done"] == []


def test_checkpoints_are_listed_with_digest_and_proof(directory: Path) -> None:
    told = a360("checkpoints", directory / "suite.yaml")
    document = json.loads(a360("checkpoints", directory / "suite.yaml", "--json").stdout)
    assert [checkpoint["id"] for checkpoint in document["checkpoints"]] == ["step_1", "step_2"]
    for checkpoint in document["checkpoints"]:
        assert checkpoint["digest"][:16] in told.stdout
        assert checkpoint["proof"]
        assert all(check in told.stdout for check in checkpoint["proof"])


def test_doctor_finds_a_working_suite_healthy(directory: Path) -> None:
    done = a360("doctor", write_suite(directory, run={"device": "cpu", "cache_gib": 0.001}), "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stdout
    assert {check["state"] for check in checks.values()} == {"ok"}, checks
    assert {"python", "device", "W&B", "store", "checkpoints", "data", "cache", "report"} <= checks.keys()


# --- a sweep that is not -----------------------------------------------------------------------------


def test_a_half_uploaded_checkpoint_is_shown_everywhere_and_ends_a_run_with_3(directory: Path) -> None:
    shutil.copytree(directory / "checkpoints" / "step_2", directory / "checkpoints" / "step_3")
    (directory / "checkpoints" / "step_3" / "config.json").unlink()
    done = a360("run", directory / "suite.yaml")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-2] == "DataError: 2 of 6 pairs are not done: 2 quarantined"
    assert done.stderr.splitlines()[-1].startswith("hint: ")
    assert "nothing to do: no pair is left that can be evaluated (4 of 6)" in done.stdout
    for command in ("plan", "status", "checkpoints"):
        told = a360(command, directory / "suite.yaml")
        assert told.returncode == 0
        [line] = [line for line in told.stdout.splitlines() if "step_3" in line and "quarantined" in line]
        assert "config.json" in line


def test_a_plan_names_what_runs_and_a_pair_of_it_can_be_evaluated_alone(directory: Path) -> None:
    shutil.copytree(directory / "checkpoints" / "step_2", directory / "checkpoints" / "step_3")
    weights = directory / "checkpoints" / "step_3" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    suite = directory / "suite.yaml"
    plan = json.loads(a360("plan", suite, "--json").stdout)
    assert plan["to_run"] == 2
    pairs = sorted(pair for group in plan["groups"] for pair in group)
    assert pairs == [f"step_3/{name}" for name in BENCHMARKS]
    assert Path(plan["stored_at"]).is_file()
    done = a360("evaluate", suite, "--plan", plan["plan"], "--pair", "step_3/demo-boolq")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "committed: step_3/demo-boolq\n"
    [gap] = json.loads(a360("status", suite, "--json").stdout)["not_done"]
    assert gap == {
        "state": "missing",
        "reason": "not evaluated yet",
        "checkpoints": ["step_3"],
        "benchmarks": ["demo-truthfulqa-mc2"],
    }


def test_a_pair_that_no_plan_has_is_refused(directory: Path) -> None:
    suite = directory / "suite.yaml"
    plan = json.loads(a360("plan", suite, "--json").stdout)["plan"]
    unknown = a360("evaluate", suite, "--plan", plan, "--pair", "step_9/boolq")
    assert unknown.returncode == 2
    assert f"pair step_9/boolq is not in plan {plan}" in unknown.stderr
    no_plan = a360("evaluate", suite, "--plan", "0" * 16, "--pair", "step_1/demo-boolq")
    assert no_plan.returncode == 3
    assert no_plan.stderr.startswith(f"DataError: no plan {'0' * 16}")


# --- mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"model__root": "nowhere"}, 2, "no checkpoint below"),
        ({"model__root": "checkpoints/step_1"}, 2, "this looks like one checkpoint"),
        ({"model__naming": {"pattern": "step_(?P<step>"}}, 2, "is not a regular expression"),
        ({"model__naming": {"pattern": r"step_(\d+)"}}, 2, "has no group named step"),
        ({"model__naming": {"pattern": r"ckpt_(?P<step>\d+)"}}, 2, "expected folders that match"),
        ({"data__mirror": "store"}, 2, "is not a data mirror"),
        ({"store__uri": "suite.yaml"}, 2, "suite.yaml"),
        ({"store__uri": "ftp://host/x"}, 2, "unknown scheme in store URI"),
        ({"store__uri": "s3://"}, 2, "bucket"),
        ({"benchmarks": ["boolq"]}, 2, "mirror holds stand-in rows"),
        ({"benchmarks": ["demo-bolq"]}, 2, "did you mean demo-boolq"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_mistake_is_told_without_a_traceback(
    directory: Path, changes: dict[str, object], code: int, said: str
) -> None:
    ended = a360("run", write_suite(directory, **changes))
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Error: " in ended.stderr
    assert "\nhint: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(("status", "name"), [(403, "AccessDenied"), (404, "NoSuchBucket")])
def test_a_store_that_refuses_is_a_configuration_error(
    directory: Path, monkeypatch: pytest.MonkeyPatch, status: int, name: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a360-access")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a360-secret")
    with stub_server(lambda request: s3_error(status, name)) as stub:
        store = {"uri": "s3://bucket/results", "s3": stub.settings.model_dump()}
        suite = write_suite(directory, store=store)
        ended = a360("run", suite)
        checks = {check.name: check for check in check_suite(load_suite(str(suite)))}
    assert ended.returncode == 2
    assert ended.stderr.startswith("ConfigError: ")
    assert "bucket" in ended.stderr
    assert checks["store"].state == "fail"
    assert checks["store"].hint
    assert {check.state for check in checks.values() if check.name != "store"} == {"ok"}


@pytest.mark.parametrize(
    ("spoil", "check", "said"),
    [
        ("checkpoints", "checkpoints", "found nothing"),
        ("mirror/manifest.json", "data", "is not a data mirror"),
        ("mirror/aps/super_glue/boolq", "data", "found nothing, the manifest promises"),
    ],
)
def test_doctor_names_what_is_gone(directory: Path, spoil: str, check: str, said: str) -> None:
    gone = directory / spoil
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    [failed] = [c for c in check_suite(load_suite(str(directory / "suite.yaml"))) if c.state == "fail"]
    assert failed.name == check
    assert said in failed.found


def test_doctor_fails_where_a_check_does(directory: Path) -> None:
    suite = write_suite(directory, model__root="nowhere", run={"device": "cpu", "cache_gib": 10**9})
    done = a360("doctor", suite)
    assert done.returncode == 2
    states = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines() if " " in line.strip()}
    assert states["checkpoints"] == "fail"
    assert states["cache"] == "warn"
    assert re.search(r"^\d+ ok, \d+ warnings, \d failed$", done.stdout.splitlines()[-1])
