"""``a360 demo``: prepare, then run like any other suite."""

from pathlib import Path

from a360.cli.output import note
from a360.cli.progress import watch_steps
from a360.cli.sweeps import run_suite
from a360.demo.prepare import prepare_demo, training_settings
from a360.suite import load_suite


def run_demo(directory: Path, checkpoints: int | None, workers: int | None) -> None:
    """Trains what is not trained, evaluates what is missing, publishes, and says where the report is."""
    with watch_steps("training") as show:
        suite_path = prepare_demo(directory, training_settings(checkpoints), show)
    note(f"suite: {suite_path}")
    run_suite(
        load_suite(str(suite_path)), str(suite_path), workers=workers, retry_failed=False, as_json=False
    )
