"""The frame of a chart: data to coordinates, grid, ticks, axis names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from federation.report.svg import label, line

WIDTH: Final = 480
HEIGHT: Final = 346
LEFT: Final = 64
RIGHT: Final = 466
TOP: Final = 32
BOTTOM: Final = 298


def identity(value: float) -> float:
    """Leave a value as it is: the linear scale."""
    return value


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area of a chart; `scale` bends both axes alike (linear, or square root)."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    scale: Callable[[float], float] = identity

    def x(self, value: float) -> float:
        """Return the horizontal coordinate of a value, kept inside the frame."""
        return LEFT + (RIGHT - LEFT) * self._position(value, self.x_low, self.x_high)

    def y(self, value: float) -> float:
        """Return the vertical coordinate of a value, kept inside the frame."""
        return BOTTOM - (BOTTOM - TOP) * self._position(value, self.y_low, self.y_high)

    def points(self, values: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Return the coordinates of data points."""
        return [(self.x(a), self.y(b)) for a, b in values]

    def _position(self, value: float, low: float, high: float) -> float:
        start, end = self.scale(low), self.scale(high)
        return min(1.0, max(0.0, (self.scale(value) - start) / (end - start)))

    def axes(
        self, x_ticks: Sequence[float], y_ticks: Sequence[float], names: tuple[str, str], write: tuple[Writer, Writer]
    ) -> list[Markup]:
        """Return grid lines, tick texts and the names of both axes (the vertical one above it)."""
        parts = [line(LEFT, self.y(t), RIGHT, self.y(t), "guide") for t in y_ticks]
        parts += [label(LEFT - 7, self.y(t) + 4, write[1](t), "tick", "end") for t in y_ticks]
        parts += [line(self.x(t), BOTTOM, self.x(t), BOTTOM + 4, "axis") for t in x_ticks]
        parts += [label(self.x(t), BOTTOM + 18, write[0](t), "tick", "middle") for t in x_ticks]
        parts.append(line(LEFT, BOTTOM, RIGHT, BOTTOM, "axis"))
        parts.append(label((LEFT + RIGHT) / 2, BOTTOM + 39, names[0], "axis-name", "middle"))
        turned = Markup('<g transform="rotate(-90 {x} {y})">{text}</g>')
        middle = (TOP + BOTTOM) // 2
        parts.append(turned.format(x=11, y=middle, text=label(11, middle, names[1], "axis-name", "middle")))
        return parts


Writer = Callable[[float], str]


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round values that cover [low, high] with about `about` steps: 1, 2 or 5 times a power of ten apart."""
    span = max(high - low, 1e-9)
    magnitude = 10.0 ** math.floor(math.log10(span / about))
    step = next(m * magnitude for m in (1, 2, 5, 10) if span / (m * magnitude) <= about)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def whole(value: float) -> str:
    """Write a tick as a whole number."""
    return f"{value:.0f}"


def in_percent(value: float) -> str:
    """Write a share as a tick in percent, with a decimal where it needs one."""
    return f"{100 * value:.3g} %"
