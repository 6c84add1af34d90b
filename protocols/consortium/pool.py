"""The pool: banks add numbers, step by step, and each learns the sum alone.

Every bank hides its addends behind masks that cancel over all banks, and sends them to every other one. So a bank that
conspires with a data node, which knows the node's own masks, still sees nothing of one other bank, only of all others
together. The masks are salted with the run, the step and what the sender believes the step is about: banks that were
told different things get noise, which no later check accepts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.consortium.messages import PoolShare
from protocols.consortium.shares import Residues
from protocols.errors import MalformedMessage, UnexpectedMessage
from protocols.masks import zero_sum_masks

MOST_STEPS: Final = 1024


class BankPool:
    """One bank's end of the pool. Each bank sends each step once; `total` is there when all have sent theirs."""

    def __init__(self, channel: Channel, banks: Sequence[PartyId]) -> None:
        self._channel, self._me = channel, channel.keys.party
        self._others = [bank for bank in banks if bank != self._me]
        self._own: dict[str, Residues] = {}
        self._shares: dict[str, dict[PartyId, tuple[bytes, ...]]] = {}

    def offer(self, step: str, numbers: Residues, context: bytes = b"") -> list[Envelope]:
        """Return this bank's masked addends for every other bank. Raises: ValueError for a step offered before."""
        if step in self._own:
            raise ValueError(f"step {step} was offered before")
        peers = {str(bank): self._channel.cards[bank].mask_key for bank in self._others}
        salt = self._channel.transcript + f"pool/{step}/".encode() + hashlib.sha256(context).digest()
        widest = 1 << max(numbers.bits, default=1)
        masks = zero_sum_masks(self._me, self._channel.keys.mask, peers, salt, len(numbers.values), widest)
        triples = zip(numbers.values, masks, numbers.bits, strict=True)
        masked = Residues(tuple((value + mask) % (1 << bits) for value, mask, bits in triples), numbers.bits)
        self._own[step] = masked
        share = PoolShare(step, tuple(v.to_bytes(_width(b)) for v, b in zip(masked.values, masked.bits, strict=True)))
        return [self._channel.wrap(bank, share) for bank in self._others]

    def put(self, envelope: Envelope) -> None:
        """Take another bank's addends. Raises: UnexpectedMessage, VerificationFailed, MalformedMessage."""
        sender = PartyId(envelope.sender)
        if sender not in self._others:
            raise UnexpectedMessage(f"{sender} is no other bank of this run")
        share = self._channel.unwrap(envelope, PoolShare)
        shares = self._shares.setdefault(share.step, {})
        if sender in shares or len(self._shares) > MOST_STEPS:
            raise UnexpectedMessage(f"{sender} has sent its share of {share.step} before, or of too many steps")
        shares[sender] = share.values

    def ready(self, step: str) -> bool:
        """Say whether every bank's addends of a step are there."""
        return step in self._own and len(self._shares.get(step, {})) == len(self._others)

    def total(self, step: str) -> Residues:
        """Return the sums over all banks. Raises: MalformedMessage for a share of another form than one's own."""
        own = self._own[step]
        totals = list(own.values)
        for bank, values in self._shares[step].items():
            if len(values) != len(totals) or any(
                len(value) != _width(bits) for value, bits in zip(values, own.bits, strict=True)
            ):
                raise MalformedMessage(f"{bank} has sent a share of {step} of another form")
            totals = [total + int.from_bytes(value) for total, value in zip(totals, values, strict=True)]
        pairs = zip(totals, own.bits, strict=True)
        return Residues(tuple(total % (1 << bits) for total, bits in pairs), own.bits)


def _width(bits: int) -> int:
    return (bits + 7) // 8
