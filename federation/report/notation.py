"""How the page writes numbers and foreign texts: one notation, and nothing invisible."""

from __future__ import annotations

import math
import unicodedata
from typing import Final

NOT_AVAILABLE: Final = "n/a"

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    """Return `text` with controls, direction marks and unpaired surrogates shown as U+FFFD.

    A feature's name comes from its owner; it can neither reorder the line it stands in nor make the page unwritable.
    """
    return "".join("\ufffd" if unicodedata.category(c) in _INVISIBLE else c for c in text)


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a measure with fixed digits; "n/a" if it is missing or undetermined."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign, + or −."""
    text = decimal(value, digits)
    return text if value is None or text == NOT_AVAILABLE or value < 0 else f"+{text}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent; one too small for its digits is written as below the smallest of them."""
    smallest = 10.0**-digits
    if share is not None and 0 < 100 * share < smallest / 2:
        return f"< {decimal(smallest, digits)}\u00a0%"
    text = decimal(None if share is None else 100 * share, digits)
    return text if text == NOT_AVAILABLE else f"{text}\u00a0%"


def count(value: int) -> str:
    """Return a whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u2009")


def size(number_of_bytes: int) -> str:
    """Return a size in decimal units."""
    value = float(number_of_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f}\u00a0{unit}" if unit == "B" or value >= 100 else f"{value:.1f}\u00a0{unit}"
        value /= 1000
    return f"{value:.1f}\u00a0TB"


def seconds(value: float) -> str:
    """Return a duration: milliseconds, seconds or minutes."""
    if not math.isfinite(value):
        return NOT_AVAILABLE
    if value < 1:
        return f"{1000 * value:.0f}\u00a0ms"
    if value < 120:
        return f"{value:.1f}\u00a0s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest}\u00a0s"


def width(text: str) -> int:
    """Return how many Latin letters' room `text` takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def clipped(text: str, room: int) -> str:
    """Return `text` in at most `room` Latin letters' room, cut with an ellipsis."""
    if width(text) <= room:
        return text
    kept = text
    while kept and width(kept) > room - 1:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def shortened(name: str, room: int) -> str:
    """Return `name` in at most `room` letters' room, its middle left out: names often differ at their ends."""
    if width(name) <= room:
        return name
    head, tail = name, name
    while width(head) > (room - 1) // 2:
        head = head[:-1]
    while width(tail) > room // 2:
        tail = tail[1:]
    return f"{head}…{tail}"


def wrapped(text: str, room: int, lines: int) -> list[str]:
    """Return `text` in at most `lines` lines of `room` letters, broken at spaces; what does not fit is cut."""
    words, result = text.split(), [""]
    for position, word in enumerate(words):
        joined = f"{result[-1]} {word}".strip()
        if width(joined) <= room or not result[-1]:
            result[-1] = joined
        elif len(result) < lines:
            result.append(word)
        else:
            result[-1] = " ".join([result[-1], *words[position:]])
            break
    return [clipped(line, room) for line in result]
