"""Shapes that give a plaintext away wherever they stand: enterprise codes, pickles, exponents, floats.

Scans of raw bytes are exact enough for random ones: each shape has at least 56 fixed bits or two checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import numpy as np

from protocols.uscc import is_valid
from protocols.wire_audit.findings import Code

Hit = tuple[Code, int, str]

USCC_LENGTH: Final = 18
DECIMAL_RUN: Final = 100
"""Digits of a number that only a ciphertext has."""

CHI_SQUARE_LIMIT: Final = 530.0
"""Of 255 degrees of freedom: uniform bytes exceed it with a chance below 2^-64."""

_SMALLEST_SAMPLE: Final = 128
_UPPER: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS: Final = _UPPER[:10]
_PICKLES: Final = (
    re.compile(rb"\x80[\x04\x05]\x95.{4}\x00{4}", re.DOTALL),
    re.compile(rb"\x80[\x02\x03]c[A-Za-z_][\w.]{0,200}\n[A-Za-z_]\w{0,200}\n"),
    re.compile(rb"c(?:copy_reg|copyreg|builtins|__builtin__|phe\b[\w.]*|numpy\b[\w.]*|gmpy2)\n\w{1,200}\n"),
    re.compile(rb"'descr': '\|O"),
)
_FLOAT_EXPONENT: Final = re.compile(
    rb"[0-9]{100,}[\"']?[\])]?\s*[,:]\s*(?:[\"']e(?:xp(?:onent)?)?[\"']\s*:\s*)?-?[0-9]{1,4}(?![0-9])"
)
_EXPONENT_KEYS: Final = frozenset({"e", "exp", "exponent"})


def _members(characters: bytes) -> bytes:
    return bytes(1 if octet in characters else 0 for octet in range(256))


_UPPER_TABLE: Final = _members(_UPPER)
_DIGIT_TABLE: Final = _members(_DIGITS)


def scan(data: bytes) -> Iterator[Hit]:
    """Yield every shape in raw bytes, with its place."""
    yield from _usccs(data)
    for pattern in _PICKLES:
        yield from ((Code.PICKLE, match.start(), "") for match in pattern.finditer(data))
    place = data.lower().find(b"exponent")
    if place >= 0:
        yield Code.EXPONENT_VISIBLE, place, "the word itself"
    for start, run in _runs(data, _DIGIT_TABLE, DECIMAL_RUN):
        yield Code.EXPONENT_VISIBLE, start, f"a decimal number of {len(run)} digits"
        if _FLOAT_EXPONENT.match(data, start):
            yield Code.EXPONENT_VISIBLE, start, "a decimal ciphertext with a small number beside it"


def _usccs(data: bytes) -> Iterator[Hit]:
    """Yield every valid code; not inside lower-case hexadecimal, where chance makes digits of any kind."""
    for start, run in _runs(data, _UPPER_TABLE, USCC_LENGTH):
        if data[start - 1 : start].islower() or data[start + len(run) : start + len(run) + 1].islower():
            continue
        place = 0
        while place <= len(run) - USCC_LENGTH:
            valid = is_valid(run[place : place + USCC_LENGTH].decode("ascii"))
            if valid:
                yield Code.USCC_VISIBLE, start + place, ""
            place += USCC_LENGTH if valid else 1


def _runs(data: bytes, table: bytes, length: int) -> Iterator[tuple[int, bytes]]:
    """Yield start and bytes of every maximal run, of at least `length`, of the characters of a table."""
    marks = data.translate(table)
    needle = b"\x01" * length
    start = marks.find(needle)
    while start >= 0:
        end = marks.find(b"\x00", start)
        end = len(marks) if end < 0 else end
        yield start, data[start:end]
        start = marks.find(needle, end)


def is_uniform(data: bytes, width: int = 0) -> bool:
    """Say whether bytes look random, as ciphertexts do; too few of them always do.

    Shapes: with a `width`, data are numbers of that width, whose two leading bytes depend on the modulus and are left
    out. Source: Pearson's χ² over the 256 byte values.
    """
    octets = np.frombuffer(data, dtype=np.uint8)
    if width:
        octets = octets[: len(octets) - len(octets) % width].reshape(-1, width)[:, 2:].ravel()
    if len(octets) < _SMALLEST_SAMPLE:
        return True
    counts = np.bincount(octets, minlength=256).astype(np.float64)
    expected = len(octets) / 256
    return bool(((counts - expected) ** 2).sum() / expected < CHI_SQUARE_LIMIT)


def decoded(body: bytes) -> object | None:
    """Return the plain values of a MessagePack body, or None if it is none."""
    try:
        value: object = msgspec.msgpack.decode(body)
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return None
    return value


def readable_values(value: object) -> list[bytes]:
    """Return the bytes of every text and every byte string among decoded values, however they are nested."""
    found: list[bytes] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str | bytes):
            found.append(item.encode() if isinstance(item, str) else item)
    return found


def scan_values(value: object, is_canary: Callable[[object], bool]) -> Iterator[Hit]:
    """Yield what decoded values give away, however they are nested: floats, exponents, pickles, canaries."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if any(isinstance(key, str) and key.lower() in _EXPONENT_KEYS for key in item):
                yield Code.EXPONENT_VISIBLE, -1, "a field of that name"
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            if _pairs_with_exponent(item):
                yield Code.EXPONENT_VISIBLE, -1, "a ciphertext with a small number beside it"
            waiting += item
        elif isinstance(item, float):
            yield Code.FLOAT_VISIBLE, -1, ""
        elif isinstance(item, bytes) and item[:1] == b"\x80" and item[1:2] in b"\x02\x03\x04\x05" and item[-1:] == b".":
            yield Code.PICKLE, -1, "a field that begins and ends like one"
        if is_canary(item):
            yield Code.CANARY, -1, "as a value of the message"


def _pairs_with_exponent(item: list[object]) -> bool:
    if len(item) != 2 or not isinstance(item[1], int) or not -4096 < item[1] < 4096:
        return False
    number = item[0]
    return (isinstance(number, bytes) and len(number) >= DECIMAL_RUN // 2) or (
        isinstance(number, str) and len(number) >= DECIMAL_RUN and number.isdigit()
    )
