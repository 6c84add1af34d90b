"""A bank's own mark on an application or a loan: it comes back as it is, in JSON, CSV and webhooks, and harms none.

Letters and digits, Latin or Chinese, brackets around a year (沪贷〔2026〕第42号), and what joins them. Nothing else: so
no mark breaks a line or parts a cell, turns the direction of a text or cannot be seen, or begins as a spreadsheet's
formula does.
"""

from __future__ import annotations

import re
from typing import Final

MAX_REFERENCE: Final = 64
_LETTERS: Final = "A-Za-z0-9À-ÖØ-öø-ɏ㐀-䶿一-鿿０-９Ａ-Ｚａ-ｚ"
_FIRST: Final = f"[{_LETTERS}（〔【]"
_REST: Final = f"[{_LETTERS}（）〔〕【】—－._:/-]{{0,{MAX_REFERENCE - 1}}}"
PATTERN: Final = f"^{_FIRST}{_REST}$"
"""One spelling that Python, pydantic and a reader of the OpenAPI document understand alike."""

OPTIONAL_PATTERN: Final = f"^({_FIRST}{_REST})?$"
_KNOWN: Final = re.compile(f"(?:{_FIRST}{_REST})?")


def is_reference(text: str) -> bool:
    """Tell whether a text can be a reference; an empty one is none, and allowed."""
    return _KNOWN.fullmatch(text) is not None
