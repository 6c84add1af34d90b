"""One feature's steps: weight of evidence per step, with the default rate and the share of enterprises in each."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from federation.report.data import Bin, Feature
from federation.report.notation import decimal, percent, signed
from federation.report.svg import group, label, line, picture, rectangle

WIDTH: Final = 340
HEIGHT: Final = 204
TOP: Final = 22
BOTTOM: Final = 148
MISSING: Final = "missing"


def woe_chart(index: int, feature: Feature) -> Markup:
    """Draw the steps of `feature`: up is safer than average, down riskier; *missing* is drawn apart."""
    highest = max([0.1, *(abs(step.woe) for step in feature.bins)])
    upper = max([0.0, *(step.woe for step in feature.bins)])
    lower = min([0.0, *(step.woe for step in feature.bins)])
    unit = (BOTTOM - TOP) / max(upper - lower, highest)
    zero = TOP + upper * unit if upper > lower else (TOP + BOTTOM) / 2
    slot = (WIDTH - 12) / max(1, len(feature.bins))
    parts = [line(4, zero, WIDTH - 4, zero, "axis")]
    parts += [_step(6 + i * slot, slot, step, zero, unit) for i, step in enumerate(feature.bins)]
    riskiest = max(feature.bins, key=lambda step: step.bad_rate, default=None)
    words = f"{len(feature.bins)} steps, information value {decimal(feature.iv)}."
    if riskiest:
        words += f" Riskiest: {riskiest.label}, {percent(riskiest.bad_rate)} defaults."
    return picture(f"woe-{index}", (WIDTH, HEIGHT), f"{feature.domain}: {feature.name}", words, parts)


def _step(x: float, slot: float, step: Bin, zero: float, unit: float) -> Markup:
    width, height = min(44.0, 0.74 * slot), abs(step.woe) * unit
    left, middle = x + (slot - min(44.0, 0.74 * slot)) / 2, x + slot / 2
    safer, missing = step.woe >= 0, step.label == MISSING
    css = f"bar {'good' if safer else 'bad'}{' missing' if missing else ''}"
    short = "none" if missing else step.label.removeprefix("step ")
    tip = (
        f"{step.label}: {percent(step.share)} of enterprises, {percent(step.bad_rate)} defaults, "
        f"WOE {signed(step.woe, 2)}, {signed(step.points / 10, 1)} points"
    )
    shapes = [
        rectangle(left, zero - height if safer else zero, width, max(height, 1), css, radius=2),
        label(middle, zero - height - 6 if safer else zero + height + 14, percent(step.bad_rate), "small", "middle"),
        label(middle, HEIGHT - 20, short, "tick", "middle"),
        label(middle, HEIGHT - 5, percent(step.share, 0), "tiny", "middle"),
    ]
    return group(shapes, tip)
