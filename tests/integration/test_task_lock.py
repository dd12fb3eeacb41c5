"""The lock says the same on every machine, and what it says is what lm-eval builds here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from lm_eval.config.task import TaskConfig

from a360.benchmarks import CATALOGUE, load_lock
from a360.datasets.mirror import read_manifest
from a360.datasets.staging import offline_environment
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.evaluators.tasks import task_hash

pytestmark = pytest.mark.integration

LOAD = """
import json
from a360.benchmarks import CATALOGUE
from a360.evaluators.tasks import canonical_config, load_tasks
rows = [row for row in CATALOGUE.values() if row.stand_in and row.evaluator == "harness"]
tasks = {row.task: load_tasks(row) for row in rows}
configs = {name: [canonical_config(leaf) for leaf in task.leaves.values()] for name, task in tasks.items()}
groups = {
    name: [[metric.metric, metric.weight_by_size] for metric in group.aggregate_metric_list or ()]
    for task in tasks.values() for name, group in task.groups.items()
}
hashes = {name: loaded.hash for name, loaded in tasks.items()}
print(json.dumps({"hashes": hashes, "configs": configs, "groups": groups}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What a fresh process with the demo's mirror builds: task -> hash, task -> configurations."""
    directory = tmp_path_factory.mktemp("lock")
    mirror_dir = directory / "mirror"
    write_mirror(mirror_dir, split_documents(read_documents())[1])
    offline = offline_environment(mirror_dir, read_manifest(mirror_dir), directory / "cache")
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOAD],
        cwd=mirror_dir,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **offline},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    parsed: dict[str, dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return parsed


def test_no_row_asks_for_shots_where_its_task_pins_0_and_lm_eval_would_ignore_them(
    built: dict[str, dict[str, object]],
) -> None:
    configs = cast("dict[str, list[dict[str, object]]]", built["configs"])
    pinned = {name for name, leaves in configs.items() if any(leaf["num_fewshot"] == 0 for leaf in leaves)}
    assert pinned == {"truthfulqa_mc1", "truthfulqa_mc2", "wmdp"}
    rows = [row for row in CATALOGUE.values() if row.task in pinned]
    assert len(rows) == 6
    assert {row.id: row.shots for row in rows if row.shots} == {}


def test_groups_weigh_by_size_which_no_lock_says(built: dict[str, dict[str, object]]) -> None:
    """MMLU's micro mean and WMDP's headline; the hash is that of leaves."""
    groups = cast("dict[str, list[list[object]]]", built["groups"])
    weighed = {name: metrics for name, metrics in groups.items() if metrics}
    assert {"mmlu", "wmdp"} <= weighed.keys()
    assert {weighs for metrics in weighed.values() for _, weighs in metrics} == {True}


def test_tasks_open_the_data_of_their_row_and_no_script(built: dict[str, dict[str, object]]) -> None:
    """MMLU's once came from a copy without its training split; scripts are what trust_remote_code is for."""
    configs = cast("dict[str, list[dict[str, object]]]", built["configs"])
    for row in CATALOGUE.values():
        for leaf in configs.get(row.task, ()) if not row.stand_in else ():
            assert str(leaf["dataset_path"]) in {"/".join(data.split("/")[:2]) for data in row.data}, row.id
            assert "trust_remote_code" not in str(leaf["dataset_kwargs"]), row.id


def strings_in(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings_in(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings_in(item)]
    return [value] if isinstance(value, str) else []


def test_the_tasks_of_this_environment_are_the_locked_ones(built: dict[str, dict[str, object]]) -> None:
    assert built["hashes"] == load_lock()


def test_no_path_of_this_machine_enters_the_lock(built: dict[str, dict[str, object]]) -> None:
    texts = strings_in(built["configs"])
    assert len(texts) > 1000
    places = (sys.prefix, sys.base_prefix, str(Path.home()), str(Path(__file__).parents[2]), "site-packages")
    assert [text[:200] for text in texts if any(place in text for place in places)] == []


def double(document: dict[str, int]) -> int:
    return 2 * document["x"]


def triple(document: dict[str, int]) -> int:
    return 3 * document["x"]


def hash_of(**changes: object) -> str:
    settings = {
        "task": "t", "output_type": "multiple_choice", "doc_to_text": double,
        "metadata": {"version": 1, "config_source": "/here/t.yaml"}, **changes,
    }  # fmt: skip
    return task_hash([SimpleNamespace(config=TaskConfig(**settings))])


def test_the_hash_does_not_depend_on_where_the_task_was_read() -> None:
    assert hash_of() == hash_of(metadata={"version": 1, "config_source": "/elsewhere/t.yaml"})


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"version": 2, "config_source": "/here/t.yaml"}},
        {"doc_to_text": triple},
        {"doc_to_text": "{{x}}"},
        {"target_delimiter": ""},
        {"fewshot_delimiter": "\n"},
        {"description": "Answer."},
        {"generation_kwargs": {"until": ["\n"]}},
        {"metric_list": [{"metric": "acc"}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_that_determines_numbers_changes_the_hash(changes: dict[str, object]) -> None:
    assert hash_of(**changes) != hash_of()
