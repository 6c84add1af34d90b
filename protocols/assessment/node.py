"""The data node's role in one assessment: evaluate its own part, mask it, encrypt it for the bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from protocols.assessment.layout import Coverage, band, lay_out, layout_bits
from protocols.assessment.manifest import Manifest
from protocols.assessment.messages import Query, ScoreShare
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, Randomness
from protocols.errors import PolicyDenied, VerificationFailed
from protocols.masks import zero_sum_masks
from protocols.paillier import PublicKey
from protocols.scorecard.arithmetic import encrypt_for_owner
from protocols.scorecard.messages import FeaturePoints


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A node's own view of one enterprise under one model. Never leaves the node in this form.

    `enterprise` enters the mask: shares open only if every node was asked about the same enterprise.
    """

    bins: Sequence[int] = field(repr=False)
    coverage: Coverage = field(repr=False)
    enterprise: str = field(repr=False)


def check_query(query: Query, manifest: Manifest, now: int, clock_skew: int = 60) -> None:
    """Return if the query is for this model, its whole node set, and this time. Units: seconds.

    Raises: VerificationFailed with codes WRONG_NODE_SET, WRONG_MODEL, QUERY_EXPIRED; PolicyDenied PURPOSE_DENIED.
    """
    if query.model != manifest.model_hash() or query.bank != manifest.bank:
        raise VerificationFailed("the query is for another model or of another bank", code="WRONG_MODEL")
    if query.nodes != tuple(entry.party for entry in manifest.nodes):
        raise VerificationFailed("the query names another node set than the manifest", code="WRONG_NODE_SET")
    if query.purpose != manifest.purpose:
        raise PolicyDenied("the model does not serve this purpose", code="PURPOSE_DENIED")
    if not query.issued - clock_skew <= now < query.expires + clock_skew or query.expires - query.issued > 3600:
        raise VerificationFailed("the query does not hold at this time", code="QUERY_EXPIRED")


def check_part(manifest: Manifest, part: Sequence[FeaturePoints], bank_key: PublicKey) -> None:
    """Return if every answer from `part` can be laid out as the manifest says. Raises: VerificationFailed."""
    highest = sum(max(feature.points) for feature in part)
    if not highest <= manifest.maximum_total < 1 << manifest.total_bits:
        raise VerificationFailed("the part's totals exceed the range that the manifest states")
    if any(feature.theme >= len(manifest.themes) for feature in part):
        raise VerificationFailed("the part names a theme that the manifest does not")
    if layout_bits(manifest) >= bank_key.bits:
        raise VerificationFailed(f"an answer of {layout_bits(manifest)} bits does not fit the bank's key")


def share_of(
    query: Query,
    manifest: Manifest,
    part: Sequence[FeaturePoints],
    evaluation: Evaluation,
    keys: PartyKeys,
    cards: Mapping[PartyId, PartyCard],
    bank_key: PublicKey,
    policy: bytes,
    randomness: Randomness,
) -> ScoreShare:
    """Return this node's masked, encrypted share of the answer.

    Reveals: nothing short of the sum over all nodes of the manifest, which opens to the bank alone.
    """
    total = sum(feature.points[code] for feature, code in zip(part, evaluation.bins, strict=True))
    lost = [0] * len(manifest.themes)
    for feature, code in zip(part, evaluation.bins, strict=True):
        if feature.theme >= 0:
            lost[feature.theme] += max(feature.points) - feature.points[code]
    bands = [band(theme, points) for theme, points in zip(manifest.themes, lost, strict=True)]
    names = [entry.party for entry in manifest.nodes]
    value = lay_out(manifest, names.index(keys.party), total, bands, evaluation.coverage)
    peers = {name: cards[PartyId(name)].mask_key for name in names if name != keys.party}
    told = query.transcript() + b"subject/" + evaluation.enterprise.encode()
    mask = zero_sum_masks(keys.party, keys.mask, peers, told, 1, bank_key.n)[0]
    ciphertext = encrypt_for_owner(bank_key, [(value + mask) % bank_key.n], randomness)
    return ScoreShare(ciphertext.to_bytes(), policy)
