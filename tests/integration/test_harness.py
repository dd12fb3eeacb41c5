"""The harness evaluator on tiny models: what exceeds the context, the first token, numbers without bound."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import requires
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import Benchmark, find_benchmark, locked_task_hash
from a360.errors import ConfigError, DataError
from a360.evaluators.harness import (
    Outcome,
    _set_seeds_and_shots,
    _verify_shots,
    evaluate_benchmark,
    load_model,
)
from a360.evaluators.journaled_lm import MeasuringHFLM
from a360.evaluators.repositories import repositories_read_once
from a360.evaluators.tasks import load_tasks
from a360.records import Protocol, Result
from a360.results.journal import Journal
from a360.results.places import commits_prefix
from a360.storage import open_store
from tests.altered_rows import Alter
from tests.documents import make_protocol
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SEEDS = {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}


@pytest.fixture(scope="module")
def checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model"), seed=5, positions=256)


@pytest.fixture(autouse=True)
def fresh_tasks() -> Iterator[None]:
    load_tasks.cache_clear()
    yield
    load_tasks.cache_clear()


def load(checkpoint_dir: Path) -> MeasuringHFLM:
    return load_model(checkpoint_dir, make_protocol("t"), device="cpu", batch_size=4, threads=1)


def evaluate(name: str, model: MeasuringHFLM, directory: Path, limit: int | None = None) -> Outcome:
    return evaluate_row(find_benchmark(f"demo-{name}"), model, directory, limit)


def protocol_of(benchmark: Benchmark, limit: int | None = None) -> Protocol:
    task_hash = locked_task_hash(benchmark)
    return make_protocol(benchmark.id, task_hash=task_hash, shots=benchmark.shots, seeds=SEEDS, limit=limit)


def evaluate_row(
    benchmark: Benchmark, model: MeasuringHFLM, directory: Path, limit: int | None = None
) -> Outcome:
    protocol = protocol_of(benchmark, limit)
    journal = Journal(open_store(str(directory / "store")), "0" * 16, "one", flush_requests=1000)
    return evaluate_benchmark(benchmark, protocol, model, journal, lambda done, total: None)


def without_bos(checkpoint_dir: Path, target_dir: Path) -> Path:
    subprocess.run(["cp", "-r", str(checkpoint_dir), str(target_dir)], check=True)
    path = target_dir / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["bos_token"]
    path.write_text(json.dumps(settings))
    return target_dir


@pytest.mark.parametrize(
    ("benchmark", "place"),
    [
        ("crows-pairs", "jannalu/crows_pairs_multilingual"),
        ("wikitext", "EleutherAI/wikitext_document_level"),
    ],
)
def test_a_result_says_which_token_stands_before_a_text(
    benchmark: str, place: str, checkpoint_dir: Path, alter: Alter, tmp_path: Path
) -> None:
    alter.copy(place)
    with_bos = evaluate(benchmark, load(checkpoint_dir), tmp_path / "bos", limit=2)
    with_eos = evaluate(
        benchmark, load(without_bos(checkpoint_dir, tmp_path / "m")), tmp_path / "eos", limit=2
    )
    assert with_bos.raw["prefix"] == {"token": "bos", "id": 0}
    assert with_eos.raw["prefix"] == {"token": "eos", "id": 1}
    assert with_bos.items["loglikelihoods"] != with_eos.items["loglikelihoods"]


def test_crows_pairs_of_one_token_are_conditioned_on_bos_in_their_empty_context(
    checkpoint_dir: Path, alter: Alter, tmp_path: Path
) -> None:
    files = "jannalu/crows_pairs_multilingual/english/test*"
    sentences = ("w", "iron and gold")

    def shorten(rows: list[dict[str, object]]) -> None:
        for row in rows:
            row.update(sent_more=sentences[0], sent_less=sentences[1])

    alter(files, shorten)
    model = load(checkpoint_dir)
    items = evaluate("crows-pairs", model, tmp_path, limit=1).items.to_pylist()
    encoded = [model.tok_encode(text, add_special_tokens=False) for text in sentences]
    assert len(encoded[0]) == 1
    expected = [
        model._loglikelihood_tokens([(None, [model.tokenizer.bos_token_id], tokens)])[0][0]
        for tokens in encoded
    ]
    assert len(items) == 10
    for item in items:
        assert item["loglikelihoods"] == pytest.approx(expected, abs=1e-4)


def test_crows_pairs_renamed_key_is_likelihood_diff_the_distance_of_the_two_sentences(
    checkpoint_dir: Path, alter: Alter, tmp_path: Path
) -> None:
    alter.copy("jannalu/crows_pairs_multilingual")
    outcome = evaluate("crows-pairs", load(checkpoint_dir), tmp_path, limit=1)
    assert {metric.metric for metric in outcome.metrics} == {"likelihood_diff", "pct_stereotype"}
    distances = {
        metric.task: metric.value for metric in outcome.metrics if metric.metric == "likelihood_diff"
    }
    for item in outcome.items.to_pylist():
        more, less = item["loglikelihoods"]
        assert distances[item["task"]] == pytest.approx(abs(more - less))


def test_truthfulqa_mc2_calls_acc_the_probability_of_the_true_answers(
    checkpoint_dir: Path, alter: Alter, tmp_path: Path
) -> None:
    alter.copy("truthfulqa/truthful_qa")
    [path] = Path("truthfulqa/truthful_qa/multiple_choice").glob("validation*")
    outcome = evaluate("truthfulqa-mc2", load(checkpoint_dir), tmp_path, limit=3)
    masses = []
    for item, row in zip(outcome.items.to_pylist(), pq.read_table(path).to_pylist(), strict=False):
        weights = [math.exp(value) for value in item["loglikelihoods"]]
        true = [w for w, label in zip(weights, row["mc2_targets"]["labels"], strict=True) if label]
        masses.append(sum(true) / sum(weights))
    [metric] = outcome.metrics
    assert metric.metric == "acc"
    assert len(masses) == 3
    assert metric.value == pytest.approx(sum(masses) / 3, abs=1e-6)
    assert not {0.0, 1.0} & set(masses)


def test_drop_imports_scipy_which_arrives_with_lm_evals_scikit_learn(alter: Alter) -> None:
    """Answers are aligned with scipy, which lm-eval does not ask for: missed before the model is asked."""
    assert any(line.startswith("scikit-learn") for line in requires("lm_eval") or ())
    assert any(line.startswith("scipy") for line in requires("scikit-learn") or ())
    alter.copy("EleutherAI/drop")
    with pytest.MonkeyPatch.context() as without:
        without.setitem(sys.modules, "scipy.optimize", None)
        with pytest.raises(ImportError, match="scipy"):
            load_tasks(find_benchmark("demo-drop-3shot"))
    assert load_tasks(find_benchmark("demo-drop-3shot")).leaves


def test_truthfulqa_imports_the_metrics_of_its_generation_task_also_for_choices(
    alter: Alter, tmp_path: Path
) -> None:
    """lm-eval keeps what it has imported: a process for each module that is away, and one for none."""
    for package in ("rouge-score", "sacrebleu"):
        assert any(line.startswith(package) for line in requires("lm_eval") or ())
    alter.copy("truthfulqa/truthful_qa")
    load = (
        "from a360.benchmarks.catalogue import find_benchmark; from a360.evaluators.tasks import load_tasks; "
    )
    load += "load_tasks(find_benchmark('demo-truthfulqa-mc2'))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    for module, needed in (("rouge_score", True), ("sacrebleu", True), ("a360_has_no_such_module", False)):
        script = f"import sys; sys.modules[{module!r}] = None; {load}"
        done = subprocess.run(
            [sys.executable, "-P", "-c", script], env=environment, capture_output=True, text=True
        )
        assert (done.returncode != 0) == needed, done.stderr
        assert (f"import of {module}" in done.stderr) == needed


def test_the_number_of_documents_can_be_had_back_from_a_mean_and_its_standard_error(
    checkpoint_dir: Path, alter: Alter, tmp_path: Path
) -> None:
    """The sample's standard deviation over the root of n, not the population's."""
    alter.copy("aps/super_glue")
    outcome = evaluate("boolq", load(checkpoint_dir), tmp_path)
    [metric] = outcome.metrics
    assert metric.value is not None
    assert metric.stderr
    variance = metric.value * (1 - metric.value)
    assert variance / metric.stderr**2 + 1 == pytest.approx(outcome.items.num_rows, abs=1e-6)


def test_an_answer_that_leaves_no_room_for_the_prompt_is_refused(
    checkpoint_dir: Path, alter: Alter, tmp_path: Path
) -> None:
    alter.copy("openai/gsm8k")
    with pytest.raises(
        DataError,
        match="benchmark demo-gsm8k-5shot, task gsm8k: found 256 positions, expected more than the 256",
    ) as caught:
        evaluate("gsm8k-5shot", load(checkpoint_dir), tmp_path)
    assert "model.max_length" in str(caught.value.hint)


def test_too_few_rows_of_mmlus_dev_split_are_refused(alter: Alter) -> None:
    alter("cais/mmlu/anatomy/dev*", lambda rows: rows.pop())
    with pytest.raises(DataError, match="mmlu_anatomy, split dev: found 4, expected 5 or more"):
        load_tasks(find_benchmark("demo-mmlu-5shot"))


def test_what_a_repository_has_is_found_out_once_for_all_of_its_configurations(
    alter: Alter, monkeypatch: pytest.MonkeyPatch
) -> None:
    alter.copy("cais/mmlu")
    read, load_card = [], datasets.load.DatasetCard.load

    def load_and_count(path: str) -> object:
        read.append(path)
        return load_card(path)

    monkeypatch.setattr(datasets.load.DatasetCard, "load", load_and_count)
    alone = {name: datasets.load_dataset("cais/mmlu", name)["test"][:] for name in ("anatomy", "virology")}
    assert len(read) == 2
    with repositories_read_once():
        together = {name: datasets.load_dataset("cais/mmlu", name)["test"][:] for name in alone}
    assert len(read) == 3
    assert together == alone
    assert alone["anatomy"] != alone["virology"]
    datasets.load_dataset("cais/mmlu", "anatomy")
    assert len(read) == 4


def test_a_perplexity_of_a_diverged_checkpoint_is_null_and_its_finite_metrics_stay(
    checkpoint_dir: Path, alter: Alter, tmp_path: Path
) -> None:
    model = load(checkpoint_dir)
    model.model.lm_head.weight.data *= 200
    alter.copy("a360/demo-heldout")
    metrics = evaluate("heldout-perplexity", model, tmp_path, limit=2).metrics
    words = [metric for metric in metrics if metric.metric == "word_perplexity"]
    assert len(words) == 4
    assert {(metric.value, metric.reason) for metric in words} == {(None, "exceeds the largest float")}
    [headline] = [metric for metric in metrics if metric.headline]
    assert headline.metric == "bits_per_byte"
    assert headline.value is not None
    assert headline.value > 100


def test_shots_that_lm_eval_would_ignore_are_refused(
    checkpoint_dir: Path, alter: Alter, tmp_path: Path
) -> None:
    """A task that pins num_fewshot 0 is evaluated without examples, whatever one asks for."""
    alter.copy("truthfulqa/truthful_qa")
    asked = replace(find_benchmark("demo-truthfulqa-mc2"), shots=5)
    tasks = load_tasks(asked)
    with pytest.raises(ConfigError, match="asks for 5 shots: task truthfulqa_mc2 pins 0 and lm-eval would"):
        _verify_shots(asked, tasks)
    _verify_shots(replace(asked, shots=0), tasks)
    _verify_shots(replace(asked, shots=None), tasks)
    _set_seeds_and_shots(tasks, protocol_of(asked))
    assert [task.config.num_fewshot for task in tasks.leaves.values()] == [0]
    with pytest.raises(ConfigError, match="asks for 5 shots"):
        evaluate_row(asked, load(checkpoint_dir), tmp_path)


def test_arc_25shot_and_hellaswag_10shot_prompts_longer_than_the_context_are_counted_and_shown(
    checkpoint_dir: Path, demo_mirror: Path, tmp_path: Path
) -> None:
    """In the commit, the table and the page."""
    benchmarks = ["demo-arc-challenge-25shot", "demo-hellaswag-10shot", "demo-arc-challenge-0shot"]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step_1").symlink_to(checkpoint_dir)
    run = {"device": "cpu", "batch_size": 4, "threads": 1, "pairs_per_group": "all", "cache_dir": "cache"}
    suite = {
        "name": "short",
        "model": {
            "name": "tiny", "root": "checkpoints", "dtype": "float32",
            "naming": {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0},
        },
        "store": {"uri": "store"},
        "data": {"mirror": str(demo_mirror)},
        "benchmarks": benchmarks,
        "run": run,
    }  # fmt: skip
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "a360", "run", str(tmp_path / "suite.yaml")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    commits = (tmp_path / "store" / commits_prefix("tiny")).rglob("*.json")
    results = {result.benchmark: result for result in map(_read_result, commits)}
    table = pq.read_table(next((tmp_path / "report").rglob("*.parquet"))).to_pylist()
    page = (tmp_path / "report" / "report.html").read_text()
    lines = page[page.index('<section id="table">') : page.index('<section id="provenance">')].split("<tr>")
    for benchmark in benchmarks:
        result = results[benchmark]
        cut = result.prompts if benchmark != "demo-arc-challenge-0shot" else 0
        assert result.prompts > 0
        assert result.truncated_prompts == cut
        rows = [row for row in table if row["benchmark"] == benchmark]
        assert {(row["truncated_prompts"], row["prompts"]) for row in rows} == {(cut, result.prompts)}
        [line] = [line for line in lines if find_benchmark(benchmark).title in line]
        shown = f"{cut:,} of {result.prompts:,}" if cut else "none"
        assert f'<td class="num">{shown}</td></tr>' in line


def _read_result(path: Path) -> Result:
    return Result.model_validate_json(path.read_bytes())
