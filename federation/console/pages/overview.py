"""The first page of an auditor: whether the log verifies, how much there is, what stands out. It shows no entry."""

from __future__ import annotations

import datetime
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from federation.console.access import Auditor, Fields, Here
from federation.console.index import DAY_MS
from federation.console.pages.entering import check_form
from federation.console.rendering import render, words_of
from federation.console.wording import Words
from federation.report.notation import count
from federation.report.svg import label, line, picture, rectangle
from protocols.transparency.leaves import LeafKind

router: Final = APIRouter()
DAYS: Final = 30
NEWEST: Final = 5
_WIDTH, _HEIGHT, _BASE = 1100.0, 150.0, 122.0


@router.get("/overview")
def overview(request: Request, session: Auditor, console: Here) -> Response:
    """Show the state of the log."""
    with console.reading() as log:
        size, witnessed = log.size, log.witnessed_size
    today = console.clock() * 1000 // DAY_MS
    days = console.index.by_day(LeafKind.REQUEST, (today - DAYS + 1) * DAY_MS)
    found = console.examiner.latest
    newest = [] if found is None or found.alarms is None else list(reversed(found.alarms))[:NEWEST]
    values = {
        "size": size,
        "witnessed": witnessed,
        "found": found,
        "busy": console.examiner.busy,
        "queries": sum(days.values()),
        "chart": day_chart(days, today, words_of(request)),
        "newest": newest,
    }
    return render(request, "overview.html", values, page="overview")


@router.post("/examine")
def examine(session: Auditor, console: Here, fields: Fields) -> Response:
    """Have the whole log examined now: it changes nothing."""
    check_form(session.csrf, fields)
    console.examiner.ask()
    return RedirectResponse("/overview", 303)


def day_chart(days: dict[int, int], today: int, words: Words) -> Markup:
    """Draw a column for each of the last days."""
    title = words("overview.chart")
    if not days:
        text = words("overview.chart_none")
        return picture("days", (_WIDTH, 60), title, text, [label(_WIDTH / 2, 34, text, "tick", "middle")])
    highest, pitch = max(days.values()), _WIDTH / DAYS
    most = max(days, key=lambda day: days[day])
    parts = [line(0, _BASE + 0.5, _WIDTH, _BASE + 0.5, "axis")]
    for position in range(DAYS):
        day = today - DAYS + 1 + position
        number, x = days.get(day, 0), position * pitch
        height = 100 * number / highest
        tip = f"{_date(day)}: {count(number)}"
        parts.append(rectangle(x, 0, pitch, _BASE, "hover", tip))
        if number:
            parts.append(rectangle(x + 3, _BASE - max(height, 2), pitch - 6, max(height, 2), "bar", tip, 1.5))
        if day == most:
            parts.append(label(x + pitch / 2, _BASE - height - 6, count(number), "tick", "middle"))
        if (DAYS - 1 - position) % 7 == 0:
            parts.append(label(x + pitch / 2, _BASE + 18, _date(day)[5:], "tick", "middle"))
    says = words("overview.chart_says", n=count(sum(days.values())), day=_date(most), most=count(days[most]))
    return picture("days", (_WIDTH, _HEIGHT), title, says, parts)


def _date(day: int) -> str:
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
