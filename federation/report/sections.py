"""What the page's sections list, in their order, with a drawing for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from federation.report.charts import Bar, bars
from federation.report.curves import safer_than
from federation.report.data import (
    BANK_ALONE,
    FEDERATION,
    POOLED,
    POOLED_BOOSTING,
    Assessment,
    Comparison,
    Feature,
    Floats,
)
from federation.report.notation import decimal, seconds, width
from federation.report.scorescale import score_scale
from federation.report.steps import woe_chart
from federation.report.wording import words

_CHINESE: Final = {
    BANK_ALONE: "仅银行",
    FEDERATION: "联邦",
    POOLED: "数据集中，同一模型",
    POOLED_BOOSTING: "数据集中，梯度提升",
}

COLOURS: Final = 6
"""Domain colours in the style sheet; further domains repeat them."""

STRONG_IV: Final = 0.3

NAME_ROOM: Final = 28
"""Most letters of a name beside a bar; the rest is in its tooltip."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One line of the comparison table; `gain` is its AUC less that of the bank alone."""

    name: str
    chinese: str
    ours: bool
    auc: float | None
    ks: float | None
    gain: float | None


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain's features: how many were offered and selected, and the drawing of the selected ones."""

    name: str
    offered: int
    selected: int
    drawing: Markup | None


@dataclass(frozen=True, slots=True)
class Steps:
    """One selected feature and the drawing of its steps."""

    feature: Feature
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Answer:
    """One assessment, its place on the scale (None for a refusal), and the share of test rows with a lower score."""

    given: Assessment
    drawing: Markup | None
    safer_than: float | None


def _room(names: Iterable[str]) -> int:
    """Return the letters' room of the longest name, within bounds."""
    return max(8, min(NAME_ROOM, max(map(width, names), default=0)))


def comparisons(models: Sequence[Comparison]) -> tuple[ComparisonRow, ...]:
    """Return the comparison table's lines, in the order given."""
    base = next((model.auc for model in models if model.name == BANK_ALONE), None)
    rows = []
    for model in models:
        gain = None if base is None or model.auc is None or model.name == BANK_ALONE else model.auc - base
        rows.append(
            ComparisonRow(model.name, _CHINESE.get(model.name, ""), model.name == FEDERATION, model.auc, model.ks, gain)
        )
    return tuple(rows)


def comparison_bars(models: Sequence[Comparison]) -> Markup:
    """Return the AUCs as bars from 0.5, what a coin reaches."""
    css = {FEDERATION: "ours"}
    rows = [Bar(m.name.removeprefix("all data "), m.auc, decimal(m.auc), css.get(m.name, "")) for m in models]
    told = "; ".join(f"{m.name} {decimal(m.auc)}" for m in models)
    highest = max([0.8, *(m.auc for m in models if m.auc is not None)])
    return bars("comparison-bars", ("AUC by model", told), rows, (0.5, highest), _room(row.name for row in rows))


def domains(features: Sequence[Feature]) -> tuple[Domain, ...]:
    """Return the domains in the order in which they first appear, each with its features' IV on one common scale."""
    highest = max([STRONG_IV, *(feature.iv for feature in features if feature.selected)])
    room = _room(feature.name for feature in features if feature.selected)
    result = []
    for index, name in enumerate(dict.fromkeys(feature.domain for feature in features)):
        offered = [feature for feature in features if feature.domain == name]
        chosen = sorted((f for f in offered if f.selected), key=lambda f: (-f.iv, f.name))
        rows = [Bar(f.name, f.iv, decimal(f.iv), f"d{index % COLOURS}", f.title) for f in chosen]
        texts = f"Information value, {name}", "; ".join(f"{row.name} {row.written}" for row in rows)
        drawing = bars(f"iv-{index}", texts, rows, (0.0, highest), room) if rows else None
        result.append(Domain(name, len(offered), len(chosen), drawing))
    return tuple(result)


def steps(features: Iterable[Feature]) -> tuple[Steps, ...]:
    """Return the features in the order given, each with its drawing."""
    return tuple(Steps(feature, woe_chart(index, feature)) for index, feature in enumerate(features))


def answers(assessments: Sequence[Assessment], test_scores: Floats) -> tuple[Answer, ...]:
    """Return the assessments in the order given; only one that was answered with a score has a drawing."""
    result = []
    for index, given in enumerate(assessments):
        if given.outcome == "ok" and given.score is not None and math.isfinite(given.score):
            drawing = score_scale(index, given.score, given.grade or "")
            result.append(Answer(given, drawing, safer_than(given.score, test_scores)))
        else:
            result.append(Answer(given, None, None))
    return tuple(result)


def phase_bars(phases: Sequence[tuple[str, float]]) -> Markup | None:
    """Return the phases' durations as bars, in the order of the run; None if there are none."""
    if not phases:
        return None
    rows = [Bar(words(name), duration, seconds(duration), "ours") for name, duration in phases]
    longest = max([1e-9, *(duration for _, duration in phases)])
    told = "; ".join(f"{row.name} {row.written}" for row in rows)
    return bars("phases", ("Seconds by phase", told), rows, (0.0, longest), _room(row.name for row in rows))
