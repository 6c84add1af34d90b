"""The monthly reports: which months there are, and each as a page or a PDF in either language."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from federation.audit.reports.month import MonthlyReport, read_month
from federation.console.access import Auditor, Fields, Here
from federation.console.monthly_reports import Making
from federation.console.pages.entering import check_form
from federation.console.problems import NoSuchPage
from federation.console.rendering import render
from federation.console.wanted import Wanted
from federation.console.wording import Language
from federation.report.month import render_month
from federation.report.month_pdf import render_month_pdf

router: Final = APIRouter()
SHOWN: Final = 72
_FILE: Final = re.compile(r"([0-9]{4}-[0-9]{2})-(zh|en)\.(html|pdf)")


@dataclass(frozen=True, slots=True)
class Row:
    """One month: whether it is over, its report if there is one, and how a wish for one stands."""

    month: str
    over: bool
    report: MonthlyReport | None
    making: Making | None

    @property
    def busy(self) -> bool:
        """Whether its report is being made."""
        return self.making is not None and self.making.busy


@router.get("/reports")
def reports(request: Request, session: Auditor, console: Here) -> Response:
    """Show the months that the log has entries of. No entry is shown."""
    with console.reading() as log:
        size = log.size
    oldest, newest = console.index.span()
    now = console.clock()
    months = _months(min(oldest, 1000 * now), min(newest, 1000 * now))[:SHOWN] if size else []
    made = console.reports
    rows = [Row(name, read_month(name).until_ms <= 1000 * now, made.get(name), made.making(name)) for name in months]
    values = {"rows": rows, "busy": any(row.busy for row in rows), "ready": made.verified() is not None}
    return render(request, "reports.html", values, page="reports")


@router.post("/reports/{month}")
def make(month: str, session: Auditor, console: Here, fields: Fields) -> Response:
    """Have a month's report made."""
    check_form(session.csrf, fields)
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month) or console.reports.verified() is None:
        raise NoSuchPage
    console.reports.ask(month)
    return RedirectResponse("/reports", 303)


@router.get("/reports/{name}")
def report(name: str, session: Auditor, console: Here) -> Response:
    """Return a report as a file; getting it is a look at its month's entries."""
    found = _FILE.fullmatch(name)
    made = console.reports.get(found[1]) if found else None
    if found is None or made is None:
        raise NoSuchPage
    language, kind = Language(found[2]), found[3]
    with console.reading():
        leaves = console.index.reach(Wanted(made.month.since_ms, made.month.until_ms), made.leaves)
    console.look(session, "report", leaves, month=found[1], language=language, kind=kind)
    data = render_month(made, language).encode() if kind == "html" else render_month_pdf(made, language)
    media = "text/html; charset=utf-8" if kind == "html" else "application/pdf"
    headers = {"Content-Disposition": f'attachment; filename="audit-{name}"'}
    return Response(data, media_type=media, headers=headers)


def _months(first_ms: int, last_ms: int) -> list[str]:
    """Return the months from the first to the last moment, the newest first."""
    first, last = (datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC) for ms in (first_ms, last_ms))
    number = 12 * last.year + last.month - 1
    count = number - (12 * first.year + first.month - 1) + 1
    return [f"{one // 12:04}-{one % 12 + 1:02}" for one in range(number, number - max(count, 0), -1)]
