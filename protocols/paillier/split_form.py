"""The split form of ciphertexts, in which products cost about half.

A unit c modulo n^2 is c = a(1 + un) with the *head* a = c mod n and the *tail* u modulo n. Then

    c_1 c_2 ... c_k = (a_1 a_2 ... a_k) (1 + (u_1 + ... + u_k) n)   modulo n^2,

so a running product is multiplied by half-size heads, two heads at a time, and the tails are merely added. Source: the
binomial theorem; 1 + n generates the subgroup of order n (Paillier, EUROCRYPT 1999, section 3).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray


class Rows(Protocol):
    """Ciphertexts as the loops read them."""

    def runs(self, order: list[int], bounds: list[int], square: mpz) -> tuple[list[mpz], list[mpz]]:
        """Return, per run order[bounds[i]:bounds[i + 1]], a product and a tail: together the run's ciphertext."""


class PlainRows:
    """Ciphertexts as they are: full-size products, worth it while there are too few to pay for splitting."""

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[mpz]) -> None:
        self._values = values

    def runs(self, order: list[int], bounds: list[int], square: mpz) -> tuple[list[mpz], list[mpz]]:
        """Return, per run order[bounds[i]:bounds[i + 1]], the product, and no tail."""
        products = []
        for start, stop in itertools.pairwise(bounds):
            product = self._values[order[start]]
            for row in order[start + 1 : stop]:
                product = product * self._values[row] % square
            products.append(product)
        return products, [mpz(0)] * len(products)


class SplitForm:
    """Heads and tails of a vector of units, as integers or as fixed-width bytes, whichever is at hand.

    Shapes: `raw` is (rows, 2 * width) bytes, head then tail, big-endian.
    """

    __slots__ = ("_lists", "_raw", "_width")

    def __init__(
        self, width: int, lists: tuple[list[mpz], list[mpz]] | None = None, raw: NDArray[np.uint8] | None = None
    ) -> None:
        if lists is None and raw is None:
            raise ValueError("a split form needs its contents in one of the two ways")
        self._width, self._lists, self._raw = width, lists, raw

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, width: int) -> SplitForm:
        """Read what `to_bytes` wrote, without parsing it yet."""
        return cls(width, raw=np.frombuffer(data, dtype=np.uint8).reshape(-1, 2 * width))

    def to_bytes(self) -> bytes:
        """Return head and tail of each row, big-endian and of fixed width."""
        if self._raw is not None:
            return self._raw.tobytes()
        width = self._width
        return b"".join([a.to_bytes(width, "big") + u.to_bytes(width, "big") for a, u in zip(*self.lists, strict=True)])

    @property
    def lists(self) -> tuple[list[mpz], list[mpz]]:
        """The heads and the tails as integers."""
        if self._lists is None:
            data, width = self.to_bytes(), self._width
            parts = [mpz.from_bytes(data[start : start + width], "big") for start in range(0, len(data), width)]
            self._lists = parts[::2], parts[1::2]
        return self._lists

    def runs(self, order: list[int], bounds: list[int], square: mpz) -> tuple[list[mpz], list[mpz]]:
        """Return, for each run order[bounds[i]:bounds[i + 1]] of rows, the product of heads and the sum of tails."""
        heads, tails = self.lists
        heads, tails = [heads[row] for row in order], [tails[row] for row in order]
        edges = list(itertools.pairwise(bounds))
        products = [_head_product(heads, start, stop, square) for start, stop in edges]
        return products, [sum(tails[start:stop]) for start, stop in edges]

    def take(self, rows: list[int]) -> SplitForm:
        """Return the form of the vector with the given rows."""
        if self._lists is None and self._raw is not None:
            return SplitForm(self._width, raw=self._raw[rows])
        heads, tails = self.lists
        return SplitForm(self._width, ([heads[row] for row in rows], [tails[row] for row in rows]))


def split(values: list[mpz], modulus: mpz) -> tuple[list[mpz], list[mpz]]:
    """Return heads and tails of units modulo modulus^2, by one inversion for all (Montgomery's trick).

    Raises: ZeroDivisionError if a value is not a unit.
    """
    heads, tails, prefixes = [], [], []
    running = mpz(1)
    for value in values:
        quotient, head = gmpy2.f_divmod(value, modulus)
        heads.append(head)
        tails.append(quotient)
        prefixes.append(running)
        running = running * head % modulus
    inverse = gmpy2.invert(running, modulus)
    for index in range(len(values) - 1, -1, -1):
        tails[index] = inverse * prefixes[index] % modulus * tails[index] % modulus
        inverse = inverse * heads[index] % modulus
    return heads, tails


def _head_product(heads: list[mpz], start: int, stop: int, square: mpz) -> mpz:
    """Return the product of heads[start:stop], at least one, modulo the square of their modulus.

    Two heads multiply to less than the square, so the first reduction waits for the third.
    """
    product, position = heads[start], start + 1
    if (stop - start) % 2 == 0:
        product *= heads[position]
        position += 1
    for left, right in zip(heads[position:stop:2], heads[position + 1 : stop : 2], strict=True):
        product = left * right * product % square
    return product


def join(product: mpz, tail: mpz, modulus: mpz, square: mpz) -> mpz:
    """Return product * (1 + tail * modulus) modulo the square, for a product already below it.

    Cheapest when `tail` is small; it may be negative or unreduced.
    """
    joined = product + product % modulus * tail % modulus * modulus
    return joined - square if joined >= square else joined
