"""Powers of one base, many times over: a table per byte of the exponent, kept in split form.

A unit t modulo m^2 is t = a(1 + um) with a = t mod m, and a product of such is (product of a) * (1 + (sum of u) m). The
running product is multiplied by a half-size a instead of a full-size t: about 0.55 of the cost.
"""

from __future__ import annotations

import gmpy2
from gmpy2 import mpz


def split(values: list[mpz], modulus: mpz) -> tuple[list[mpz], list[mpz]]:
    """Return a and u with values[i] = a[i] * (1 + u[i] * modulus) mod modulus^2, by one inversion for all.

    Raises: ZeroDivisionError if a value is not a unit.
    """
    heads, tails, prefixes = [], [], []
    running = mpz(1)
    for value in values:
        tail, head = gmpy2.f_divmod(value, modulus)
        heads.append(head)
        tails.append(tail)
        prefixes.append(running)
        running = running * head % modulus
    inverse = gmpy2.invert(running, modulus)
    for index in range(len(values) - 1, -1, -1):
        tails[index] = inverse * prefixes[index] % modulus * tails[index] % modulus
        inverse = inverse * heads[index] % modulus
    return heads, tails


def join(product: mpz, exponent: mpz, modulus: mpz, modulus_square: mpz) -> mpz:
    """Return product * (1 + exponent * modulus) modulo modulus_square, for a product below it."""
    joined = product + product * exponent % modulus * modulus
    return joined - modulus_square if joined >= modulus_square else joined


class FixedBaseTable:
    """Exact powers base^e modulo m^2 for exponents e given as `digits` big-endian bytes.

    Memory: about 256 * digits * |m| / 4 bytes (16 MiB for |m| = 2048 and 128 digits).
    Side channels: which table entries are read depends on the exponent.
    """

    __slots__ = ("_modulus", "_modulus_square", "_rows", "digits")

    def __init__(self, base: mpz, modulus: mpz, digits: int) -> None:
        self._modulus, self._modulus_square, self.digits = modulus, modulus * modulus, digits
        rows = []
        for _ in range(digits):
            powers = [mpz(1)]
            for _ in range(255):
                powers.append(powers[-1] * base % self._modulus_square)
            base = powers[-1] * base % self._modulus_square
            rows.append(split(powers, modulus))
        self._rows = rows[::-1]

    def power(self, exponent: bytes) -> tuple[mpz, mpz]:
        """Return (product, u), where base^exponent = product * (1 + u * m) mod m^2 and u is not reduced.

        Raises: ValueError if the exponent has not exactly `digits` bytes.
        """
        if len(exponent) != self.digits:
            raise ValueError(f"an exponent of {len(exponent)} bytes in a table of {self.digits}")
        product, total, square = mpz(1), mpz(0), self._modulus_square
        for (heads, tails), digit in zip(self._rows, exponent, strict=True):
            product = product * heads[digit] % square
            total += tails[digit]
        return product, total
