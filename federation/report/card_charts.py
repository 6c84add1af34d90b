"""The drawings that a model card adds to the report's: gains, stability, coverage, the bar beside a step's points."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from federation.report.card_data import CardCoverage, CardFeature, CardStability, CardValidation
from federation.report.charts import SIZE, Bar, bars
from federation.report.curves import Distribution, Separation
from federation.report.notation import count, decimal, percent, width
from federation.report.plot import BOTTOM, LEFT, RIGHT, TOP, Frame, in_percent, round_ticks, whole
from federation.report.svg import area, circle, group, label, line, number, picture, polyline, rectangle

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
POINTS_BAR = (90.0, 12.0)


def separation(found: CardValidation) -> Separation | None:
    """Return both cumulative shares over the score; None when one outcome is absent."""
    if found.ks_at is None:
        return None
    good = tuple((point.score, point.good) for point in found.curve)
    bad = tuple((point.score, point.bad) for point in found.curve)
    return Separation(good, bad, found.ks_at.score, found.ks_at.good, found.ks_at.bad)


def distribution(found: CardValidation) -> Distribution | None:
    """Return the share of each outcome per score band; None without bands."""
    if not found.bands:
        return None
    good, bad = sum(band.good for band in found.bands), sum(band.bad for band in found.bands)
    edges = (*(band.low for band in found.bands), found.bands[-1].high)
    return Distribution(
        edges,
        tuple(band.good / max(1, good) for band in found.bands),
        tuple(band.bad / max(1, bad) for band in found.bands),
    )


def gains_chart(found: CardValidation) -> Markup:
    """Draw the share of all defaults among the riskiest enterprises, with a dot for each decile."""
    title = "Gains"
    rows, defaults = sum(gain.rows for gain in found.gains), sum(gain.bad for gain in found.gains)
    if not found.curve or not defaults:
        text = "Not determined: the test rows hold one outcome only, or none."
        return picture("gains", (SIZE[0], 90), title, text, [label(SIZE[0] / 2, 50, text, "tick", "middle")])
    frame, rate = Frame(0, 1, 0, 1), defaults / rows
    names = "share of enterprises, riskiest first", "share of all defaults"
    curve = frame.points([(rate * p.bad + (1 - rate) * p.good, p.bad) for p in found.curve])
    parts = frame.axes(QUARTERS, QUARTERS, names, (in_percent, in_percent))
    parts += [line(LEFT, BOTTOM, RIGHT, TOP, "reference"), line(*_perfect(frame, rate), "reference")]
    parts += [area(curve, BOTTOM, "fill model"), polyline(curve, "curve model")]
    for gain in found.gains:
        tip = f"riskiest {percent(gain.share, 0)}: {percent(gain.caught, 0)} of defaults, lift {decimal(gain.lift, 1)}"
        parts.append(group([circle(frame.x(gain.share), frame.y(gain.caught), 4.5, "dot model")], tip))
    parts.append(label(RIGHT - 12, BOTTOM - 16, "dashed: a coin, and a perfect order", "tick", "end"))
    words = "; ".join(f"riskiest {percent(g.share, 0)} hold {percent(g.caught, 0)}" for g in found.gains[:3])
    return picture("gains", SIZE, title, f"Of all defaults, the {words}.", parts)


def _perfect(frame: Frame, rate: float) -> tuple[float, float, float, float]:
    return frame.x(0), frame.y(0), frame.x(rate), frame.y(1)


def stability_chart(stability: CardStability) -> Markup:
    """Draw the shares of training and test rows in each decile of the training scores, riskiest at the left."""
    shares = stability.deciles
    highest = max([0.15, *(max(pair.train, pair.test) for pair in shares)])
    frame = Frame(0, max(1, len(shares)), 0, 1.05 * highest)
    names = "decile of the training scores, riskiest first", "share of rows"
    parts = frame.axes((), round_ticks(0, highest, 4), names, (whole, in_percent))
    slot = (RIGHT - LEFT) / max(1, len(shares))
    for index, pair in enumerate(shares):
        left, side = LEFT + index * slot, 0.36 * slot
        tip = f"decile {index + 1}: {percent(pair.train)} of training rows, {percent(pair.test)} of test rows"
        columns = [
            rectangle(left + start, frame.y(value), side, BOTTOM - frame.y(value), css, radius=2)
            for start, value, css in ((0.1 * slot, pair.train, "bar"), (0.52 * slot, pair.test, "bar ours"))
        ]
        parts += [group(columns, tip), label(left + slot / 2, BOTTOM + 18, str(index + 1), "tick", "middle")]
    for x, css, text in ((LEFT, "bar", "training 训练"), (LEFT + 150, "bar ours", "test 测试")):
        parts += [rectangle(x, 4, 16, 13, css, radius=2), label(x + 23, 15, text)]
    words = f"Population stability index {decimal(stability.index)}: {stability.verdict}."
    return picture("stability", SIZE, "Stability of the scores", words, parts)


def coverage_bars(coverage: Sequence[CardCoverage], colours: int) -> Markup:
    """Draw the share of training rows that each domain describes."""
    rows = [
        Bar(c.domain, c.covered, percent(c.covered, 0), f"d{i % colours}", f"{percent(c.covered_mean)} on average")
        for i, c in enumerate(coverage)
    ]
    told = "; ".join(f"{row.name} {row.written}" for row in rows)
    room = max(8, *(min(28, width(row.name)) for row in rows)) if rows else 8
    return bars("coverage", ("Coverage by domain", told), rows, (0.0, 1.0), room)


def points_bar(points: float, highest: float) -> Markup:
    """Draw a step's points as a thin bar on a scale that all steps of the card share; the figure stands beside it."""
    across, high = POINTS_BAR
    length = across * min(1.0, max(0.0, points / highest)) if highest > 0 else 0.0
    body = rectangle(0, 0, across, high, "frame", radius=2) + rectangle(0, 0, length, high, "bar ours", radius=2)
    return Markup('<svg class="points" viewBox="0 0 {} {}" aria-hidden="true">{}</svg>').format(
        number(across), number(high), body
    )


def best_points(features: Sequence[CardFeature]) -> float:
    """Return the most points that one step gives."""
    return max((step.points for feature in features for step in feature.bins), default=0.0)


def decile_note(found: CardValidation) -> str:
    """Return how large the deciles are."""
    sizes = [gain.rows for gain in found.gains]
    if not sizes:
        return ""
    low, high = min(sizes), max(sizes)
    return f"{count(low)} enterprises each" if low == high else f"{count(low)} to {count(high)} enterprises each"
