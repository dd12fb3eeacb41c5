"""The curves as figures for papers: small multiples as SVG, PDF and PNG, equal bytes for equal results.

Follows ``series`` and ``axes``, beside ``html``. matplotlib is imported here only,
without pyplot and its state.
"""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from a360.publish.averages import all_curves
from a360.publish.axes import Axis, Scale, x_axes
from a360.publish.page import lines_in_panel, starts_log_y, y_scales
from a360.publish.rows import BenchmarkView, Kind
from a360.publish.series import Curve, Series, evaluated_places
from a360.results.collect import Collected

COLUMNS = 3
PANEL_INCHES = (2.7, 2.0)
INK, MUTED, GRID, ACCENT, MARK = "#1d2126", "#646b74", "#e9e9e5", "#1f5fae", "#a8641a"
THIN = ("#b5462f", "#2f8a62", "#7c55b8", "#b98a17", "#1d8ea3", "#b84c86", "#6a7a2c", "#77695c")
METADATA: dict[str, dict[str, str | None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


def render_figures(collected: Collected, views: Mapping[str, BenchmarkView]) -> dict[str, bytes]:
    """File name -> bytes: ``downstream.svg``, ``perplexity.pdf`` and so on, for kinds that have a value."""
    curves = all_curves(collected, views)
    axis = x_axes(evaluated_places(collected.results))[0]
    kinds: tuple[Kind, ...] = ("average", "downstream", "perplexity")
    files: dict[str, bytes] = {}
    for kind in kinds:
        shown = [curve for curve in curves if curve.view.kind == kind and curve.measured()]
        if shown:
            files |= {f"{kind}.{name}": data for name, data in _render(shown, axis).items()}
    return files


def _render(curves: Sequence[Curve], axis: Axis) -> dict[str, bytes]:
    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    with mpl.rc_context():
        _set_style()
        figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False).flat
        for panel, curve in zip(panels, curves, strict=False):
            _draw(panel, curve, axis, log_y=starts_log_y(curves))
        for panel in list(panels)[len(curves) :]:
            panel.set_axis_off()
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not for every format
        return {name: _saved(figure, name) for name in METADATA}


def _set_style() -> None:
    mpl.rcdefaults()  # no matplotlibrc of the machine
    mpl.rc("font", family="DejaVu Sans", size=7.5)  # comes with matplotlib: the same letters everywhere
    mpl.rc("axes", edgecolor=GRID, labelcolor=MUTED)
    mpl.rc("text", color=INK, parse_math=False)  # a benchmark's name is no formula
    mpl.rc("xtick", color=MUTED)
    mpl.rc("ytick", color=MUTED)
    mpl.rc("svg", hashsalt="a360", fonttype="none")
    mpl.rc("pdf", fonttype=42)


def _saved(figure: Figure, name: str) -> bytes:
    sink = io.BytesIO()
    figure.savefig(sink, format=name, dpi=200, metadata=METADATA[name])
    return sink.getvalue()


def _draw(panel: Axes, curve: Curve, axis: Axis, *, log_y: bool) -> None:
    x = axis.scale()
    scales = y_scales(curve)
    y = scales["log"] if log_y and "log" in scales else scales["linear"]
    dense = len(x.positions) > 80
    for value, style in ((curve.view.chance, (0, (4, 3))), (curve.target, "solid")):
        if value is not None and (value > 0 or not y.log):
            panel.axhline(value, color=MARK, linewidth=0.8, linestyle=style)
    for number, series in enumerate(lines_in_panel(curve)):
        at, values, _ = _known(series, x)
        panel.plot(
            at, values, color=THIN[number % len(THIN)], linewidth=0.6 if dense else 0.8, label=series.name
        )
    at, values, errors = _known(curve.headline, x)
    low, high = ([v + sign * e for v, e in zip(values, errors, strict=True)] for sign in (-1, 1))
    panel.fill_between(at, low, high, color=ACCENT, alpha=0.18, linewidth=0)
    panel.plot(
        at,
        values,
        color=ACCENT,
        linewidth=0.7 if dense else 1.2,
        marker="o",
        markersize=0.9 if dense else 2.2,
    )
    _dress(panel, curve, axis, y)


def _dress(panel: Axes, curve: Curve, axis: Axis, y: Scale) -> None:
    """Title, limits and the page's own tick marks."""
    x = axis.scale()
    panel.set_title(curve.view.title, fontsize=8, loc="left")
    panel.set_ylabel(curve.view.label, fontsize=6.5)
    panel.set_xlabel(axis.title, fontsize=6.5)
    panel.set_xlim(x.low, x.high)
    panel.set_xticks([tick.position for tick in x.ticks], [tick.text for tick in x.ticks])
    if y.log:
        panel.set_yscale("log")
        panel.minorticks_off()
    values = [
        10.0**position if y.log else position for position in (y.low, y.high, *(t.position for t in y.ticks))
    ]
    panel.set_ylim(values[0], values[1])
    panel.set_yticks(values[2:], [tick.text for tick in y.ticks])
    panel.tick_params(length=0)
    panel.grid(axis="y", color=GRID, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    if lines_in_panel(curve):
        panel.legend(fontsize=5.5, frameon=False)


def _known(series: Series, x: Scale) -> tuple[list[float], list[float], list[float]]:
    """Position, value and standard error (0 where there is none) of every checkpoint with a value."""
    points = [
        (at, value, error or 0.0)
        for at, value, error in zip(x.positions, series.values, series.stderr, strict=True)
        if at is not None and value is not None
    ]
    return [p[0] for p in points], [p[1] for p in points], [p[2] for p in points]
