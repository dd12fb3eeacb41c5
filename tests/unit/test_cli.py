import io
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

import a360.cli
import a360.cli.suites
from a360.benchmarks import CATALOGUE
from a360.cli.coverage import at_planning, coverage_document, print_coverage, print_gaps, print_work
from a360.cli.progress import _Work, watch_pairs
from a360.pairs import Event
from a360.records import Cell, CellState, Checkpoint, Plan, Quarantine
from a360.results.collect import Collected

ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def a360_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line in this process."""

    def call(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["a360", *words])
        with pytest.raises(SystemExit) as ended:
            a360.cli.main()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return call


# --- help and version ------------------------------------------------------------------------------


def test_help_loads_nothing_that_takes_long() -> None:
    lines = ["import sys, a360.cli", "sys.argv = ['a360', '--help']"]
    code = "\n".join([*lines, "try: a360.cli.main()", "except SystemExit: print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    slow = {
        "boto3",
        "datasets",
        "kubernetes",
        "lm_eval",
        "numpy",
        "pyarrow",
        "pydantic",
        "torch",
        "transformers",
        "wandb",
        "yaml",
    }
    assert loaded & slow == set()
    assert "typer" in loaded


def test_version_is_that_of_the_installed_package(a360_command: Call) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = [each.version for each in metadata.distributions(name="a360")]
    said = a360_command("--version").out.strip()
    assert said == (
        f"a360 {project['version']}" if installed else "a360, not installed: run from its sources"
    )


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "a360", "suites", "list"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "demo-llama" in done.stdout


# --- suites ----------------------------------------------------------------------------------------


def test_suites_alone_lists_them(a360_command: Call) -> None:
    assert a360_command("suites").out == a360_command("suites", "list").out
    assert re.search(r"^demo +demo-llama +- +demo-mmlu-5shot, ", a360_command("suites").out, re.MULTILINE)


def test_a_shown_suite_is_the_file_as_it_ships(a360_command: Call) -> None:
    shown = a360_command("suites", "show", "demo")
    assert shown.out == (ROOT / "a360/suites/demo.yaml").read_text()
    assert shown.err == ""


def test_the_schema_is_one_json_document(a360_command: Call) -> None:
    assert json.loads(a360_command("suites", "schema").out)["title"] == "Suite"


def test_benchmarks_are_listed_for_people_and_for_scripts(a360_command: Call) -> None:
    table = a360_command("suites", "benchmarks").out
    documents = json.loads(a360_command("suites", "benchmarks", "--json").out)
    assert [document["id"] for document in documents] == list(CATALOGUE)
    columns = ("shots", "evaluator", "direction", "target", "chance", "cost", "gated", "stand_in")
    for document, row in zip(documents, CATALOGUE.values(), strict=True):
        assert [document[name] for name in columns] == [getattr(row, name) for name in columns]
    assert re.search(
        r"^arc-challenge-25shot +acc_norm +5M +allenai/ai2_arc/ARC-Challenge$", table, re.MULTILINE
    )


# --- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "plan", "status", "report", "publish", "checkpoints", "doctor"])
def test_a_suite_that_does_not_exist_ends_every_command_with_2(a360_command: Call, command: str) -> None:
    ended = a360_command(command, "nowhere.yaml")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("ConfigError: suite cannot be read: nowhere.yaml")
    assert "\nhint: " in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_shipped_suite_is_answered_with_those_there_are(a360_command: Call) -> None:
    ended = a360_command("suites", "show", "dmeo")
    assert ended.code == 2
    assert "'dmeo'" in ended.err
    assert "demo" in ended.err.replace("dmeo", "")


def test_an_unknown_option_ends_with_2_and_names_it(a360_command: Call) -> None:
    ended = a360_command("run", "demo", "--retry")
    assert ended.code == 2
    assert "--retry" in ended.err


def test_debug_shows_where_an_error_came_from() -> None:
    command = [sys.executable, "-m", "a360", "--debug", "plan", "nowhere.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "in _read_file" in done.stderr


@pytest.fixture
def broken_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError("nobody foresaw\nthis")

    monkeypatch.setattr(a360.cli.suites, "print_suites", fail)


@pytest.mark.usefixtures("broken_listing")
def test_an_unforeseen_error_is_one_line_and_a_way_to_its_traceback(a360_command: Call) -> None:
    ended = a360_command("suites", "list")
    assert ended.code == 1
    assert ended.err.splitlines()[0] == "ZeroDivisionError: nobody foresaw"
    assert "--debug" in ended.err
    assert len(ended.err.splitlines()) == 2


# --- coverage --------------------------------------------------------------------------------------

BENCHMARKS = ("boolq", "wikitext")


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        id=f"step_{step:03d}",
        uri=f"/c/step_{step:03d}",
        phase=1,
        step=step,
        tokens=step * 2_000_000,
        digest=f"{step:016x}",
        fingerprint=f"{step:016x}",
        files=(),
    )


def cell(step: int, benchmark: str, state: CellState, reason: str | None = None) -> Cell:
    return Cell(checkpoint=f"step_{step:03d}", benchmark=benchmark, state=state, reason=reason)


def collected(*cells: Cell, groups: tuple[tuple[str, ...], ...] = ()) -> Collected:
    """A coverage of three checkpoints, a broken fourth, and two benchmarks."""
    plan = Plan(
        id="p",
        suite="s",
        model="m",
        benchmarks=BENCHMARKS,
        checkpoints=tuple(checkpoint(step) for step in (1, 2, 3)),
        quarantined=(Quarantine(id="step_004", uri="/c/step_004", phase=1, step=4, reason="torn"),),
        protocols={},
        gradings={},
        cells=cells,
        groups=groups,
        settings={},
    )
    return Collected(plan=plan, results=(), coverage=cells)


def everything(state: CellState = "done") -> list[Cell]:
    cells = [cell(step, benchmark, state) for step in (1, 2, 3) for benchmark in BENCHMARKS]
    return cells + [cell(4, benchmark, "quarantined", "torn") for benchmark in BENCHMARKS]


def lines(text: str) -> list[list[str]]:
    """The words of each line that has some, columns kept apart by two spaces."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines() if line.strip()]


