"""What the coordinator brings to every desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from federation.audit import AuditLog
from federation.audit.bodies.shredder import Shredder
from federation.coordinator.consent_book import ConsentBook
from federation.coordinator.consents import ConsentGate
from federation.coordinator.policies import PolicyBook
from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyId, PartyKeys, PartyRole
from protocols.channel.pins import Pins
from protocols.paillier import PublicKey


@dataclass(frozen=True, slots=True)
class CoordinatorSite:
    """Identity, pinned cards, the log and its consents, and a clock in milliseconds."""

    keys: PartyKeys = field(repr=False)
    pins: Pins = field(repr=False)
    log: AuditLog = field(repr=False)
    key_bits: int
    clock_ms: Callable[[], int]
    consents: ConsentGate = field(repr=False)
    shredder: Shredder = field(repr=False)
    policies: PolicyBook = field(repr=False)
    book: ConsentBook = field(repr=False)

    def channel(self, transcript: bytes) -> Channel:
        """Return the coordinator's channel of a transcript."""
        return Channel(self.keys, self.pins.cards, transcript, self.pins.signers)

    def bank_key(self, bank: str, bits: int, card: str = "") -> PublicKey:
        """Return a bank's Paillier key. Raises: VerificationFailed if the party is none, or has no such key."""
        self.pins.card(PartyId(bank), PartyRole.BANK)
        return self.pins.paillier_key(PartyId(bank), bits, card)
