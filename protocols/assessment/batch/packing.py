"""How many enterprises' answers share a plaintext: side by side, each as wide as one answer."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.assessment.layout import Opened, layout_bits, read
from protocols.assessment.manifest import Manifest
from protocols.errors import MalformedMessage, VerificationFailed


def answers_per_plaintext(manifest: Manifest, key_bits: int) -> int:
    """Return how many answers fit below a modulus of `key_bits`."""
    return (key_bits - 2) // layout_bits(manifest)


def pack_answers(values: Sequence[int], manifest: Manifest, key_bits: int) -> list[int]:
    """Return plaintexts of consecutive answers, the first in the lowest slot. Raises: ValueError for too wide a one.

    A district's may be negative: slots of the sum over all nodes are not.
    """
    slots, bits = answers_per_plaintext(manifest, key_bits), layout_bits(manifest)
    if any(abs(value) >> bits for value in values):
        raise ValueError("an answer does not fit its slot")
    packed = []
    for start in range(0, len(values), slots):
        packed.append(sum(value << (bits * slot) for slot, value in enumerate(values[start : start + slots])))
    return packed


def unpack_answers(plaintexts: Sequence[int], count: int, manifest: Manifest, key_bits: int) -> list[Opened]:
    """Return the `count` answers of decrypted sums.

    Raises: MalformedMessage for another number of plaintexts; VerificationFailed, code RESULT_OUT_OF_RANGE, as `read`.
    """
    slots, bits = answers_per_plaintext(manifest, key_bits), layout_bits(manifest)
    if len(plaintexts) != -(-count // slots):
        raise MalformedMessage(f"{len(plaintexts)} ciphertexts for {count} enterprises")
    opened: list[Opened] = []
    for plain in plaintexts:
        width = min(slots, count - len(opened))
        if plain >> (bits * width):
            raise VerificationFailed("the masks of a batch do not cancel", code="RESULT_OUT_OF_RANGE")
        opened += [read(manifest, plain >> (bits * slot) & ((1 << bits) - 1)) for slot in range(width)]
    return opened
