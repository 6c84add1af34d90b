"""What a bank does in a run of any model family: open it, know its nodes, gather their signatures in the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TypeVar

from protocols.assessment.manifest import Manifest, PartEntry, SignedManifest, Theme
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message, digest
from protocols.consent import Purpose
from protocols.errors import UnexpectedMessage
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import TOTAL_BITS
from protocols.scorecard.node_role import require
from protocols.scorecard.signing import SignatureCollection

M = TypeVar("M", bound=Message)
Sent = list[Envelope]
Handlers = Mapping[str, Callable[[Envelope], Sent]]


class BankRole(ABC):
    """The bank in one run: `start` opens it, `receive` drives it. `as_of`: as of when each node's records speak.

    Raises: MalformedMessage, UnexpectedMessage, VerificationFailed; CreditFederationError with code FIT_DIVERGED.
    """

    def __init__(self, spec: m.RunSpec, channel: Channel) -> None:
        self.spec, self._channel, self._me = spec, channel, channel.keys.party
        self._domains = {PartyId(node.party): node.domain for node in spec.nodes}
        self._signatures: SignatureCollection | None = None
        self.as_of: dict[PartyId, str] = {}

    def start(self, labels: m.EncryptedLabels, cohorts: Mapping[PartyId, m.Cohort]) -> Sent:
        """Open the run: announce it, hand out the labels' ciphertexts and, sealed to each node, its cohort."""
        return [
            self._channel.wrap(EVERYONE, self.spec),
            self._channel.wrap(EVERYONE, labels),
            *(self._channel.wrap(node, cohorts[node]) for node in self._domains),
        ]

    def receive(self, envelope: Envelope) -> Sent:
        """Take one envelope of the run, from a relay that may be hostile; return the envelopes it leads to."""
        common: Handlers = {"ManifestSignature": self._on_signature}
        handler = common.get(envelope.message) or self._handlers().get(envelope.message)
        if handler is None:
            raise UnexpectedMessage(f"a bank does not take {envelope.message}")
        return handler(envelope)

    @abstractmethod
    def _handlers(self) -> Handlers:
        """Return what takes each kind of message that this family adds."""

    @abstractmethod
    def _finish_when_ready(self) -> Sent:
        """Close the run if all signatures, and all else that the family waits for, are there."""

    def _propose(self, tables: Mapping[PartyId, m.PointTables], maximum: int, themes: tuple[Theme, ...]) -> Sent:
        """Return each node's part of the final model, and for all of them the manifest to sign."""
        entries = tuple(PartEntry(n.party, n.domain, n.card, digest(tables[PartyId(n.party)])) for n in self.spec.nodes)
        manifest = Manifest(
            self._channel.transcript,
            self._me,
            Purpose.ASSESSMENT,
            entries,
            TOTAL_BITS,
            maximum,
            themes,
            self.spec.created,
            self.spec.row_totals,
            self.spec.rho,
        )
        self._signatures = SignatureCollection(manifest, self._channel.cards)
        parts = [self._channel.wrap(node, tables[node]) for node in self._domains]
        return [*parts, self._channel.wrap(EVERYONE, manifest)]

    def _on_signature(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.ManifestSignature)
        require(self._signatures).put(node, message)
        self.as_of[node] = message.as_of
        return self._finish_when_ready()

    def _close(self, signed: SignedManifest) -> Sent:
        """Return what the log keeps of a finished run; the nodes have gathered the signatures themselves."""
        return [
            self._channel.wrap(EVERYONE, signed),
            self._channel.wrap(EVERYONE, m.RunFinished(signed.manifest.model_hash())),
        ]

    def _from_node(self, envelope: Envelope, kind: type[M]) -> tuple[PartyId, M]:
        sender = PartyId(envelope.sender)
        if sender not in self._domains:
            raise UnexpectedMessage(f"{envelope.message} of {sender}, which is no node of this run")
        return sender, self._channel.unwrap(envelope, kind)
