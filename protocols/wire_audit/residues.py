"""Ciphertexts as anyone can take them apart: c = ±a(1 + un) modulo n², with head a below n/2 and tail u.

The head is what the obfuscator leaves modulo n, and equal heads mean equal obfuscators; the tail is where a plaintext
shows if the obfuscator is no n-th residue. Both signs of a head are one, because −1 = (−1)ⁿ hides nothing; each has a
tail of its own, for −a(1 + un) = (n − a)(1 + (u + 1/a)n).
Source: Paillier, EUROCRYPT 1999, §3; inverses by Montgomery's trick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import gmpy2
from gmpy2 import mpz


@dataclass(frozen=True, slots=True)
class Residue:
    """One ciphertext taken apart.

    Shapes: `head` and its `inverse` modulo n in (0, n/2); in [0, n) the tails beside the head, and beside its negative.
    """

    index: int
    head: mpz = field(repr=False)
    tail: mpz = field(repr=False)
    mirrored: mpz = field(repr=False)
    inverse: mpz = field(repr=False)


def take_apart(values: Sequence[mpz], modulus: mpz) -> tuple[list[Residue], list[int]]:
    """Return the parts of all units below n², and the places of all other values."""
    bad: list[int] = []
    folded = [(index, *_fold(value, modulus)) for index, value in enumerate(values)]
    if any(quotient < 0 for _, _, quotient in folded):
        bad += [index for index, _, quotient in folded if quotient < 0]
        folded = [entry for entry in folded if entry[2] >= 0]
    prefixes, product = _prefixes(folded, modulus)
    if gmpy2.gcd(product, modulus) != 1:
        bad += [index for index, head, _ in folded if gmpy2.gcd(head, modulus) != 1]
        folded = [entry for entry in folded if gmpy2.gcd(entry[1], modulus) == 1]
        prefixes, product = _prefixes(folded, modulus)
    return _divide(folded, prefixes, product, modulus), sorted(bad)


def fold(head: mpz, modulus: mpz) -> mpz:
    """Return the smaller of ±head modulo n."""
    return min(head, modulus - head)


def _fold(value: mpz, modulus: mpz) -> tuple[mpz, mpz]:
    """Return head and quotient of ±value, the quotient −1 if the value is not in (0, n²)."""
    quotient, head = gmpy2.f_divmod(value, modulus)
    if value <= 0 or quotient >= modulus:
        return head, mpz(-1)
    if 2 * head > modulus:
        return modulus - head, modulus - 1 - quotient
    return head, quotient


def _prefixes(folded: list[tuple[int, mpz, mpz]], modulus: mpz) -> tuple[list[mpz], mpz]:
    prefixes, product = [], mpz(1)
    for _, head, _ in folded:
        prefixes.append(product)
        product = product * head % modulus
    return prefixes, product


def _divide(folded: list[tuple[int, mpz, mpz]], prefixes: list[mpz], product: mpz, modulus: mpz) -> list[Residue]:
    running = gmpy2.invert(product, modulus)
    residues = []
    for (index, head, quotient), prefix in zip(reversed(folded), reversed(prefixes), strict=True):
        inverse = running * prefix % modulus
        tail = inverse * quotient % modulus
        residues.append(Residue(index, head, tail, (tail + inverse) % modulus, fold(inverse, modulus)))
        running = running * head % modulus
    return residues[::-1]
