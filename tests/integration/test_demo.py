"""The demo with three checkpoints, as a user runs it: what it leaves behind, and a second call.

Takes minutes: ``make demo-short`` runs it, ``make test`` does not.
"""

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from a360.benchmarks import CATALOGUE
from a360.benchmarks.averages import averages_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
BENCHMARKS = {row.id for row in CATALOGUE.values() if row.stand_in and row.judge != "needed"}
UNSEEN = {f"demo-memorization-{first:03d}-{first + 1:03d}" for first in range(0, 8, 2)}
"""Groups of chunks of which only the last checkpoint has seen all."""
CONTROL = "demo-memorization-control"
SUBSETS = {"demo-pile/assumed-18", "demo-pile-10k/assumed-18"}
"""Averages over some of a benchmark's groups, which have curves of their own."""
CHECKPOINTS = 3


def demo(directory: Path) -> str:
    """What ``a360 demo`` says on stdout; its progress goes where the test's does."""
    command = [sys.executable, "-P", "-m", "a360", "demo", "--dir", str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--checkpoints", str(CHECKPOINTS)], env=environment, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout)
    assert done.returncode == 0
    return done.stdout


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo") / "demo"
    demo(directory)
    return directory


@pytest.fixture(scope="module")
def page(directory: Path) -> dict[str, Any]:
    """The data that the report draws."""
    text = (directory / "report" / "report.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


def test_every_checkpoint_has_a_value_of_every_benchmark(page: dict[str, Any]) -> None:
    expected = {benchmark: "d" * CHECKPOINTS for benchmark in {*BENCHMARKS, CONTROL}}
    expected |= {benchmark: "n" * (CHECKPOINTS - 1) + "d" for benchmark in UNSEEN}
    assert page["coverage"]["rows"] == expected
    averages = {average.id for average in averages_of(BENCHMARKS)}
    assert averages == {f"demo-average-{name}" for name in ("language", "code", "overall")}
    assert {curve["id"] for curve in page["curves"]} == {*expected, *averages, *SUBSETS}
    seen = [curve for curve in page["curves"] if curve["id"] not in UNSEEN]
    assert [None for curve in seen if None in curve["values"]] == []


def test_the_report_has_every_chunk_that_the_last_checkpoint_has_seen(directory: Path) -> None:
    found = json.loads((directory / "report" / "memorization.json").read_text())
    [matrix, _] = found["matrices"]
    assert (matrix["metric"], len(matrix["chunks"]), len(matrix["checkpoints"])) == ("token_match", 8, 1)
    assert all(0 < value < 1 for value in matrix["values"][0])
    assert found["correlations"]["sequences"] == 8 * 24


def test_perplexity_falls_along_training_for_every_source(page: dict[str, Any]) -> None:
    falling = [curve for curve in page["curves"] if curve["kind"] == "perplexity"]
    assert {curve["id"] for curve in falling} == {
        row.id for row in CATALOGUE.values() if row.stand_in and row.kind == "perplexity"
    } | SUBSETS
    lines = [curve["values"] for curve in falling]
    lines += [line["values"] for curve in falling for line in curve["lines"]]
    assert len(lines) >= 5
    for values in lines:
        assert all(later < earlier for earlier, later in pairwise(values)), values


def test_a_second_call_trains_nothing_evaluates_nothing_and_changes_nothing(directory: Path) -> None:
    def stamps() -> dict[Path, int]:
        kept = (path for path in directory.rglob("*") if path.is_file() and path.name != ".lock")
        return {path: path.stat().st_mtime_ns for path in kept if "plans" not in path.parts}

    before = stamps()
    said = demo(directory)
    done = len({*BENCHMARKS, CONTROL}) * CHECKPOINTS + len(UNSEEN)
    assert f"nothing to do: all pairs are done ({done} of" in said
    assert "nothing changed" in said
    assert stamps() == before
