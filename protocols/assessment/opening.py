"""The sum of all shares, verified and still closed: what a bank decrypts, where and when it suits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.errors import VerificationFailed
from protocols.paillier import CiphertextVector, PrivateKey, PublicKey, Randomness, decrypt_below, decrypt_together
from protocols.scorecard.releases import product_of


@dataclass(frozen=True, slots=True)
class SealedSum:
    """A product that is that of the signed shares. `bits` is how wide a plaintext of honest ones is at most."""

    product: CiphertextVector
    bits: int

    def open(self, key: PrivateKey) -> list[int]:
        """Return the plaintexts; one that is too wide comes out too wide. Takes milliseconds each; any thread may."""
        return decrypt_below(key, self.product, self.bits)


def open_together(sums: Sequence[SealedSum], key: PrivateKey, randomness: Randomness) -> list[list[int]]:
    """Return what each of several sums of one ciphertext opens to, at the price of little more than one of them.

    A sum that is not honest comes out too wide, as if it had been opened alone, and changes none of the others.
    """
    product = CiphertextVector(key.public_key, [value for sealed in sums for value in sealed.product])
    return [[value] for value in decrypt_together(key, product, max(sealed.bits for sealed in sums), randomness)]


def seal_sum(shares: list[bytes], claimed: bytes, key: PublicKey, bits: int) -> SealedSum:
    """Return the product of the shares, as signed. Raises: MalformedMessage, VerificationFailed, WRONG_PRODUCT."""
    product = product_of(shares, key)
    if product.to_bytes() != claimed:
        raise VerificationFailed("the coordinator's product is not that of the signed shares", code="WRONG_PRODUCT")
    return SealedSum(product, bits)
