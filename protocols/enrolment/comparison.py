"""The digits that two operators compare by voice: thirty, which nobody in the middle can bring about by trying."""

from __future__ import annotations

import hashlib
from typing import Final

GROUPS: Final = 6
_DIGITS: Final = 5
_CONTEXT: Final = b"credit-federation/comparison/v1\0"


def comparison(*parts: bytes) -> str:
    """Return six groups of five digits (99 bits) over all parts, each with its length.

    Reveals: nothing secret. Both sides compute it from what *they* hold: equal digits, equal keys.
    """
    hasher = hashlib.sha512(_CONTEXT)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big") + part)
    number = int.from_bytes(hasher.digest(), "big") % 10 ** (GROUPS * _DIGITS)
    digits = f"{number:0{GROUPS * _DIGITS}d}"
    return " ".join(digits[start : start + _DIGITS] for start in range(0, len(digits), _DIGITS))


def same_digits(left: str, right: str) -> bool:
    """Tell whether two comparisons agree, whatever stands between their digits."""
    one, other = ("".join(filter(str.isdecimal, text)) for text in (left, right))
    return one == other and len(one) == GROUPS * _DIGITS
