"""Shares of a pooled sum: each bank decrypts its own and sees noise; all of them together are the sum.

A node adds to each bank's encrypted part a number R_b that is uniform over the whole plaintext, but for one: the low
bits of all R_b add up to zero modulo 2^bits. The modulus is public, and as wide as the slots that the pooled sum fills.
Source: additive secret sharing over Z_2^w; the upper bits hide the carry, as in `scorecard.arithmetic.Masking`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocols.channel.identity import Randomness
from protocols.errors import MalformedMessage
from protocols.paillier import CiphertextVector, Packing, PrivateKey, decrypt, rerandomise
from protocols.scorecard.arithmetic import Masking, join_noise, unpack, widths


@dataclass(frozen=True, slots=True)
class Residues:
    """Numbers modulo powers of two. Shapes: `values` and `bits` alike long; each value in [0, 2^bits)."""

    values: tuple[int, ...] = field(repr=False)
    bits: tuple[int, ...]

    @classmethod
    def of(cls, numbers: Sequence[int], bits: int) -> Residues:
        """Take signed numbers below ±2^(bits−1). Raises: ValueError for a larger one."""
        if any(not -(1 << (bits - 1)) <= number < 1 << (bits - 1) for number in numbers):
            raise ValueError(f"a number does not fit {bits} bits")
        return cls(tuple(number % (1 << bits) for number in numbers), (bits,) * len(numbers))

    def __add__(self, other: Residues) -> Residues:
        """Return these followed by the others."""
        return Residues(self.values + other.values, self.bits + other.bits)

    def signed(self) -> list[int]:
        """Return the signed numbers that the residues stand for."""
        pairs = zip(self.values, self.bits, strict=True)
        return [value - (1 << bits) if value >> (bits - 1) else value for value, bits in pairs]

    def take(self, start: int, count: int) -> Residues:
        """Return `count` of them from `start` on."""
        return Residues(self.values[start : start + count], self.bits[start : start + count])


def sum_bits(count: int, packing: Packing) -> list[int]:
    """Return how many bits of each plaintext are shared when `count` sums are packed: its slots, and a sign."""
    return [width * packing.slot_bits + 1 for width in widths(count, packing)]


def share_packed(
    parts: Sequence[CiphertextVector], bits: Sequence[int], randomness: Randomness, noise: Sequence[int] | None = None
) -> list[bytes]:
    """Return each bank's share of the sum over banks and of `noise`, fit to return to the key owner.

    Shapes: one vector for each bank under its own key, all as long as `bits`, and as `noise`, of less than half a sum.
    Reveals: nothing to all banks but one; the low `bits` of the sum to all of them together.
    """
    masks: list[list[int]] = [[] for _ in parts]
    for width, added in zip(bits, noise or [0] * len(bits), strict=True):
        low = 0
        for mask, part in zip(masks[:-1], parts[:-1], strict=True):
            mask.append(Masking(width, part.public_key.n).whole(randomness))
            low += mask[-1]
        last = Masking(width, parts[-1].public_key.n)
        masks[-1].append(last.upper(randomness) + last.low(-low) + added)
    return [rerandomise(part.add_plain(mask), randomness).to_bytes() for part, mask in zip(parts, masks, strict=True)]


def share_sums(
    parts: Sequence[CiphertextVector],
    packing: Packing,
    randomness: Randomness,
    filled: int = 1,
    noise: Sequence[int] | None = None,
) -> list[bytes]:
    """Pack each bank's sums into few ciphertexts and share them, as `share_packed` does.

    Shapes: each ciphertext already fills `filled` slots, a divisor of `packing.slots`; `noise` holds one number for
    each slot that is filled, or none.
    """
    packed = [part.compress(packing.slot_bits * filled, packing.slots // filled) for part in parts]
    count = len(parts[0]) * filled
    return share_packed(packed, sum_bits(count, packing), randomness, join_noise(noise or [0] * count, packing))


def open_share(vector: bytes, bits: Sequence[int], key: PrivateKey) -> Residues:
    """Return one bank's share of packed sums: noise without the other banks'.

    Raises: MalformedMessage, VerificationFailed.
    """
    ciphertexts = CiphertextVector.from_bytes(key.public_key, vector)
    if len(ciphertexts) != len(bits):
        raise MalformedMessage(f"{len(ciphertexts)} shares where {len(bits)} are due")
    plain = decrypt(key, ciphertexts)
    return Residues(tuple(value & ((1 << b) - 1) for value, b in zip(plain, bits, strict=True)), tuple(bits))


def unpack_sums(pooled: Residues, packing: Packing, count: int) -> list[int]:
    """Return the `count` sums that the added shares of all banks amount to.

    Raises: MalformedMessage if one does not fit its slot: a share was left out, or changed.
    """
    sums: list[int] = []
    for packed, width in zip(pooled.signed(), widths(count, packing), strict=True):
        sums += unpack(packing, packed, width)
    return sums
