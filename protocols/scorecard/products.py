"""Inner products of two parties' WOE columns, of which neither sees the other's rows nor the result.

The owner encrypts its columns, packed, one ciphertext a row, under its own key. The evaluator sums those ciphertexts by
its coarse bins, weighs the bins by WOE, masks the whole plaintext and returns it. Each passes the low bits of what it
holds to the bank: the owner the masked sum, the evaluator the mask; their difference is the inner product.
Source: DESIGN of the encrypted Gram matrix in docs/scorecard.md; bucketed sums after Pippenger 1976.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import Randomness
from protocols.errors import MalformedMessage
from protocols.paillier import (
    CiphertextVector,
    OwnerEncryptor,
    Packing,
    PrivateKey,
    PublicKey,
    decrypt,
    rerandomise,
)
from protocols.privacy import NO_NOISE, Noise
from protocols.scorecard.arithmetic import Masking, join_noise, masking, product_packing, unpack, widths
from protocols.scorecard.rows import WoeColumns


def encrypt_columns(columns: WoeColumns, key: PrivateKey, randomness: Randomness, bound: int = 0) -> bytes:
    """Return the owner's columns as ciphertexts: group by group, each group all rows.

    In this module `bound` is what both sides together may add to a product as noise, `noise` what one of them adds.
    """
    values = columns.values()
    packing = product_packing(len(values), key.public_key.bits, bound)
    plaintexts = [
        _join(row, packing)
        for start in range(0, columns.count, packing.slots)
        for row in values[:, start : start + packing.slots].tolist()
    ]
    return OwnerEncryptor(key, randomness).encrypt(plaintexts).to_bytes()


def _join(row: list[int], packing: Packing) -> int:
    return packing.pack(row)[0]


def multiply_columns(
    vector: bytes,
    owner_columns: int,
    key: PublicKey,
    columns: WoeColumns,
    randomness: Randomness,
    bound: int = 0,
    noise: Noise = NO_NOISE,
) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the evaluator's two shares: masked products for the owner, low bits of the masks for the bank.

    Shapes: one ciphertext, and one mask, per (group of the owner's columns, own column).
    Raises: MalformedMessage, VerificationFailed for a vector that is not one.
    """
    rows = len(columns.codes)
    packing = product_packing(rows, key.bits, bound)
    used = widths(owner_columns, packing)
    ciphertexts = CiphertextVector.from_bytes(key, vector)
    if len(ciphertexts) != rows * len(used):
        raise MalformedMessage(f"{len(ciphertexts)} encrypted columns where {rows * len(used)} are due")
    sums = [
        total
        for group in range(len(used))
        for total in weigh_bins(ciphertexts[group * rows : (group + 1) * rows], columns, squared=False)
    ]
    maskings = maskings_of(owner_columns, columns.count, rows, key, bound)
    masks = [mask.whole(randomness) for mask in maskings]
    added = product_noise(noise, owner_columns, columns.count, packing, randomness)
    hidden = [mask + extra for mask, extra in zip(masks, added, strict=True)]
    masked = rerandomise(CiphertextVector.concat(sums).add_plain(hidden), randomness)
    return masked.to_bytes(), _low_bits(masks, maskings)


def weigh_bins(vector: CiphertextVector, columns: WoeColumns, *, squared: bool) -> list[CiphertextVector]:
    """Return Σ_i w_j(i)·m_i (or w_j² if `squared`) for each column j: bucket the rows, then weigh the few buckets."""
    bins = [len(levels) for levels in columns.levels]
    weights = columns.squares() if squared else columns.levels
    histograms = vector.histograms(columns.codes, bins)
    return [h.scale(w).total() for h, w in zip(histograms, weights, strict=True)]


def weigh_pairs(vector: CiphertextVector, columns: WoeColumns) -> list[CiphertextVector]:
    """Return Σ_i w_j(i)·w_k(i)·m_i for each pair of columns: bucket the rows by both, then weigh the few buckets."""
    sizes, found = [len(levels) for levels in columns.levels], list[CiphertextVector]()
    codes = columns.codes.astype(np.int64)
    for j in range(columns.count - 1):
        later = range(j + 1, columns.count)
        joint = codes[:, j : j + 1] * np.array([sizes[k] for k in later]) + codes[:, j + 1 :]
        histograms = vector.histograms(joint, [sizes[j] * sizes[k] for k in later])
        found += [h.scale(columns.products(j, k)).total() for h, k in zip(histograms, later, strict=True)]
    return found


