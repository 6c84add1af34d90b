"""Plaintexts that must not be seen, in every spelling in which they might be."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from protocols.wire_audit.patterns import PatternSet

MINIMUM_TEXT: Final = 6
MINIMUM_DIGITS: Final = 5
_ORDERS: Final[tuple[Literal["little"], Literal["big"]]] = ("little", "big")
_ANYWHERE_FROM: Final = 8
"""Bytes from which a pattern is not met by chance in ciphertexts: 2^-64 a place."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """Known plaintexts. `anywhere` is searched for in all bytes, `readable` only in those that are not ciphertext.

    Reveals: nothing in `repr`; the values are what nobody should see.
    """

    anywhere: PatternSet = field(repr=False)
    readable: PatternSet = field(repr=False)
    numbers: frozenset[float] = field(repr=False)
    texts: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, texts: Iterable[str] = (), numbers: Iterable[int | float] = ()) -> Canaries:
        """Spell each canary out: text in UTF-8, UTF-16, hexadecimal and Base64; numbers in text, IEEE 754, MessagePack.

        Raises: ValueError for a text under six characters or a number under five digits, which chance would meet.
        """
        texts, numbers = frozenset(texts), frozenset(numbers)
        spellings = {spelling for text in texts for spelling in _of_text(text)}
        spellings |= {spelling for number in numbers for spelling in _of_number(number)}
        return cls(
            PatternSet(s for s in spellings if len(s) >= _ANYWHERE_FROM),
            PatternSet(s for s in spellings if len(s) < _ANYWHERE_FROM),
            frozenset(float(number) for number in numbers),
            texts,
        )

    def __len__(self) -> int:
        return len(self.numbers) + len(self.texts)

    def known(self, value: object) -> bool:
        """Say whether a decoded value is a canary itself."""
        if isinstance(value, str):
            return value in self.texts
        return isinstance(value, int | float) and float(value) in self.numbers


def distinctive(value: str | float) -> bool:
    """Say whether a value is long enough to be a canary: six characters, or five significant digits."""
    if isinstance(value, str):
        return len(value) >= MINIMUM_TEXT
    return min(_digits(text) for text in _number_texts(value)) >= MINIMUM_DIGITS


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text.split("e")[0].strip("-0."))


def _number_texts(number: float) -> set[str]:
    value = float(number)
    whole = {str(int(number))} if value.is_integer() else set()
    return {repr(value), f"{value:.15g}", f"{value:.17g}"} | whole


def _of_text(text: str) -> set[bytes]:
    if not distinctive(text):
        raise ValueError(f"a canary of {len(text)} characters is too short to tell from chance")
    plain = text.encode()
    return {plain, text.encode("utf-16-le"), text.encode("utf-16-be"), *_hexadecimal(plain), *_base64(plain)}


def _hexadecimal(plain: bytes) -> set[bytes]:
    return {plain.hex().encode(), plain.hex().upper().encode()}


def _base64(plain: bytes) -> set[bytes]:
    """Return what Base64 makes of it at each of the three alignments, without the digits that depend on neighbours."""
    spellings = set()
    for shift in range(3):
        digits = base64.b64encode(b"\0" * shift + plain).rstrip(b"=")
        spellings.add(digits[-(-8 * shift // 6) : 8 * (shift + len(plain)) // 6])
    return spellings | {spelling.replace(b"+", b"-").replace(b"/", b"_") for spelling in spellings}


def _of_number(number: float) -> set[bytes]:
    if not distinctive(number):
        raise ValueError("a number of fewer than five significant digits is no canary")
    value = float(number)
    spellings = {text.encode() for text in _number_texts(number)} | {struct.pack(order + "d", value) for order in "<>"}
    if abs(value) < 3e38:
        spellings |= {struct.pack(order + "f", value) for order in "<>"}
    if value.is_integer() and -(1 << 63) <= int(number) < 1 << 64:
        packed = msgspec.msgpack.encode(int(number))
        spellings |= {packed} if len(packed) >= MINIMUM_DIGITS else set()
        spellings |= {int(number).to_bytes(8, order, signed=number < 0) for order in _ORDERS}
    return spellings
