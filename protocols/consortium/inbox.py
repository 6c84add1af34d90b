"""What a role has received of each bank, and the order in which it may: each thing once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from protocols.channel.identity import PartyId
from protocols.errors import UnexpectedMessage

V = TypeVar("V")


class PerBank(Generic[V]):
    """One thing of each bank; `take` returns them all and starts anew."""

    def __init__(self, banks: Sequence[PartyId]) -> None:
        self._banks = tuple(banks)
        self._values: dict[PartyId, V] = {}

    @property
    def complete(self) -> bool:
        """Whether every bank's is there."""
        return len(self._values) == len(self._banks)

    def put(self, bank: PartyId, value: V) -> None:
        """Take a bank's. Raises: UnexpectedMessage for a stranger's, or for a second one."""
        if bank not in self._banks or bank in self._values:
            raise UnexpectedMessage(f"nothing of {bank} is due")
        self._values[bank] = value

    def take(self) -> dict[PartyId, V]:
        """Return all, in the banks' order, and forget them."""
        values, self._values = self._values, {}
        return {bank: values[bank] for bank in self._banks}


def require(value: V | None) -> V:
    """Return a state that an earlier message must have set. Raises: UnexpectedMessage if it has not."""
    if value is None:
        raise UnexpectedMessage("an earlier message of the run is missing")
    return value


def once(seen: set[tuple[str, str]], kind: str, mark: str) -> None:
    """Note that a message was received. Raises: UnexpectedMessage if it was before."""
    if (kind, mark) in seen:
        raise UnexpectedMessage(f"{kind} was already received")
    seen.add((kind, mark))