def test_checkpoints_with_equal_counts_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_coverage(collected(*everything()))
    shown = lines(capsys.readouterr().out)
    assert ["boolq", "3", "1"] in shown
    assert ["step_001 … step_003 (3)", "2M … 6M", "2", "·"] in shown
    assert ["step_004", "-", "·", "2"] in shown


def test_a_reason_is_told_once_for_all_pairs_that_share_it(capsys: pytest.CaptureFixture[str]) -> None:
    failed = [cell(step, "boolq", "failed", "a row lacks its label") for step in (1, 2)]
    print_gaps(collected(*everything()[4:], *failed))
    shown = lines(capsys.readouterr().out)
    assert shown[0] == ["not done: 4 pairs"]
    assert ["failed", "step_001 … step_002", "boolq", "a row lacks its label"] in shown
    assert ["quarantined", "step_004", "all", "torn"] in shown


def test_nothing_is_said_of_gaps_where_all_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    print_gaps(collected(*everything()[:6]))
    assert capsys.readouterr().out == ""


def test_what_a_plan_runs_is_listed_by_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    groups = (("step_001/boolq", "step_001/wikitext"), ("step_002/boolq",))
    print_work(collected(*everything("missing"), groups=groups).plan)
    shown = lines(capsys.readouterr().out)
    assert shown[0] == ["to run: 3 pairs in 2 groups"]
    assert ["boolq", "2", "step_001 … step_002"] in shown
    assert ["wikitext", "1", "step_001"] in shown


def test_a_pair_beyond_the_bound_of_a_sweep_has_a_reason() -> None:
    cells = (cell(0, "boolq", "done"), *everything("missing"))
    left = at_planning(collected(*cells, groups=(("step_001/boolq",),)).plan).coverage
    assert ("step_001", "boolq") not in {(c.checkpoint, c.benchmark) for c in left}
    assert {c.reason for c in left if c.state == "done"} == {None}
    assert {c.reason for c in left if c.state == "missing"} == {"left for the next sweep: sweep.max_pairs"}
    assert {c.reason for c in left if c.state == "quarantined"} == {"torn"}


def test_the_document_of_a_coverage_counts_every_way() -> None:
    document = coverage_document(collected(*everything()))
    assert document["complete"] is False
    assert document["counts"] == {"done": 6, "quarantined": 2}
    assert document["benchmarks"] == {name: {"done": 3, "quarantined": 1} for name in BENCHMARKS}
    assert json.loads(json.dumps(document)) == document
    assert [(c["id"], c["counts"]) for c in document["checkpoints"]][-1] == ("step_004", {"quarantined": 2})  # type: ignore[attr-defined]


# --- progress in a log -----------------------------------------------------------------------------


def test_a_log_gets_one_line_per_pair_that_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with watch_pairs(["c/boolq", "c/wikitext"], workers=1) as show:
        show(Event("staging", "c/boolq"))
        show(Event("evaluating", "c/boolq", 5, 10))
        show(Event("committed", "c/boolq"))
        show(Event("failed", "c/wikitext", message="DataError: torn"))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert re.fullmatch(r"\[1/2\] committed: c/boolq \(0:00 left\)", said[0])
    assert said[1:] == ["[2/2] failed: c/wikitext", "  DataError: torn"]


def test_a_terminal_gets_a_bar_for_all_pairs_with_the_time_that_is_left_and_one_per_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr("a360.cli.progress.notes", console)
    with watch_pairs(["c/boolq", "c/copa", "d/boolq"], workers=2) as show:
        show(Event("committed", "c/boolq"))
        show(Event("evaluating", "c/copa", 5, 10))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert "1/3 pairs" in text
    assert re.search(r"pairs .* 50%", text), "BoolQ costs 540, COPA 4: one and a half of 1,084"
    assert re.search(r"% (--:--|\d+:\d\d)", text)
    assert re.search(r"c/copa .* 5/10", text)
    assert "waiting" in text


def test_a_pair_that_is_graded_apart_ends_with_its_grade(capsys: pytest.CaptureFixture[str]) -> None:
    with watch_pairs(["c/boolq", "c/wikitext"], workers=1) as show:
        show(Event("evaluating", "c/boolq", 10, 10))
        show(Event("generated", "c/boolq"))
        show(Event("grading", "c/boolq", 1, 10))
        show(Event("committed", "c/boolq"))
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(" (")[0] for line in said] == ["[1/2] committed: c/boolq"]


def test_generating_is_most_of_the_work_of_a_pair_that_is_graded_apart() -> None:
    work = _Work(["c/x"])
    for event in (
        Event("evaluating", "c/x", 10, 10),
        Event("generated", "c/x"),
        Event("grading", "c/x", 1, 2),
    ):
        work.take(event)
        assert (work.done(), work.total(), work.ended) == (1.0, 1.0, set())


def test_a_pair_that_is_tried_again_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    with watch_pairs(["c/boolq", "c/wikitext"], workers=1) as show:
        show(Event("failed", "c/boolq", message="TransientError: full"))
        show(Event("staging", "c/boolq"))
        show(Event("committed", "c/wikitext"))
        show(Event("committed", "c/boolq"))
    assert re.findall(r"^\[.*?\]", capsys.readouterr().err, re.MULTILINE) == ["[1/2]", "[1/2]", "[2/2]"]
