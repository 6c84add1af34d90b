"""The manifest of a model: what every node has agreed to serve, signed by all of them.

It fixes the node set, each node's card (and with it the mask key), the hash of each node's part, the range of the total
and the themes. A query names its hash; a node that did not sign it, or holds another part, does not answer.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.channel.identity import Key32, PartyCard, PartyId, PartyKeys, PartyName, Signature, verify
from protocols.channel.wire import Message, digest
from protocols.errors import VerificationFailed

THEME_BITS: Final = 12
"""Width of a theme's slot: bands 0 to 3 of up to 1,365 nodes."""

BANDS: Final = 3
_CONTEXT: Final = b"credit-federation/manifest/v1\0"


class PartEntry(Message, frozen=True):
    """One node's place in a model. Reveals: nothing of the part itself; its digest is salted."""

    party: PartyName
    domain: Annotated[str, Meta(min_length=1, max_length=256)]
    card: Annotated[str, Meta(min_length=64, max_length=64)]
    part: Key32


class Theme(Message, frozen=True):
    """A group of features that is reported as a reason; `nodes`, at least two, contribute to it."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]
    nodes: Annotated[int, Meta(ge=2, le=1024)]
    band_points: Annotated[tuple[int, int, int], Meta()]


class Manifest(Message, frozen=True, cache_hash=True):
    """What a model is, without any of its weights. Reveals: node set, themes, number of steps of the score.

    `row_totals` and `rho` state what its training was allowed to learn: totals per enterprise, and the privacy, in
    billionths, that each node spent on noise at most (0: its sums were exact).
    """

    OPEN: ClassVar[bool] = True

    run: Key32
    bank: PartyName
    purpose: Annotated[str, Meta(max_length=64)]
    nodes: Annotated[tuple[PartEntry, ...], Meta(min_length=1, max_length=1024)]
    total_bits: Annotated[int, Meta(ge=8, le=32)]
    maximum_total: Annotated[int, Meta(ge=0, lt=1 << 32)]
    themes: Annotated[tuple[Theme, ...], Meta(max_length=32)]
    created: Annotated[int, Meta(ge=0)]
    row_totals: Annotated[int, Meta(ge=0, le=16)] = 0
    rho: Annotated[int, Meta(ge=0, le=10**12)] = 0

    def model_hash(self) -> bytes:
        """Return the name of the model in queries and logs, 32 bytes."""
        return _model_hash(self)

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the domains of the nodes, in the order in which they first appear; a split one has several nodes."""
        return tuple(dict.fromkeys(entry.domain for entry in self.nodes))

    def stands_in(self, node: int) -> bool:
        """Whether the `node`-th node answers for enterprises that no node of its domain knows: the first of each."""
        return all(entry.domain != self.nodes[node].domain for entry in self.nodes[:node])

    def part(self, party: PartyId) -> PartEntry | None:
        """Return the place of `party`, or None if it has none."""
        return next((entry for entry in self.nodes if entry.party == party), None)


@functools.lru_cache(maxsize=64)
def _model_hash(manifest: Manifest) -> bytes:
    return digest(manifest)


class SignedManifest(Message, frozen=True):
    """A manifest with the signature of every node in it, in the order of its nodes."""

    OPEN: ClassVar[bool] = True

    manifest: Manifest
    signatures: tuple[Signature, ...]


def sign_manifest(manifest: Manifest, keys: PartyKeys) -> bytes:
    """Return a node's signature: its promise to serve this model with its part."""
    return keys.signing.sign(_CONTEXT + manifest.model_hash())


def verify_manifest(signed: SignedManifest, cards: Mapping[PartyId, PartyCard]) -> None:
    """Return if every node of the manifest has signed it under its pinned card. Raises: VerificationFailed."""
    manifest = signed.manifest
    if len(signed.signatures) != len(manifest.nodes):
        raise VerificationFailed(f"{len(signed.signatures)} signatures for {len(manifest.nodes)} nodes")
    check_nodes(manifest, cards)
    for entry, signature in zip(manifest.nodes, signed.signatures, strict=True):
        verify_manifest_signature(manifest, cards[PartyId(entry.party)], signature)


def check_nodes(manifest: Manifest, cards: Mapping[PartyId, PartyCard]) -> None:
    """Return if the nodes are sorted and distinct, each under its pinned card. Raises: VerificationFailed."""
    if [entry.party for entry in manifest.nodes] != sorted({entry.party for entry in manifest.nodes}):
        raise VerificationFailed("the nodes of a manifest are sorted and distinct")
    for entry in manifest.nodes:
        card = cards.get(PartyId(entry.party))
        if card is None or card.fingerprint() != entry.card:
            raise VerificationFailed(f"the manifest names a card of {entry.party} that is not pinned")


def verify_manifest_signature(manifest: Manifest, card: PartyCard, signature: bytes) -> None:
    """Return if `signature` is that of the card's owner on `manifest`. Raises: VerificationFailed."""
    verify(card, _CONTEXT + manifest.model_hash(), signature)
