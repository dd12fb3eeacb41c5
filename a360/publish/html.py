"""One self-contained HTML page from collected results.

The last step of the page: values of ``page``, drawings of ``svg``, the template beside this module, and
uPlot, which is vendored. The page asks nobody for anything: its content security policy allows its own
script and style, by hash, and nothing else. Every text in it (checkpoint names, error messages) is
untrusted and escaped.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from a360.identity import canonical_json
from a360.publish import page, svg
from a360.publish.averages import all_curves
from a360.publish.axes import Axis, make_scale, short_number, x_axes
from a360.publish.coverage import SIGNS, in_ranges, make_gaps, make_matrix
from a360.publish.memorization import matrices, matrix_svg
from a360.publish.rows import BenchmarkView
from a360.publish.series import Curve, Place, all_places, evaluated_places
from a360.results.collect import Collected

HERE = Path(__file__).parent
MAX_GAPS = 100
"""Entries in the list of what is not done; coverage.json has them all."""
MATRIX_WIDTHS = ((24, "wide", 1), (64, "medium", 4), (10**9, "narrow", 10))
"""(checkpoints up to, class of the matrix, columns per label)."""


def render_page(collected: Collected, views: Mapping[str, BenchmarkView]) -> bytes:
    """The report as HTML; equal results give equal bytes."""
    curves = all_curves(collected, views)
    axes = x_axes(evaluated_places(collected.results))
    data = page.page_data(collected, axes, curves)
    script = _text("vendor/uPlot.iife.min.js") + "\n" + _text("templates/report.js")
    style = _text("vendor/uPlot.min.css") + "\n" + _text("templates/report.css")
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            **_head(collected, axes),
            **_charts(collected, curves, axes[0]),
            **_coverage(collected, curves),
            **_tables(collected, curves),
            data=_inert_json(data),
            script=Markup(script),
            style=Markup(style),
            script_hash=_csp_hash(script),
            style_hash=_csp_hash(style),
        )
    )
    return text.encode()


def _head(collected: Collected, axes: Sequence[Axis]) -> dict[str, object]:
    return {
        "plan": collected.plan,
        "counts": collected.count(),
        "cells": len(collected.coverage),
        "places": all_places(collected),
        "evaluated_places": evaluated_places(collected.results),
        "axis": axes[0],
        "tokens": _token_range(axes),
    }


def _charts(collected: Collected, curves: Sequence[Curve], axis: Axis) -> dict[str, object]:
    log_y = page.starts_log_y(curves)
    return {
        "sections": _sections(curves),
        "charts": {curve.benchmark: svg.panel_svg(curve, axis.scale(), log_y=log_y) for curve in curves},
        "thin": {curve.benchmark: page.lines_in_panel(curve) for curve in curves},
        "parts": _parts(curves, axis),
        "chunks": [(matrix.metric, matrix_svg(matrix)) for matrix in matrices(collected)],
    }


def _coverage(collected: Collected, curves: Sequence[Curve]) -> dict[str, object]:
    places, gaps = all_places(collected), make_gaps(collected)
    order = {place.checkpoint: i for i, place in enumerate(places)}
    return {
        "signs": SIGNS,
        "rows": _matrix_rows(curves, make_matrix(collected).rows),
        "head": _matrix_head(places),
        "gaps": gaps[:MAX_GAPS],
        "more_gaps": max(0, len(gaps) - MAX_GAPS),
        "ranges": lambda names: in_ranges(names, order),
    }


def _tables(collected: Collected, curves: Sequence[Curve]) -> dict[str, object]:
    no_value = [(curve, i, reason) for curve in curves for i, reason in enumerate(curve.reasons) if reason]
    return {
        "no_value": no_value[:MAX_GAPS],
        "last_best": page.last_and_best(curves),
        "protocols": page.protocol_rows(collected.results),
        "environments": page.environment_rows(collected.results),
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=page.plain, short=short_number)
    return environment


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _inert_json(value: object) -> Markup:
    """Canonical JSON that cannot end its script element nor start another one."""
    text = canonical_json(value)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _token_range(axes: Sequence[Axis]) -> tuple[str, str] | None:
    """First and last training tokens, where they are known."""
    positions = [p for axis in axes if axis.name == "tokens" for p in axis.linear.positions if p is not None]
    return (short_number(positions[0]), short_number(positions[-1])) if positions else None


def _sections(curves: Sequence[Curve]) -> list[tuple[str, str, list[tuple[int, Curve]]]]:
    """(anchor, heading, numbered curves) of each kind that has some."""
    numbered = list(enumerate(curves))
    kinds = (("average", "Averages"), ("downstream", "Benchmarks"), ("perplexity", "Perplexity"))
    sections = [
        (kind, title, [item for item in numbered if item[1].view.kind == kind]) for kind, title in kinds
    ]
    return [section for section in sections if section[2]]


def _parts(curves: Sequence[Curve], axis: Axis) -> list[tuple[Curve, list[tuple[str, float, float, Markup]]]]:
    """Small charts of the parts that are not lines of a panel: (name, first, last, drawing)."""
    blocks = []
    for curve in curves:
        shown = [
            s
            for s in curve.parts
            if s not in page.lines_in_panel(curve) and any(v is not None for v in s.values)
        ]
        y = make_scale([value for series in shown for value in series.values], log=False, margin=0.05)
        charts = []
        for series in shown:
            known = [value for value in series.values if value is not None]
            charts.append((series.name, known[0], known[-1], svg.spark_svg(series, axis.scale(), y)))
        if charts:
            blocks.append((curve, charts))
    return blocks


def _matrix_rows(curves: Sequence[Curve], letters: Mapping[str, str]) -> list[tuple[str, int, Markup]]:
    """(title, cells done, the row's cells). Short markup: a matrix has 8,280 of them."""
    cells = {sign.letter: f"<td class={sign.letter}>{sign.symbol}" for sign in SIGNS.values()} | {" ": "<td>"}
    return [
        (curve.view.title, row.count("d"), Markup("".join(cells[letter] for letter in row)))
        for curve in curves
        if curve.benchmark in letters
        for row in [letters[curve.benchmark]]
    ]


def _matrix_head(places: Sequence[Place]) -> tuple[str, int, list[str]]:
    """(class, columns per label, labels): steps, the phase before them where there are several."""
    _, width, span = next(row for row in MATRIX_WIDTHS if len(places) <= row[0])
    phases = len({place.phase for place in places}) > 1
    labels = [
        f"{place.phase}: {short_number(place.step)}" if phases else short_number(place.step)
        for place in places
    ]
    return width, span, labels[::span]
