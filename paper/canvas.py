"""Drawing on A4 with the embedded fonts: text that wraps in either language, boxes, lines and polygons.

Units: millimetres from the top left corner of the page; type sizes in points.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Final, Literal

from fpdf import FPDF
from fpdf.enums import RenderStyle
from fpdf.fonts import TTFFont

from paper.subset_fonts import FONTS

WIDTH: Final = 210.0
HEIGHT: Final = 297.0
MARGIN: Final = 15.0
INK: Final = "#1c2733"
SOFT: Final = "#55626f"
RULE: Final = "#dce1e4"
WHITE: Final = "#ffffff"
POINT: Final = 0.3528
LEADING: Final = 1.42

_FAMILY: Final = "credfed"
_UNKNOWN: Final = "〓"
_NO_LINE_STARTS: Final = frozenset("，。、；：？！）》」】”’,.;:?!)%")

Align = Literal["left", "middle", "right"]
Point = tuple[float, float]


class Canvas:
    """An A4 document being drawn, page by page."""

    def __init__(self, title: str, author: str, language: str, created: datetime.datetime) -> None:
        self._pdf = FPDF(orientation="portrait", unit="mm", format="A4")
        self._pdf.set_auto_page_break(False)
        self._pdf.set_margin(0)
        self._pdf.c_margin = 0
        self._pdf.add_font(_FAMILY, "", FONTS / "credfed-sans-sc-regular.otf")
        self._pdf.add_font(_FAMILY, "B", FONTS / "credfed-sans-sc-bold.otf")
        font = self._pdf.fonts[_FAMILY]
        self._known = frozenset(font.cmap) if isinstance(font, TTFFont) else frozenset()
        self._pdf.set_title(title)
        self._pdf.set_author(author)
        self._pdf.set_lang(language)
        self._pdf.set_creator("Credit Federation")
        self._pdf.set_creation_date(created)
        self._pdf.add_page()

    @property
    def pages(self) -> int:
        """Return how many pages there are."""
        return self._pdf.pages_count

    @property
    def page(self) -> int:
        """Return which page is drawn on, counted from 1."""
        return self._pdf.page

    def next_page(self) -> None:
        """Go on to the next page, a new one if this is the last."""
        if self.page < self.pages:
            self.turn_to(self.page + 1)
        else:
            self._pdf.add_page()

    def turn_to(self, page: int) -> None:
        """Draw on a page that was drawn on before."""
        self._pdf.page = page
        self._pdf.font_family = ""  # the page's own font is the one it was left with: name it anew

    def output(self) -> bytes:
        """Return the document; nothing can be drawn afterwards."""
        return bytes(self._pdf.output())

    # ---- text

    def known(self, text: str) -> str:
        """Return `text` with a geta mark for every character that the fonts do not hold."""
        return "".join(c if ord(c) in self._known else _UNKNOWN for c in text)

    def measure(self, text: str, size: float, bold: bool = False) -> float:
        """Return how wide one line of text is."""
        self._font(size, bold)
        return float(self._pdf.get_string_width(self.known(text)))

    def text(
        self,
        x: float,
        baseline: float,
        text: str,
        size: float,
        *,
        bold: bool = False,
        colour: str = INK,
        align: Align = "left",
    ) -> None:
        """Draw one line of text; `x` is its left end, its middle or its right end."""
        width = self.measure(text, size, bold)
        left = x - {"left": 0.0, "middle": width / 2, "right": width}[align]
        self._pdf.set_text_color(*_rgb(colour))
        self._pdf.text(left, baseline, self.known(text))

    def lines(self, text: str, size: float, room: float, bold: bool = False) -> list[str]:
        """Return `text` broken to lines of at most `room`: at spaces, and between Chinese characters."""
        found = [""]
        for piece in _pieces(text):
            joined = found[-1] + piece
            if self.measure(joined.rstrip(), size, bold) <= room or not found[-1]:
                found[-1] = joined
            elif piece in _NO_LINE_STARTS:
                found.append(found[-1][-1] + piece)
                found[-2] = found[-2][:-1]
            else:
                found.append(piece.lstrip())
        return [cut for line in found if line for cut in self._cut(line.rstrip(), size, room, bold)]

    def paragraph(
        self, x: float, top: float, text: str, size: float, room: float, *, bold: bool = False, colour: str = INK
    ) -> float:
        """Draw text over several lines and return where the next thing may begin."""
        for line in self.lines(text, size, room, bold):
            self.text(x, top + baseline_of(size), line, size, bold=bold, colour=colour)
            top += leading_of(size)
        return top

    def _cut(self, line: str, size: float, room: float, bold: bool) -> list[str]:
        """Return a line without places to break in pieces that fit."""
        pieces = [""]
        for character in line:
            if pieces[-1] and self.measure(pieces[-1] + character, size, bold) > room:
                pieces.append("")
            pieces[-1] += character
        return pieces

    def _font(self, size: float, bold: bool) -> None:
        self._pdf.set_font(_FAMILY, "B" if bold else "", size)

    # ---- shapes

    def box(
        self, x: float, y: float, width: float, height: float, colour: str, *, radius: float = 0, edge: str = ""
    ) -> None:
        """Draw a filled rectangle, with an outline if `edge` is a colour."""
        self._pdf.set_fill_color(*_rgb(colour))
        self._pdf.set_draw_color(*_rgb(edge or colour))
        self._pdf.set_line_width(0.4)
        style = RenderStyle.DF if edge else RenderStyle.F
        self._pdf.rect(x, y, width, height, style=style, round_corners=radius > 0, corner_radius=radius)

    def rule(self, x: float, y: float, length: float, colour: str = RULE, thickness: float = 0.25) -> None:
        """Draw a horizontal line."""
        self._pdf.set_draw_color(*_rgb(colour))
        self._pdf.set_line_width(thickness)
        self._pdf.line(x, y, x + length, y)

    def polygon(self, points: Sequence[Point], colour: str) -> None:
        """Draw a filled polygon."""
        self._pdf.set_fill_color(*_rgb(colour))
        self._pdf.polygon([(x, y) for x, y in points], style=RenderStyle.F)

    def outline(self, points: Sequence[Point], colour: str, thickness: float = 0.5) -> None:
        """Draw lines from point to point."""
        self._pdf.set_draw_color(*_rgb(colour))
        self._pdf.set_line_width(thickness)
        self._pdf.polyline([(x, y) for x, y in points])


def leading_of(size: float) -> float:
    """Return the height of one line of a type size, in millimetres."""
    return size * POINT * LEADING


def baseline_of(size: float) -> float:
    """Return how far below the top of its line a baseline lies, in millimetres."""
    return size * POINT * 1.08


def tint(colour: str, strength: float) -> str:
    """Return a colour mixed with white: 1 is the colour itself, 0 is white."""
    mixed = (round(255 - (255 - part) * strength) for part in _rgb(colour))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _pieces(text: str) -> list[str]:
    """Return the pieces between which a line may end: words with the space after them, and Chinese characters."""
    pieces, word = [], ""
    for character in text:
        if ord(character) >= 0x2E80:
            pieces += [piece for piece in (word, character) if piece]
            word = ""
        else:
            word += character
            if character == " ":
                pieces.append(word)
                word = ""
    return [*pieces, word] if word else pieces
