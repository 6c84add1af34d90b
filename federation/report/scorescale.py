"""One score on its scale: the grade bands from C to AAA, and where the enterprise stands."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from federation.report.svg import label, line, path, picture, rectangle
from protocols.credit.scale import Grade, grade_scores

WIDTH: Final = 480
HEIGHT: Final = 92
LOW: Final = 400.0
HIGH: Final = 820.0
EDGE: Final = 12.0


def bands() -> tuple[tuple[Grade, float, float], ...]:
    """Return each grade with its lowest and highest score on the scale, riskiest first."""
    return tuple((grade, max(LOW, low), min(HIGH, high)) for grade, low, high in grade_scores())


def _x(value: float) -> float:
    return EDGE + (WIDTH - 2 * EDGE) * (min(HIGH, max(LOW, value)) - LOW) / (HIGH - LOW)


def score_scale(index: int, value: float, grade: str) -> Markup:
    """Draw the scale with a marker at `value`; a score beyond the scale stands at its end."""
    parts = []
    for position, (name, low, high) in enumerate(bands()):
        css = f"band band-{position}{' chosen' if name == grade else ''}"
        parts.append(rectangle(_x(low) + 1, 40, _x(high) - _x(low) - 2, 24, css, radius=3))
        parts.append(label(_x((low + high) / 2), 56, name, "band-name", "middle"))
        if low > LOW:
            parts.append(label(_x(low), 82, f"{low:.0f}", "tick", "middle"))
    at = _x(value)
    parts.append(path(f"M{at - 7:.1f} 24h14l-7 12z", "marker"))
    parts.append(line(at, 36, at, 68, "marker-line"))
    parts.append(label(min(WIDTH - 24, max(24, at)), 18, f"{value:.0f}", "figure", "middle"))
    words = f"Score {value:.0f}, grade {grade}, on a scale from {LOW:.0f} to {HIGH:.0f}; higher is safer."
    return picture(f"scale-{index}", (WIDTH, HEIGHT), "Score and grade", words, parts)
