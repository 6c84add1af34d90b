"""One query drawn across its parties: a lane each, a mark for every entry, on one scale of time."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from federation.console.stories import Story
from federation.console.wording import Words
from federation.report.notation import count, shortened
from federation.report.plot import round_ticks
from federation.report.svg import circle, group, label, line, picture, rectangle
from protocols.transparency.leaves import LeafKind

WIDTH: Final = 760.0
LEFT: Final = 150.0
RIGHT: Final = 730.0
PITCH: Final = 34.0
TOP: Final = 26.0
LANES: Final = 24
LABELLED: Final = 2
"""With more entries than these on one lane, their texts would stand in each other's way; the table has them."""
_SHAPES: Final = {
    LeafKind.REQUEST: "request",
    LeafKind.RELEASE: "release",
    LeafKind.DENY: "deny",
    LeafKind.RESULT: "result",
    LeafKind.ACK: "ack",
}


def lanes_chart(story: Story, words: Words) -> Markup:
    """Draw the query; what does not fit the drawing stands in the table below it."""
    lanes, longest = story.lanes[:LANES], max(story.took_ms, 1)
    bottom = TOP + PITCH * len(lanes)

    def x(milliseconds: int) -> float:
        return LEFT + (RIGHT - LEFT) * milliseconds / longest

    parts = []
    for tick in round_ticks(0, longest, 5):
        parts.append(line(x(int(tick)), TOP - 8, x(int(tick)), bottom, "guide"))
        parts.append(label(x(int(tick)), TOP - 13, words.duration(round(tick)), "tick", "middle"))
    for number, lane in enumerate(lanes):
        y = TOP + PITCH * number + PITCH / 2
        parts.append(label(LEFT - 14, y + 4, shortened(lane.party, 18), "label", "end"))
        parts.append(line(LEFT, y, RIGHT, y, "lane"))
        first, last = x(lane.steps[0].after_ms), x(lane.steps[-1].after_ms)
        if last > first:
            parts.append(rectangle(first, y - 1.5, last - first, 3, "span"))
        for step in lane.steps:
            css = f"mark {_SHAPES.get(step.leaf.kind, 'other')}"
            said, at = f"{words.named('kind', step.leaf.kind.value)} +{words.duration(step.after_ms)}", x(step.after_ms)
            shapes = [circle(at, y, 6, css)]
            if len(lane.steps) <= LABELLED:
                early = at < (LEFT + RIGHT) / 2
                shapes.append(label(at + (11 if early else -11), y - 6, said, "tick", "start" if early else "end"))
            parts.append(group(shapes, f"{lane.party} · {said}"))
    says = words(
        "story.lanes_says",
        parties=len(story.lanes),
        entries=count(len(story.steps)),
        took=words.duration(story.took_ms),
    )
    return picture("lanes", (WIDTH, bottom + 6), words("story.lanes"), says, parts)
