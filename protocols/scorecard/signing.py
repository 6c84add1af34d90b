"""The signatures of all nodes on one manifest, as each party of a run gathers them for itself."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.assessment.manifest import Manifest, SignedManifest, verify_manifest_signature
from protocols.channel.identity import PartyCard, PartyId
from protocols.errors import VerificationFailed
from protocols.scorecard.messages import ManifestSignature


class SignatureCollection:
    """Holds verified signatures on one manifest; whole when every node of it has signed."""

    def __init__(self, manifest: Manifest, cards: Mapping[PartyId, PartyCard]) -> None:
        self.manifest, self._cards = manifest, cards
        self._signatures: dict[str, bytes] = {}

    def put(self, node: PartyId, message: ManifestSignature) -> None:
        """Take a node's signature, once. Raises: VerificationFailed."""
        if message.manifest != self.manifest.model_hash() or node in self._signatures:
            raise VerificationFailed(f"{node} has signed another manifest, or twice")
        if self.manifest.part(node) is None:
            raise VerificationFailed(f"{node} is no node of the manifest")
        verify_manifest_signature(self.manifest, self._cards[node], message.signature)
        self._signatures[node] = message.signature

    @property
    def signed(self) -> SignedManifest | None:
        """Return the manifest with all signatures, or None while one is missing."""
        if len(self._signatures) < len(self.manifest.nodes):
            return None
        return SignedManifest(self.manifest, tuple(self._signatures[entry.party] for entry in self.manifest.nodes))
