"""The charts of a model's validation: ROC, KS, score distribution, calibration; and plain bars.

Each returns one drawing whose description states in words what it shows; with nothing to draw, it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from markupsafe import Markup

from federation.report.curves import Distribution, Observed, Point, Separation
from federation.report.notation import count, decimal, percent, shortened
from federation.report.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, in_percent, round_ticks, whole
from federation.report.svg import Anchor, area, circle, group, label, line, picture, polyline, rectangle

SIZE = (WIDTH, HEIGHT)
BARS_WIDTH = 430
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _empty(name: str, title: str) -> Markup:
    text = "Not determined: the test rows hold one outcome only, or none."
    return picture(name, (WIDTH, 90), title, text, [label(WIDTH / 2, 50, text, "tick", "middle")])


def _legend() -> list[Markup]:
    parts = []
    for x, css, text in ((LEFT, "good", "repaid 正常"), (LEFT + 150, "bad", "defaulted 违约")):
        parts += [line(x, 11, x + 22, 11, f"curve {css}"), label(x + 29, 15, text)]
    return parts


def roc(points: Sequence[Point], auc: float) -> Markup:
    """Draw defaults caught against good enterprises refused, beside the diagonal of a coin."""
    title = "ROC curve"
    if not points:
        return _empty("roc", title)
    frame = Frame(0, 1, 0, 1)
    curve = frame.points(points)
    names = ("good enterprises refused", "defaults caught")
    parts = frame.axes(QUARTERS, QUARTERS, names, (in_percent, in_percent))
    parts += [
        line(LEFT, BOTTOM, RIGHT, TOP, "reference"),
        area(curve, BOTTOM, "fill model"),
        polyline(curve, "curve model"),
        label(RIGHT - 12, BOTTOM - 38, f"AUC {decimal(auc)}", "figure model-text", "end"),
        label(RIGHT - 12, BOTTOM - 16, "dashed: a coin, AUC 0.500", "tick", "end"),
    ]
    caught = float(np.interp(0.2, [x for x, _ in points], [y for _, y in points]))
    words = (
        f"AUC {decimal(auc)}. Refusing the riskiest 20 % of good enterprises catches {percent(caught, 0)} of defaults."
    )
    return picture("roc", SIZE, title, words, parts)


def ks_chart(curves: Separation | None) -> Markup:
    """Draw the share of each outcome at or below a score, and the widest gap between the two."""
    title = "Separation of outcomes (KS)"
    if curves is None:
        return _empty("ks", title)
    low, high = curves.good[0][0], curves.good[-1][0]
    frame = Frame(low, high if high > low else low + 1, 0, 1)
    names = ("score", "share at or below")
    parts = frame.axes(round_ticks(frame.x_low, frame.x_high, 6), QUARTERS, names, (whole, in_percent))
    at = frame.x(curves.at)
    top, bottom = curves.bad_at, curves.good_at
    side = 8.0 if at < (LEFT + RIGHT) / 2 else -8.0
    anchor: Anchor = "start" if side > 0 else "end"
    parts += [
        line(at, frame.y(top), at, frame.y(bottom), "gap"),
        polyline(frame.points(curves.good), "curve good"),
        polyline(frame.points(curves.bad), "curve bad"),
        label(at + side, frame.y((top + bottom) / 2) + 5, f"KS {decimal(curves.ks)}", "figure", anchor),
        *_legend(),
    ]
    words = f"The two outcomes lie furthest apart, by {decimal(curves.ks)}, at a score of {curves.at:.0f}."
    return picture("ks", SIZE, title, words, parts)


def score_distribution(shares: Distribution | None) -> Markup:
    """Draw, for each outcome, the share of enterprises per score interval."""
    title = "Scores by outcome"
    if shares is None:
        return _empty("distribution", title)
    highest = max(0.05, *shares.good, *shares.bad)
    frame = Frame(shares.edges[0], shares.edges[-1], 0, 1.05 * highest)
    ticks = round_ticks(frame.x_low, frame.x_high, 6), round_ticks(0, highest, 4)
    parts = frame.axes(*ticks, ("score (higher is safer)", "share of each outcome"), (whole, in_percent))
    for css, values in (("good", shares.good), ("bad", shares.bad)):
        steps = [
            point
            for low, high, value in zip(shares.edges, shares.edges[1:], values, strict=False)
            for point in ((low, value), (high, value))
        ]
        coordinates = frame.points(steps)
        parts += [area(coordinates, BOTTOM, f"fill {css}"), polyline(coordinates, f"curve {css}")]
    parts += _legend()
    words = f"Scores run from {frame.x_low:.0f} to {frame.x_high:.0f}; each outcome's shares add up to 100 %."
    return picture("distribution", SIZE, title, words, parts)


def calibration_plot(groups: Sequence[Observed], slope: float) -> Markup:
    """Draw expected PD against the observed default rate with its 95 % interval; on the diagonal they agree."""
    title = "Calibration"
    if not groups:
        return _empty("calibration", title)
    highest = min(1.0, 1.15 * max(max(g.expected, min(g.high, 2.5 * g.observed + 0.02)) for g in groups))
    frame = Frame(0, highest, 0, highest, sqrt)
    ticks = [t for t in (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if t <= highest]
    parts = frame.axes(ticks, ticks, ("expected PD (square-root axes)", "observed default rate"), (in_percent,) * 2)
    parts.append(line(LEFT, BOTTOM, RIGHT, TOP, "reference"))
    for g in groups:
        x = frame.x(g.expected)
        tip = f"expected {percent(g.expected)}, observed {percent(g.observed)}: {count(g.bad)} of {count(g.rows)}"
        whisker = line(x, frame.y(g.low), x, frame.y(g.high), "whisker")
        parts.append(group([whisker, circle(x, frame.y(g.observed), 5, "dot model")], tip))
    parts.append(label(LEFT + 14, TOP + 18, f"slope {decimal(slope, 2)}", "figure model-text"))
    agreeing = sum(g.agrees for g in groups)
    words = f"In {agreeing} of {len(groups)} groups the expected rate lies in the 95 % interval of the observed one."
    return picture("calibration", SIZE, title, words, parts)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, its value (None draws no bar), how the value is written, and its colour class."""

    name: str
    value: float | None
    written: str
    css: str
    note: str = ""


def bars(name: str, texts: tuple[str, str], rows: Sequence[Bar], limits: tuple[float, float], room: int) -> Markup:
    """Draw horizontal bars with their names at the left, `room` letters wide; `texts` is title and description."""
    start, end, pitch = 7.4 * room + 12, BARS_WIDTH - 66.0, 27
    parts = [line(start, 4, start, pitch * len(rows) + 6, "axis")]
    for index, row in enumerate(rows):
        y = pitch * index + 8
        share = 0.0 if row.value is None else (row.value - limits[0]) / (limits[1] - limits[0])
        length = (end - start) * min(1.0, max(0.0, share))
        tip = f"{row.name}: {row.written}{' · ' + row.note if row.note else ''}"
        shapes = [
            label(start - 8, y + 14, shortened(row.name, room), "label", "end"),
            rectangle(start, y, length, 19, f"bar {row.css}", radius=2),
            label(start + length + 6, y + 14, row.written, "value"),
        ]
        parts.append(group(shapes, tip))
    return picture(name, (BARS_WIDTH, pitch * len(rows) + 12), *texts, parts)
