"""The report as a page: one HTML file that loads nothing, runs no script, and prints on one sheet of A4."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nodes.bank.report.facts import CreditReport
from nodes.bank.report.scale import COLOURS, Point, arc_band, label_at, needle
from nodes.bank.report.view import view
from nodes.bank.report.wording import Language

RADIUS: Final = 100.0


def render_page(report: CreditReport, language: Language) -> str:
    """Return the report as one self-contained HTML page, the same for the same report.

    Reveals: what `report` holds, to whoever opens the page; nothing leaves it.
    """
    shown, style = view(report, language), style_sheet()
    return (
        _environment()
        .get_template("report.html")
        .render(
            view=shown,
            words=shown.words,
            style=Markup(style),  # noqa: S704  our own style sheet, from this package
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            pieces=[(index, band, _points(arc_band(band)), label_at(band)) for index, band in enumerate(shown.bands)],
            needle=_points(needle(shown.score.place)) if shown.score else "",
            radius=RADIUS,
        )
    )


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{RADIUS * x:.2f},{RADIUS * y:.2f}" for x, y in points)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("nodes.bank.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def style_sheet() -> str:
    """Return the page's style sheet, the grades' colours in it."""
    text = resources.files("nodes.bank.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    grades = " ".join(f".g{index} {{ --grade: {colour}; }}" for index, colour in enumerate(COLOURS))
    return f"{text.strip()}\n{grades}"
