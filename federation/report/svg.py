"""SVG as text that cannot break out: every value passes `Markup.format`, which escapes it.

Units: user units of the view box. Colours and weights come from the page's style sheet by class, so that one drawing
serves light, dark and print.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from markupsafe import Markup

from federation.report.notation import visible

Anchor = Literal["start", "middle", "end"]


def number(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def picture(
    identity: str, size: tuple[float, float], title: str, description: str, parts: Iterable[Markup], css: str = ""
) -> Markup:
    """Return a whole drawing that scales with its container and is read out as its title and description.

    `identity` must be unique on the page.
    """
    return Markup(
        '<svg class="chart {css}" role="img" viewBox="0 0 {width} {height}" aria-labelledby="{id}-t {id}-d">'
        '<title id="{id}-t">{title}</title><desc id="{id}-d">{description}</desc>{body}</svg>'
    ).format(
        css=css,
        width=number(size[0]),
        height=number(size[1]),
        id=identity,
        title=visible(title),
        description=visible(description),
        body=Markup("").join(parts),
    )


def group(parts: Iterable[Markup], title: str = "") -> Markup:
    """Return parts as one, with a tooltip."""
    return Markup("<g>{}{}</g>").format(_title(title), Markup("").join(parts))


def _title(text: str) -> Markup:
    return Markup("<title>{}</title>").format(visible(text)) if text else Markup("")


def rectangle(x: float, y: float, width: float, height: float, css: str, title: str = "", radius: float = 0) -> Markup:
    """Return a rectangle; a negative extent counts as none."""
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="{}" class="{}">{}</rect>').format(
        number(x), number(y), number(max(0, width)), number(max(0, height)), number(radius), css, _title(title)
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    """Return a straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        number(x1), number(y1), number(x2), number(y2), css
    )


def circle(x: float, y: float, radius: float, css: str, title: str = "") -> Markup:
    """Return a dot."""
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}">{}</circle>').format(
        number(x), number(y), number(radius), css, _title(title)
    )


def path(data: str, css: str) -> Markup:
    """Return a path from path data."""
    return Markup('<path d="{}" class="{}"/>').format(data, css)


def polyline(points: Sequence[tuple[float, float]], css: str) -> Markup:
    """Return a line through points."""
    return path("M" + "L".join(f"{number(x)} {number(y)}" for x, y in points), css)


def area(points: Sequence[tuple[float, float]], baseline: float, css: str) -> Markup:
    """Return the surface between a line through points and a horizontal."""
    if not points:
        return Markup("")
    outline = [(points[0][0], baseline), *points, (points[-1][0], baseline)]
    return path("M" + "L".join(f"{number(x)} {number(y)}" for x, y in outline) + "Z", css)


def label(x: float, y: float, content: str, css: str = "label", anchor: Anchor = "start") -> Markup:
    """Return one line of text."""
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        number(x), number(y), css, anchor, visible(content)
    )
