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
print(json.dumps({"hashes": {name: loaded.hash for name, loaded in tasks.items()}, "configs": configs}))
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
