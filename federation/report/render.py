"""The page: one HTML file that loads nothing, runs no script, and shows foreign texts as texts."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from federation.report import notation, wording
from federation.report.charts import calibration_plot, ks_chart, roc, score_distribution
from federation.report.curves import calibration, distribution, grade_table, roc_points, separation
from federation.report.data import POOLED, POOLED_BOOSTING, RunReport
from federation.report.network import network
from federation.report.sections import answers, comparison_bars, comparisons, domains, phase_bars, steps

LEAK_SUSPECT_IV: Final = 0.5


def render(report: RunReport) -> str:
    """Return the report as one self-contained HTML page, the same for the same report.

    Reveals: what `report` holds, to whoever opens the page; nothing leaves it.
    """
    style = style_sheet("style.css")
    scores, bad, features = report.test_scores, report.test_bad, report.features
    ranked = sorted(features, key=lambda feature: (-feature.iv, feature.domain, feature.name))
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            style=Markup(style),  # noqa: S704  our own style sheet, from this package
            style_hash=style_hash(style),
            summary=wording.summary(report),
            selected=[feature for feature in ranked if feature.selected],
            dropped=[feature for feature in ranked if not feature.selected],
            suspects=[feature for feature in ranked if feature.iv > LEAK_SUSPECT_IV],
            network=network(report.parties),
            comparisons=comparisons(report.comparisons),
            comparison_bars=comparison_bars(report.comparisons),
            pooled=any(model.name in (POOLED, POOLED_BOOSTING) for model in report.comparisons),
            defaults=int(bad.sum()),
            roc=roc(roc_points(scores, bad), report.validation.auc),
            ks=ks_chart(separation(scores, bad)),
            distribution=score_distribution(distribution(scores, bad)),
            calibration=calibration_plot(calibration(scores, bad), report.validation.calibration_slope),
            grades=grade_table(scores, bad),
            domains=domains(features),
            steps=steps([feature for feature in ranked if feature.selected]),
            answers=answers(report.assessments, scores),
            phases=phase_bars(report.phases),
            phase_total=sum(duration for _, duration in report.phases),
        )
    )


@cache
def environment() -> Environment:
    """Return the templates of this package, which show every foreign text as text."""
    templates = Environment(
        loader=PackageLoader("federation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    for function in (
        notation.count,
        notation.decimal,
        notation.percent,
        notation.seconds,
        notation.signed,
        notation.size,
        wording.denial,
        wording.leak,
        wording.pips,
        wording.weight,
        wording.words,
    ):
        templates.filters[function.__name__] = function
    return templates


def _shown(value: object) -> object:
    """Make what stands in a text visible; drawings were already escaped where they were made."""
    return notation.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def style_sheet(name: str) -> str:
    """Return a style sheet of this package."""
    return resources.files("federation.report").joinpath(f"templates/{name}").read_text(encoding="utf-8").strip()


def style_hash(style: str) -> str:
    """Return what the page's policy names its style sheet by."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
