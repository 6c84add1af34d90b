"""The banks' own features: columns that all banks have, each for its own customers, as if one party held them.

In the features, the Gram matrix and the gradient they stand under the name `BANKS`, before all nodes. The lead cuts
them; counts and sums over them are pooled among the banks, products with a node's columns by that node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocols.channel.identity import PartyId, Randomness
from protocols.consortium.shares import share_packed, sum_bits
from protocols.errors import MalformedMessage
from protocols.paillier import CiphertextVector, OwnerEncryptor, PrivateKey, PublicKey
from protocols.privacy import NO_NOISE, Noise
from protocols.scorecard.arithmetic import product_packing, widths
from protocols.scorecard.products import product_noise, weigh_bins
from protocols.scorecard.rows import WoeColumns

BANKS: Final = PartyId("_banks")


def encrypt_own(columns: WoeColumns, pool_rows: int, key: PrivateKey, randomness: Randomness, bound: int = 0) -> bytes:
    """Return a bank's columns in slots wide enough for sums over the pool: group by group, each all own rows.

    In this module `bound` is what may be added to a product as noise in this run, `noise` what the node adds.
    """
    values, packing = columns.values(), product_packing(pool_rows, key.public_key.bits, bound)
    plaintexts = [
        packing.pack(row)[0]
        for start in range(0, columns.count, packing.slots)
        for row in values[:, start : start + packing.slots].tolist()
    ]
    return OwnerEncryptor(key, randomness).encrypt(plaintexts).to_bytes()


def product_bits(own: int, node: int, pool_rows: int, modulus_bits: int, bound: int = 0) -> list[int]:
    """Return how many bits each product of a group of own columns with a node's column is shared on."""
    return [b for b in sum_bits(own, product_packing(pool_rows, modulus_bits, bound)) for _ in range(node)]


def multiply_own(
    vectors: Sequence[bytes],
    own: int,
    keys: Sequence[PublicKey],
    columns: Sequence[WoeColumns],
    pool_rows: int,
    randomness: Randomness,
    bound: int = 0,
    noise: Noise = NO_NOISE,
) -> list[bytes]:
    """Return each bank's share of the products of the banks' columns with a node's.

    Shapes: one vector, key and `columns` (the node's, on that bank's training rows) for each bank.
    Raises: MalformedMessage, VerificationFailed.
    """
    parts = []
    packing = product_packing(pool_rows, keys[0].bits, bound)
    groups = len(widths(own, packing))
    for vector, key, part in zip(vectors, keys, columns, strict=True):
        rows, ciphertexts = len(part.codes), CiphertextVector.from_bytes(key, vector)
        if len(ciphertexts) != rows * groups:
            raise MalformedMessage(f"{len(ciphertexts)} encrypted columns where {rows * groups} are due")
        sums = [
            total
            for group in range(groups)
            for total in weigh_bins(ciphertexts[group * rows : (group + 1) * rows], part, squared=False)
        ]
        parts.append(CiphertextVector.concat(sums))
    bits = product_bits(own, columns[0].count, pool_rows, keys[0].bits, bound)
    return share_packed(parts, bits, randomness, product_noise(noise, own, columns[0].count, packing, randomness))
