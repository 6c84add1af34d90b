"""A stock of obfuscators that costs the benchmark next to nothing to fill."""

from __future__ import annotations

import itertools

from protocols.paillier import PublicKey
from protocols.paillier.obfuscators import Obfuscator, ObfuscatorSource


class BenchStock:
    """Stands for a pool that was filled beforehand, at the cost reported as `encrypt_owner` or `encrypt_other` each.

    Its residues are products of two others and come round again: right for measuring, never for secrets.
    """

    def __init__(self, source: ObfuscatorSource, count: int) -> None:
        self.public_key: PublicKey = source.public_key
        n, square = self.public_key.modulus, self.public_key.modulus_square
        side = int(count**0.5) + 1
        residues = [obfuscator.residue for obfuscator in source.take(2 * side)]
        products = (a * b % square for a in residues[:side] for b in residues[side:])
        self._stock = itertools.cycle([Obfuscator(product, product % n) for product in products])

    def take(self, count: int) -> list[Obfuscator]:
        """Return the next `count`."""
        return list(itertools.islice(self._stock, count))
