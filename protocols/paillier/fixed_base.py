"""Powers of one base, many times over: a table with one row per byte of the exponent.

Long runs of powers of a base that is no secret go to the cores in use; each process makes the table once.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import gmpy2
from gmpy2 import mpz

from protocols.paillier.cores import cores_in_use
from protocols.paillier.split_form import Splitting, join, pack_integers, unpack_integers

SPREAD_FROM = 4_000  # powers; the table costs a process as much as 1200
_BREAK_EVEN = 48  # powers for which building the table costs as much as it saves
_BLOCK = 512  # exponents


class FixedBase:
    """Exact powers of a base modulo m^2 for exponents of `digits` bytes, big-endian.

    The first few are plain exponentiations; once more are asked for, a table in split form is built, and an exponent is
    then one half-size multiplication per byte. Memory: 75 * digits * |m| bytes, 19 MiB for |m| = 2048, 128 digits.
    With `secret`, neither base nor modulus leaves this process.
    Side channels: time and table accesses depend on the exponent.
    Source: Brickell, Gordon, McCurley, Wilson, EUROCRYPT 1992.
    """

    __slots__ = ("_base", "_made", "_modulus", "_rows", "_secret", "_square", "digits")

    def __init__(self, base: mpz, modulus: mpz, digits: int, *, secret: bool = True) -> None:
        self._secret = secret
        self._base, self._modulus, self._square, self.digits = base, modulus, modulus * modulus, digits
        self._rows: list[tuple[list[mpz], list[mpz]]] = []
        self._made = 0

    def powers(self, exponents: list[bytes]) -> list[mpz]:
        """Return base^e modulo m^2 for each exponent. Raises: ValueError for an exponent of another length."""
        if any(len(exponent) != self.digits for exponent in exponents):
            raise ValueError(f"an exponent has not the {self.digits} bytes of its table")
        if not self._secret and cores_in_use() is not None and len(exponents) >= SPREAD_FROM:
            return self._spread(exponents)
        self._made += len(exponents)
        if not self._rows:
            if self._made < _BREAK_EVEN:
                return [gmpy2.powmod(self._base, int.from_bytes(e, "big"), self._square) for e in exponents]
            self._rows = self._table()
        blocks = (exponents[start : start + _BLOCK] for start in range(0, len(exponents), _BLOCK))
        return [power for block in blocks for power in self._block(block)]

    def _spread(self, exponents: list[bytes]) -> list[mpz]:
        cores = cores_in_use()
        if cores is None:
            raise RuntimeError("no cores are in use")
        numbers = _Numbers(int(self._base), int(self._modulus), self.digits)
        step = -(-len(exponents) // cores.count)
        parts = [b"".join(exponents[start : start + step]) for start in range(0, len(exponents), step)]
        found = cores.processes(_powers, [(numbers, part) for part in parts])
        return [power for data in found for power in unpack_integers(data, numbers.width)]

    def _block(self, exponents: list[bytes]) -> list[mpz]:
        """Raise to a block of exponents row by row, two at a time, so that the rows stay in the processor's cache."""
        square = self._square
        products, tails = [mpz(1)] * len(exponents), [mpz(0)] * len(exponents)
        digits = list(zip(*exponents, strict=True))
        for index in range(0, self.digits, 2):
            (heads, adds), (more_heads, more_adds) = self._rows[index], self._rows[index + 1]
            first, second = digits[index], digits[index + 1]
            products = [heads[d] * more_heads[e] * p % square for p, d, e in zip(products, first, second, strict=True)]
            tails = [adds[d] + more_adds[e] + t for t, d, e in zip(tails, first, second, strict=True)]
        return [join(p, t, self._modulus, square) for p, t in zip(products, tails, strict=True)]

    def _table(self) -> list[tuple[list[mpz], list[mpz]]]:
        base, rows = self._base, []
        for _ in range(self.digits):
            powers = [mpz(1)]
            for _ in range(255):
                powers.append(powers[-1] * base % self._square)
            base = powers[-1] * base % self._square
            rows.append(Splitting(powers, self._modulus).finish())
        return rows[::-1]


class _Numbers(NamedTuple):
    """What a process needs to make the same table."""

    base: int
    modulus: int
    digits: int

    @property
    def width(self) -> int:
        return (2 * self.modulus.bit_length() + 7) // 8


@functools.lru_cache(maxsize=2)
def _table_of(numbers: _Numbers) -> FixedBase:
    return FixedBase(mpz(numbers.base), mpz(numbers.modulus), numbers.digits)


def _powers(task: tuple[_Numbers, bytes]) -> bytes:
    numbers, joined = task
    exponents = [joined[start : start + numbers.digits] for start in range(0, len(joined), numbers.digits)]
    return pack_integers(_table_of(numbers).powers(exponents), numbers.width)
