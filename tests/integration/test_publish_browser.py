"""The page in a real browser: it draws, it answers, and it talks to nobody."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from a360.benchmarks.averages import averages_of
from a360.publish.averages import all_curves
from a360.publish.html import render_page
from a360.publish.rows import BenchmarkView
from a360.results.collect import Collected
from tests.chromium import Browser, Page, find_chromium, running_chromium
from tests.published import (
    HOSTILE,
    SMALL_VIEWS,
    Sketch,
    amber_sized,
    make_collected,
    make_hostile,
    make_views,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary = find_chromium()
    if binary is None:
        pytest.skip("Chromium is not installed: apt-get install chromium-headless-shell")
    with running_chromium(binary, tmp_path_factory.mktemp("chromium") / "profile") as running:
        yield running


def opened(
    browser: Browser, folder: Path, collected: Collected, *, dark: bool = False, width: int = 1280
) -> Page:
    return opened_bytes(
        browser, folder, render_page(collected, make_views(collected)), dark=dark, width=width
    )


def opened_bytes(
    browser: Browser, folder: Path, page: bytes, *, dark: bool = False, width: int = 1280
) -> Page:
    path = folder / "report.html"
    path.write_bytes(page)
    return browser.open(path.as_uri(), dark=dark, width=width)


def move_to(page: Page, selector: str, across: float = 0.5) -> None:
    """The pointer over an element, at a part of its width."""
    element = f"document.querySelector({json.dumps(selector)})"
    page.evaluate(f"{element}.scrollIntoView({{block: 'center'}})")
    box = page.evaluate(f"(b => [b.x, b.y, b.width, b.height])({element}.getBoundingClientRect())")
    x, y = box[0] + box[2] * across, box[1] + box[3] / 2
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def press(page: Page, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key)


def test_every_panel_is_drawn_without_an_error_and_without_a_request(
    browser: Browser, tmp_path: Path
) -> None:
    collected = make_collected()
    page = opened(browser, tmp_path, collected)
    panels = len(collected.plan.benchmarks) + len(averages_of(collected.plan.benchmarks))
    assert page.evaluate("document.documentElement.dataset.panels") == str(panels)
    assert page.evaluate("document.querySelectorAll('.panel canvas').length") == panels
    assert page.seen.errors == []
    assert page.seen.requests == [(tmp_path / "report.html").as_uri()]
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("dark", [False, True])
def test_every_canvas_shows_more_than_its_background(browser: Browser, tmp_path: Path, dark: bool) -> None:
    page = opened(browser, tmp_path, make_collected(), dark=dark)
    accents = page.evaluate(
        """[...document.querySelectorAll('.panel canvas')].map(canvas => {
             const probe = document.createElement('canvas').getContext('2d');
             probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--accent');
             probe.fillRect(0, 0, 1, 1);
             const wanted = probe.getImageData(0, 0, 1, 1).data.slice(0, 3).join();
             const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
             let count = 0;
             for (let i = 0; i < data.length; i += 4) count += data.slice(i, i + 3).join() === wanted;
             return count;
           })"""
    )
    assert len(accents) == 9
    assert min(accents) > 100
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(18, 20, 22)" if dark else "rgb(250, 250, 248)")


def test_every_curve_has_its_band(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, make_collected())
    counts = page.evaluate(
        """[...document.querySelectorAll('.panel canvas')].map(canvas => {
             const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
             let count = 0;
             for (let i = 3; i < data.length; i += 4) count += data[i] > 36 && data[i] < 46;
             return count;
           })"""
    )
    benchmarks = make_collected().plan.benchmarks
    with_error = ["demo-w" not in name and "heldout" not in name for name in benchmarks]
    average, *others = counts
    assert min(itertools.compress(others, with_error)) > 500, "pixels as transparent as the band"
    strays = max(count for count, has_error in zip(others, with_error, strict=True) if not has_error)
    assert average > 3 * strays, "four errors average to half the width, and three checkpoints lack a part"


def test_pointing_at_one_curve_shows_that_checkpoint_in_all(browser: Browser, tmp_path: Path) -> None:
    collected = make_collected()
    page = opened(browser, tmp_path, collected)
    last = page.evaluate("[...document.querySelectorAll('.readout')].map(e => e.textContent)")
    move_to(page, ".panel .u-over", 0.01)
    first = page.evaluate("[...document.querySelectorAll('.readout')].map(e => e.textContent)")
    boolq = next(r for r in collected.results if (r.step, r.benchmark) == (0, "demo-boolq"))
    value, error = boolq.metrics[0].value, boolq.metrics[0].stderr
    assert page.evaluate("document.getElementById('where').textContent") == "step-000000 · step 0 · 0 tokens"
    assert first[5] == f"{value:.3f} ± {error:.3f}"
    assert (first[0], first[4]) == ("no value", "no value"), "TruthfulQA, and with it the average"
    assert all(a != b for a, b in zip(first, last, strict=True))


def test_axis_and_scale_can_be_changed(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, make_collected())
    assert (
        page.evaluate("[...document.querySelectorAll('.x-name')].map(e => e.textContent)[0]")
        == "training tokens"
    )
    pictures = {page.evaluate("document.querySelector('.panel canvas').toDataURL()")}
    for name, place in (("axis", 1), ("scale", 1), ("axis", 0), ("y", 1)):
        page.evaluate(f"document.querySelectorAll('input[name={name}]')[{place}].click()")
        pictures.add(
            page.evaluate("[...document.querySelectorAll('.panel canvas')].map(c => c.toDataURL()).join()")
        )
    assert len(pictures) == 5
    page.evaluate("document.querySelectorAll('input[name=axis]')[1].click()")
    assert page.evaluate("document.querySelector('.x-name').textContent") == "training step"
    assert page.seen.errors == []


def test_a_cell_tells_its_reason_to_the_pointer_and_to_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, make_collected())
    text = "document.getElementById('cell-text').textContent"
    move_to(page, "#matrix .f")
    failed = "step-000002 · step 2 · 131k tokens: failed — DataError: log-likelihood of document 12 is NaN"
    assert failed in page.evaluate(text)
    assert page.evaluate("document.querySelectorAll('#matrix td[tabindex]').length") == 1
    page.evaluate("document.querySelector('#matrix td').focus()")
    assert "step-000000 · step 0 · 0 tokens: done" in page.evaluate(text)
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowRight"):
        press(page, key)
    assert failed in page.evaluate(text)
    assert page.evaluate("document.activeElement.textContent") == "✕"


def test_the_download_holds_every_value_of_the_curves(browser: Browser, tmp_path: Path) -> None:
    collected = make_collected()
    page = opened(browser, tmp_path, collected)
    browser.call(
        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path), eventsEnabled=True
    )
    page.evaluate("document.getElementById('download').click()")
    path = tmp_path / "demo-llama-3m-curves.csv"
    while not path.exists():  # pytest's own time limit ends a download that never comes
        page.evaluate("new Promise(done => setTimeout(done, 20))")
    lines = path.read_text().splitlines()
    headlines = [m.value for result in collected.results for m in result.metrics if m.headline and m.value]
    averages = [value for value in all_curves(collected, make_views(collected))[-1].headline.values if value]
    assert len(headlines) == len(collected.results)
    assert lines[0] == "checkpoint,phase,step,tokens,benchmark,metric,value,stderr,n"
    assert len(averages) == 8, "11 checkpoints, 2 without TruthfulQA and 1 without ARC"
    assert len(lines) == 1 + len(headlines) + len(averages)
    values = [float(line.rsplit(",", 3)[1]) for line in lines[1:]]
    assert sorted(values) == sorted([*headlines, *averages])
    assert page.seen.errors == []


def test_hostile_names_and_reasons_do_nothing(browser: Browser, tmp_path: Path) -> None:
    view = BenchmarkView(kind="downstream", title=HOSTILE, chance=None, direction="higher", label=HOSTILE)
    page = opened_bytes(browser, tmp_path, render_page(make_hostile(), {**SMALL_VIEWS, "demo-boolq": view}))
    move_to(page, "#matrix .q")
    assert HOSTILE in page.evaluate("document.getElementById('cell-text').textContent")
    assert page.evaluate("document.title") == f"{HOSTILE}: evaluation along training"
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.documentElement.dataset.panels") == "3"
    assert page.seen.errors == []
    assert len(page.seen.requests) == 1


def test_the_policy_stops_a_script_that_was_put_into_the_page(browser: Browser, tmp_path: Path) -> None:
    collected = make_collected(Sketch(benchmarks=("demo-boolq",)))
    bytes_ = render_page(collected, make_views(collected))
    evil = b"<script>document.title='owned'</script><img src='http://127.0.0.1:9/x'></body>"
    page = opened_bytes(browser, tmp_path, bytes_.replace(b"</body>", evil))
    assert page.evaluate("document.title") != "owned"
    assert len(page.seen.errors) == 2


@pytest.mark.parametrize("width", [360, 800, 1800])
def test_the_page_fits_its_window(browser: Browser, tmp_path: Path, width: int) -> None:
    page = opened(browser, tmp_path, make_collected(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    too_wide = page.evaluate(
        "[...document.querySelectorAll('.panel')].filter(p => p.scrollWidth > p.clientWidth + 1).length"
    )
    assert too_wide == 0


def test_without_scripts_the_drawings_stand_for_the_charts(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    collected = make_collected()
    page = render_page(collected, make_views(collected))
    path.write_bytes(page[: page.rindex(b"<script>")])
    opened_page = browser.open(path.as_uri())
    heights = opened_page.evaluate(
        "[...document.querySelectorAll('.panel svg')].map(s => s.getBoundingClientRect().height)"
    )
    assert len(heights) == 9, "eight benchmarks and the language average"
    assert min(heights) > 100


def test_print_shows_the_drawings(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, make_collected())
    shown = "document.querySelector('.panel svg').getBoundingClientRect().height > 100"
    assert not page.evaluate(shown)
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.evaluate(shown)
    assert page.evaluate("document.querySelector('.uplot').getBoundingClientRect().height") == 0


def test_amber_opens_with_all_its_panels(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, amber_sized())
    assert page.evaluate("document.documentElement.dataset.panels") == "24", "23 and the language average"
    assert page.evaluate("document.querySelectorAll('#matrix td').length") == 360 * 23
    assert page.seen.errors == []


def test_a_page_without_results_opens(browser: Browser, tmp_path: Path) -> None:
    collected = make_collected()
    empty = Collected(plan=collected.plan, results=(), coverage=collected.coverage)
    page = opened(browser, tmp_path, empty)
    assert page.evaluate("document.documentElement.dataset.panels") == "0"
    assert page.evaluate("document.getElementById('controls').hidden")
    move_to(page, "#matrix .q")
    assert "quarantined" in page.evaluate("document.getElementById('cell-text').textContent")
    assert page.seen.errors == []
