"""Bounds, packings and masks of the encrypted sums: what both sides of a step must agree on.

Every slot is as wide as the largest honest sum and not a bit wider; everything above the last slot is covered by a mask
that the bank never learns. A bank that encrypts crafted "labels" therefore reads at most the slots' own bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from protocols.channel.identity import Randomness
from protocols.credit.woe import WOE_LIMIT
from protocols.errors import MalformedMessage
from protocols.paillier import CiphertextVector, Encryptor, Packing, PublicKey, rerandomise

MASK_BITS: Final = 80
"""Bits of the plaintext left above the slots: the mask hides all but 2^-80 of what lies there."""

RESIDUAL_SCALE: Final = 1 << 14
"""Integer units in a residual of 1, and in a curvature weight of 1."""

TOTAL_BITS: Final = 20
"""Width of one enterprise's total over the whole node set, in points."""


def histogram_packing(rows: int, modulus_bits: int, noise: int = 0) -> Packing:
    """Slots for counts of at most `rows` enterprises, and noise of at most so much."""
    return _noisy_sums(1, rows, modulus_bits, noise)


def product_packing(rows: int, modulus_bits: int, noise: int = 0) -> Packing:
    """Slots for sums of `rows` products of two integer WOE, and noise."""
    return _noisy_sums(WOE_LIMIT * WOE_LIMIT, rows, modulus_bits, noise)


def gradient_packing(rows: int, modulus_bits: int, noise: int = 0) -> Packing:
    """Pairs of slots for sums of `rows` residuals and of their weights, times a squared integer WOE, and noise."""
    packing = _noisy_sums(RESIDUAL_SCALE * WOE_LIMIT * WOE_LIMIT, rows, modulus_bits, noise)
    return replace(packing, slots=packing.slots - packing.slots % 2)


def total_packing(modulus_bits: int) -> Packing:
    """Slots for one total each; the addends are bounded by the nodes' own tables, so no growth is allowed for."""
    return Packing.for_sums((1 << TOTAL_BITS) - 1, 1, modulus_bits, MASK_BITS)


def _noisy_sums(magnitude: int, addends: int, modulus_bits: int, noise: int) -> Packing:
    """Return slots for a sum and its noise, which counts as so many addends more."""
    return Packing.for_sums(magnitude, addends + -(-noise // magnitude), modulus_bits, MASK_BITS)


def widths(values: int, packing: Packing) -> list[int]:
    """Return how many slots each plaintext uses when `values` are packed in order."""
    return [min(packing.slots, values - start) for start in range(0, values, packing.slots)]


@dataclass(frozen=True, slots=True)
class Masking:
    """Hides all of a packed, signed sum below ±2^(bits−1) but its low `bits`."""

    bits: int
    modulus: int

    def upper(self, randomness: Randomness, addends: int = 1) -> int:
        """Return a random multiple of 2^bits: its sum with a packed value shows the value's own bits alone.

        Reveals: the low `bits` of the sum. Range: no honest sum of so many addends wraps around the modulus.
        """
        return _uniform(1, ((self.modulus >> self.bits) - 1) // addends, randomness) << self.bits

    def whole(self, randomness: Randomness) -> int:
        """Return a mask over the whole plaintext: its sum with a packed value shows nothing (bias below 2^-80)."""
        return _uniform(1 << self.bits, self.modulus - (1 << self.bits), randomness)

    def low(self, value: int) -> int:
        """Return the low `bits` of a mask or a masked value."""
        return value & ((1 << self.bits) - 1)

    def centred(self, value: int) -> int:
        """Return the signed number that the low `bits` of `value` stand for."""
        low = self.low(value)
        return low - (1 << self.bits) if low >> (self.bits - 1) else low

    @property
    def width(self) -> int:
        """Bytes that hold the low bits."""
        return (self.bits + 7) // 8


def masking(packing: Packing, slots: int, key: PublicKey) -> Masking:
    """Return the masking that shows the first `slots` slots of a packing, and one bit for the sign."""
    return Masking(slots * packing.slot_bits + 1, key.n)


def masked_sums(
    vector: CiphertextVector,
    packing: Packing,
    randomness: Randomness,
    filled: int = 1,
    noise: Sequence[int] | None = None,
    addends: int = 1,
) -> CiphertextVector:
    """Pack sums into few ciphertexts, mask all above their slots, and re-randomise: fit to return to the key owner.

    Shapes: each ciphertext of `vector` already fills `filled` slots, a divisor of `packing.slots`; `noise` holds one
    number for each slot that is filled, or none; so many `addends` of the kind may be added up.
    """
    count = len(vector) * filled
    packed = vector.compress(packing.slot_bits * filled, packing.slots // filled)
    maskings = [masking(packing, width, vector.public_key) for width in widths(count, packing)]
    added = join_noise(noise or [0] * count, packing)
    upper = [mask.upper(randomness, addends) + extra for mask, extra in zip(maskings, added, strict=True)]
    return rerandomise(packed.add_plain(upper), randomness)


def join_noise(noise: Sequence[int], packing: Packing) -> list[int]:
    """Return what to add to plaintexts of which `noise` fills the slots in order."""
    parts = (noise[start : start + packing.slots] for start in range(0, len(noise), packing.slots))
    return [sum(value << (slot * packing.slot_bits) for slot, value in enumerate(part)) for part in parts]


def unmask_sums(plain: list[int], packing: Packing, key: PublicKey, count: int) -> list[int]:
    """Return the `count` signed sums that `masked_sums` packed, from the decrypted plaintexts.

    Raises: MalformedMessage if there are too few, or one does not fit its slot.
    """
    due = widths(count, packing)
    if len(plain) != len(due):
        raise MalformedMessage(f"{len(plain)} packed sums where {len(due)} are due")
    sums: list[int] = []
    for value, width in zip(plain, due, strict=True):
        sums += unpack(packing, masking(packing, width, key).centred(value), width)
    return sums


def unpack(packing: Packing, packed: int, count: int) -> list[int]:
    """Unpack one plaintext of a peer's making. Raises: MalformedMessage where a slot overflows."""
    try:
        return packing.unpack([packed], count)
    except ValueError as error:
        raise MalformedMessage("a packed sum exceeds its slots") from error


def encrypt_for_owner(key: PublicKey, values: list[int], randomness: Randomness) -> CiphertextVector:
    """Encrypt values in [0, n) afresh. Short exponents do, although the key's owner opens them.

    An obfuscator here is drawn apart from the plaintext: an owner that takes that off and solves for the exponent holds
    a random number. It is otherwise with what is computed from the owner's own ciphertexts: see `masked_sums`.
    """
    return Encryptor(key, randomness).encrypt(values)


def _uniform(low: int, high: int, randomness: Randomness) -> int:
    """Return an integer uniform in [low, high), with a bias below 2^-64."""
    span = high - low
    if span <= 0:
        raise ValueError("the modulus is too short for this packing")
    return low + int.from_bytes(randomness((span.bit_length() + 71) // 8)) % span
