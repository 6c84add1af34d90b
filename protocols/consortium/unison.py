"""Unison: a node acts on a bank's table only when every bank of the consortium has sent the same one.

A single dishonest bank can therefore not make a node evaluate tables of its own making.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from protocols.channel.identity import PartyId
from protocols.channel.wire import M
from protocols.errors import UnexpectedMessage, VerificationFailed


class Unison(Generic[M]):
    """Collects one message of each bank."""

    def __init__(self, banks: Sequence[PartyId]) -> None:
        self._banks = frozenset(banks)
        self._said: dict[PartyId, M] = {}

    def say(self, bank: PartyId, message: M) -> M | None:
        """Take a bank's word; return it when all have said the same, and wait for the next round of words.

        Raises: UnexpectedMessage for a stranger or a second word; VerificationFailed, code CONSORTIUM_DISAGREES.
        """
        if bank not in self._banks or bank in self._said:
            raise UnexpectedMessage(f"no {type(message).__name__} of {bank} is due")
        if any(message != said for said in self._said.values()):
            raise VerificationFailed(f"the banks disagree on {type(message).__name__}", code="CONSORTIUM_DISAGREES")
        self._said[bank] = message
        if len(self._said) < len(self._banks):
            return None
        self._said = {}
        return message
