"""The Gram matrix at the bank, put together from blocks that arrive in any order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.errors import MalformedMessage, UnexpectedMessage
from protocols.paillier import PublicKey
from protocols.scorecard.noise import EXACT, RunNoise
from protocols.scorecard.products import add_shares

Pair = tuple[PartyId, PartyId]


class GramAssembly:
    """Collects local blocks and the two shares of each cross block; whole when nothing is missing.

    Shapes: columns of all parties in owner order, (d, d). Units: 1/WOE_SCALE². Raises on duplicates and wrong sizes.
    """

    def __init__(
        self,
        plan: Mapping[PartyId, int],
        rows: int,
        keys: Mapping[PartyId, PublicKey],
        noise: RunNoise = EXACT,
        product_slack: int = 0,
    ) -> None:
        self._rows, self._keys = rows, keys
        columns = max(plan.values(), default=0)
        self._product_bound, self._slack = noise.product_bound(columns) + product_slack, noise.gram_bound(columns)
        parties = [party for party, columns in plan.items() if columns]
        starts = np.cumsum([0, *(plan[party] for party in parties)])
        self._slices = {p: slice(int(a), int(b)) for p, a, b in zip(parties, starts, starts[1:], strict=False)}
        self._gram = np.zeros((int(starts[-1]), int(starts[-1])), dtype=np.int64)
        self._missing_local = set(parties)
        self._missing_pairs = {(a, b) for i, a in enumerate(parties) for b in parties[i + 1 :]}
        self._owner_shares: dict[Pair, tuple[bytes, ...]] = {}
        self._mask_shares: dict[Pair, tuple[bytes, ...]] = {}

    @property
    def complete(self) -> bool:
        """Whether every block is known."""
        return not self._missing_local and not self._missing_pairs

    @property
    def local_complete(self) -> bool:
        """Whether every party's own block is known."""
        return not self._missing_local

    def blocks(self) -> dict[PartyId, NDArray[np.int64]]:
        """Return each party's own block. Raises: UnexpectedMessage while one is missing."""
        if not self.local_complete:
            raise UnexpectedMessage("a block of the Gram matrix is missing")
        return {party: self._gram[place, place] for party, place in self._slices.items()}

    def matrix(self) -> NDArray[np.int64]:
        """Return the whole matrix. Raises: UnexpectedMessage while a block is missing."""
        if not self.complete:
            raise UnexpectedMessage("the Gram matrix is not complete")
        return self._gram

    def evaluators(self, owner: PartyId) -> list[PartyId]:
        """Return whose shares of products with `owner`'s columns are still due."""
        return sorted(evaluator for first, evaluator in self._missing_pairs if first == owner)

    def put_local(self, party: PartyId, upper: tuple[int, ...]) -> None:
        """Place a party's own block, given as upper triangle by rows."""
        if party not in self._missing_local:
            raise UnexpectedMessage(f"no Gram block of {party} is due")
        place = self._slices[party]
        size = place.stop - place.start
        limit = (self._rows << 22) + self._slack
        if len(upper) != size * (size + 1) // 2 or any(abs(entry) > limit for entry in upper):
            raise MalformedMessage(f"the Gram block of {party} has {len(upper)} entries, or one out of range")
        block = np.zeros((size, size), dtype=np.int64)
        block[np.triu_indices(size)] = upper
        self._gram[place, place] = np.triu(block) + np.triu(block, 1).T
        self._missing_local.remove(party)

    def put_owner_share(self, owner: PartyId, evaluator: PartyId, share: tuple[bytes, ...]) -> None:
        """Take the owner's share of a cross block."""
        self._put_share(self._owner_shares, (owner, evaluator), share)

    def put_mask_share(self, owner: PartyId, evaluator: PartyId, share: tuple[bytes, ...]) -> None:
        """Take the evaluator's share of a cross block."""
        self._put_share(self._mask_shares, (owner, evaluator), share)

    def _put_share(self, shares: dict[Pair, tuple[bytes, ...]], pair: Pair, share: tuple[bytes, ...]) -> None:
        if pair not in self._missing_pairs or pair in shares:
            raise UnexpectedMessage(f"no share of the products of {pair[0]} and {pair[1]} is due")
        shares[pair] = share
        if pair not in self._owner_shares or pair not in self._mask_shares:
            return
        owner, evaluator = pair
        rows, columns = self._slices[owner], self._slices[evaluator]
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        mine, hidden, key = self._owner_shares[pair], self._mask_shares[pair], self._keys[owner]
        block = add_shares(mine, hidden, shape, self._rows, key, self._product_bound)
        self._gram[rows, columns] = block
        self._gram[columns, rows] = block.T
        self._missing_pairs.remove(pair)
