"""The release of totals: one integer per enterprise, which opens only as the sum over the whole node set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyId, Randomness
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.masks import zero_sum_masks
from protocols.paillier import CiphertextVector, PrivateKey, PublicKey, decrypt
from protocols.scorecard.arithmetic import encrypt_for_owner, total_packing, unpack


def mask_totals(
    channel: Channel, nodes: Iterable[str], key: PublicKey, told: str, totals: list[int], randomness: Randomness
) -> bytes:
    """Return a node's totals, packed and masked: they open only as the sum over all `nodes` that were told the same.

    `told` names the release and the cohort. Reveals: nothing short of the whole sum.
    """
    own, plain = channel.keys.party, total_packing(key.bits).pack(totals)
    peers = {node: channel.cards[PartyId(node)].mask_key for node in nodes if node != own}
    salt = channel.transcript + told.encode()
    masks = zero_sum_masks(own, channel.keys.mask, peers, salt, len(plain), key.n)
    masked = [(value + mask) % key.n for value, mask in zip(plain, masks, strict=True)]
    return encrypt_for_owner(key, masked, randomness).to_bytes()


def combine(shares: Sequence[bytes], key: PublicKey) -> bytes:
    """Return the product of the nodes' ciphertexts, which encrypts the sum of their totals.

    Reveals: nothing, to whoever combines. Raises: MalformedMessage, VerificationFailed.
    """
    return product_of(shares, key).to_bytes()


def product_of(shares: Sequence[bytes], key: PublicKey) -> CiphertextVector:
    """Return what `combine` does, as a vector: all shares are validated at once. Raises: as `combine`."""
    sizes = {len(share) for share in shares}
    if len(sizes) != 1 or max(sizes) % key.ciphertext_bytes:
        raise MalformedMessage("shares of totals differ in length, or are no whole number of ciphertexts")
    everything = CiphertextVector.from_bytes(key, b"".join(shares))
    length = len(everything) // len(shares)
    product = everything[:length]
    for number in range(1, len(shares)):
        product += everything[number * length : (number + 1) * length]
    return product


class TotalsCollection:
    """Gathers one release at the bank: a share of every node, and the coordinator's product of them."""

    def __init__(self, release: int, nodes: Sequence[PartyId]) -> None:
        self.release = release
        self._missing = set(nodes)
        self._shares: dict[PartyId, bytes] = {}
        self._product: bytes | None = None

    @property
    def complete(self) -> bool:
        """Whether all shares and the product have come. A missing node means no totals, not other totals."""
        return not self._missing and self._product is not None

    def put_share(self, node: PartyId, release: int, vector: bytes) -> None:
        """Take a node's share, signed by it."""
        if release != self.release or node not in self._missing:
            raise UnexpectedMessage(f"no share of {node} in release {release} is due")
        self._missing.remove(node)
        self._shares[node] = vector

    def put_product(self, release: int, vector: bytes) -> None:
        """Take the coordinator's product."""
        if release != self.release or self._product is not None:
            raise UnexpectedMessage(f"no product of release {release} is due")
        self._product = vector

    def open(self, count: int, key: PrivateKey) -> NDArray[np.int64]:
        """Return the totals of `count` enterprises.

        Raises: VerificationFailed if the product is not that of the signed shares, or the sum is not a packed total:
        a node's masks do not cancel, or somebody has added to it.
        """
        public = key.public_key
        product = combine(list(self._shares.values()), public)
        if product != self._product:
            raise VerificationFailed("the coordinator's product is not that of the nodes' signed shares")
        packing = total_packing(public.bits)
        plain = decrypt(key, CiphertextVector.from_bytes(public, product))
        if len(plain) != -(-count // packing.slots):
            raise MalformedMessage(f"{len(plain)} packed totals for {count} enterprises")
        values: list[int] = []
        for packed in plain:
            width = min(packing.slots, count - len(values))
            if packed >> (width * packing.slot_bits):
                raise VerificationFailed("a sum of totals is out of range: the masks do not cancel")
            values += unpack(packing, packed, width)
        if any(value < 0 for value in values):
            raise VerificationFailed("a total is out of range")
        return np.array(values, dtype=np.int64)
