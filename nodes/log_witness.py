"""A party's duty as a witness: cosign the coordinator's log while it tells one growing history, and say so if not.

What was cosigned stands in the party's ledger before the cosignature leaves: after a crash at any moment, the witness
still refuses every tree that does not extend the last one it vouched for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.ledger import WitnessRecords
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.wire import decode, encode
from protocols.errors import CreditFederationError, VerificationFailed
from protocols.transparency.checkpoints import CosignatureSigner
from protocols.transparency.messages import CheckpointCosignature, CheckpointOffer, CheckpointRefusal, SplitViewProof
from protocols.transparency.notes import VerifierKey
from protocols.transparency.witness import Cosigned, SplitView, Witness, parse_add_checkpoint

FORKED = "LOG_FORKED"


@dataclass(frozen=True, slots=True)
class LogWitness:
    """One party as a witness of one log. Reveals: to the log, whether this party agrees, and when.

    A log that was caught with two histories is never cosigned again: the proof in the ledger is the answer.
    """

    signer: CosignatureSigner = field(repr=False)
    log_key: VerifierKey
    records: WitnessRecords = field(repr=False)

    def answer(
        self, envelope: Envelope, coordinator: PartyCard, channel: Callable[[bytes], Channel], now: int
    ) -> Envelope:
        """Return the cosignature or the refusal for one offer. Units: `now` in POSIX seconds.

        Raises: MalformedMessage, UnexpectedMessage; VerificationFailed if the offer is not the coordinator's.
        """
        offer = decode(envelope.body, CheckpointOffer)
        end = channel(offer.transcript())
        end.unwrap(envelope, CheckpointOffer)
        if envelope.sender != coordinator.party:
            raise VerificationFailed("a checkpoint is offered by another party than the coordinator")
        return end.wrap(PartyId(envelope.sender), self._judge(offer, now), sealed=False)

    def _judge(self, offer: CheckpointOffer, now: int) -> CheckpointCosignature | CheckpointRefusal:
        origin = self.log_key.name
        last = self.records.note(origin)
        convicted = self.records.split_view(origin)
        if convicted is not None:
            return CheckpointRefusal(FORKED, last or b"", decode(convicted, SplitViewProof))
        try:
            found = Witness(self.signer, self.log_key, last).receive(parse_add_checkpoint(offer.request), now)
            if isinstance(found, Cosigned):
                self.records.keep_note(origin, last, found.state.checkpoint.size, found.state.note)
                return CheckpointCosignature(found.line.encode().encode())
        except CreditFederationError as error:
            return CheckpointRefusal(error.code, last or b"")
        return self._convict(found, last, now)

    def _convict(self, found: SplitView, last: bytes | None, now: int) -> CheckpointRefusal:
        evidence = SplitViewProof.of(found)
        self.records.keep_split_view(self.log_key.name, now, encode(evidence))
        return CheckpointRefusal(FORKED, last or b"", evidence)
