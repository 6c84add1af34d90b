"""Headings, tables, bars and columns, one below the other on as many pages as they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from federation.report.plot import round_ticks
from paper.canvas import HEIGHT, INK, MARGIN, RULE, SOFT, WIDTH, Align, Canvas, baseline_of, leading_of, tint

ROOM: Final = WIDTH - 2 * MARGIN
RIGHT: Final = WIDTH - MARGIN
FLOOR: Final = HEIGHT - 16.0
ACCENT: Final = "#14596b"
ALARM: Final = "#a3231b"
FAINT: Final = "#f3f5f5"
SERIES: Final = ("#14596b", "#6b4fa0", "#2f7d4f", "#8894a0")
_SIZE: Final = 8.6
_PAD: Final = 1.15


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, its share of the room, and where its texts stand."""

    heading: str
    share: float
    align: Align = "left"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar: how much, and its colour."""

    value: float
    colour: str


class Sheet:
    """What is drawn on; `y` is where the next thing may begin."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas, self.y = canvas, 12.0

    def need(self, height: float) -> None:
        """Begin a new page if the next thing does not fit on this one."""
        if self.y + height > FLOOR:
            self.canvas.next_page()
            self.y = 16.0

    def heading(self, text: str, note: str = "", keep: float = 24.0) -> None:
        """Draw a heading, with room for at least `keep` below it on the same page."""
        self.need(keep + leading_of(12))
        self.y += 5.5
        self.canvas.text(MARGIN, self.y + baseline_of(12), text, 12, bold=True, colour=ACCENT)
        self.y += leading_of(12) + 0.6
        if note:
            self.paragraph(note)

    def paragraph(self, text: str, colour: str = SOFT, size: float = _SIZE) -> None:
        """Draw a paragraph over the whole room."""
        self.need(leading_of(size) * len(self.canvas.lines(text, size, ROOM)))
        self.y = self.canvas.paragraph(MARGIN, self.y, text, size, ROOM, colour=colour) + 1.2

    # ---- tables

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], flagged: bool = False) -> None:
        """Draw a table whose rows stay whole, its first column bold; `flagged` first cells are drawn as alarms."""
        self._head(columns)
        for row in rows:
            lines = [self._lines(columns, place, text) for place, text in enumerate(row)]
            page, height = self.canvas.page, leading_of(_SIZE) * max(map(len, lines)) + 2 * _PAD
            self.need(height)
            if self.canvas.page != page:
                self._head(columns)
            self._row(columns, lines, ALARM if flagged else INK)
            self.y += height
            self.canvas.rule(MARGIN, self.y, ROOM, RULE, 0.2)
        self.y += 1.5

    def _head(self, columns: Sequence[Column]) -> None:
        left = MARGIN
        for column in columns:
            x = _place(column, left)
            baseline = self.y + _PAD + baseline_of(7.8)
            self.canvas.text(x, baseline, column.heading, 7.8, colour=SOFT, align=column.align)
            left += column.share * ROOM
        self.y += leading_of(7.8) + 2 * _PAD
        self.canvas.rule(MARGIN, self.y, ROOM, SOFT, 0.2)

    def _lines(self, columns: Sequence[Column], place: int, text: str) -> list[str]:
        return self.canvas.lines(text, _SIZE, columns[place].share * ROOM - 2 * _PAD, bold=place == 0)

    def _row(self, columns: Sequence[Column], cells: Sequence[Sequence[str]], first: str) -> None:
        left = MARGIN
        for place, (column, lines) in enumerate(zip(columns, cells, strict=True)):
            baseline = self.y + _PAD + baseline_of(_SIZE)
            for line in lines:
                colour = INK if place else first
                x = _place(column, left)
                self.canvas.text(x, baseline, line, _SIZE, bold=place == 0, colour=colour, align=column.align)
                baseline += leading_of(_SIZE)
            left += column.share * ROOM

    # ---- charts

    def bars(self, rows: Sequence[tuple[str, Sequence[Part], str]], name_room: float = 46.0) -> None:
        """Draw a horizontal bar for each row: its name, its parts on one scale, and what is written behind it."""
        longest = max([1e-9, *(sum(part.value for part in parts) for _, parts, _ in rows)])
        start, room = MARGIN + name_room, ROOM - name_room - 34
        for name, parts, written in rows:
            self.need(6.2)
            shown = self.canvas.lines(name, _SIZE, name_room - 3)[:1]
            self.canvas.text(start - 2.5, self.y + 4.2, shown[0] if shown else "", _SIZE, align="right")
            x = start
            for part in parts:
                width = room * part.value / longest
                if width > 0:
                    self.canvas.box(x, self.y + 1.1, width, 4.2, part.colour)
                x += width
            self.canvas.text(x + 2, self.y + 4.2, written, _SIZE, bold=True)
            self.y += 6.2
        self.y += 1.5

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Draw what the colours mean."""
        self.need(6)
        x = MARGIN
        for name, colour in entries:
            self.canvas.box(x, self.y + 1.2, 3, 3, colour, radius=0.5)
            self.canvas.text(x + 4.4, self.y + 3.8, name, 8, colour=SOFT)
            x += 4.4 + self.canvas.measure(name, 8) + 6
        self.y += 6

    def columns(self, stacks: dict[int, list[int]], days: int, height: float = 44.0) -> None:
        """Draw a stacked column for each day that has one, with a scale at the left."""
        self.need(height + 12)
        highest = max(1, *(sum(stack) for stack in stacks.values()))
        left, base, pitch = MARGIN + 12, self.y + height, (ROOM - 12) / days
        for tick in round_ticks(0, highest, 4):
            if tick == int(tick):
                y = base - (height - 4) * tick / highest
                self.canvas.rule(left, y, ROOM - 12, RULE, 0.2)
                self.canvas.text(left - 2, y + 1, f"{int(tick):,}".replace(",", " "), 7.4, colour=SOFT, align="right")
        for day, stack in sorted(stacks.items()):
            bottom = base
            for number, value in enumerate(stack):
                tall = (height - 4) * value / highest
                if tall > 0:
                    self.canvas.box(left + (day - 1) * pitch + 0.6, bottom - tall, pitch - 1.2, tall, SERIES[number])
                bottom -= tall
        for day in (1, 5, 10, 15, 20, 25, days):
            self.canvas.text(left + (day - 0.5) * pitch, base + 4, str(day), 7.4, colour=SOFT, align="middle")
        self.y = base + 7

    def tiles(self, entries: Sequence[tuple[str, str, str]], alarming: int = -1) -> None:
        """Draw large figures side by side: name, figure, note."""
        gap, width = 2.6, (ROOM - 2.6 * (len(entries) - 1)) / len(entries)
        self.need(20)
        for number, (name, figure, note) in enumerate(entries):
            x, colour = MARGIN + number * (width + gap), ALARM if number == alarming else ACCENT
            self.canvas.box(x, self.y, width, 18.5, FAINT, radius=1.2)
            self.canvas.box(x, self.y, width, 0.9, tint(colour, 0.85))
            self.canvas.text(x + 2.6, self.y + 5, name, 7.8, colour=SOFT)
            self.canvas.text(x + 2.6, self.y + 11.6, figure, 15, bold=True, colour=ALARM if number == alarming else INK)
            self.canvas.text(x + 2.6, self.y + 15.9, note, 6.8, colour=SOFT)
        self.y += 20


def _place(column: Column, left: float) -> float:
    """Return where a cell's text is aligned to, in a column that begins at `left`."""
    width = column.share * ROOM
    return {"left": left, "middle": left + width / 2, "right": left + width - _PAD}[column.align]
