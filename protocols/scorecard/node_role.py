"""What a data node does in a run of any model family: admit the run, open its cohort, sign the manifest in the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from protocols.assessment.manifest import Manifest, SignedManifest, sign_manifest
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import Message, digest
from protocols.consent import cohort_subject
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.admission import check_manifest
from protocols.scorecard.rows import BinnedRows
from protocols.scorecard.signing import SignatureCollection

M = TypeVar("M", bound=Message)
V = TypeVar("V")
Sent = list[Envelope]
Handlers = Mapping[str, Callable[[Envelope], Sent]]


class Site(Protocol):
    """What the owner's side provides: its rows, and the last word on every release."""

    def bin_cohort(self, spec: m.RunSpec, cohort: m.Cohort) -> BinnedRows:
        """Verify the consent, look the enterprises up and bin their features. Raises: PolicyDenied."""
        ...

    def release(self, spec: m.RunSpec, step: str, leak: m.LeakClass) -> None:
        """Record that a step is about to reveal something. Raises: PolicyDenied, BudgetExceeded."""
        ...

    def data_as_of(self) -> str:
        """Return as of which day the binned records speak, as an ISO date; "" if their source does not say."""
        ...

    def keep_part(self, manifest: SignedManifest, tables: m.PointTables) -> None:
        """Store this node's part of a model that all nodes have signed."""
        ...


class NodeRole(ABC):
    """One data node in one run. `receive` takes envelopes from a relay that may be hostile; each kind in its turn.

    `finished` is set when the part is stored. Raises: MalformedMessage, UnexpectedMessage, VerificationFailed,
    PolicyDenied, BudgetExceeded.
    """

    def __init__(
        self, spec: m.RunSpec, channel: Channel, bank_key: PublicKey, site: Site, randomness: Randomness
    ) -> None:
        self.spec, self._channel, self._site, self._randomness = spec, channel, site, randomness
        self._bank_key, self._me, self._bank = bank_key, channel.keys.party, PartyId(spec.bank)
        if self._me not in {node.party for node in spec.nodes}:
            raise VerificationFailed(f"{self._me} is no node of this run", code="WRONG_NODE_SET")
        self._labels: bytes | None = None
        self._cohort: m.Cohort | None = None
        self._cohort_name = ""
        self._final: m.PointTables | None = None
        self._signatures: SignatureCollection | None = None
        self._seen: set[tuple[str, str]] = set()
        self.finished = False

    def receive(self, envelope: Envelope) -> Sent:
        """Take one envelope of the run; return the envelopes it leads to."""
        common: Handlers = {
            "EncryptedLabels": self._on_labels,
            "Cohort": self._on_cohort,
            "Manifest": self._on_manifest,
            "ManifestSignature": self._on_signature,
        }
        handler = common.get(envelope.message) or self._handlers().get(envelope.message)
        if handler is None:
            raise UnexpectedMessage(f"a data node does not take {envelope.message}")
        return handler(envelope)

    @abstractmethod
    def _handlers(self) -> Handlers:
        """Return what takes each kind of message that this family adds."""

    @abstractmethod
    def _begin(self, labels: CiphertextVector, rows: BinnedRows) -> Sent:
        """Answer to labels and cohort, which are both there and admitted."""

    # ---- 5.1: the cohort

    def _on_labels(self, envelope: Envelope) -> Sent:
        labels = self._once(envelope, m.EncryptedLabels)
        if digest(labels) != self.spec.labels:
            raise VerificationFailed("the label vector is not the one that the run commits to")
        self._labels = labels.vector
        return self._begin_when_ready()

    def _on_cohort(self, envelope: Envelope) -> Sent:
        cohort = self._once(envelope, m.Cohort)
        if len(cohort.ids) != self.spec.rows or len(set(cohort.ids)) != len(cohort.ids):
            raise MalformedMessage(f"a cohort of {self.spec.rows} distinct enterprises is due")
        self._cohort = cohort
        return self._begin_when_ready()

    def _begin_when_ready(self) -> Sent:
        if self._labels is None or self._cohort is None:
            return []
        labels, cohort = self._rows_vector(self._labels, "labels"), self._cohort
        self._cohort_name, self._labels, self._cohort = cohort_subject(cohort.ids), None, None
        return self._admit(labels, cohort)

    def _admit(self, labels: CiphertextVector, cohort: m.Cohort) -> Sent:
        """Look the cohort up, or refuse it, and begin."""
        return self._begin(labels, self._site.bin_cohort(self.spec, cohort))

    def _rows_vector(self, data: bytes, name: str) -> CiphertextVector:
        """Return one ciphertext of the bank's for each training row. Raises: MalformedMessage, VerificationFailed."""
        vector = CiphertextVector.from_bytes(self._bank_key, data)
        if len(vector) != self.spec.training_rows:
            raise MalformedMessage(f"{len(vector)} {name} for {self.spec.training_rows} training rows")
        return vector

    # ---- the manifest

    def _on_manifest(self, envelope: Envelope) -> Sent:
        manifest = self._once(envelope, Manifest)
        check_manifest(manifest, self.spec, self._me, self._channel.cards, require(self._final), self._bank_key)
        signed = sign_manifest(manifest, self._channel.keys)
        signature = m.ManifestSignature(manifest.model_hash(), signed, self._site.data_as_of())
        self._signatures = SignatureCollection(manifest, self._channel.cards)
        self._signatures.put(self._me, signature)
        return [self._channel.wrap(EVERYONE, signature)]

    def _on_signature(self, envelope: Envelope) -> Sent:
        """Take another node's signature; store the part when all have signed."""
        collection = require(self._signatures)
        collection.put(PartyId(envelope.sender), self._channel.unwrap(envelope, m.ManifestSignature))
        signed = collection.signed
        if signed is not None:
            self._site.keep_part(signed, require(self._final))
            self.finished = True
        return []

    # ---- order and origin

    def _from_bank(self, envelope: Envelope, kind: type[M], sender: PartyId | None = None) -> M:
        if envelope.sender != (sender or self._bank):
            raise UnexpectedMessage(f"{envelope.message} does not come from {envelope.sender}")
        return self._channel.unwrap(envelope, kind)

    def _once(self, envelope: Envelope, kind: type[M], sender: PartyId | None = None) -> M:
        message = self._from_bank(envelope, kind, sender)
        self._mark(envelope.message, envelope.sender)
        return message

    def _mark(self, kind: str, mark: str) -> None:
        if (kind, mark) in self._seen:
            raise UnexpectedMessage(f"{kind} was already received")
        self._seen.add((kind, mark))


def require(value: V | None) -> V:
    """Return a state that an earlier message must have set. Raises: UnexpectedMessage if it has not."""
    if value is None:
        raise UnexpectedMessage("an earlier message of the run is missing")
    return value
