"""What a site states about the enterprises of its messages, sealed to the auditors and to each enterprise.

It travels right before its message, to the coordinator, which logs it as the body of that message's leaf and can read
nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from protocols.assessment.batch.messages import BatchQuery
from protocols.assessment.messages import Query
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, PartyRole, Randomness
from protocols.channel.pins import Pins
from protocols.transparency.leaves import LeafKind
from protocols.transparency.statements import Addressees, Statement, auditor_keys, seal_statements


@dataclass(frozen=True, slots=True)
class About:
    """What became of one enterprise, and its record key, b"" if it has none."""

    enterprise: str = field(repr=False)
    decision: str
    code: str = ""
    rule: str = ""
    record_key: bytes = field(default=b"", repr=False)


class StatementWriter:
    """Writes one site's statements."""

    def __init__(
        self, pins: Pins, randomness: Randomness, crowded: Callable[[str], bool] = lambda enterprise: False
    ) -> None:
        """`crowded` tells whether many banks ask about an enterprise, where that can be known."""
        self._pins, self._randomness, self._crowded = pins, randomness, crowded

    def write(
        self, kind: LeafKind, query: Query | BatchQuery, about: Sequence[About], channel: Channel, at: int
    ) -> Envelope:
        """Return the statements of one leaf about the enterprises of a question, in the order asked."""
        reference = query.query if isinstance(query, Query) else query.batch
        statements = [
            Statement(
                enterprise=entry.enterprise,
                leaf=kind,
                party=channel.keys.party,
                bank=query.bank,
                reference=reference,
                purpose=query.purpose,
                decision=entry.decision,
                at=at,
                code=entry.code,
                rule=entry.rule,
                position=position,
            )
            for position, entry in enumerate(about)
        ]
        crowded = sum(self._crowded(entry.enterprise) for entry in about)
        return self._seal(statements, about, channel, channel.transcript, crowded)

    def consent(self, handle: bytes, query: Query | BatchQuery, about: About, channel: Channel, at: int) -> Envelope:
        """Return the statement of whom a consent is that a question shows, for the log's leaf of that consent."""
        statement = Statement(
            enterprise=about.enterprise,
            leaf=LeafKind.CONSENT,
            party=channel.keys.party,
            bank=query.bank,
            reference=handle,
            purpose=query.purpose,
            decision="SHOWN",
            at=at,
        )
        return self._seal([statement], [about], channel, handle)

    def _seal(
        self,
        statements: Sequence[Statement],
        about: Sequence[About],
        channel: Channel,
        bound: bytes,
        crowded: int = 0,
    ) -> Envelope:
        to = Addressees(auditor_keys(self._pins.cards), tuple(entry.record_key for entry in about))
        sealed = seal_statements(statements, to, channel.keys, bound, self._randomness, crowded)
        coordinator = PartyId(self._pins.only(PartyRole.COORDINATOR).party)
        return channel.wrap(coordinator, sealed, sealed=False)
