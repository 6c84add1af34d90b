"""The unified social credit code (USCC): its two checks, and codes that belong to nobody.

A code has 18 characters: one for the registering authority, one for the kind of body, six digits for the region, nine
for the organisation code of GB 11714 (which ends in a check character of its own) and a check character over all.
"""

from __future__ import annotations

import re

from stdnum.cn import uscc as _stdnum_uscc

from protocols.errors import ConfigurationError

INVALID_USCC = "INVALID_USCC"
SYNTHETIC_REGION = "999999"
"""A region number that GB/T 2260 gives to no place, so no real enterprise can carry it."""

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_SHAPE = re.compile(rf"[0-9ANY][0-9{_ALPHABET[10:]}][0-9]{{6}}[{_ALPHABET}]{{10}}", re.ASCII)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

_SERIAL_CHARACTERS = 6
_SERIAL_SPACE = len(_ALPHABET) ** _SERIAL_CHARACTERS
_SCATTER = 548_508_133  # coprime to 31, so serial -> serial * _SCATTER is one-to-one modulo 31^6


def validate(code: str) -> None:
    """Return only if `code` is a well-formed USCC whose two check characters hold.

    Stricter than `stdnum.cn.uscc.validate` in that nothing is trimmed or folded to upper case and the organisation
    code's own check is made; wider in that the authorities with letters (A, N, Y) are accepted.
    Raises: ConfigurationError (INVALID_USCC); the text shows at most the first and last two characters.
    Source: GB 32100-2015; GB 11714-1997.
    """
    if not isinstance(code, str) or len(code) != 18:
        size = f"{len(code)} characters" if isinstance(code, str) else type(code).__name__
        raise ConfigurationError(f"a USCC has 18 characters, this one is {size}", code=INVALID_USCC)
    if _SHAPE.fullmatch(code) is None:
        raise ConfigurationError("a USCC of 18 characters holds a character not allowed there", code=INVALID_USCC)
    if code[16] != organisation_check_character(code[8:16]):
        raise ConfigurationError(f"USCC {masked(code)}: the organisation code's check fails", code=INVALID_USCC)
    if code[17] != _stdnum_uscc.calc_check_digit(code[:17]):
        raise ConfigurationError(f"USCC {masked(code)}: the check character is wrong", code=INVALID_USCC)


def is_valid(code: str) -> bool:
    """Say whether `validate` would return."""
    try:
        validate(code)
    except ConfigurationError:
        return False
    return True


def masked(code: str) -> str:
    """Show the first and last two characters of a code of 18, and stars between.

    Reveals: four characters; few enterprises of a cohort share them, so keep even these out of logs of other parties.
    """
    return f"{code[:2]}{'*' * (len(code) - 4)}{code[-2:]}" if len(code) == 18 else f"({len(code)} characters)"


def synthetic(serial: int) -> str:
    """Mint a valid USCC of region 999999, a different one for each serial.

    Shapes: `serial` in [0, 31^6), some 887 million. Neighbouring serials give codes far apart, so the order of codes
    says nothing about the order in which they were minted.
    Raises: ValueError if `serial` is out of range.
    """
    if not 0 <= serial < _SERIAL_SPACE:
        raise ValueError(f"serial must lie in [0, {_SERIAL_SPACE})")
    rest = serial * _SCATTER % _SERIAL_SPACE
    digits = ""
    for _ in range(_SERIAL_CHARACTERS):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    body = "MA" + digits
    unchecked = f"91{SYNTHETIC_REGION}{body}{organisation_check_character(body)}"
    return unchecked + str(_stdnum_uscc.calc_check_digit(unchecked))


def organisation_check_character(body: str) -> str:
    """Compute the check character of an eight-character organisation code.

    Raises: ValueError if `body` is not eight characters of 0-9 and A-Z. Source: GB 11714-1997.
    """
    if len(body) != 8 or not (body.isascii() and body.isalnum() and body == body.upper()):
        raise ValueError("an organisation code has eight characters of 0-9 and A-Z before its check")
    total = sum(int(character, 36) * weight for character, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return "0123456789X0"[11 - total % 11]