def open_products(
    vector: bytes,
    owner_columns: int,
    evaluator_columns: int,
    rows: int,
    key: PrivateKey,
    randomness: Randomness,
    bound: int = 0,
    noise: Noise = NO_NOISE,
) -> tuple[bytes, ...]:
    """Return the owner's share for the bank: the low bits of each masked product with the owner's noise, and no more.

    Raises: MalformedMessage, VerificationFailed.
    """
    maskings = maskings_of(owner_columns, evaluator_columns, rows, key.public_key, bound)
    ciphertexts = CiphertextVector.from_bytes(key.public_key, vector)
    if len(ciphertexts) != len(maskings):
        raise MalformedMessage(f"{len(ciphertexts)} masked products where {len(maskings)} are due")
    packing = product_packing(rows, key.public_key.bits, bound)
    added = product_noise(noise, owner_columns, evaluator_columns, packing, randomness)
    return _low_bits([v + extra for v, extra in zip(decrypt(key, ciphertexts), added, strict=True)], maskings)


def product_noise(
    noise: Noise, owner_columns: int, evaluator_columns: int, packing: Packing, randomness: Randomness
) -> list[int]:
    """Return what to add to each product: one draw for each of its slots that is used."""
    used = [width for width in widths(owner_columns, packing) for _ in range(evaluator_columns)]
    return [join_noise(noise.draw(width, randomness), packing)[0] for width in used]


def maskings_of(owner_columns: int, evaluator_columns: int, rows: int, key: PublicKey, bound: int) -> list[Masking]:
    """Return the masking of each product: it shows the slots that its group of the owner's columns uses."""
    packing = product_packing(rows, key.bits, bound)
    return [masking(packing, width, key) for width in widths(owner_columns, packing) for _ in range(evaluator_columns)]


def _low_bits(values: list[int], maskings: Sequence[Masking]) -> tuple[bytes, ...]:
    return tuple(mask.low(value).to_bytes(mask.width) for value, mask in zip(values, maskings, strict=True))


def add_low_bits(shares: Sequence[tuple[bytes, ...]], maskings: Sequence[Masking]) -> tuple[bytes, ...]:
    """Return the low bits of the sums of several shares, product by product. Raises: MalformedMessage."""
    if any(len(share) != len(maskings) for share in shares):
        raise MalformedMessage(f"a share of products where {len(maskings)} are due has another number")
    return _low_bits([sum(map(int.from_bytes, column)) for column in zip(*shares, strict=True)], maskings)


def add_shares(
    owner_share: tuple[bytes, ...],
    mask_share: tuple[bytes, ...],
    shape: tuple[int, int],
    rows: int,
    key: PublicKey,
    bound: int = 0,
) -> NDArray[np.int64]:
    """Return the inner products with their noise, (owner columns, evaluator columns), from the two shares.

    Raises: MalformedMessage if a share has the wrong size or their difference is not a packed sum.
    """
    packing = product_packing(rows, key.bits, bound)
    owner_columns, evaluator_columns = shape
    maskings = maskings_of(owner_columns, evaluator_columns, rows, key, bound)
    if not len(owner_share) == len(mask_share) == len(maskings):
        raise MalformedMessage(
            f"shares of {len(owner_share)} and {len(mask_share)} products where {len(maskings)} are due"
        )
    if any(not len(a) == len(b) == h.width for a, b, h in zip(owner_share, mask_share, maskings, strict=True)):
        raise MalformedMessage("a share of a product has the wrong width")
    products = np.empty(shape, dtype=np.int64)
    for index, (masked, hidden) in enumerate(zip(owner_share, mask_share, strict=True)):
        group, column = divmod(index, evaluator_columns)
        start = group * packing.slots
        width = min(packing.slots, owner_columns - start)
        packed = maskings[index].centred(int.from_bytes(masked) - int.from_bytes(hidden))
        products[start : start + width, column] = unpack(packing, packed, width)
    return products
