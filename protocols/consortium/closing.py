"""The end of a consortium's run at a node: one model, a manifest for each bank, every bank's signature on it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols.assessment.manifest import Manifest
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, verify
from protocols.consortium.admission import agreed_model, agreement_bytes
from protocols.consortium.inbox import PerBank
from protocols.consortium.messages import ConsortiumSpec, ModelAgreement
from protocols.errors import UnexpectedMessage, VerificationFailed
from protocols.paillier import PublicKey
from protocols.scorecard.admission import check_manifest
from protocols.scorecard.messages import PointTables


def verify_agreement(spec: ConsortiumSpec, channel: Channel, bank: PartyId, agreement: ModelAgreement) -> None:
    """Return if a bank has signed its agreement to a model of this run. Raises: VerificationFailed."""
    verify(channel.cards[bank], agreement_bytes(spec.transcript(), agreement.model), agreement.signature)


def same_model(manifests: Mapping[PartyId, Manifest], agreements: Mapping[PartyId, ModelAgreement]) -> None:
    """Return if the banks' manifests differ in the bank alone, and each bank has agreed to them all.

    Raises: VerificationFailed, code CONSORTIUM_DISAGREES.
    """
    models = {msgspec.structs.replace(manifest, bank="_") for manifest in manifests.values()}
    named = all(manifest.bank == bank for bank, manifest in manifests.items())
    model = agreed_model(tuple(manifests.values()))
    if len(models) > 1 or not named or any(agreement.model != model for agreement in agreements.values()):
        raise VerificationFailed("the banks do not agree on one model", code="CONSORTIUM_DISAGREES")


def verify_agreements(
    manifest: Manifest,
    run: bytes,
    model: bytes,
    signatures: Mapping[PartyId, bytes],
    cards: Mapping[PartyId, PartyCard],
) -> None:
    """Return if every bank of a consortium has signed the model that one bank's manifest belongs to.

    Shapes: `signatures` of all banks; `run` and `model` 32 bytes. Raises: VerificationFailed.
    """
    manifests = tuple(msgspec.structs.replace(manifest, bank=bank) for bank in sorted(signatures))
    if manifest.run != run or manifest.bank not in signatures or agreed_model(manifests) != model:
        raise VerificationFailed("the manifest is not one of the model that the banks have signed")
    for bank, signature in signatures.items():
        if bank not in cards:
            raise VerificationFailed(f"no card of {bank} is pinned")
        verify(cards[bank], agreement_bytes(run, model), signature)


class Closing:
    """Collects manifests and agreements of all banks at one node, whatever their order."""

    def __init__(self, spec: ConsortiumSpec, channel: Channel, keys: Mapping[PartyId, PublicKey]) -> None:
        self._spec, self._channel, self._keys = spec, channel, keys
        banks = [PartyId(member.party) for member in spec.members]
        self._manifests: PerBank[Manifest] = PerBank(banks)
        self._agreements: PerBank[ModelAgreement] = PerBank(banks)
        self._verified: dict[PartyId, Manifest] = {}

    @property
    def complete(self) -> bool:
        """Whether every bank's manifest and agreement are there."""
        return self._manifests.complete and self._agreements.complete

    def take(self, envelope: Envelope) -> None:
        """Take one of a bank's. Raises: UnexpectedMessage, VerificationFailed, MalformedMessage."""
        bank = PartyId(envelope.sender)
        if bank not in [member.party for member in self._spec.members] or self._verified:
            raise UnexpectedMessage(f"{envelope.message} of {bank} is not due")
        if envelope.message == ModelAgreement.__name__:
            agreement = self._channel.unwrap(envelope, ModelAgreement)
            verify_agreement(self._spec, self._channel, bank, agreement)
            self._agreements.put(bank, agreement)
        else:
            self._manifests.put(bank, self._channel.unwrap(envelope, Manifest))

    def verified(self, tables: PointTables) -> dict[PartyId, Manifest]:
        """Return every bank's manifest if they are one model and state this node's part. Raises: VerificationFailed."""
        manifests, agreements = self._manifests.take(), self._agreements.take()
        same_model(manifests, agreements)
        me, cards = self._channel.keys.party, self._channel.cards
        for bank, manifest in manifests.items():
            of_lead = msgspec.structs.replace(manifest, bank=self._spec.bank)  # the one that a run is named after
            check_manifest(of_lead, self._spec, me, cards, tables, self._keys[bank])
        self._verified = manifests
        return manifests

    def manifest(self, bank: PartyId) -> Manifest | None:
        """Return the manifest of a bank that was verified, or None."""
        return self._verified.get(bank)
