"""The report as a PDF: the page's own look on A4, its fonts embedded, so that it looks the same everywhere."""

from __future__ import annotations

import datetime
from typing import Final

from nodes.bank.report.facts import CreditReport
from nodes.bank.report.scale import HIGH, LOW, Point, arc_band, label_at, needle
from nodes.bank.report.view import CoverageRow, ReportView, Score, ThemeRow, view
from nodes.bank.report.wording import Language
from paper.canvas import (
    HEIGHT,
    INK,
    MARGIN,
    RULE,
    SOFT,
    WHITE,
    WIDTH,
    Canvas,
    baseline_of,
    leading_of,
    tint,
)

ACCENT: Final = "#14596b"
GOLD: Final = "#8a6300"
ALARM: Final = "#a3231b"
FAINT: Final = "#f3f5f5"
ROOM: Final = WIDTH - 2 * MARGIN
RIGHT: Final = WIDTH - MARGIN
FLOOR: Final = HEIGHT - 14.5
GUTTER: Final = 7.5
THEMES_ROOM: Final = 110.0
RADIUS: Final = 33.0
METER: Final = ("#dba545", "#d9813a", "#b03a2a")
STATE_COLOURS: Final = {"ok": "#2f7d4f", "absent": SOFT, "refused": ALARM, "stale": GOLD}


def render_pdf(report: CreditReport, language: Language) -> bytes:
    """Return the report as a PDF, the same bytes for the same report.

    Reveals: what `report` holds, to whoever opens the file; it loads nothing and runs nothing.
    """
    shown = view(report, language)
    created = datetime.datetime.fromtimestamp(report.assessed, datetime.UTC)
    canvas = Canvas(f"{shown.words.title} {shown.enterprise}", report.bank, shown.words.tag, created)
    drawing = _Drawing(canvas, shown)
    drawing.head()
    drawing.pending()
    drawing.verdict()
    drawing.columns()
    drawing.record()
    drawing.notices()
    drawing.feet()
    return canvas.output()


