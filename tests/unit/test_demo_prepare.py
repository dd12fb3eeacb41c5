import json
from pathlib import Path
from typing import get_type_hints

import pytest

from a360.cli import demo
from a360.demo.prepare import CHUNKS, demo_suite_text, training_settings
from a360.demo.train import TrainSettings, checkpoint_steps
from a360.suite import load_suite, parse_suite, shipped_suite_text


@pytest.fixture
def training_record(tmp_path: Path) -> Path:
    path = tmp_path / "training.json"
    record = {"checkpoints": ["step_000000", "step_000003"], "tokens_per_step": 77, "losses": [0.5] * 60}
    path.write_text(json.dumps(record))
    return path


def test_the_suite_expects_what_was_trained(training_record: Path) -> None:
    suite = parse_suite(demo_suite_text(training_record), where="demo", base_dir=Path("/demo"))
    naming = suite.model.naming
    assert naming.expected == ("step_000000", "step_000003")
    assert [axis.tokens_per_step for axis in naming.tokens] == [77]


def test_the_shipped_suite_has_the_tokens_of_the_trainers_default() -> None:
    settings = TrainSettings()
    [axis] = load_suite("demo").model.naming.tokens
    assert axis.tokens_per_step == settings.window_tokens * settings.windows_per_step


def test_all_else_of_the_suite_is_as_it_ships(training_record: Path) -> None:
    shipped = shipped_suite_text("demo").splitlines()
    filled = demo_suite_text(training_record).splitlines()
    assert len(filled) == len(shipped)
    changed = [old.strip().lstrip("- ") for old, new in zip(shipped, filled, strict=True) if old != new]
    names = ["expected", "tokens_per_step", "first_seen_step", "steps_per_chunk"]
    assert [line.partition(":")[0] for line in changed] == names


def test_the_shipped_suites_chunks_are_those_of_the_trainers_default() -> None:
    [own] = load_suite("demo").memorization
    steps = TrainSettings().steps // CHUNKS
    assert (own.chunks, own.first_seen_step, own.steps_per_chunk) == (CHUNKS, steps, steps)


def test_every_number_of_checkpoints_that_the_command_takes_can_be_trained() -> None:
    [option] = get_type_hints(demo, include_extras=True)["checkpoints"].__metadata__
    accepted = range(option.min, option.max + 1)
    assert {2, 3, 12, 20} <= set(accepted)
    for checkpoints in accepted:
        settings = TrainSettings.model_validate(training_settings(checkpoints))
        assert len(checkpoint_steps(settings)) == checkpoints


def test_the_demo_without_a_number_is_the_trainers_default() -> None:
    assert training_settings(None) == training_settings(TrainSettings().checkpoints) == {}


def test_few_checkpoints_come_from_a_short_training_run() -> None:
    assert training_settings(3)["steps"] < TrainSettings().steps / 4
