"""A party's duty as a witness: cosign the coordinator's log while it tells one growing history, and say so if not.

What was cosigned stands in the party's ledger before the cosignature leaves: after a crash at any moment, the witness
still refuses every tree that does not extend the last one it vouched for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from nodes.ledger import WitnessRecords
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.pins import Pins
from protocols.channel.wire import decode, encode
from protocols.errors import CreditFederationError, VerificationFailed
from protocols.transparency.checkpoints import CosignatureSigner, verify_log_signature
from protocols.transparency.messages import CheckpointCosignature, CheckpointOffer, CheckpointRefusal, SplitViewProof
from protocols.transparency.notes import VerifierKey, parse_note
from protocols.transparency.succession import follow
from protocols.transparency.witness import Cosigned, SplitView, Witness, parse_add_checkpoint

FORKED = "LOG_FORKED"
CHANGING = "KEY_CHANGING"


@dataclass(slots=True)
class LogWitness:
    """One party as a witness of one log. Reveals: to the log, whether this party agrees, and when.

    A log that was caught with two histories is never cosigned again: the proof in the ledger is the answer. `pinned` is
    the log's key as this party first knew it; it is followed to the present one by what the pins say of successors.
    """

    signer: CosignatureSigner = field(repr=False)
    pinned: VerifierKey
    records: WitnessRecords = field(repr=False)
    pins: Pins = field(repr=False)
    _resting: bool = field(default=False, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def log_key(self) -> VerifierKey:
        """The log's key as it is now, with those that it has replaced. Raises: VerificationFailed, KEY_CHANGED."""
        return follow(self.pinned, self.pins.successions)

    def rest(self) -> int:
        """Cosign nothing more under this key; return how many leaves the last cosignature covers."""
        with self._lock:
            self._resting = True
        note = self.records.note(self.pinned.name)
        return 0 if note is None else verify_log_signature(parse_note(note), self.log_key).size

    def use(self, signer: CosignatureSigner) -> None:
        """Cosign under another key from now on."""
        with self._lock:
            self.signer, self._resting = signer, False

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
        with self._lock:
            return end.wrap(PartyId(envelope.sender), self._judge(offer, now), sealed=False)

    def _judge(self, offer: CheckpointOffer, now: int) -> CheckpointCosignature | CheckpointRefusal:
        origin = self.pinned.name
        last = self.records.note(origin)
        if self._resting:
            return CheckpointRefusal(CHANGING, last or b"")
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
        self.records.keep_split_view(self.pinned.name, now, encode(evidence))
        return CheckpointRefusal(FORKED, last or b"", evidence)
