"""Scales and tick marks, linear and logarithmic, computed once for page, inline SVG and figures. Pure."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from a360.publish.series import Place

LOG_SPREAD = 4.0
"""The axis starts logarithmic where the largest value is this many times the median; even steps give 2."""
SMALLEST = 1e-300
"""What is smaller is zero on a logarithmic axis: the marks beside it could not be told apart."""
UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


class Tick(NamedTuple):
    """A mark: its position on the drawn axis and its text."""

    position: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A drawn axis: every position lies between ``low`` and ``high``."""

    log: bool
    positions: tuple[float | None, ...]
    low: float
    high: float
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A quantity on the x axis and how it can be drawn."""

    name: str
    title: str
    linear: Scale
    log: Scale
    starts_log: bool

    def scale(self) -> Scale:
        """The one that is shown first."""
        return self.log if self.starts_log else self.linear


def x_axes(places: Sequence[Place]) -> tuple[Axis, ...]:
    """The axes that fit the checkpoints, best first: tokens, steps, and where neither grows, the position.

    Tokens must be known for every checkpoint; steps start again in a new phase.
    """
    tokens = [place.tokens for place in places]
    steps = [place.step for place in places]
    axes = []
    known = [value for value in tokens if value is not None]
    if known and len(known) == len(places) and _grows(known):
        axes.append(_axis("tokens", "training tokens", known))
    if _grows(steps):
        axes.append(_axis("step", "training step", steps))
    return tuple(axes) or (_axis("checkpoint", "checkpoint number", range(1, len(places) + 1)),)


def _grows(values: Sequence[int]) -> bool:
    return all(b > a for a, b in itertools.pairwise(values))


def _axis(name: str, title: str, values: Sequence[int]) -> Axis:
    middle = sorted(values)[len(values) // 2] if values else 0
    return Axis(
        name=name,
        title=title,
        linear=make_scale(values, log=False),
        log=make_scale(values, log=True),
        starts_log=len(values) > 2 and max(values) > LOG_SPREAD * middle,
    )


def make_scale(values: Sequence[float | None], *, log: bool, margin: float = 0.02, ticks: int = 4) -> Scale:
    """A scale that holds all values with some margin on both sides.

    On a logarithmic scale zero has no place: it is drawn left of the smallest positive value and marked "0".
    """
    known = [value for value in values if value is not None]
    if log and not any(value >= SMALLEST for value in known):
        log = False
    if not log:
        low, high = _padded(min(known, default=0.0), max(known, default=1.0), margin)
        return Scale(
            log=False, positions=tuple(values), low=low, high=high, ticks=_linear_ticks(low, high, ticks)
        )
    first, last = (math.log10(pick(value for value in known if value >= SMALLEST)) for pick in (min, max))
    zero = first - max(0.12 * (last - first), 0.3)
    has_zero = any(value < SMALLEST for value in known)
    positions = tuple(None if v is None else math.log10(v) if v >= SMALLEST else zero for v in values)
    low, high = _padded(zero if has_zero else first, last, margin)
    marks = _log_ticks(first if has_zero else low, high, ticks)
    return Scale(
        log=True,
        positions=positions,
        low=low,
        high=high,
        ticks=((Tick(zero, "0"),) if has_zero else ()) + marks,
    )


def _padded(low: float, high: float, margin: float) -> tuple[float, float]:
    if low == high == 0:  # a score that nobody has reached yet
        return -0.01, 0.2
    space = (high - low) * margin or abs(high) * 0.1 or 0.1
    return low - space, high + space


def _linear_ticks(low: float, high: float, count: int) -> tuple[Tick, ...]:
    """About ``count`` round values between the ends."""
    power = 10.0 ** math.floor(math.log10((high - low) / count))
    _, step, decimals = min(
        (abs((high - low) / (factor * power) - count), factor * power, factor == 2.5)
        for factor in (0.5, 1, 2, 2.5, 5, 10)
    )
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + decimals)
    marks = [mark * step for mark in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return tuple(Tick(_within(mark, low, high), short_number(mark, digits)) for mark in marks)


def _log_ticks(low: float, high: float, count: int) -> tuple[Tick, ...]:
    """Powers of ten, thinned to about ``count``; steps of 1-2-5, or even ones, where the range is short."""
    tens = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    if len(tens) >= 3:
        every = math.ceil(len(tens) / (count + 1))
        return tuple(Tick(_within(ten, low, high), short_number(10.0**ten)) for ten in tens[::every])
    fine = [(ten, f) for ten in range(math.floor(low), math.ceil(high) + 1) for f in (1, 2, 5)]
    marks = [Tick(ten + math.log10(f), short_number(f * 10.0**ten)) for ten, f in fine]
    inside = tuple(mark for mark in marks if low <= mark.position <= high)
    if len(inside) >= 3:
        return inside
    even = [v for v, _ in _linear_ticks(10**low, 10**high, 3) if v > 0]
    return tuple(Tick(_within(math.log10(v), low, high), short_number(v)) for v in even)


def _within(position: float, low: float, high: float) -> float:
    """The position without the last digit's rounding that would put it off the axis."""
    return min(max(position, low), high)


def short_number(value: float, digits: int | None = None) -> str:
    """The number in about six characters: 0.25, 12, 3.5k, 126B.

    Below a thousand it has ``digits`` decimals, or as many as four significant digits need.
    """
    for size, unit in UNITS:
        if abs(value) >= size * 0.99999:
            return f"{value / size:.3g}{unit}" if abs(value) < 999 * size else f"{value / size:.0f}{unit}"
    return f"{value:.4g}" if digits is None else f"{value:.{digits}f}"
