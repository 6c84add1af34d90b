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
from gmpy2 import mpz


class Rows(Protocol):
    """Ciphertexts as a sweep reads them."""

    def sweep(
        self, codes: list[int], buckets: int, square: mpz, chosen: list[int] | None = None
    ) -> tuple[list[mpz], list[mpz]]:
        """Return a product and a tail per bucket: together the product of the rows that have its code.

        Shapes: `codes` has one entry per row, or one for each of the `chosen` positions.
        """


class PlainRows:
    """Ciphertexts as they are: full-size products, for sweeps too few to pay for splitting."""

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[mpz]) -> None:
        self._values = values

    def sweep(
        self, codes: list[int], buckets: int, square: mpz, chosen: list[int] | None = None
    ) -> tuple[list[mpz], list[mpz]]:
        """Multiply each row into its bucket."""
        products = [mpz(1)] * buckets
        for value, code in zip(_pick(self._values, chosen), codes, strict=True):
            products[code] = products[code] * value % square
        return products, [mpz(0)] * buckets


class SplitRows:
    """Heads and tails."""

    __slots__ = ("_heads", "_tails")

    def __init__(self, heads: Sequence[mpz], tails: Sequence[mpz]) -> None:
        self._heads, self._tails = heads, tails

    def sweep(
        self, codes: list[int], buckets: int, square: mpz, chosen: list[int] | None = None
    ) -> tuple[list[mpz], list[mpz]]:
        """Multiply each head into its bucket and add up the tails there."""
        products, sums = [mpz(1)] * buckets, [mpz(0)] * buckets
        for head, tail, code in zip(_pick(self._heads, chosen), _pick(self._tails, chosen), codes, strict=True):
            products[code] = products[code] * head % square
            sums[code] += tail
        return products, sums

    def take(self, rows: list[int]) -> SplitRows:
        """Return the rows at these positions, in that order."""
        return SplitRows(_pick(self._heads, rows), _pick(self._tails, rows))


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


def _pick(values: Sequence[mpz], chosen: list[int] | None) -> Sequence[mpz]:
    return values if chosen is None else [values[position] for position in chosen]


def _compact(values: list[mpz]) -> list[mpz]:
    """Return copies side by side in memory, without the room left from intermediate results: sweeps run 10 % faster."""
    return [value + 0 for value in values]


def join(product: mpz, tail: mpz, modulus: mpz, square: mpz) -> mpz:
    """Return product * (1 + tail * modulus) modulo the square, for a product already below it.

    Cheapest when `tail` is small; it may be negative or unreduced.
    """
    joined = product + product % modulus * tail % modulus * modulus
    return joined - square if joined >= square else joined


def pack_integers(values: Sequence[mpz], width: int) -> bytes:
    """Return the integers, big-endian and of fixed width, one after the other."""
    return bytes(gmpy2.pack(list(reversed(values)), 8 * width).to_bytes(len(values) * width, "big")) if values else b""


def unpack_integers(data: bytes | memoryview, width: int) -> list[mpz]:
    """Return the integers that `pack_integers` wrote."""
    count = len(data) // width
    lowest_first = gmpy2.unpack(mpz.from_bytes(bytes(data), "big"), 8 * width)
    integers: list[mpz] = [mpz(0)] * (count - len(lowest_first)) + lowest_first[::-1]
    return integers[:count]
