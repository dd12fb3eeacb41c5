"""Perplexity rows and somebody's own texts through the whole chain, also after a kill."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from a360.datasets.mirror import build_manifest, read_manifest, write_manifest
from a360.demo.pile_rows import pile_10k_rows
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.records import Result
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints and the demo's mirror with texts of somebody's own in it."""
    directory = tmp_path_factory.mktemp("world")
    mirror_dir = directory / "mirror"
    manifest = write_mirror(mirror_dir, split_documents(read_documents())[1])
    (mirror_dir / "own" / "notes").mkdir(parents=True)
    rows = [{"body": f"water and iron {n}", "meta": {"source": f"s{n % 2}"}} for n in range(6)]
    lines = "".join(json.dumps(each) + "\n" for each in rows)
    (mirror_dir / "own" / "notes" / "notes.jsonl").write_text(lines)
    revisions = {name: repository.revision for name, repository in manifest.repositories.items()}
    revisions["own"] = "1"
    write_manifest(mirror_dir, build_manifest(mirror_dir, stand_in=True, revisions=revisions))
    for step in (1, 2):
        write_checkpoint(directory / "checkpoints" / f"step_{step}", seed=step, positions=256)
    return directory


OWN = {
    "id": "notes", "data": "own/notes", "text": "body", "group": "meta.source", "window": 32, "stride": 16,
    "average_groups": {"label": "ours", "groups": ["s0", "s7"]},
}  # fmt: skip
TWO = {"id": "demo-pile-10k", "average_groups": {"groups": ["ArXiv", "Github"]}}


