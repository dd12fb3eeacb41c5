"""Inline SVG of a panel, for print, for readers without scripts and as the page's first paint. Pure.

The drawing is 3,600 x 2,000 units so that whole numbers are precise enough: a line of 360 checkpoints
takes 2 kB. Colours are CSS classes of the page.
"""

import itertools
import math
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from a360.publish.axes import Scale
from a360.publish.page import lines_in_panel, y_scales
from a360.publish.series import Curve, Series

WIDTH, HEIGHT = 3600, 2000
LEFT, RIGHT, TOP, BOTTOM = 440, 3560, 60, 1740
DENSE = 80
"""More points than this are drawn with finer lines."""
SPARK_WIDTH, SPARK_HEIGHT = 1600, 360

Project = Callable[[float], int]
Point = tuple[int, int]


def panel_svg(curve: Curve, x: Scale, *, log_y: bool) -> Markup:
    """The drawing of a benchmark: axes, chance, band of one standard error, lines."""
    scales = y_scales(curve)
    log_y = log_y and "log" in scales
    y = scales["log" if log_y else "linear"]
    to_x, to_y = _projection(x, LEFT + 40, RIGHT - 40), _value_projection(y, BOTTOM, TOP, log=log_y)
    drawing = [_axes(x, y, to_x)]
    for kind, value in (("chance", curve.view.chance), ("target", curve.target)):
        if value is not None and (value > 0 or not log_y):
            drawing.append(f'<path class="{kind}" d="M{LEFT} {to_y(value)}H{RIGHT}"/>')
    drawing.append(_band(curve.headline, x, to_x, to_y))
    for number, series in enumerate(lines_in_panel(curve)):
        drawing.append(f'<path class="thin c{number}" d="{_path(_points(series, x, to_x, to_y))}"/>')
    drawing.append(f'<path class="headline" d="{_path(_points(curve.headline, x, to_x, to_y))}"/>')
    return Markup(
        f'<svg{_density(x)} viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(in_words(curve))}">'
        f"{''.join(drawing)}</svg>"
    )


def spark_svg(series: Series, x: Scale, y: Scale) -> Markup:
    """A line without axes, for one of many parts of a benchmark; all of them share ``y``."""
    to_x, to_y = _projection(x, 30, SPARK_WIDTH - 60), _value_projection(y, SPARK_HEIGHT - 20, 20, log=False)
    points = _points(series, x, to_x, to_y)
    end = f'<circle class="end" cx="{points[-1][0]}" cy="{points[-1][1]}" r="30"/>' if points else ""
    line = f'<path class="headline" d="{_path(points)}"/>'
    return Markup(
        f'<svg{_density(x)} viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" aria-hidden="true">{line}{end}</svg>'
    )


def in_words(curve: Curve) -> str:
    """The curve in one sentence, for readers who do not see it."""
    measured, best = curve.measured(), curve.best()
    if best is None:
        return f"{curve.view.title}: no value yet"
    first, last = measured[0], measured[-1]
    return (
        f"{curve.view.title}, {curve.view.label}, at {len(measured)} checkpoints: "
        f"first {first.value:.4g}, last {last.value:.4g}, best {best.value:.4g}"
    )


def _density(x: Scale) -> str:
    return ' class="dense"' if len(x.positions) > DENSE else ""


def _projection(scale: Scale, start: int, end: int) -> Project:
    return lambda position: round(start + (position - scale.low) / (scale.high - scale.low) * (end - start))


def _value_projection(scale: Scale, start: int, end: int, *, log: bool) -> Project:
    to_place = _projection(scale, start, end)
    floor = 10.0 ** (scale.low - 1) if log else 0.0
    return lambda value: to_place(math.log10(max(value, floor)) if log else value)


def _axes(x: Scale, y: Scale, to_x: Project) -> str:
    to_y = _projection(y, BOTTOM, TOP)
    parts = []
    for position, text in y.ticks:
        at = to_y(position)
        parts.append(f'<path class="grid" d="M{LEFT} {at}H{RIGHT}"/>')
        parts.append(f'<text class="left" x="{LEFT - 50}" y="{at + 36}">{escape(text)}</text>')
    parts += [
        f'<text class="below" x="{to_x(position)}" y="{BOTTOM + 160}">{escape(text)}</text>'
        for position, text in x.ticks
    ]
    return "".join(parts)


def _points(series: Series, x: Scale, to_x: Project, to_y: Project) -> list[Point]:
    pairs = zip(x.positions, series.values, strict=True)
    return [(to_x(at), to_y(value)) for at, value in pairs if at is not None and value is not None]


def _band(series: Series, x: Scale, to_x: Project, to_y: Project) -> str:
    upper, lower = [], []
    for at, value, error in zip(x.positions, series.values, series.stderr, strict=True):
        if at is not None and value is not None and error is not None:
            upper.append((to_x(at), to_y(value + error)))
            lower.append((to_x(at), to_y(value - error)))
    return f'<path class="band" d="{_path([*upper, *reversed(lower)])}z"/>' if len(upper) > 1 else ""


def _path(points: Sequence[Point]) -> str:
    """Relative coordinates: a third of the size of absolute ones."""
    if not points:
        return ""
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(points)]
    numbers = "".join(f"{' ' if dx >= 0 else ''}{dx}{' ' if dy >= 0 else ''}{dy}" for dx, dy in steps)
    start = f"M{points[0][0]} {points[0][1]}"
    return f"{start}l{numbers.lstrip()}" if steps else f"{start}h0"
