"""The report as files: whole, deterministic, untouched when nothing changed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from a360.errors import ConfigError
from a360.publish.figures import render_figures
from a360.publish.report import publish_report, put_report, render_report
from a360.records import Result
from a360.results.collect import Collected
from a360.storage import open_store
from tests.published import SMALL, SMALL_VIEWS, make_collected

ROOT = Path(__file__).resolve().parents[2]
COLLECTED = make_collected(SMALL)
FILES = {
    "coverage.json",
    "table.csv",
    "table.parquet",
    "report.html",
    *(f"figures/{kind}.{ext}" for kind in ("downstream", "perplexity") for ext in ("svg", "pdf", "png")),
}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.rglob("*")
        if path.is_file()
    }


def with_value(collected: Collected, value: float) -> Collected:
    first = collected.results[0]
    metric = first.metrics[0].model_copy(update={"value": value})
    results: tuple[Result, ...] = (
        first.model_copy(update={"metrics": (metric, *first.metrics[1:])}),
        *collected.results[1:],
    )
    return Collected(plan=collected.plan, results=results, coverage=collected.coverage)


def test_a_first_report_has_all_its_files(tmp_path: Path) -> None:
    published = publish_report(COLLECTED, SMALL_VIEWS, tmp_path / "new" / "report")
    assert set(published.files) == set(published.changed) == FILES
    assert published.page_path.read_bytes().startswith(b"<!doctype html>")


def test_publishing_twice_touches_nothing(tmp_path: Path) -> None:
    publish_report(COLLECTED, SMALL_VIEWS, tmp_path)
    before = stamps(tmp_path)
    assert set(before) == FILES
    assert publish_report(COLLECTED, SMALL_VIEWS, tmp_path).changed == ()
    assert stamps(tmp_path) == before


def test_another_value_changes_the_files_that_show_it(tmp_path: Path) -> None:
    publish_report(COLLECTED, SMALL_VIEWS, tmp_path)
    again = publish_report(with_value(COLLECTED, 0.9), SMALL_VIEWS, tmp_path)
    figures = {f"figures/downstream.{ext}" for ext in ("svg", "pdf", "png")}
    assert set(again.changed) == {"table.csv", "table.parquet", "report.html"} | figures
    assert "0.9" in (tmp_path / "table.csv").read_text()


def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    publish_report(COLLECTED, SMALL_VIEWS, tmp_path)
    (tmp_path / "table.csv").write_text("half")
    (tmp_path / "coverage.json").unlink()
    again = publish_report(COLLECTED, SMALL_VIEWS, tmp_path)
    assert set(again.changed) == {"table.csv", "coverage.json"}


def test_figures_that_the_report_no_longer_has_are_removed_and_other_files_stay(tmp_path: Path) -> None:
    publish_report(COLLECTED, SMALL_VIEWS, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    some = tuple(r for r in COLLECTED.results if "perplexity" not in r.benchmark)
    fewer = Collected(plan=COLLECTED.plan, results=some, coverage=COLLECTED.coverage)
    assert {f"figures/perplexity.{e}" for e in ("svg", "pdf", "png")} <= set(
        publish_report(fewer, SMALL_VIEWS, tmp_path).changed
    )
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"downstream"}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_report_in_a_store_is_the_same_bytes_below_its_prefix(tmp_path: Path) -> None:
    files = render_report(COLLECTED, SMALL_VIEWS)
    store = open_store(str(tmp_path))
    store.write("v1/reports/other/figures/downstream.svg", b"of another model")
    assert set(put_report(store, files, "v1/reports/small/")) == FILES
    assert put_report(store, files, "v1/reports/small/") == ()
    assert {name: store.read(f"v1/reports/small/{name}") for name in FILES} == files
    assert store.read("v1/reports/other/figures/downstream.svg") == b"of another model"


def test_a_file_where_the_directory_should_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="taken"):
        publish_report(COLLECTED, SMALL_VIEWS, tmp_path / "taken")


def test_figures_are_the_same_in_another_process_whatever_its_matplotlibrc(tmp_path: Path) -> None:
    code = (
        "import hashlib; from tests.published import *; from a360.publish.figures import render_figures; "
        "files = render_figures(make_collected(SMALL), SMALL_VIEWS); "
        "print(*sorted(hashlib.sha256(data).hexdigest() for data in files.values()))"
    )
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nfont.size: 20\nsvg.fonttype: path\n")
    environment = {
        **os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": str(ROOT), "MATPLOTLIBRC": str(tmp_path),
        "SOURCE_DATE_EPOCH": "86400",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    here = sorted(hashlib.sha256(d).hexdigest() for d in render_figures(COLLECTED, SMALL_VIEWS).values())
    assert done.stdout.split() == here
    assert len(here) == 6


def test_a_figure_names_its_benchmarks_and_nothing_in_it_is_a_formula() -> None:
    title = "cost in $ per $x_1$"
    boolq = SMALL_VIEWS["demo-boolq"]
    view = boolq.__class__(kind="downstream", title=title, chance=None, direction="higher", label="a$b$c")
    svg = render_figures(COLLECTED, {**SMALL_VIEWS, "demo-boolq": view})["downstream.svg"].decode()
    assert title in svg
    assert "a$b$c" in svg
