"""What several nodes of one domain send in one step, until all of it has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from protocols.channel.identity import PartyId
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import PublicKey
from protocols.scorecard.arithmetic import Masking
from protocols.scorecard.districts import Districts
from protocols.scorecard.gram import GramAssembly
from protocols.scorecard.messages import BinHistograms, FeatureShape
from protocols.scorecard.products import add_low_bits
from protocols.scorecard.releases import combine

V = TypeVar("V")

GRAM_MODULUS: Final = 1 << 63
"""A district's Gram block is masked modulo this."""


class Gathering(Generic[V]):
    """Collects one value of each node of a domain, step by step."""

    def __init__(self, districts: Districts) -> None:
        self._districts = districts
        self._values: dict[tuple[str, PartyId], dict[PartyId, V]] = {}

    def put(self, step: str, node: PartyId, value: V) -> list[V] | None:
        """Take a node's value; return all of its domain's, in order, with the last. Raises: UnexpectedMessage."""
        found = self._values.setdefault((step, self._districts.leads[node]), {})
        if node in found:
            raise UnexpectedMessage(f"{node} has sent its part of {step} before")
        found[node] = value
        members = self._districts.members(node)
        return [found[member] for member in members] if len(found) == len(members) else None


class PooledVectors:
    """Collects at the bank, step by step, every district's signed share and the coordinator's product of them."""

    def __init__(self, districts: Districts, key: PublicKey) -> None:
        self._shares: Gathering[bytes] = Gathering(districts)
        self._key = key
        self._complete: dict[tuple[str, PartyId], list[bytes]] = {}
        self._products: dict[tuple[str, PartyId], bytes] = {}

    def put_share(self, step: str, lead: PartyId, node: PartyId, vector: bytes) -> bytes | None:
        """Take a district's share; return the product once it and all shares are there. Raises: VerificationFailed."""
        shares = self._shares.put(step, node, vector)
        if shares is not None:
            self._complete[step, lead] = shares
        return self._verified(step, lead)

    def put_product(self, step: str, lead: PartyId, vector: bytes) -> bytes | None:
        """Take the coordinator's product of a domain. Raises: UnexpectedMessage, VerificationFailed."""
        if (step, lead) in self._products:
            raise UnexpectedMessage(f"the product of {step} of {lead} was already received")
        self._products[step, lead] = vector
        return self._verified(step, lead)

    def _verified(self, step: str, lead: PartyId) -> bytes | None:
        shares, product = self._complete.get((step, lead)), self._products.get((step, lead))
        if shares is None or product is None:
            return None
        if combine(shares, self._key) != product:
            raise VerificationFailed("the coordinator's product is not that of the districts' signed shares")
        return product


class HistogramIntake:
    """Puts each domain's histograms together at the bank: the shapes that its nodes state, and the sums."""

    def __init__(self, districts: Districts) -> None:
        self._districts = districts
        self._stated: Gathering[BinHistograms] = Gathering(districts)
        self._shapes: dict[PartyId, tuple[FeatureShape, ...]] = {}
        self._cells: dict[PartyId, bytes] = {}

    def put_shapes(self, node: PartyId, message: BinHistograms) -> BinHistograms | None:
        """Take what a node states; return its domain's histograms once they are whole.

        Raises: UnexpectedMessage; VerificationFailed, code DISTRICTS_DIFFER.
        """
        stated, lead = self._stated.put("histograms", node, message), self._districts.leads[node]
        if stated is None or len(stated) == 1:
            return None if stated is None else message
        if message.vector or any(other != message for other in stated):
            raise VerificationFailed(f"the districts of {lead}'s domain differ", code="DISTRICTS_DIFFER")
        self._shapes[lead] = message.features
        return self._whole(lead)

    def put_cells(self, lead: PartyId, vector: bytes) -> BinHistograms | None:
        """Take a split domain's sums; return its histograms once they are whole."""
        self._cells[lead] = vector
        return self._whole(lead)

    def _whole(self, lead: PartyId) -> BinHistograms | None:
        if lead not in self._shapes or lead not in self._cells:
            return None
        return BinHistograms(self._shapes[lead], self._cells[lead])


class GramIntake:
    """Puts the Gram matrix together at the bank: each node's block, and shares of products, summed over domains."""

    def __init__(
        self, districts: Districts, gram: GramAssembly, maskings: Callable[[PartyId, PartyId], list[Masking]]
    ) -> None:
        """`maskings` returns those of the products of an owner's columns with an evaluator's."""
        self._leads, self._gram, self._maskings = districts.leads, gram, maskings
        self._blocks: Gathering[tuple[int, ...]] = Gathering(districts)
        self._shares: Gathering[tuple[bytes, ...]] = Gathering(districts)

    def put_block(self, node: PartyId, entries: tuple[int, ...]) -> None:
        """Take a node's own block. Raises: UnexpectedMessage, MalformedMessage."""
        blocks = self._blocks.put("gram", node, entries)
        if blocks is not None:
            self._gram.put_local(self._leads[node], blocks[0] if len(blocks) == 1 else pooled_gram(blocks))

    def put_owner_share(self, node: PartyId, share: tuple[bytes, ...], owner: PartyId, evaluator: PartyId) -> None:
        """Take what the owner of columns decrypted, told by `node` or decrypted from it. Raises: as `put_block`."""
        whole = self._add_up(f"products/{owner}/{evaluator}", node, share, owner, evaluator)
        if whole is not None:
            self._gram.put_owner_share(owner, evaluator, whole)

    def put_mask_share(self, node: PartyId, share: tuple[bytes, ...], owner: PartyId) -> None:
        """Take a node's masks of its products with an owner's columns. Raises: as `put_block`."""
        whole = self._add_up(f"masks/{owner}", node, share, owner, self._leads[node])
        if whole is not None:
            self._gram.put_mask_share(owner, self._leads[node], whole)

    def _add_up(
        self, step: str, node: PartyId, share: tuple[bytes, ...], owner: PartyId, evaluator: PartyId
    ) -> tuple[bytes, ...] | None:
        """Return the sum of a domain's shares of a block of products, once all are there."""
        shares = self._shares.put(step, node, share)
        if shares is None or len(shares) == 1:
            return None if shares is None else shares[0]
        return add_low_bits(shares, self._maskings(owner, evaluator))


def pooled_gram(grams: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the domain's Gram block from its districts' masked ones. Raises: MalformedMessage."""
    if len({len(gram) for gram in grams}) != 1:
        raise MalformedMessage("the Gram blocks of a domain's districts differ in size")
    sums = (sum(column) % GRAM_MODULUS for column in zip(*grams, strict=True))
    return tuple(value - GRAM_MODULUS if value >= GRAM_MODULUS // 2 else value for value in sums)
