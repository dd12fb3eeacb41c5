"""The demo's mirror, loaded by unmodified lm-eval tasks in fresh offline processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import a360.benchmarks
from a360.datasets.mirror import build_manifest, data_revision, read_manifest, write_manifest
from a360.datasets.staging import offline_environment, stage_mirror
from a360.demo.questions import SUBJECTS
from a360.demo.rows import write_mirror
from a360.demo.text import SOURCES, read_documents, split_documents
from a360.storage import open_store

pytestmark = pytest.mark.integration

TASKS = Path(a360.benchmarks.__file__).parent / "tasks"
SHOTS = {"mmlu": 5, "arc_challenge": 25, "hellaswag": 10, "gsm8k": 5}
BOOLQ = "aps/super_glue/boolq/validation-00000-of-00001.parquet"

LOAD_TASKS = """
import json, sys
from lm_eval.tasks import TaskManager
names, shots, tasks_dir = json.loads(sys.argv[1])
seen = {}
for name, task in TaskManager(include_path=tasks_dir).load(names)["tasks"].items():
    count = shots.get("mmlu" if name.startswith("mmlu_") else name, 0)
    task.set_fewshot_seed(1234)
    documents = list(task.eval_docs)
    prompt = task.fewshot_context(documents[0], count)
    target = task.doc_to_target(documents[0])
    seen[name] = {"documents": len(documents), "prompt": prompt, "target": target, "type": task.OUTPUT_TYPE}
print(json.dumps(seen))
"""

LOAD_LABELS = """
from datasets import load_dataset
print([row["label"] for row in load_dataset("aps/super_glue", "boolq", split="validation")])
"""

COUNT_ROWS = """
import sys
from datasets import load_dataset
print(sum(len(split) for split in load_dataset(*sys.argv[1:]).values()))
"""


@pytest.fixture(scope="module")
def mirror_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("demo") / "mirror"
    write_mirror(target, split_documents(read_documents())[1])
    return target


def run_offline(code: str, mirror_dir: Path, cache_dir: Path, *arguments: str) -> str:
    """What a fresh process prints that works in the mirror, with no way to the hub."""
    environment = {**os.environ, **offline_environment(mirror_dir, read_manifest(mirror_dir), cache_dir)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=mirror_dir,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def test_unmodified_tasks_load_and_render_prompts(mirror_dir: Path, tmp_path: Path) -> None:
    names = [*SHOTS, "truthfulqa_mc2", "boolq", "wikitext", "demo_heldout"]
    arguments = json.dumps([names, SHOTS, str(TASKS)])
    seen = json.loads(run_offline(LOAD_TASKS, mirror_dir, tmp_path / "cache", arguments))
    subjects = {name for name in seen if name.startswith("mmlu_")}
    assert subjects == {f"mmlu_{subject}" for subject in SUBJECTS}
    assert {seen[name]["documents"] for name in subjects} == {2}
    heldout = {f"demo_heldout_{source.replace('-', '_')}" for source in SOURCES}
    single = {"arc_challenge", "hellaswag", "gsm8k", "truthfulqa_mc2", "boolq", "wikitext"}
    assert seen.keys() == subjects | heldout | single
    assert all(seen[name]["documents"] >= 24 for name in heldout | single)

    anatomy = seen["mmlu_anatomy"]["prompt"]
    assert anatomy.startswith("The following are multiple choice questions (with answers) about anatomy.\n\n")
    assert anatomy.count("\nAnswer:") == 6
    assert anatomy.endswith("\nAnswer:")
    assert seen["arc_challenge"]["prompt"].count("Question: ") == 26
    assert seen["hellaswag"]["prompt"].count("\n\n") == 10
    assert seen["gsm8k"]["prompt"].count("\n#### ") == 5
    assert seen["boolq"]["prompt"].endswith("?\nAnswer:")
    assert seen["truthfulqa_mc2"]["prompt"].count("\nA:") == 7
    assert seen["wikitext"]["target"].startswith(" = ")
    for name in heldout:
        assert seen[name]["type"] == "loglikelihood_rolling"
        rows = pq.read_table(next((mirror_dir / "a360/demo-heldout" / folder(name)).iterdir())).to_pylist()
        assert seen[name]["target"] == rows[0]["text"]


def folder(task: str) -> str:
    return task.removeprefix("demo_heldout_").replace("_", "-")


def test_a_mirror_with_other_rows_is_not_answered_from_the_cache(mirror_dir: Path, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped"
    shutil.copytree(mirror_dir, swapped)
    rows = pq.read_table(swapped / BOOLQ).to_pylist()
    labels = [row["label"] for row in rows]
    for row in rows:
        row["label"] = 1 - row["label"]
    pq.write_table(pa.Table.from_pylist(rows), swapped / BOOLQ)
    revisions = {name: "swapped" for name in read_manifest(mirror_dir).repositories}
    write_manifest(swapped, build_manifest(swapped, stand_in=True, revisions=revisions))
    assert run_offline(LOAD_LABELS, mirror_dir, tmp_path / "cache") == str(labels)
    assert run_offline(LOAD_LABELS, swapped, tmp_path / "cache") == str([1 - label for label in labels])
    data = ["aps/super_glue/boolq"]
    assert data_revision(read_manifest(swapped), data) != data_revision(read_manifest(mirror_dir), data)


@pytest.mark.parametrize("data", ["aps/super_glue/copa", "allenai/ai2_arc/ARC-Easy"])
def test_a_later_configuration_loads_where_it_alone_is_staged(
    data: str, mirror_dir: Path, tmp_path: Path
) -> None:
    staged = stage_mirror(open_store(mirror_dir.as_uri()), [data], tmp_path)
    repository, _, configuration = data.rpartition("/")
    rows = sum(len(pq.read_table(path)) for path in (mirror_dir / data).glob("*.parquet"))
    assert run_offline(COUNT_ROWS, staged, tmp_path / "cache", repository, configuration) == str(rows)


def test_a_staged_part_of_a_mirror_loads(mirror_dir: Path, tmp_path: Path) -> None:
    staged = stage_mirror(open_store(mirror_dir.as_uri()), ["aps/super_glue/boolq"], tmp_path)
    assert not (staged / "cais").exists()
    labels = [row["label"] for row in pq.read_table(mirror_dir / BOOLQ).to_pylist()]
    assert run_offline(LOAD_LABELS, staged, tmp_path / "cache") == str(labels)
