"""The coordinator asks every witness to cosign the log as it stands: one exchange, a second one for who is further on.

A witness that is silent, or refuses without proof, only counts against the quorum: until enough have cosigned, the
new leaves rest on the log's own signature. One that *proves* the log rolled back or forked, by a note under the log's
own key, stops the coordinator at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from federation.audit import AuditLog
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId, PartyKeys
from protocols.channel.pins import Pins
from protocols.errors import CreditFederationError, UnexpectedMessage, VerificationFailed
from protocols.transparency.checkpoints import Checkpoint, parse_checkpoint, verify_log_signature
from protocols.transparency.messages import CheckpointCosignature, CheckpointOffer, CheckpointRefusal
from protocols.transparency.notes import VerifierKey, parse_note, parse_signature_lines
from protocols.transparency.witness import STALE_REQUEST, AddCheckpoint, verify_split_view

logger = logging.getLogger(__name__)

SILENT = "NO_ANSWER"
FORKED = "LOG_FORKED"
Deliver = Callable[[Mapping[PartyId, bytes]], Mapping[PartyId, bytes | None]]
"""Takes a parcel to each party, and returns the replies of those that gave one."""


class Witnessing:
    """One collection of cosignatures; `cosigned` and `refused` are its outcome."""

    def __init__(self, keys: PartyKeys, pins: Pins, log: AuditLog, witnesses: Mapping[PartyId, VerifierKey]) -> None:
        self._keys, self._pins, self._log, self._witnesses = keys, pins, log, witnesses
        self._offered: dict[PartyId, tuple[CheckpointOffer, int]] = {}
        self._asked_again: set[PartyId] = set()
        self.cosigned: set[PartyId] = set()
        self.refused: dict[PartyId, str] = {}

    def collect(self, deliver: Deliver) -> None:
        """Ask all witnesses.

        Raises: VerificationFailed, LOG_ROLLED_BACK or LOG_FORKED, if a witness proves it of this log.
        """
        pending = {
            party: self._offer(party, self._log.cosigners.seen_by(key)) for party, key in self._witnesses.items()
        }
        while pending:
            replies = deliver({party: pack_parcel((offer,)) for party, offer in pending.items()})
            again = {party: self._receive(party, replies.get(party)) for party in pending}
            pending = {party: offer for party, offer in again.items() if offer is not None}
        if len(self.cosigned) < self._log.keys.threshold:
            reasons = ", ".join(f"{party} {code}" for party, code in sorted(self.refused.items()))
            logger.warning("%d of %d witnesses cosigned: %s", len(self.cosigned), len(self._witnesses), reasons)

    def _offer(self, party: PartyId, old_size: int) -> Envelope:
        request = self._log.witness_request(old_size)
        offer = CheckpointOffer(request.encode())
        self._offered[party] = offer, _size(request)
        channel = Channel(self._keys, self._pins.cards, offer.transcript(), self._pins.signers)
        return channel.wrap(party, offer, sealed=False)

    def _receive(self, party: PartyId, reply: bytes | None) -> Envelope | None:
        """Take one answer; return another offer to a witness that is further on than the log remembers."""
        try:
            answer = self._read(party, reply)
            if isinstance(answer, CheckpointCosignature):
                self._record(party, answer)
                return None
            last = self._last_cosigned(answer)
            forked = self._is_forked(answer)
        except CreditFederationError as error:
            self.refused[party] = error.code
            return None
        if forked:
            raise VerificationFailed(f"{party} holds two checkpoints of the log that exclude each other", code=FORKED)
        if last is not None:
            self._log.check_contains(last)
        if answer.code == STALE_REQUEST and last is not None and party not in self._asked_again:
            self._asked_again.add(party)
            return self._offer(party, last.size)
        self.refused[party] = answer.code
        return None

    def _read(self, party: PartyId, reply: bytes | None) -> CheckpointCosignature | CheckpointRefusal:
        """Return a witness's answer to the offer it got. Raises: CreditFederationError."""
        if reply is None:
            raise UnexpectedMessage(f"{party} did not answer", code=SILENT)
        envelopes = open_parcel(reply)
        answers = [envelope for envelope in envelopes if envelope.sender == party]
        if len(answers) != 1:
            raise UnexpectedMessage(f"{len(answers)} answers to one checkpoint from {party}")
        channel = Channel(self._keys, self._pins.cards, self._offered[party][0].transcript(), self._pins.signers)
        if answers[0].message == "CheckpointCosignature":
            return channel.unwrap(answers[0], CheckpointCosignature)
        return channel.unwrap(answers[0], CheckpointRefusal)

    def _record(self, party: PartyId, answer: CheckpointCosignature) -> None:
        lines = parse_signature_lines(answer.line.decode("utf-8", "replace"))
        if not all(line.claims(self._witnesses[party]) for line in lines):
            raise VerificationFailed(f"{party} cosigned with another key than its own")
        self._log.record_cosignatures(self._offered[party][1], answer.line)
        self.cosigned.add(party)

    def _last_cosigned(self, refusal: CheckpointRefusal) -> Checkpoint | None:
        if not refusal.last_note:
            return None
        return verify_log_signature(parse_note(refusal.last_note), self._log.keys.log)

    def _is_forked(self, refusal: CheckpointRefusal) -> bool:
        """Tell whether the refusal proves two histories. Raises: MalformedMessage, VerificationFailed."""
        if refusal.split_view is None:
            return False
        verify_split_view(refusal.split_view.evidence(), self._log.keys.log)
        return True


def _size(request: AddCheckpoint) -> int:
    return parse_checkpoint(parse_note(request.note).text).size