def write_suite(directory: Path, world: Path, **changes: object) -> Path:
    suite = {
        "name": "small",
        "model": {
            "name": "tiny",
            "root": str(world / "checkpoints"),
            "naming": {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": str(world / "mirror")},
        "run": {
            "device": "cpu", "batch_size": 1, "threads": 1, "pairs_per_group": "all", "cache_dir": "cache",
            "journal_requests": 1,
        },
        **changes,
    }  # fmt: skip
    directory.mkdir(exist_ok=True)
    path = directory / "suite.yaml"
    path.write_text(json.dumps(suite))
    return path


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def results(directory: Path) -> dict[tuple[str, str], Result]:
    paths = (directory / "store" / "v1" / "commits").rglob("*.json")
    found = [Result.model_validate_json(path.read_bytes()) for path in paths]
    return {(result.checkpoint, result.benchmark): result for result in found}


@pytest.fixture(scope="module")
def swept(world: Path) -> Path:
    """A sweep over the demo's Pile, its sample of 10,000 and somebody's own texts."""
    suite = write_suite(world / "swept", world, benchmarks=["demo-pile", TWO], texts=[OWN])
    done = python("-m", "a360", "run", suite)
    assert done.returncode == 0, done.stderr
    return world / "swept"


def test_the_demos_pile_has_22_groups_and_the_assumed_18(swept: Path) -> None:
    result = results(swept)["step_1", "demo-pile"]
    [headline] = [metric for metric in result.metrics if metric.headline]
    assert (headline.metric, headline.aggregation, headline.n) == ("bits_per_byte", "micro", 44)
    assert len({metric.task for metric in result.metrics if metric.aggregation == "item"}) == 22
    [average] = [m for m in result.metrics if m.subset == "assumed-18" and m.aggregation == "micro"]
    assert (average.metric, average.n) == ("document_perplexity", 36)
    assert average.value is not None
    table = pq.read_table(swept / "store" / result.items[0].key)
    assert (table.num_rows, len(set(table["task"].to_pylist()))) == (44, 22)


def test_the_sample_of_the_pile_has_the_numbers_of_the_same_documents(swept: Path) -> None:
    found = results(swept)
    pile, sample = (
        {
            m.metric: m.value
            for m in found["step_2", name].metrics
            if m.aggregation == "micro" and not m.subset
        }
        for name in ("demo-pile", "demo-pile-10k")
    )
    assert sample == pytest.approx(pile, rel=1e-9)
    assert sum(len(rows) for rows in pile_10k_rows().values()) == 44


def test_the_groups_that_a_suite_averages_have_their_own_mean_and_an_absent_one_is_named(swept: Path) -> None:
    found = results(swept)
    [two] = [
        m
        for m in found["step_1", "demo-pile-10k"].metrics
        if (m.subset, m.aggregation) == ("assumed-2", "micro")
    ]
    table = pq.read_table(swept / "store" / found["step_1", "demo-pile-10k"].items[0].key).to_pylist()
    values = [
        dict(row["metrics"])["document_perplexity"] for row in table if row["task"] in ("ArXiv", "Github")
    ]
    assert (two.n, len(values)) == (4, 4)
    assert two.value == pytest.approx(sum(values) / 4, rel=1e-12)
    [ours] = [m for m in found["step_1", "notes"].metrics if (m.subset, m.aggregation) == ("ours", "micro")]
    assert (ours.value, ours.reason) == (None, "no documents of s7")
    page = (swept / "report" / "report.html").read_text()
    assert all(f": {label}</h3>" in page for label in ("assumed-18", "assumed-2", "ours"))


def test_own_texts_are_evaluated_and_published_without_being_named_again(swept: Path) -> None:
    result = results(swept)["step_1", "notes"]
    assert {metric.task for metric in result.metrics} == {"s0", "s1", "notes"}
    assert result.protocol.data_revision
    page = (swept / "report" / "report.html").read_text()
    assert '"id":"notes"' in page
    shown = json.loads(python("-m", "a360", "status", swept / "suite.yaml", "--json").stdout)
    assert "notes" in json.dumps(shown)
    checked = python("-m", "a360", "doctor", swept / "suite.yaml")
    assert "3 benchmarks have their files" in checked.stdout + checked.stderr


def test_a_killed_evaluation_is_continued_without_repeating_a_window(world: Path, swept: Path) -> None:
    directory = world / "killed"
    suite = write_suite(directory, world, benchmarks=["demo-pile"])
    log = directory / "events.log"
    killed = python(ROOT / "tests" / "victim.py", suite, log, "evaluating", "30", "0", "SIGKILL")
    assert killed.returncode == -9, killed.stderr
    answered = sum(
        pq.read_metadata(path).num_rows
        for path in (directory / "store" / "v1" / "journal").rglob("*.parquet")
    )
    assert answered == 29  # the first event says 0 of 0
    done = python("-m", "a360", "run", suite)
    assert done.returncode == 0, done.stderr
    result, whole = results(directory)["step_1", "demo-pile"], results(swept)["step_1", "demo-pile"]
    assert result.provenance.requests_from_journal == answered
    assert result.provenance.requests_scored == whole.provenance.requests_scored - answered
    assert result.metrics == whole.metrics


def test_a_broken_line_fails_its_pair_by_name_and_no_other(world: Path, tmp_path: Path) -> None:
    mirror_dir = tmp_path / "mirror"
    subprocess.run(["cp", "-r", str(world / "mirror"), str(mirror_dir)], check=True)
    path = mirror_dir / "own" / "notes" / "notes.jsonl"
    path.write_text(path.read_text() + '{"body": "cut of')
    manifest = read_manifest(mirror_dir)
    revisions = {name: repository.revision for name, repository in manifest.repositories.items()}
    write_manifest(mirror_dir, build_manifest(mirror_dir, stand_in=True, revisions=revisions))
    data = {"mirror": str(mirror_dir)}
    suite = write_suite(tmp_path / "s", world, benchmarks=["demo-pile-10k"], texts=[OWN], data=data)
    done = python("-m", "a360", "run", suite)
    assert done.returncode == 3
    assert "own/notes/notes.jsonl:7: the line is broken" in done.stdout + done.stderr
    assert {name for _, name in results(tmp_path / "s")} == {"demo-pile-10k"}
