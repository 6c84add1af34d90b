"""The month's page: one HTML file in the report's look, for the screen and for paper, that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from federation.audit.reports.coverage import Coverage
from federation.audit.reports.month import WHOLE_QUERY, DayVolume, DenialCount, Latency, MonthlyReport
from federation.report.charts import SIZE, Bar, bars
from federation.report.month_words import Language, MonthWords
from federation.report.notation import count, percent, shortened
from federation.report.plot import HEIGHT, LEFT, Frame, round_ticks, whole
from federation.report.render import environment, style_hash, style_sheet
from federation.report.svg import group, label, picture, rectangle

NAMED_BANKS: Final = 3
ALARMS_SHOWN: Final = 200
_ROOM: Final = 24


def render_month(report: MonthlyReport, language: Language = Language.ENGLISH) -> str:
    """Return the report as one self-contained HTML page, the same for the same report.

    Reveals: what `report` holds, to whoever opens the page; nothing leaves it.
    """
    style, t = style_sheet("style.css"), MonthWords(language)
    asked = sum(bank.enterprises for bank in report.banks)
    denied = sum(bank.denied for bank in report.banks)
    return (
        environment()
        .get_template("month.html")
        .render(
            report=report,
            t=t,
            style=Markup(style),  # noqa: S704  our own style sheet, from this package
            style_hash=style_hash(style),
            queries=sum(bank.queries for bank in report.banks),
            asked=asked,
            denied=denied,
            denied_share=denied / asked if asked else None,
            volumes=volume_chart(report.days, [bank.bank for bank in report.banks], report.month.days, t),
            denials=denial_bars(report.denials, t),
            latencies=latency_bars(report.latencies, t),
            coverage=coverage_bars(report.coverage, t),
            whole=next((one for one in report.latencies if one.party == WHOLE_QUERY), None),
            standing=sum(bool(witness.cosigned) for witness in report.witnesses),
            shown=report.alarms[:ALARMS_SHOWN],
        )
    )


def volume_chart(volumes: Sequence[DayVolume], banks: Sequence[str], days: int, t: MonthWords) -> Markup:
    """Draw the enterprises asked about by day, a column each; the largest banks apart, the others together."""
    title, named = t("volumes"), list(banks[:NAMED_BANKS])
    if not volumes:
        text = t("volumes_none")
        return picture("volumes", (SIZE[0], 90), title, text, [label(SIZE[0] / 2, 50, text, "tick", "middle")])
    stacks: dict[int, list[int]] = {}
    for one in volumes:
        stack = stacks.setdefault(one.day, [0] * (len(named) + 1))
        stack[named.index(one.bank) if one.bank in named else len(named)] += one.enterprises
    highest = max(1, *(sum(stack) for stack in stacks.values()))
    frame = Frame(0.5, days + 0.5, 0, 1.05 * highest)
    y_ticks = [tick for tick in round_ticks(0, highest) if tick == int(tick)]
    parts = frame.axes([1, 5, 10, 15, 20, 25, days], y_ticks, (t("volumes_axes"), t("enterprises")), (whole, whole))
    for day, stack in sorted(stacks.items()):
        below, shapes = 0, []
        for index, value in enumerate(stack):
            left, top = frame.x(day - 0.4), frame.y(below + value)
            shapes.append(rectangle(left, top, frame.x(day + 0.4) - left, frame.y(below) - top, _colour(index, named)))
            below += value
        parts.append(group(shapes, t("volumes_tip", day=day, n=count(below))))
    legend = [*named, t("others")] if len(banks) > len(named) else named
    for index, name in enumerate(legend):
        x = LEFT + 105 * index
        parts += [rectangle(x, 5, 12, 12, _colour(index, named), radius=2), label(x + 18, 15, shortened(name, 11))]
    busiest = max(stacks, key=lambda day: sum(stacks[day]))
    words = t("volumes_says", days=len(stacks), all=days, day=busiest, most=count(sum(stacks[busiest])))
    return picture("volumes", (SIZE[0], HEIGHT), title, words, parts)


def _colour(index: int, named: Sequence[str]) -> str:
    return f"bar d{index}" if index < len(named) else "bar"


def coverage_bars(found: Coverage, t: MonthWords) -> Markup | None:
    """Draw the share of the questions that each node answered; None if no question reached a node."""
    rows = [
        Bar(one.node, one.released / one.questions, percent(one.released / one.questions), "good")
        for one in found.nodes
        if one.questions
    ]
    told = "; ".join(f"{row.name} {row.written}" for row in rows)
    return bars("coverage-bars", (t("coverage_chart"), told), rows, (0, 1), _ROOM) if rows else None


def denial_bars(denials: Sequence[DenialCount], t: MonthWords) -> Markup | None:
    """Draw the reasons of denials, each node's counted; None if there are none."""
    codes: dict[str, int] = {}
    for one in denials:
        codes[one.code] = codes.get(one.code, 0) + one.queries
    rows = [
        Bar(code, number, count(number), "bad") for code, number in sorted(codes.items(), key=lambda c: (-c[1], c[0]))
    ]
    told = "; ".join(f"{row.name} {row.written}" for row in rows)
    return bars("denials", (t("by_reason"), told), rows, (0, max(codes.values())), _ROOM) if rows else None


def latency_bars(latencies: Sequence[Latency], t: MonthWords) -> Markup | None:
    """Draw the 90th percentile of each node, and of whole queries; None if nothing was answered."""
    rows = [
        Bar(
            t("whole") if one.party == WHOLE_QUERY else one.party,
            one.p90,
            t.seconds(one.p90),
            "ours" if one.party == WHOLE_QUERY else "",
            f"p50 {t.seconds(one.p50)}",
        )
        for one in latencies
    ]
    longest = max([1, *(one.p90 for one in latencies)])
    told = "; ".join(f"{row.name} {row.written}" for row in rows)
    return bars("latency", (t("p90_chart"), told), rows, (0, longest), _ROOM) if rows else None
