"""A node's share of a release of totals."""

from __future__ import annotations

from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyId, Randomness
from protocols.masks import zero_sum_masks
from protocols.paillier import PublicKey
from protocols.scorecard.arithmetic import encrypt_for_owner, total_packing
from protocols.scorecard.messages import RunSpec


def mask_totals(
    channel: Channel, spec: RunSpec, key: PublicKey, told: str, totals: list[int], randomness: Randomness
) -> bytes:
    """Return totals packed, masked and encrypted; they open only as the sum over all nodes that were told the same.

    `told` names the release and the cohort. Reveals: nothing short of the whole sum.
    """
    plain = total_packing(key.bits).pack(totals)
    peers = {n.party: channel.cards[PartyId(n.party)].mask_key for n in spec.nodes if n.party != channel.keys.party}
    salt = channel.transcript + told.encode()
    masks = zero_sum_masks(channel.keys.party, channel.keys.mask, peers, salt, len(plain), key.n)
    masked = [(value + mask) % key.n for value, mask in zip(plain, masks, strict=True)]
    return encrypt_for_owner(key, masked, randomness).to_bytes()