class _Drawing:
    """The sections of one report, drawn from the top; each leaves `y` where the next may begin."""

    def __init__(self, canvas: Canvas, shown: ReportView) -> None:
        self._canvas, self._view, self._words = canvas, shown, shown.words
        self.y = 11.0

    def _need(self, height: float) -> None:
        """Begin a new page if the next thing does not fit on this one."""
        if self.y + height > FLOOR:
            self._canvas.next_page()
            self.y = 16.0

    def _place(self) -> tuple[int, float]:
        return self._canvas.page, self.y

    def _return_to(self, place: tuple[int, float]) -> None:
        self._canvas.turn_to(place[0])
        self.y = place[1]

    def _heading(self, x: float, text: str, note: str, room: float) -> float:
        self._canvas.text(x, self.y + baseline_of(10.5), text, 10.5, bold=True, colour=ACCENT)
        top = self.y + leading_of(10.5) + 0.3
        return self._canvas.paragraph(x, top, note, 8, room, colour=SOFT) + 0.8 if note else top + 0.6

    # ---- the sections

    def head(self) -> None:
        """Draw the title, the advisory stamp, and who asked when."""
        canvas, words = self._canvas, self._words
        canvas.box(MARGIN, self.y, ROOM, 1.3, ACCENT)
        canvas.text(MARGIN, self.y + 10.6, words.title, 19, bold=True)
        canvas.text(MARGIN, self.y + 15.8, words.subtitle, 8.2, colour=SOFT)
        stamp = canvas.measure(words.advisory_heading, 9.5, bold=True) + 6
        canvas.box(RIGHT - stamp, self.y + 4.4, stamp, 7, WHITE, radius=1, edge=GOLD)
        canvas.text(
            RIGHT - stamp / 2, self.y + 9.2, words.advisory_heading, 9.5, bold=True, colour=GOLD, align="middle"
        )
        self.y += 18.6
        canvas.rule(MARGIN, self.y, ROOM)
        x, lowest = MARGIN, self.y
        widths = (56.0, 42.0, 41.0, 41.0)
        for (name, value), width in zip(self._view.head, widths, strict=False):
            canvas.text(x, self.y + 4.4, name, 8, colour=SOFT)
            lowest = max(lowest, canvas.paragraph(x, self.y + 5.6, value, 9, width - 4, bold=True))
            x += width
        self.y = lowest + 1.2
        canvas.rule(MARGIN, self.y, ROOM)
        self.y += 4

    def pending(self) -> None:
        """Draw that the enterprise has objected, if it has."""
        if self._view.pending:
            words = self._words
            self._notice(MARGIN, ROOM, words.pending_heading, words.pending, ALARM, "#fdf1ef", 0)
            self.y += self._notice_height(words.pending, ROOM, 0) + 4

    def verdict(self) -> None:
        """Draw the enterprise, and its score on the gauge with the grades; or why there is none."""
        if self._view.score is None:
            self._refusal()
            return
        top = self.y
        self._who(self._view.score)
        self._gauge(self._view.score, (RIGHT - RADIUS - 3, top + RADIUS + 1.5))
        self.y = top + RADIUS + 9.5
        self._grades()

    def _code(self) -> None:
        canvas = self._canvas
        canvas.text(MARGIN, self.y + 4.5, self._view.enterprise_name, 8, colour=SOFT)
        self.y = canvas.paragraph(MARGIN, self.y + 6, self._view.enterprise, 15, 100, bold=True) + 3

    def _who(self, score: Score) -> None:
        canvas, words = self._canvas, self._words
        self._code()
        canvas.text(MARGIN, self.y + 2, words.grade, 8, colour=SOFT)
        width = max(20.0, canvas.measure(score.grade, 18, bold=True) + 7)
        canvas.box(MARGIN, self.y + 3.4, width, 9.6, score.colour, radius=1.4)
        canvas.text(MARGIN + width / 2, self.y + 10.6, score.grade, 18, bold=True, colour=WHITE, align="middle")
        canvas.text(MARGIN, self.y + 17, score.grade_words, 8.2, colour=SOFT)
        left = MARGIN + max(width, canvas.measure(score.grade_words, 8.2)) + 6
        canvas.text(left, self.y + 2, words.pd, 8, colour=SOFT)
        canvas.text(left, self.y + 10.6, score.pd, 18, bold=True)
        canvas.paragraph(left, self.y + 14, score.odds, 8.2, 70, colour=SOFT)

    def _gauge(self, score: Score, centre: Point) -> None:
        canvas = self._canvas

        def at(point: Point) -> Point:
            return centre[0] + RADIUS * point[0], centre[1] + RADIUS * point[1]

        for band in self._view.bands:
            canvas.polygon([at(p) for p in arc_band(band)], tint(band.colour, 1.0 if band.chosen else 0.5))
            x, y = at(label_at(band))
            size = 8.5 if band.chosen else 7.2
            canvas.text(x, y + 1, band.grade, size, bold=True, colour=WHITE, align="middle")
        canvas.polygon([at(p) for p in needle(score.place)], INK)
        canvas.text(centre[0], centre[1] - 4.2, score.score, 36, bold=True, align="middle")
        canvas.text(centre[0], centre[1] + 1, self._words.score, 8.2, colour=SOFT, align="middle")
        for side, value in ((-1, LOW), (1, HIGH)):
            canvas.text(
                centre[0] + side * 0.87 * RADIUS, centre[1] + 4, f"{value:.0f}", 7.2, colour=SOFT, align="middle"
            )

    def _grades(self) -> None:
        canvas, words = self._canvas, self._words
        self.y = self._heading(MARGIN, words.grades_heading, f"{words.default_note} {words.scale_note}", ROOM)
        gap, width = 0.8, (ROOM - 8 * 0.8) / 9
        for index, band in enumerate(reversed(self._view.bands)):
            x = MARGIN + index * (width + gap)
            canvas.box(x, self.y, width, 15, FAINT, radius=1)
            canvas.box(x, self.y, width, 5.2, tint(band.colour, 1.0 if band.chosen else 0.78), radius=1)
            canvas.text(x + width / 2, self.y + 3.9, band.grade, 9, bold=True, colour=WHITE, align="middle")
            limit = f"≤ {100 * band.up_to:g}%" if band.up_to < 1 else f"> {100 * band.above:g}%"
            colour = INK if band.chosen else SOFT
            canvas.text(x + width / 2, self.y + 9.2, limit, 8, bold=band.chosen, colour=colour, align="middle")
            canvas.text(x + width / 2, self.y + 13.2, words.grade_words[band.grade], 7.2, colour=colour, align="middle")
            if band.chosen:
                corners = [(x, self.y), (x + width, self.y), (x + width, self.y + 15), (x, self.y + 15), (x, self.y)]
                canvas.outline(corners, INK)
        self.y += 19

    def _refusal(self) -> None:
        canvas, words = self._canvas, self._words
        self._code()
        reason = f"{words.reason}: {self._view.refusal} {self._view.code}"
        height = 19 + leading_of(11) * (len(canvas.lines(reason, 11, ROOM - 12)) - 1)
        height += leading_of(8.5) * len(canvas.lines(words.no_score_note, 8.5, ROOM - 12))
        canvas.box(MARGIN, self.y, ROOM, height, "#fdf1ef", radius=2, edge=ALARM)
        canvas.text(MARGIN + 6, self.y + 8.5, words.no_score, 15, bold=True, colour=ALARM)
        top = canvas.paragraph(MARGIN + 6, self.y + 11.5, reason, 11, ROOM - 12)
        canvas.paragraph(MARGIN + 6, top + 0.5, words.no_score_note, 8.5, ROOM - 12, colour=SOFT)
        self.y += height + 6

    def columns(self) -> None:
        """Draw what weighs on the score, and beside it what each office knows."""
        start = self._place()
        if self._view.score is not None:
            self._themes()
            themes_end = self._place()
            self._return_to(start)
            self._coverage(MARGIN + THEMES_ROOM + GUTTER, ROOM - THEMES_ROOM - GUTTER)
            self._return_to(max(themes_end, self._place()))
        elif self._view.coverage:
            self._coverage(MARGIN, ROOM)
        self.y += 3.5

    def _themes(self) -> None:
        words = self._words
        note = words.weighs_note if self._view.themes else words.no_themes
        self.y = self._heading(MARGIN, words.weighs, note, THEMES_ROOM)
        for theme in self._view.themes:
            self._theme(theme)

    def _theme(self, theme: ThemeRow) -> None:
        canvas, right = self._canvas, MARGIN + THEMES_ROOM
        room = THEMES_ROOM - 42
        height = leading_of(9.5) + leading_of(7.8) * len(canvas.lines(theme.looks_at, 7.8, room)) + 2
        self._need(height)
        canvas.text(MARGIN, self.y + baseline_of(9.5) + 0.4, theme.name, 9.5, bold=True)
        canvas.paragraph(MARGIN, self.y + leading_of(9.5), theme.looks_at, 7.8, room, colour=SOFT)
        middle = self.y + height / 2
        for step in range(3):
            colour = METER[theme.severity - 1] if theme.severity > step else RULE
            canvas.box(right - 39 + 7.2 * step, middle - 1.1, 6.4, 2.2, colour, radius=0.5)
        heavy = theme.severity >= 2
        canvas.text(right, middle + 1.1, theme.words, 8.8, bold=heavy, colour=INK if heavy else SOFT, align="right")
        self.y += height
        canvas.rule(MARGIN, self.y, THEMES_ROOM)

    def _coverage(self, x: float, room: float) -> None:
        words = self._words
        note = words.coverage_note if self._view.score else ""
        self.y = self._heading(x, words.coverage, note, room)
        for row in self._view.coverage:
            self._office(row, x, room)

    def _office(self, row: CoverageRow, x: float, room: float) -> None:
        """Draw one office: what it knows beside its name, or below it where both need more room."""
        canvas = self._canvas
        names, state = canvas.lines(row.domain, 9.5, room, bold=True), canvas.measure(row.words, 9)
        below = 0 if canvas.measure(row.domain, 9.5, bold=True) + state + 7 <= room else len(names)
        height = leading_of(9.5) * max(len(names), below + 1) + 2
        self._need(height)
        canvas.paragraph(x, self.y + 1, row.domain, 9.5, room, bold=True)
        baseline = self.y + 1 + baseline_of(9.5) + leading_of(9.5) * below
        canvas.text(x + room, baseline, row.words, 9, colour=SOFT, align="right")
        colour = STATE_COLOURS.get(row.state, SOFT)
        canvas.text(x + room - state - 2.6, baseline, row.mark, 9, bold=True, colour=colour, align="middle")
        self.y += height
        canvas.rule(x, self.y, room)

    def record(self) -> None:
        """Draw what the result rests on, and where it is recorded."""
        self._need(40)
        canvas = self._canvas
        self.y = self._heading(MARGIN, self._words.record, "", ROOM)
        model, *short, request, receipt = self._view.record
        rows = ((model,), tuple(short), (request, receipt))
        for row in rows:
            width, lowest = ROOM / len(row), self.y
            for index, (name, value) in enumerate(row):
                x = MARGIN + index * width
                canvas.text(x, self.y + 2.9, name, 7.8, colour=SOFT)
                lowest = max(lowest, canvas.paragraph(x, self.y + 3.6, value, 8.6, width - 4))
            self.y = lowest + 1.2
        self.y += 2

    def notices(self) -> None:
        """Draw what the report is not, where to object, and what was shared."""
        words, half = self._words, (ROOM - 3) / 2
        self._need(16)
        self._notice(MARGIN, ROOM, words.advisory_heading, words.advisory, GOLD, "#fbf6e9", 0)
        self.y += self._notice_height(words.advisory, ROOM, 0) + 3
        height = max(self._notice_height(self._view.objections, half, 8), self._notice_height(words.privacy, half, 0))
        self._need(height)
        self._notice(MARGIN, half, words.objections_heading, self._view.objections, ACCENT, FAINT, height)
        self._notice(MARGIN + half + 3, half, words.privacy_heading, words.privacy, ACCENT, FAINT, height)
        canvas, line = self._canvas, self.y + height - 2.6
        canvas.text(MARGIN + 4.5, line - 1, words.contact, 8, colour=SOFT)
        canvas.rule(MARGIN + 4.5, line, half - 9, SOFT)
        self.y += height

    def _notice_height(self, text: str, room: float, extra: float) -> float:
        return 3.4 + leading_of(9.5) + leading_of(8.6) * len(self._canvas.lines(text, 8.6, room - 9)) + extra

    def _notice(self, x: float, room: float, heading: str, text: str, edge: str, back: str, height: float) -> None:
        canvas = self._canvas
        canvas.box(x, self.y, room, height or self._notice_height(text, room, 0), back)
        canvas.box(x, self.y, 1.1, height or self._notice_height(text, room, 0), edge)
        colour = INK if edge == ACCENT else edge
        canvas.text(x + 4.5, self.y + 1.5 + baseline_of(9.5), heading, 9.5, bold=True, colour=colour)
        canvas.paragraph(x + 4.5, self.y + 1.7 + leading_of(9.5), text, 8.6, room - 9)

    def feet(self) -> None:
        """Draw the foot of every page."""
        canvas, words, pages = self._canvas, self._words, self._canvas.pages
        for page in range(1, pages + 1):
            canvas.turn_to(page)
            canvas.rule(MARGIN, HEIGHT - 12, ROOM)
            canvas.text(MARGIN, HEIGHT - 8, f"{words.title} · {self._view.head[0][1]}", 7.6, colour=SOFT)
            number = words.page.format(page=page, pages=pages)
            canvas.text(RIGHT, HEIGHT - 8, f"{words.advisory_heading} · {number}", 7.6, colour=SOFT, align="right")
