"""Plaintexts that must not be seen, in every spelling in which they might be.

A short spelling is met by chance in random bytes: four bytes of a float once in some million places, five digits in
every hundredth hash in hexadecimal. So a number does not count inside a longer token, and in a value that has the shape
of a key, a hash or a nonce one short spelling is chance, two are not.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from protocols.wire_audit.patterns import PatternSet
from protocols.wire_audit.shapes import is_uniform

MINIMUM_TEXT: Final = 6
MINIMUM_DIGITS: Final = 5
_ORDERS: Final[tuple[Literal["little"], Literal["big"]]] = ("little", "big")
_ANYWHERE_FROM: Final = 8
"""Bytes from which a pattern is not met by chance in ciphertexts: 2^-64 a place."""

_OPAQUE_STEP: Final = 16
"""Keys, hashes, nonces, tags and signatures have a multiple of so many bytes."""

_TOKEN_REST: Final = 16
"""So many characters beside a number make both a token: an identifier in hexadecimal or Base64."""

_TOKEN: Final = re.compile(rb"[A-Za-z0-9+/._-]*")
_TOKEN_END: Final = re.compile(_TOKEN.pattern + rb"\Z")
_LONGEST_LOOK: Final = 64


@dataclass(frozen=True, slots=True)
class Canaries:
    """Known plaintexts. `anywhere` is searched for in all bytes, `readable` only in those that are not ciphertext.

    Reveals: nothing in `repr`; the values are what nobody should see.
    """

    anywhere: PatternSet = field(repr=False)
    readable: PatternSet = field(repr=False)
    spelt_numbers: frozenset[bytes] = field(repr=False)
    numbers: frozenset[float] = field(repr=False)
    texts: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, texts: Iterable[str] = (), numbers: Iterable[int | float] = ()) -> Canaries:
        """Spell each canary out: text in UTF-8, UTF-16, hexadecimal and Base64; numbers in text, IEEE 754, MessagePack.

        Raises: ValueError for a text under six characters or a number under five digits, which chance would meet.
        """
        texts, numbers = frozenset(texts), frozenset(numbers)
        spelt_numbers = frozenset(spelling for number in numbers for spelling in _of_number(number))
        spellings = spelt_numbers.union(*map(_of_text, texts))
        return cls(
            PatternSet(s for s in spellings if len(s) >= _ANYWHERE_FROM),
            PatternSet(s for s in spellings if len(s) < _ANYWHERE_FROM),
            spelt_numbers,
            frozenset(float(number) for number in numbers),
            texts,
        )

    def __len__(self) -> int:
        return len(self.numbers) + len(self.texts)

    def seen_in(self, everything: bytes, readable: Iterable[bytes]) -> list[int]:
        """Return the places of canaries: in all the bytes, then within each readable piece."""
        places = self._found(self.anywhere, everything)
        for piece in readable:
            met = self._found(self.readable, piece)
            places += met if len(met) > 1 or not _opaque(piece) else []
        return places

    def _found(self, patterns: PatternSet, data: bytes) -> list[int]:
        hits = patterns.find(data)
        return [place for place, hit in hits if hit not in self.spelt_numbers or not _in_token(data, place, len(hit))]

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


def _opaque(piece: bytes) -> bool:
    """Say whether a value may be random by its purpose: it has the size for it, and looks it."""
    return len(piece) % _OPAQUE_STEP == 0 and is_uniform(piece)


def _in_token(data: bytes, place: int, length: int) -> bool:
    """Say whether these bytes stand in the midst of a longer token, where chance puts any digits."""
    start, end = max(0, place - _LONGEST_LOOK), place + length
    if not _TOKEN.fullmatch(data, place, end):
        return False
    before, after = _TOKEN_END.search(data, start, place), _TOKEN.match(data, end, end + _LONGEST_LOOK)
    return sum(len(match[0]) for match in (before, after) if match) >= _TOKEN_REST


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
