"""Powers of one base, many times over, by a comb: the exponent's bits in twelve rows, read column by column.

    bit k of the exponent stands in row k // columns and column k % columns
    one table a group of columns: the product of the base's powers for every choice of rows

A power is one half-size multiplication a column, and a squaring for each column of a group.
Long runs of powers of a base that is no secret go to the cores in use; each process makes the table once.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from protocols.paillier.cores import cores_in_use
from protocols.paillier.split_form import Splitting, join, pack_integers, unpack_integers

SPREAD_FROM = 4_000  # powers; the table costs a process as much as 1200
_BREAK_EVEN = 48  # powers for which building the table costs as much as it saves
_BLOCK = 512  # exponents
_ROWS: Final = 12
_GROUP: Final = 12  # columns that share a table, and so the squarings between them


class FixedBase:
    """Exact powers of a base modulo m^2 for exponents of `digits` bytes, big-endian.

    The first few are plain exponentiations; once more are asked for, a table in split form is built.
    Memory: 70 * digits * |m| bytes, 18 MiB for |m| = 2048, 128 digits.
    With `secret`, neither base nor modulus leaves this process.
    Side channels: time and table accesses depend on the exponent.
    Source: Lim, Lee, CRYPTO 1994.
    """

    __slots__ = ("_base", "_made", "_modulus", "_secret", "_square", "_tables", "digits")

    def __init__(self, base: mpz, modulus: mpz, digits: int, *, secret: bool = True) -> None:
        self._secret = secret
        self._base, self._modulus, self._square, self.digits = base, modulus, modulus * modulus, digits
        self._tables: list[tuple[list[mpz], list[mpz]]] = []
        self._made = 0

    def powers(self, exponents: list[bytes]) -> list[mpz]:
        """Return base^e modulo m^2 for each exponent. Raises: ValueError for an exponent of another length."""
        if any(len(exponent) != self.digits for exponent in exponents):
            raise ValueError(f"an exponent has not the {self.digits} bytes of its table")
        if not self._secret and cores_in_use() is not None and len(exponents) >= SPREAD_FROM:
            return self._spread(exponents)
        self._made += len(exponents)
        if not self._tables:
            if self._made < _BREAK_EVEN:
                return [gmpy2.powmod(self._base, int.from_bytes(e, "big"), self._square) for e in exponents]
            self._tables = self._comb()
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

    @property
    def _groups(self) -> int:
        """How many tables there are."""
        return -(-8 * self.digits // (_ROWS * _GROUP))

    def _block(self, exponents: list[bytes]) -> list[mpz]:
        """Raise to a block of exponents table by table, two at a time: what is read lies together in memory."""
        square = self._square
        products, tails = [mpz(1)] * len(exponents), [mpz(0)] * len(exponents)
        chosen = self._choices(exponents)
        for column in reversed(range(_GROUP)):
            if column + 1 < _GROUP:
                products = [p * p % square for p in products]
                tails = [t + t for t in tails]
            for group in range(0, self._groups - 1, 2):
                (heads, adds), (more_heads, more_adds) = self._tables[group], self._tables[group + 1]
                first, second = chosen[group][column], chosen[group + 1][column]
                products = [
                    heads[d] * more_heads[e] * p % square for p, d, e in zip(products, first, second, strict=True)
                ]
                tails = [adds[d] + more_adds[e] + t for t, d, e in zip(tails, first, second, strict=True)]
            if self._groups % 2:
                (heads, adds), last = self._tables[-1], chosen[-1][column]
                products = [heads[d] * p % square for p, d in zip(products, last, strict=True)]
                tails = [adds[d] + t for t, d in zip(tails, last, strict=True)]
        return [join(p, t, self._modulus, square) for p, t in zip(products, tails, strict=True)]

    def _choices(self, exponents: list[bytes]) -> list[list[list[int]]]:
        """Return which entry each exponent takes. Shapes: (groups, columns of a group, exponents)."""
        octets: NDArray[np.uint8] = np.frombuffer(b"".join(exponents), np.uint8).reshape(len(exponents), self.digits)
        bits = np.unpackbits(octets[:, ::-1], axis=1, bitorder="little")
        padded = np.zeros((len(exponents), _ROWS * _GROUP * self._groups), np.uint16)
        padded[:, : bits.shape[1]] = bits
        rows = padded.reshape(len(exponents), _ROWS, self._groups, _GROUP)
        entries: NDArray[np.int64] = np.einsum("ergc,r->gce", rows, 1 << np.arange(_ROWS))
        return entries.tolist()  # type: ignore[no-any-return]

    def _comb(self) -> list[tuple[list[mpz], list[mpz]]]:
        """Return for each group of columns the products of all choices of rows, split into heads and tails."""
        power, powers = self._base, []
        for _ in range(_ROWS * _GROUP * self._groups):
            powers.append(power)
            power = power * power % self._square
        columns, tables = _GROUP * self._groups, []
        for group in range(self._groups):
            entries = [mpz(1)]
            for row in range(_ROWS):
                step = powers[row * columns + group * _GROUP]
                entries += [entry * step % self._square for entry in entries]
            tables.append(Splitting(entries, self._modulus).finish())
        return tables


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
