"""The demo's preparation as a user meets it: made once, found again, made anew when it differs."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from a360.demo.prepare import PREPARED_NAME, prepare_demo
from a360.errors import ConfigError, TransientError
from a360.suite import load_suite
from a360.sweep import plan_sweep

pytestmark = pytest.mark.integration

SETTINGS = {
    "checkpoints": 3,
    "steps": 12,
    "window_tokens": 128,
    "windows_per_step": 2,
    "vocab_size": 300,
    "hidden_size": 32,
    "layers": 1,
    "heads": 2,
    "source_chars": 100_000,
    "threads": 1,
}


PREPARE = """
import json, sys
from pathlib import Path
from a360.demo.prepare import prepare_demo
if __name__ == "__main__":
    steps = []
    suite = prepare_demo(Path(sys.argv[1]), json.loads(sys.argv[2]), lambda *step: steps.append(step))
    heavy = sorted({"torch", "transformers", "lm_eval"} & sys.modules.keys())
    print(json.dumps({"suite": str(suite), "steps": steps, "heavy": heavy}))
"""


class Prepared(NamedTuple):
    directory: Path
    said: dict[str, Any]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A demo with a very small model, prepared by a process of its own."""
    folder = tmp_path_factory.mktemp("demo")
    script, directory = folder / "script.py", folder / "new" / "demo"
    script.write_text(PREPARE)
    command = [sys.executable, str(script), str(directory), json.dumps(SETTINGS)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return Prepared(directory, json.loads(done.stdout))


@pytest.fixture
def demo_dir(prepared: Prepared) -> Path:
    return prepared.directory


def test_every_step_is_reported_with_its_loss(prepared: Prepared) -> None:
    first, *steps = prepared.said["steps"]
    assert first == [0, 0, "reading the text"]
    assert [(done, total) for done, total, _ in steps] == [(step, 12) for step in range(1, 13)]
    assert all(remark.startswith("loss ") for _, _, remark in steps)


def test_the_parent_never_loads_torch(prepared: Prepared) -> None:
    assert prepared.said["heavy"] == []
    assert prepared.said["suite"] == str(prepared.directory / "suite.yaml")


def snapshot(directory: Path) -> dict[Path, tuple[int, int]]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def test_a_prepared_demo_can_be_planned_whole(demo_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo_dir.parent)
    suite = load_suite("demo/suite.yaml")
    plan = plan_sweep(suite)
    assert [checkpoint.id for checkpoint in plan.checkpoints] == list(suite.model.naming.expected)
    assert [checkpoint.tokens for checkpoint in plan.checkpoints] == [0, 4 * 256, 12 * 256]
    unseen = [cell for cell in plan.cells if cell.state == "not applicable"]
    assert len(unseen) == 4 + 2  # at steps 0 and 4: two chunks of one step are seen from steps 2, 4, 6 and 8
    assert all(str(cell.reason).startswith("not seen yet") for cell in unseen)
    assert {cell.state for cell in plan.cells} == {"missing", "not applicable"}
    assert sum(map(len, plan.groups)) == 3 * len(suite.chosen()) - len(unseen)


def test_a_second_preparation_writes_nothing_and_trains_nothing(demo_dir: Path) -> None:
    before = snapshot(demo_dir)
    said: list[int] = []
    prepare_demo(demo_dir, SETTINGS, lambda done, total, remark: said.append(done))
    assert said == []
    assert snapshot(demo_dir) == before


def test_a_suite_that_was_edited_away_is_written_again(demo_dir: Path) -> None:
    (demo_dir / "suite.yaml").unlink()
    assert "step_000012" in prepare_demo(demo_dir, SETTINGS).read_text()


def test_another_training_run_in_the_same_directory_is_refused(demo_dir: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(demo_dir, tmp_path / "copy"))
    with pytest.raises(ConfigError, match="other settings") as raised:
        prepare_demo(copy, {**SETTINGS, "steps": 13})
    assert raised.value.hint
    assert not (copy / PREPARED_NAME).exists()


def test_a_training_process_that_is_killed_may_be_tried_again(tmp_path: Path) -> None:
    """The kernel kills what takes too much memory; here the first sign of life is answered with a kill."""

    def kill(*step: object) -> None:
        [child] = multiprocessing.active_children()
        child.kill()

    with pytest.raises(TransientError, match="ended with SIGKILL"):
        prepare_demo(tmp_path / "killed", SETTINGS, kill)
    assert not (tmp_path / "killed" / PREPARED_NAME).exists()
