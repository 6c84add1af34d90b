"""The model card's page: one HTML file in the report's look, that loads nothing and runs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from federation.report.card_charts import (
    best_points,
    coverage_bars,
    decile_note,
    distribution,
    gains_chart,
    points_bar,
    separation,
    stability_chart,
)
from federation.report.card_data import CardBin, CardFeature, ModelCard
from federation.report.card_text import VERDICT_BOUNDS, VERDICTS, VERDICTS_ZH, summary
from federation.report.charts import calibration_plot, ks_chart, roc, score_distribution
from federation.report.render import LEAK_SUSPECT_IV, environment, style_hash, style_sheet
from federation.report.sections import COLOURS, domains, steps


@dataclass(frozen=True, slots=True)
class PointsRow:
    """One step of the scorecard, with the bar beside its points."""

    step: CardBin
    bar: Markup


@dataclass(frozen=True, slots=True)
class PointsTable:
    """One selected feature's steps, as a loan officer adds them up."""

    feature: CardFeature
    rows: tuple[PointsRow, ...]


def render_card(card: ModelCard) -> str:
    """Return the card as one self-contained HTML page, the same for the same card.

    Reveals: what `card` holds, to whoever opens the page; nothing leaves it.
    """
    style, found = f"{style_sheet('style.css')}\n{style_sheet('card.css')}", card.validation
    ranked = sorted(card.features, key=lambda feature: (-feature.iv, feature.domain, feature.name))
    chosen = [feature for feature in ranked if feature.selected]
    slope = float("nan") if found.calibration_slope is None else found.calibration_slope
    auc = float("nan") if found.auc is None else found.auc
    return (
        environment()
        .get_template("card.html")
        .render(
            card=card,
            found=found,
            style=Markup(style),  # noqa: S704  our own style sheets, from this package
            style_hash=style_hash(style),
            summary=summary(card),
            selected=chosen,
            dropped=[feature.view() for feature in ranked if not feature.selected],
            suspects=[feature.view() for feature in ranked if feature.iv > LEAK_SUSPECT_IV],
            tables={} if card.constant is None else points_tables(chosen),
            coverage=coverage_bars(card.coverage, COLOURS),
            domains=domains([feature.view() for feature in card.features]),
            steps=steps([feature.view() for feature in chosen if feature.bins]),
            roc=roc([(point.good, point.bad) for point in found.curve], auc),
            ks=ks_chart(separation(found)),
            distribution=score_distribution(distribution(found)),
            calibration=calibration_plot([o for g in found.calibration if (o := g.outcome())], slope),
            gains=gains_chart(found),
            decile_note=decile_note(found),
            stability=stability_chart(found.stability),
            verdict_text=VERDICTS[found.stability.verdict],
            verdict_bounds=VERDICT_BOUNDS[found.stability.verdict],
            no_points=card.constant is None,
            overall=found.overall().outcome(),
            verdict_zh=VERDICTS_ZH[found.stability.verdict],
        )
    )


def points_tables(chosen: Sequence[CardFeature]) -> dict[str, list[PointsTable]]:
    """Return the selected features' steps by domain, the widest range of points first; without steps, none."""
    highest = best_points(chosen)
    found: dict[str, list[PointsTable]] = {}
    for feature in sorted(chosen, key=lambda f: -f.range):
        if feature.bins:
            rows = tuple(PointsRow(step, points_bar(step.points, highest)) for step in feature.bins)
            found.setdefault(feature.domain, []).append(PointsTable(feature, rows))
    return found
