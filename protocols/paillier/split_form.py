"""The split form of ciphertexts, in which products cost about half.

A unit c modulo n^2 is c = a(1 + un) with the *head* a = c mod n and the *tail* u modulo n. Then

    c_1 c_2 ... c_k = (a_1 a_2 ... a_k) (1 + (u_1 + ... + u_k) n)   modulo n^2,

so a running product is multiplied by half-size heads and the tails are merely added. With c = a + bn the tail is b/a:
splitting needs inverses, all of them from one inversion by Montgomery's trick. Its forward sweep also finds the product
of all heads, which is a unit exactly if every ciphertext is; validation of received bytes does that sweep, and the
other half follows when products are first asked for.

Source: 1 + n generates the subgroup of order n (Paillier, EUROCRYPT 1999, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray


class Rows(Protocol):
    """Ciphertexts as a sweep reads them."""

    def sweep(self, codes: list[int], buckets: int, square: mpz) -> tuple[list[mpz], list[mpz]]:
        """Return a product and a tail per bucket: together the product of the rows that have its code."""


class PlainRows:
    """Ciphertexts as they are: full-size products, for sweeps too few to pay for splitting."""

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[mpz]) -> None:
        self._values = values

    def sweep(self, codes: list[int], buckets: int, square: mpz) -> tuple[list[mpz], list[mpz]]:
        """Multiply each row into its bucket."""
        products = [mpz(1)] * buckets
        for value, code in zip(self._values, codes, strict=True):
            products[code] = products[code] * value % square
        return products, [mpz(0)] * buckets


class SplitRows:
    """Heads and tails, as integers or as fixed-width bytes, whichever is at hand.

    Shapes: `raw` is (rows, 2 * width) bytes, head then tail, big-endian.
    """

    __slots__ = ("_lists", "_raw", "_width")

    def __init__(
        self, width: int, lists: tuple[list[mpz], list[mpz]] | None = None, raw: NDArray[np.uint8] | None = None
    ) -> None:
        if lists is None and raw is None:
            raise ValueError("split rows need their contents in one of the two ways")
        self._width, self._lists, self._raw = width, lists, raw

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, width: int) -> SplitRows:
        """Hold what `data` gave, without parsing it yet."""
        return cls(width, raw=np.frombuffer(data, dtype=np.uint8).reshape(-1, 2 * width))

    @property
    def data(self) -> memoryview:
        """Head and tail of each row, big-endian and of fixed width, without a copy where they are held so."""
        if self._raw is not None:
            return np.ascontiguousarray(self._raw).reshape(-1).data
        heads, tails = self._integers()
        parts = (part for row in zip(heads, tails, strict=True) for part in row)
        return memoryview(pack_integers(parts, self._width))

    def sweep(self, codes: list[int], buckets: int, square: mpz) -> tuple[list[mpz], list[mpz]]:
        """Multiply each head into its bucket and add up the tails there."""
        heads, tails = self._integers()
        products, sums = [mpz(1)] * buckets, [mpz(0)] * buckets
        for head, tail, code in zip(heads, tails, codes, strict=True):
            products[code] = products[code] * head % square
            sums[code] += tail
        return products, sums

    def take(self, rows: list[int]) -> SplitRows:
        """Return the rows at these positions, in that order."""
        if self._lists is None and self._raw is not None:
            return SplitRows(self._width, raw=self._raw[rows])
        heads, tails = self._integers()
        return SplitRows(self._width, ([heads[row] for row in rows], [tails[row] for row in rows]))

    def _integers(self) -> tuple[list[mpz], list[mpz]]:
        if self._lists is None:
            parts = unpack_integers(self.data, self._width)
            self._lists = parts[::2], parts[1::2]
        return self._lists


class Splitting:
    """The splitting of a vector, half done: c = a + bn, and the running products of the heads a."""

    __slots__ = ("_heads", "_modulus", "_prefixes", "_product", "_quotients")

    def __init__(self, values: Iterable[mpz], modulus: mpz) -> None:
        heads, quotients, prefixes, product = [], [], [], mpz(1)
        for value in values:
            quotient, head = gmpy2.f_divmod(value, modulus)
            heads.append(head)
            quotients.append(quotient)
            prefixes.append(product)
            product = product * head % modulus
        self._heads, self._quotients, self._prefixes = heads, quotients, prefixes
        self._product, self._modulus = product, modulus

    def are_units(self) -> bool:
        """Tell whether every value is a unit modulo n and below n^2."""
        below = all(quotient < self._modulus for quotient in self._quotients)
        return below and bool(gmpy2.gcd(self._product, self._modulus) == 1)

    def finish(self) -> tuple[list[mpz], list[mpz]]:
        """Return heads and tails. Raises: ZeroDivisionError if a value is not a unit."""
        modulus, inverse = self._modulus, gmpy2.invert(self._product, self._modulus)
        tails = []
        for head, quotient, prefix in zip(
            reversed(self._heads), reversed(self._quotients), reversed(self._prefixes), strict=True
        ):
            tails.append(inverse * prefix % modulus * quotient % modulus)
            inverse = inverse * head % modulus
        return _compact(self._heads), _compact(tails[::-1])


def _compact(values: list[mpz]) -> list[mpz]:
    """Return copies side by side in memory, without the room left from intermediate results: sweeps run 10 % faster."""
    return [value + 0 for value in values]


def join(product: mpz, tail: mpz, modulus: mpz, square: mpz) -> mpz:
    """Return product * (1 + tail * modulus) modulo the square, for a product already below it.

    Cheapest when `tail` is small; it may be negative or unreduced.
    """
    joined = product + product % modulus * tail % modulus * modulus
    return joined - square if joined >= square else joined


def pack_integers(values: Iterable[mpz], width: int) -> bytes:
    """Return the integers, big-endian and of fixed width, one after the other."""
    return b"".join([value.to_bytes(width, "big") for value in values])


def unpack_integers(data: bytes | memoryview, width: int) -> list[mpz]:
    """Return the integers that `pack_integers` wrote."""
    return [mpz.from_bytes(bytes(data[start : start + width]), "big") for start in range(0, len(data), width)]
