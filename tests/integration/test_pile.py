"""The rows of the Pile, all 22 subsets, against a plain script: every group, every mean, the assumed 18."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from a360.benchmarks import CATALOGUE
from a360.datasets.mirror import read_manifest, select_files
from a360.datasets.texts import read_texts
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.evaluators.harness import Outcome, load_model
from a360.evaluators.perplexity import evaluate_perplexity
from a360.records import Metric
from a360.results.journal import Journal
from a360.storage import open_store
from tests.altered_rows import Rows, change_mirror
from tests.documents import make_protocol
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
POSITIONS = 64
"""So few that every document takes several windows."""
ROWS = {"demo-pile": "pile/test/*.parquet", "demo-pile-10k": "NeelNanda/pile-10k/data/*.parquet"}
LEFT_OUT = {"BookCorpus2", "Books3", "OpenSubtitles", "YoutubeSubtitles"}
METRICS = ("token_perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "document_perplexity")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint and the demo's mirror."""
    directory = tmp_path_factory.mktemp("pile")
    write_checkpoint(directory / "checkpoint", seed=5, positions=POSITIONS)
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    for files in ROWS.values():
        change_mirror(directory / "mirror", files, leave_one_of_every_third)
    return directory


def leave_one_of_every_third(number: int, rows: Rows) -> Rows:
    """Subsets of unequal sizes: with two documents in each, a mean over documents is one over subsets."""
    groups = sorted({row["meta"]["pile_set_name"] for row in rows})
    single = {
        group: next(row for row in rows if row["meta"]["pile_set_name"] == group)
        for position, group in enumerate(groups, number)
        if position % 3 == 0
    }
    return [row for row in rows if single.get(row["meta"]["pile_set_name"], row) is row]


@pytest.fixture(scope="module")
def outcomes(directory: Path) -> dict[str, Outcome]:
    """What the evaluator says of both rows."""
    model = load_model(directory / "checkpoint", make_protocol("t"), device="cpu", batch_size=4, threads=1)
    mirror_dir = directory / "mirror"
    found: dict[str, Outcome] = {}
    for benchmark in ROWS:
        row = CATALOGUE[benchmark]
        assert row.texts
        documents = read_texts(mirror_dir, select_files(read_manifest(mirror_dir), row.data), row.texts)
        journal = Journal(open_store(str(directory / "store")), f"{len(found):016}", "one")
        found[benchmark] = evaluate_perplexity(
            row, make_protocol(benchmark), documents, model, journal, lambda done, total: None
        )
    return found


@pytest.fixture(scope="module", params=ROWS)
def benchmark(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def plain(directory: Path, benchmark: str) -> dict[str, Any]:
    """What the plain script says of the rows as pyarrow reads them."""
    files = sorted((directory / "mirror").glob(ROWS[benchmark]))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    documents = [[row["meta"]["pile_set_name"], row["text"]] for row in rows]
    (directory / "documents.json").write_text(json.dumps(documents))
    chosen = sorted({group for group, _ in documents} - LEFT_OUT)
    assert (len(documents), len(chosen)) == (44 - 8, 18)
    command = [sys.executable, "-P", str(ROOT / "tests" / "plain_perplexity.py")]
    arguments = [directory / "checkpoint", directory / "documents.json", POSITIONS, POSITIONS, *chosen]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=environment, cwd=directory
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert not {"a360", "lm_eval"} & set(said["modules"])
    return said


def find(outcome: Outcome, metric: str, task: str, aggregation: str, subset: str | None = None) -> Metric:
    [found] = [
        m
        for m in outcome.metrics
        if (m.metric, m.task, m.aggregation, m.subset) == (metric, task, aggregation, subset)
    ]
    return found


def test_all_22_subsets_and_the_whole_have_the_numbers_of_a_plain_script(
    outcomes: dict[str, Outcome], benchmark: str, plain: dict[str, Any]
) -> None:
    whole, outcome = CATALOGUE[benchmark].task, outcomes[benchmark]
    assert len(plain["numbers"]) == 1 + 22
    for group, numbers in plain["numbers"].items():
        way = (group, "item") if group else (whole, "micro")
        found = {metric: find(outcome, metric, *way).value for metric in METRICS}
        assert found == pytest.approx({metric: numbers[metric] for metric in METRICS}, rel=1e-5), group
    assert outcome.prompts > 3 * 36


def test_the_mean_over_the_22_subsets_is_unweighted(
    outcomes: dict[str, Outcome], benchmark: str, plain: dict[str, Any]
) -> None:
    whole, outcome = CATALOGUE[benchmark].task, outcomes[benchmark]
    found = {metric: find(outcome, metric, whole, "macro").value for metric in METRICS}
    assert found == pytest.approx(plain["macro"], rel=1e-5)


def test_the_assumed_18_are_averaged_over_their_documents_and_over_their_means(
    outcomes: dict[str, Outcome], benchmark: str, plain: dict[str, Any]
) -> None:
    whole, outcome = CATALOGUE[benchmark].task, outcomes[benchmark]
    average = find(outcome, "document_perplexity", whole, "micro", "assumed-18")
    assert average.value == pytest.approx(plain["chosen"], rel=1e-5)
    assert 18 < (average.n or 0) < 36
    macro = find(outcome, "document_perplexity", whole, "macro", "assumed-18")
    assert macro.value != pytest.approx(average.value, rel=1e-4)
    assert macro.value == pytest.approx(plain["chosen_macro"], rel=1e-5)
    everything = find(outcome, "document_perplexity", whole, "micro").value
    assert everything != pytest.approx(average.value, rel=1e-3), "the other four subsets matter"
