"""The HTML page as bytes: complete, self-contained, inert to hostile text, equal for equal results."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from a360.identity import canonical_json
from a360.publish import html
from a360.publish.axes import x_axes
from a360.publish.html import render_page
from a360.publish.page import environment_rows, page_data, protocol_rows
from a360.publish.series import evaluated_places, make_curves
from a360.results.collect import Collected
from tests.published import (
    HOSTILE,
    SMALL,
    SMALL_VIEWS,
    amber_sized,
    make_collected,
    make_hostile,
    make_views,
)

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/publish_page.json"
VENDOR = ROOT / "a360/publish/vendor"
COLLECTED = make_collected()
PAGE = render_page(COLLECTED, make_views(COLLECTED)).decode()
AVERAGES = 1
"""Of the benchmarks above: demo-average-language."""


class Parsed(HTMLParser):
    """Tags with attributes, text outside scripts, and the scripts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag in ("script", "style"):
            (self.scripts if tag == "script" else self.styles).append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            (self.scripts if self._inside == "script" else self.styles)[-1] += data
        else:
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


def rendered_elsewhere(seed: str) -> str:
    """Hash of the page that a fresh interpreter renders."""
    code = (
        "import hashlib; from tests.published import *; from a360.publish.html import render_page; "
        "c = make_collected(); print(hashlib.sha256(render_page(c, make_views(c))).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.strip()


def test_the_page_is_the_same_in_another_process() -> None:
    assert rendered_elsewhere("1") == rendered_elsewhere("2") == hashlib.sha256(PAGE.encode()).hexdigest()


def test_the_order_of_results_and_their_times_leave_no_trace() -> None:
    later = {"started_at": "2031-01-01T00:00:00Z", "finished_at": "2031-01-02T00:00:00Z", "wall_seconds": 1.5}
    results = tuple(
        r.model_copy(update={"provenance": r.provenance.model_copy(update={**later, "attempt": "other"})})
        for r in reversed(COLLECTED.results)
    )
    other = Collected(plan=COLLECTED.plan, results=results, coverage=COLLECTED.coverage)
    assert render_page(other, make_views(other)).decode() == PAGE


def test_another_value_gives_another_page() -> None:
    first = COLLECTED.results[0]
    changed = first.metrics[0].model_copy(update={"value": 0.123456})
    results = (first.model_copy(update={"metrics": (changed, *first.metrics[1:])}), *COLLECTED.results[1:])
    other = Collected(plan=COLLECTED.plan, results=results, coverage=COLLECTED.coverage)
    assert render_page(other, make_views(other)).decode() != PAGE


def test_the_page_loads_nothing() -> None:
    page = Parsed(PAGE)
    assert not {"link", "iframe", "img", "object", "base"} & {tag for tag, _ in page.tags}
    assert page.attributes("src") == []
    assert all(target.startswith("#") for target in page.attributes("href"))
    assert not re.search(r"@import|url\((?!#)", "".join(page.styles))


def test_the_policy_allows_exactly_the_pages_own_script_and_style() -> None:
    page = Parsed(PAGE)
    [policy] = [tag["content"] or "" for name, tag in page.tags if name == "meta" and "http-equiv" in tag]

    def sha(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert page.scripts[0].startswith("{")
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{sha(page.scripts[1])}'; "
        f"style-src 'sha256-{sha(page.styles[0])}'; base-uri 'none'; form-action 'none'"
    )
    assert page.attributes("style") == [], "the policy blocks style attributes"
    assert not [name for _, tag in page.tags for name in tag if name.startswith("on")]


def test_hostile_text_stays_text() -> None:
    collected = make_hostile()
    views = {**SMALL_VIEWS, "demo-boolq": SMALL_VIEWS["demo-boolq"].__class__(
        kind="downstream", title=HOSTILE, chance=None, direction="higher", label=HOSTILE)}  # fmt: skip
    text = render_page(collected, views).decode()
    page = Parsed(text)
    assert "<img" not in text
    assert len(page.scripts) == 2
    data = json.loads(page.scripts[0])
    assert data["model"] == data["coverage"]["reasons"][0] == data["curves"][0]["title"] == HOSTILE
    assert page.text.count(HOSTILE) > 8


def test_every_benchmark_has_a_panel_with_a_drawing_for_readers_without_scripts() -> None:
    panels = re.findall(r'<figure class="panel".*?</figure>', PAGE, re.DOTALL)
    assert len(panels) == len(COLLECTED.plan.benchmarks) + AVERAGES
    assert all('<path class="headline" d="M' in panel and "aria-label" in panel for panel in panels)


def test_the_matrix_has_a_cell_for_every_pair_written_with_a_symbol() -> None:
    body = PAGE[PAGE.index('id="matrix"') : PAGE.index("</table>")]
    symbols = re.findall(r"<td class=\w>(.)", body)
    assert len(symbols) == len(COLLECTED.coverage)
    assert [symbols.count(s) for s in "✓-✕Q∅"] == [84, 1, 1, 8, 2]


@pytest.mark.parametrize(
    "words",
    [
        "12 of 96 expected pairs have no result",
        "from 0 to 67.1M training tokens",
        "model.safetensors has 1,048,576 bytes, its header promises 14,680,064",
        "log-likelihood of document 12 is NaN",
        "not evaluated yet",
        "17 of 400",
        "torch 2.15.0, transformers 5.23.0",
        "history and general",
        "docstrings",
    ],
)
def test_a_reader_finds(words: str) -> None:
    assert words in Parsed(PAGE).text


def test_a_page_without_any_result_shows_the_coverage() -> None:
    empty = Collected(plan=COLLECTED.plan, results=(), coverage=COLLECTED.coverage)
    text = Parsed(render_page(empty, make_views(empty)).decode()).text
    assert "8 benchmarks at 0 of 12 checkpoints" in text
    assert text.count("no value yet") == 8 + AVERAGES


def test_a_result_without_a_value_is_listed_with_its_reason() -> None:
    first = COLLECTED.results[0]
    lost = first.metrics[0].model_copy(update={"value": None, "stderr": None, "reason": "no item was scored"})
    results = (first.model_copy(update={"metrics": (lost, *first.metrics[1:])}), *COLLECTED.results[1:])
    other = Collected(plan=COLLECTED.plan, results=results, coverage=COLLECTED.coverage)
    assert "no item was scored" in Parsed(render_page(other, make_views(other)).decode()).text


def test_two_protocols_of_one_benchmark_are_two_rows() -> None:
    first = COLLECTED.results[0]
    other = first.model_copy(update={"protocol": first.protocol.model_copy(update={"dtype": "bfloat16"})})
    rows = [r for r in protocol_rows([other, *COLLECTED.results[1:]]) if r["benchmark"] == first.benchmark]
    assert {row["dtype"]: row["results"] for row in rows} == {"bfloat16": "1", "float32": "10"}


def test_environments_that_differ_are_counted() -> None:
    first = COLLECTED.results[0]
    other = first.model_copy(update={"provenance": first.provenance.model_copy(update={"gpu": "GPU"})})
    facts = dict(environment_rows([other, *COLLECTED.results[1:]]))
    assert facts["device"] == [("cpu", len(COLLECTED.results) - 1), ("GPU", 1)]
    assert facts["one commit per pair"] == [("by the store", len(COLLECTED.results))]


def test_amber_fits_in_a_megabyte() -> None:
    collected = amber_sized()
    page = render_page(collected, make_views(collected))
    assert len(re.findall(rb"<td class=\w>", page)) == 360 * 23
    assert len(page) < 1_000_000


def test_vendored_files_are_the_recorded_ones() -> None:
    lines = [line.split() for line in (VENDOR / "SHA256SUMS").read_text().splitlines() if line[0] != "#"]
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    del found["SHA256SUMS"]
    assert found == {name: digest for digest, name in lines}
    assert len(found) == 3


def test_no_script_of_the_page_can_end_its_own_element() -> None:
    for name in (
        "vendor/uPlot.iife.min.js",
        "templates/report.js",
        "vendor/uPlot.min.css",
        "templates/report.css",
    ):
        assert "</" not in (html.HERE / name).read_text()


@pytest.mark.golden
def test_the_data_block_is_the_golden_one() -> None:
    collected = make_collected(SMALL)
    axes = x_axes(evaluated_places(collected.results))
    data = canonical_json(page_data(collected, axes, make_curves(collected, SMALL_VIEWS)))
    if os.environ.get("A360_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(json.loads(data), indent=1, sort_keys=True) + "\n")
    assert data == canonical_json(json.loads(GOLDEN.read_text()))
