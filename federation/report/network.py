"""The picture of who talks to whom: offices and bank, each with the coordinator alone, and what flows on each line.

Drawn twice, side by side for a wide page and top down for a narrow one; the style sheet shows one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from federation.report.data import PartyView
from federation.report.notation import shortened, wrapped
from federation.report.svg import Anchor, group, label, path, picture, rectangle
from protocols.channel.identity import PartyRole

SHOWN: Final = 8
"""Most offices drawn one by one; the rest are one box with their number."""

UP: Final = "histograms, products, score shares: masked ciphertexts"
DOWN: Final = "cohort and consents, sealed to each office"
ASK: Final = "encrypted outcomes, sealed enterprise lists"
ANSWER: Final = "combined ciphertexts: only sums open"

_COORDINATOR_HOLDS: Final = "relays and combines; keeps the audit log; no key, no data"
_BANK_HOLDS: Final = "outcomes and its own features; the only private key"

Cast = tuple[list[tuple[str, str]], str, str]


def network(parties: Sequence[PartyView]) -> Markup:
    """Return both drawings of the federation."""
    cast = _cast(parties)
    words = (
        f"{len([p for p in parties if _is_office(p)])} data nodes and the bank each talk to the coordinator and never "
        "to one another. Data nodes send masked ciphertexts; the bank sends encrypted outcomes and sealed enterprise "
        "lists; the coordinator relays and combines what it cannot read. The bank alone holds the decryption key."
    )
    return _wide(cast, words) + _tall(cast, words)


def _is_office(party: PartyView) -> bool:
    return party.role not in (PartyRole.BANK, PartyRole.COORDINATOR)


def _cast(parties: Sequence[PartyView]) -> Cast:
    offices = [(p.party, p.holds) for p in parties if _is_office(p)]
    if len(offices) > SHOWN:
        rest = len(offices) - SHOWN + 1
        offices = [*offices[: SHOWN - 1], (f"{rest} more", "each with its own records")]
    named = {p.role: p.party for p in parties}
    return offices, named.get(PartyRole.COORDINATOR, "coordinator"), named.get(PartyRole.BANK, "bank")


def _box(x: float, y: float, size: tuple[float, float], css: str, texts: tuple[str, str]) -> Markup:
    holds = wrapped(texts[1], int((size[0] - 24) / 6.4), 4 if size[1] > 90 else 2)
    first = y + (size[1] - 18 - 15 * len(holds)) / 2 + 15
    parts = [
        rectangle(x, y, *size, f"box {css}", radius=8),
        label(x + 14, first, shortened(texts[0], int((size[0] - 24) / 8)), "box-name"),
        *(label(x + 14, first + 18 + 15 * i, text, "box-text") for i, text in enumerate(holds)),
    ]
    return group(parts, f"{texts[0]}: {texts[1]}")


def _arrow(start: tuple[float, float], end: tuple[float, float], css: str, upright: bool = False) -> Markup:
    (x1, y1), (x2, y2) = start, end
    if upright:
        bend, head = f"C{x1} {(y1 + y2) / 2} {x2} {(y1 + y2) / 2}", (-5, -9, 5, -9)
    else:
        bend, head = f"C{(x1 + x2) / 2} {y1} {(x1 + x2) / 2} {y2}", (-9, -5, -9, 5)
    sign = 1 if (y2 > y1 if upright else x2 > x1) else -1
    a, b, c, d = (sign * h for h in head)
    tip = path(f"M{x2:.1f} {y2:.1f}L{x2 + a:.1f} {y2 + b:.1f}L{x2 + c:.1f} {y2 + d:.1f}Z", f"head {css}")
    return path(f"M{x1:.1f} {y1:.1f}{bend} {x2:.1f} {y2:.1f}", f"flow {css}") + tip


def _words(x: float, y: float, text: str, room: int, css: str, anchor: Anchor = "middle") -> list[Markup]:
    """Return lines of text, the last of them at `y`."""
    lines = wrapped(text, room, 4)
    return [label(x, y + 15 * (i + 1 - len(lines)), line, f"flow-text {css}", anchor) for i, line in enumerate(lines)]


def _wide(cast: Cast, words: str) -> Markup:
    offices, coordinator, bank = cast
    frame = max(3, len(offices)) * 76 + 38
    middle, inset = frame / 2 + 12, 38 + (max(3, len(offices)) - len(offices)) * 38
    parts = [
        rectangle(0, 0, 298, frame, "frame", radius=12),
        label(14, 24, "data nodes 数据方" if offices else "no data node was recorded", "box-text"),
    ]
    for index, office in enumerate(offices):
        y = inset + index * 76
        spread = (index - (len(offices) - 1) / 2) * min(22, 100 / max(1, len(offices)))
        parts.append(_box(12, y, (274, 66), "office", office))
        parts.append(_arrow((290, y + 33), (466, middle + spread), "cipher"))
    parts += _words(412, middle - 76, UP, 22, "cipher", "start")
    parts += [path(f"M545 {middle + 59}V{frame - 12}H306", "flow sealed"), *_words(424, frame + 22, DOWN, 50, "sealed")]
    parts.append(path(f"M298 {frame - 12}l9 -5v10Z", "head sealed"))
    parts.append(_box(470, middle - 59, (160, 118), "coordinator", (coordinator, _COORDINATOR_HOLDS)))
    parts.append(_box(810, middle - 59, (190, 118), "bank", (bank, _BANK_HOLDS)))
    parts += [_arrow((806, middle - 20), (634, middle - 20), "cipher"), *_words(720, middle - 32, ASK, 24, "cipher")]
    parts += [_arrow((634, middle + 20), (806, middle + 20), "open"), *_words(720, middle + 54, ANSWER, 24, "open")]
    return picture("network-wide", (1000, frame + 34), "Who talks to whom", words, parts, "wide")


def _tall(cast: Cast, words: str) -> Markup:
    offices, coordinator, bank = cast
    rows = max(1, (len(offices) + 1) // 2)
    base = rows * 78
    parts = [_box(0 + 204 * (i % 2), 78 * (i // 2), (196, 68), "office", office) for i, office in enumerate(offices)]
    parts += [_arrow((120, base), (120, base + 66), "cipher", True), *_words(108, base + 55, UP, 18, "cipher", "end")]
    parts += [
        _arrow((280, base + 66), (280, base), "sealed", True),
        *_words(292, base + 55, DOWN, 18, "sealed", "start"),
    ]
    box = (60.0, base + 72.0)
    parts.append(_box(*box, (280, 68), "coordinator", (coordinator, _COORDINATOR_HOLDS)))
    lower = base + 144
    parts += [
        _arrow((120, lower + 66), (120, lower), "cipher", True),
        *_words(108, lower + 55, ASK, 18, "cipher", "end"),
    ]
    parts += [
        _arrow((280, lower), (280, lower + 66), "open", True),
        *_words(292, lower + 55, ANSWER, 18, "open", "start"),
    ]
    parts.append(_box(60, lower + 72, (280, 68), "bank", (bank, _BANK_HOLDS)))
    return picture("network-tall", (400, lower + 142), "Who talks to whom", words, parts, "tall")
